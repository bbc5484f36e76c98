"""Images in folders of classes, for TorchGeo's classification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from dasha.data.groups import group_function
from dasha.data.image_files import Draw, Files, split_images
from dasha.errors import InvalidArgumentError
from torchgeo_dasha.data.base import FileDataset, FilesDataModule, Sample
from torchgeo_dasha.data.figures import draw_sample
from torchgeo_dasha.data.rasters import SUFFIXES
from torchgeo_dasha.inputs import InputSpec


class ImageFolderDataset(FileDataset):
    """Images and their classes.

    Args:
        paths: The images.
        labels: Number of the class of every image.
        spec: How they are read.
        fill: What stands where there is no data.
        rgb: Places of red, green and blue among the bands.
    """

    def __init__(
        self, paths: Sequence[Path], labels: Sequence[int], *, spec: InputSpec, fill: Tensor, rgb: Sequence[int]
    ) -> None:
        super().__init__(paths, spec=spec, fill=fill, rgb=rgb)
        self.labels = list(labels)

    def __getitem__(self, index: int) -> Sample:
        """``image`` ``(C, H, W)``, float32 in the units of the file, and ``label``."""
        return {"image": self.image(index), "label": torch.tensor(self.labels[index])}

    def plot(self, sample: Sample, show_titles: bool = True, suptitle: str | None = None) -> Figure:
        """Draw a sample with its label, and with its ``prediction``, if it has one."""
        names = dict(enumerate(self.spec.class_names))
        found = {key: int(sample[key]) for key in ("label", "prediction") if key in sample}
        title = "\n".join(f"{key}: {names.get(place, place)}" for key, place in found.items())
        return draw_sample(sample["image"][self.rgb], titles=[title] if show_titles else [], suptitle=suptitle)


class ImageFolderDataModule(FilesDataModule):
    """JPEG, PNG or GeoTIFF images in folders of classes.

    Batches have ``image`` ``(N, C, H, W)``, float32, and ``label`` ``(N,)``. The trainer normalises them, and flips and
    turns those of training, on its device. Pixels without data become the mean of their band.

    Args:
        root: Holds a folder for every class, perhaps with lists ``train.txt``, ``val.txt`` and ``test.txt`` of
            ``class/file``; or folders ``train``, ``val`` and ``test`` with a folder for every class.
        batch_size: Images per batch.
        num_workers: Processes that read.
        bands: Numbers of the bands to use, from 1, in the order wanted; by default all. Transparency is no band.
        image_size: Height and width, or one number for both, that images are resized to; without it, all must have one
            size.
        augment: Whether training images are flipped and, if square, turned by right angles.
        groups: Tells which images were cut from one scene, so that no scene is in two parts: a regular expression that
            is searched in ``class/file``, or a ``.csv`` or ``.txt`` file of lines ``file,group``.
        val_fraction: Of the images for validation, where neither lists nor folders split them.
        test_fraction: Of the images for test, likewise.
        split_seed: Of the draw, likewise.
        mean: Of every band that is used; by default, with ``std``, measured on the training images alone.
        std: Likewise.
        rgb_bands: Bands shown as red, green and blue in pictures; by default the first three.

    Raises:
        InvalidArgumentError: If an argument is not allowed; in `setup`, if files are missing, unreadable or unequal.
    """

    def __init__(
        self,
        root: str | Path,
        batch_size: int = 32,
        num_workers: int = 0,
        *,
        bands: Sequence[int] | None = None,
        image_size: int | tuple[int, int] | None = None,
        augment: bool = True,
        groups: str | Path | None = None,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        split_seed: int = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        rgb_bands: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            bands=bands,
            image_size=image_size,
            augment=augment,
            mean=mean,
            std=std,
            rgb_bands=rgb_bands,
            draw=Draw.of_fractions(val_fraction, test_fraction, split_seed),
        )
        self.keep_arguments(ImageFolderDataModule, locals())
        self.root, self.groups = Path(root), groups
        self._files: dict[str, Files] = {}
        self._class_names: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that train has, in alphabetical order."""
        return self._class_names

    def class_counts(self, part: str = "train") -> Tensor:
        """Images of every class in a part, ``(num_classes,)``."""
        return torch.bincount(torch.tensor(self._labels(part)), minlength=self.num_classes)

    def find(self) -> dict[str, list[Path]]:
        """Find the images of every part."""
        if not self.root.is_dir():
            raise InvalidArgumentError(f"root={str(self.root)!r} is no folder; give the folder of the images")
        group_of = None if self.groups is None else group_function(self.groups, self.root)
        files = split_images(self.root, SUFFIXES, draw=self.draw, group_of=group_of)
        self._files, self._class_names, self.rule = dict(files.parts), files.class_names, files.rule
        return {part: [path for path, _ in own] for part, own in self._files.items()}

    def make_dataset(self, part: str, paths: list[Path], fill: Tensor, rgb: list[int]) -> FileDataset:
        """Make the data set of one part."""
        return ImageFolderDataset(paths, self._labels(part), spec=self.spec, fill=fill, rgb=rgb)

    def _labels(self, part: str) -> list[int]:
        if part not in self._files:
            raise InvalidArgumentError(f"part={part!r} is not among {', '.join(self._files) or 'nothing; run setup'}")
        places = {name: place for place, name in enumerate(self._class_names)}
        return [places[name] for _, name in self._files[part]]
