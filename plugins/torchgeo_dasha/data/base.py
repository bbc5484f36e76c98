"""What the datamodules have in common: statistics of train, augmentation on the device, and state."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from kornia import augmentation
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.nn.functional import interpolate
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datasets import NonGeoDataset

from dasha.arguments import whole_number
from dasha.data.groups import PARTS
from dasha.data.image_files import Draw
from dasha.errors import InvalidArgumentError
from torchgeo_dasha.data.rasters import band_numbers, check_headers, read_image
from torchgeo_dasha.data.statistics import band_moments, check_pixels
from torchgeo_dasha.inputs import KEY, InputSpec, plain_value

Sample = dict[str, Tensor]
_STAGES = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("test",)}


class FileDataset(NonGeoDataset):
    """Images of one part.

    Args:
        paths: The images.
        spec: How they are read.
        fill: What stands where there is no data, for every band; the mean, so that normalised it is 0.
        rgb: Places of red, green and blue among the bands, for pictures.
    """

    def __init__(self, paths: Sequence[Path], *, spec: InputSpec, fill: Tensor, rgb: Sequence[int]) -> None:
        self.paths, self.spec, self.fill, self.rgb = list(paths), spec, fill, list(rgb)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    @property
    def files(self) -> list[Path]:
        """Everything that is read."""
        return self.paths

    def image(self, index: int) -> Tensor:
        """One image, ``(C, H, W)``, in the units of the file, with no gaps, resized if that is wanted."""
        pixels = torch.from_numpy(read_image(self.paths[index], self.spec.bands))
        pixels = torch.where(pixels.isnan(), self.fill[:, None, None], pixels)
        size = self.spec.image_size
        if size is None or tuple(pixels.shape[1:]) == size:
            return pixels
        return interpolate(pixels[None], size, mode="bilinear", antialias=True, align_corners=False)[0]


class FilesDataModule(NonGeoDataModule):
    """Images in files.

    Subclasses find the files in `find`, and make the data set of one part in `make_dataset`. The images for test are
    those to predict, too.

    Attributes:
        spec: How files become inputs, once `setup` has run.
        rule: How they were split.
    """

    spec: InputSpec
    rule: str

    def __init__(
        self,
        *,
        batch_size: int,
        num_workers: int,
        bands: Sequence[int] | None,
        image_size: int | tuple[int, int] | None,
        augment: bool,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        rgb_bands: Sequence[int] | None,
        draw: Draw,
    ) -> None:
        super().__init__(
            FileDataset,
            whole_number("batch_size", batch_size, minimum=1),
            whole_number("num_workers", num_workers, minimum=0),
        )
        if (mean is None) != (std is None) or (mean is not None and std is not None and len(mean) != len(std)):
            raise InvalidArgumentError(f"mean={mean} and std={std} must come together, one number per band")
        if std is not None and not all(0 < float(value) < math.inf for value in std):
            raise InvalidArgumentError(f"std={plain_value(std)} must be above 0 for every band; a constant band has 1")
        whole_number("split_seed", draw.seed, minimum=0)
        self.bands, self.rgb_bands = band_numbers("bands", bands), band_numbers("rgb_bands", rgb_bands)
        self.augment, self.draw = augment, draw
        self.image_size = _size(image_size)
        self._given = None if mean is None or std is None else (list(map(float, mean)), list(map(float, std)))
        self._datasets: dict[str, FileDataset] = {}

    @abstractmethod
    def find(self) -> dict[str, list[Path]]:
        """Find the images of every part, and set `rule`."""

    @abstractmethod
    def make_dataset(self, part: str, paths: list[Path], fill: Tensor, rgb: list[int]) -> FileDataset:
        """Make the data set of one part."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""

    @property
    def in_channels(self) -> int:
        """Bands that are used."""
        return len(self.spec.bands)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def searched_files(self) -> str | None:
        """A digest of names and sizes of the files for training and validation; None before `setup`."""
        if not self._datasets:
            return None
        sizes = [[(str(path), path.stat().st_size) for path in self._datasets[part].files] for part in ("train", "val")]
        return hashlib.sha256(repr(sizes).encode()).hexdigest()

    @abstractmethod
    def class_counts(self, part: str = "train") -> Tensor:
        """How often every class occurs in a part, ``(num_classes,)``; one over it is a weight for a loss."""

    def keep_arguments(self, of: type[FilesDataModule], given: Mapping[str, Any]) -> None:
        """Save arguments for checkpoints, as texts, numbers and lists alone; what subclasses add is not ours to save.

        Args:
            of: The class that they are of.
            given: Values, among others.
        """
        self.hparams.update({name: plain_value(given[name]) for name in signature(of).parameters})

    def setup(self, stage: str) -> None:
        """Find, check and measure the files, once; all are read for that, unless mean and std were given.

        Raises:
            InvalidArgumentError: If files are missing, unreadable or unequal, or the stage has none.
        """
        if not self._datasets:
            self._prepare()
        for part in _STAGES[stage]:
            if part not in self._datasets:
                raise InvalidArgumentError(f"there are no images for {part}; the data is split {self.rule}")
        for part, dataset in self._datasets.items():
            setattr(self, f"{part}_dataset", dataset)
        self.predict_dataset = self._datasets.get("test")

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to know of the inputs."""
        return {KEY: self.spec.as_dict()} if self._datasets else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the statistics that a checkpoint was trained with.

        Raises:
            InvalidArgumentError: If it was trained with other bands or classes.
        """
        stored = InputSpec.of_dict(state_dict[KEY])
        for name in ("bands", "class_names"):
            old, new = getattr(stored, name), getattr(self.spec, name)
            if old != new:
                raise InvalidArgumentError(f"the checkpoint was trained with {name} {old}, but the data has {new}")
        self._use(stored)

    def _prepare(self) -> None:
        parts = self.find()
        info, is_one_size = check_headers(
            [path for paths in parts.values() for path in paths],
            bands=self.bands,
            is_resized=self.image_size is not None,
        )
        bands = tuple(self.bands or range(1, info.bands + 1))
        mean, std = self._given or self._measured(parts, bands)
        if len(mean) != len(bands):
            raise InvalidArgumentError(f"mean has {len(mean)} numbers, but {len(bands)} bands are used")
        if len(parts["train"]) < self.batch_size:
            raise InvalidArgumentError(
                f"batch_size={self.batch_size} is more than the {len(parts['train'])} images for training; lower it"
            )
        self.fill = torch.tensor(mean, dtype=torch.float32)
        self._use(
            InputSpec(
                tuple(mean),
                tuple(std),
                bands,
                info.bands,
                info.size if is_one_size else None,
                self.image_size,
                self.class_names,
            )
        )
        rgb = self._rgb(bands)
        self._datasets = {part: self.make_dataset(part, parts[part], self.fill, rgb) for part in PARTS if part in parts}
        counts = ", ".join(f"{len(paths)} for {part}" for part, paths in parts.items())
        rank_zero_info(
            f"{type(self).__name__}: {counts}, split {self.rule}; {info.bands} bands, "
            f"{f'{info.height} × {info.width}' if is_one_size else 'unequal sizes'}, "
            f"{info.dtype}; {self.num_classes} classes; mean and std of every band "
            + ("as given" if self._given else "measured on train alone")
            + ("; transparency is left out, name its band in bands to use it" if info.bands < info.all_bands else "")
        )

    def _measured(self, parts: Mapping[str, list[Path]], bands: Sequence[int]) -> tuple[list[float], list[float]]:
        """Mean and std of every band on train; the other parts are read once as well, in search of damage."""
        others = [path for part, paths in parts.items() if part != "train" for path in paths]
        check_pixels(others, bands, num_workers=self.num_workers)
        moments = band_moments(parts["train"], bands, num_workers=self.num_workers)
        return moments.mean.tolist(), moments.std.tolist()

    def _rgb(self, bands: Sequence[int]) -> list[int]:
        wanted = self.rgb_bands or bands[:3]
        unknown = [band for band in wanted if band not in bands]
        if unknown:
            raise InvalidArgumentError(f"rgb_bands={list(wanted)} must be among the bands used, {list(bands)}")
        return [list(bands).index(band) for band in wanted]

    def _use(self, spec: InputSpec) -> None:
        """Normalise by a spec, on the device of the batch."""
        self.spec = spec
        self.mean, self.std = (torch.tensor(values, dtype=torch.float32) for values in (spec.mean, spec.std))
        self.fill.copy_(self.mean)  # the data sets hold it
        normalize = augmentation.Normalize(self.mean, self.std)
        self.aug = augmentation.AugmentationSequential(normalize, data_keys=None, keepdim=True)
        flips = [augmentation.RandomHorizontalFlip(p=0.5), augmentation.RandomVerticalFlip(p=0.5)]
        height, width = spec.image_size or spec.file_size or (0, 1)
        if height == width:
            flips.append(augmentation.RandomRotation90(times=(0, 3), p=1.0))
        self.train_aug = (
            augmentation.AugmentationSequential(normalize, *flips, data_keys=None, keepdim=True)
            if self.augment
            else None
        )


def _size(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2:
        raise InvalidArgumentError(f"image_size is {size!r}, but must be a number or height and width")
    return whole_number("image_size", both[0], minimum=1), whole_number("image_size", both[1], minimum=1)
