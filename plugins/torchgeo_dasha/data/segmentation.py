"""Tiles of scenes with a class for every pixel, for TorchGeo's segmentation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate

from dasha.data.groups import group_function
from dasha.data.image_files import Draw
from dasha.data.names import some, text_lines
from dasha.errors import DashaWarning, InvalidArgumentError
from torchgeo_dasha.data.base import FileDataset, FilesDataModule, Sample
from torchgeo_dasha.data.figures import draw_sample
from torchgeo_dasha.data.rasters import read_info, read_mask
from torchgeo_dasha.data.tiles import TileFolders, Tiles, split_tiles
from torchgeo_dasha.inputs import InputSpec

CLASSES_FILE = "classes.txt"


class TileDataset(FileDataset):
    """Images and masks.

    Args:
        paths: The images.
        masks: The mask of every image.
        ignore_index: Class of pixels that do not count; those without data in the mask get it, and need it.
        spec: How they are read.
        fill: What stands where an image has no data.
        rgb: Places of red, green and blue among the bands.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        masks: Sequence[Path],
        *,
        ignore_index: int | None,
        spec: InputSpec,
        fill: Tensor,
        rgb: Sequence[int],
    ) -> None:
        super().__init__(paths, spec=spec, fill=fill, rgb=rgb)
        self.masks, self.ignore_index = list(masks), ignore_index

    @property
    def files(self) -> list[Path]:
        """Everything that is read."""
        return self.paths + self.masks

    def __getitem__(self, index: int) -> Sample:
        """``image`` ``(C, H, W)``, float32 in the units of the file, and ``mask`` ``(H, W)``, int64."""
        mask = read_classes(self.masks[index], self.ignore_index)
        if self.spec.image_size is not None:
            # float64 holds every class number exactly
            mask = interpolate(mask[None, None].double(), self.spec.image_size, mode="nearest-exact")[0, 0].long()
        return {"image": self.image(index), "mask": mask}

    def plot(self, sample: Sample, show_titles: bool = True, suptitle: str | None = None) -> Figure:
        """Draw a sample with its mask, and with its ``prediction``, if it has one."""
        masks = [sample[key].squeeze() for key in ("mask", "prediction") if key in sample]
        titles = ["image", "mask", "prediction"] if show_titles else []
        return draw_sample(
            sample["image"][self.rgb],
            titles=titles[: 1 + len(masks)],
            masks=masks,
            class_names=self.spec.class_names,
            suptitle=suptitle,
        )


def read_classes(path: Path, ignore_index: int | None) -> Tensor:
    """Class of every pixel of a mask, ``(H, W)``, with ``ignore_index`` where it has no data.

    Raises:
        InvalidArgumentError: If there are such pixels, but no ``ignore_index``.
    """
    classes, is_valid = read_mask(path)
    mask = torch.from_numpy(classes)
    if is_valid.all():
        return mask
    if ignore_index is None:
        raise InvalidArgumentError(
            f"{path} has {(~is_valid).sum()} pixels without data, which are of no class; pass ignore_index, the "
            "number of pixels that do not count, to the datamodule and to the task; if it is a class that the file "
            f"calls nodata, keep it with 'gdal_edit.py -unsetnodata {path}'"
        )
    return torch.where(torch.from_numpy(is_valid), mask, ignore_index)


class TileSegmentationDataModule(FilesDataModule):
    """Images and masks of the same names in two folders.

    Batches have ``image`` ``(N, C, H, W)``, float32, and ``mask`` ``(N, H, W)``, int64. The trainer normalises them,
    and flips and turns those of training, on its device. Pixels without data become the mean of their band.

    Args:
        root: Folder with everything.
        image_dir: Folder of the images in it.
        mask_dir: Folder of the masks in it: one band of class numbers.
        batch_size: Tiles per batch.
        num_workers: Processes that read.
        image_suffix: End of the names of images, such as ``"_sat.jpg"``; by default any of JPEG, PNG and GeoTIFF.
        mask_suffix: End of the names of masks, likewise.
        groups: Tells which tiles were cut from one scene, so that no scene is in two parts: a regular expression that
            is searched in the name, or a ``.csv`` or ``.txt`` file of lines ``file,group``. Needed unless the root has
            lists ``train.txt``, ``val.txt`` and ``test.txt`` of names, or folders ``train``, ``val`` and ``test``.
        class_names: Names of the classes; by default the lines of ``classes.txt`` in the root (a number before the name
            is allowed), or the numbers up to the largest in a training mask, if none is missing.
        ignore_index: Class of pixels that do not count. Pixels without data in the mask get it, and are refused without
            it.
        bands: See `ImageFolderDataModule`, as for all that follow.
        image_size: See there; masks take the nearest pixel.
        augment: See there.
        val_fraction: Of the tiles for validation; scenes are not divided, so parts come close to it at best.
        test_fraction: Likewise, for test.
        split_seed: Of the draw.
        mean: See there.
        std: See there.
        rgb_bands: See there.

    Raises:
        InvalidArgumentError: If an argument is not allowed; in `setup`, if files are missing, unreadable or unequal,
            or masks hold other classes.

    Warns:
        DashaWarning: In `setup`, if masks for training hold fewer than two classes.
    """

    def __init__(
        self,
        root: str | Path,
        image_dir: str = "images",
        mask_dir: str = "masks",
        batch_size: int = 16,
        num_workers: int = 0,
        *,
        image_suffix: str | None = None,
        mask_suffix: str | None = None,
        groups: str | Path | None = None,
        class_names: Sequence[str] | None = None,
        ignore_index: int | None = None,
        bands: Sequence[int] | None = None,
        image_size: int | tuple[int, int] | None = None,
        augment: bool = True,
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
        self.keep_arguments(TileSegmentationDataModule, locals())
        self.folders = TileFolders(Path(root), image_dir, mask_dir, image_suffix, mask_suffix)
        self.groups, self.ignore_index = groups, ignore_index
        self._class_names = tuple(class_names or ())
        self._tiles: dict[str, Tiles] = {}
        self._counts: dict[str, Tensor] = {}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return self._class_names

    def class_counts(self, part: str = "train") -> Tensor:
        """Pixels of every class in a part, without those that do not count, ``(num_classes,)``."""
        if part not in self._counts:
            raise InvalidArgumentError(f"part={part!r} is not among {', '.join(self._counts) or 'nothing; run setup'}")
        return self._counts[part]

    def find(self) -> dict[str, list[Path]]:
        """Find the tiles of every part, and go over all masks."""
        root = self.folders.root
        if not root.is_dir():
            raise InvalidArgumentError(f"root={str(root)!r} is no folder; give the folder of the images and masks")
        group_of = None if self.groups is None else group_function(self.groups, root)
        files = split_tiles(self.folders, draw=self.draw, group_of=group_of)
        self._tiles, self.rule = dict(files.parts), files.rule
        if not self._class_names and (root / CLASSES_FILE).is_file():
            self._class_names = read_class_names(root / CLASSES_FILE)
        for part in sorted(self._tiles, key=lambda part: part != "train"):
            self._counts[part] = self._counted(part)
        return {part: [image for image, _ in tiles.values()] for part, tiles in self._tiles.items()}

    def make_dataset(self, part: str, paths: list[Path], fill: Tensor, rgb: list[int]) -> FileDataset:
        """Make the data set of one part."""
        masks = [mask for _, mask in self._tiles[part].values()]
        return TileDataset(paths, masks, ignore_index=self.ignore_index, spec=self.spec, fill=fill, rgb=rgb)

    def _counted(self, part: str) -> Tensor:
        """Count the classes of a part; those of train become the classes, if nothing else says what they are."""
        totals: dict[int, int] = {}
        where: dict[int, Path] = {}
        for image, path in self._tiles[part].values():
            mask = read_classes(path, self.ignore_index)
            info = read_info(image)
            if tuple(mask.shape) != info.size:
                raise InvalidArgumentError(
                    f"{path} has {mask.shape[0]} × {mask.shape[1]} pixels, but its image {info.height} × {info.width}"
                )
            values, counts = torch.unique(mask, return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                totals[value] = totals.get(value, 0) + count
                where.setdefault(value, path)
        if self.ignore_index is not None:
            totals.pop(self.ignore_index, None)
        if not self._class_names and totals:
            self._class_names = self._numbers(part, where, totals)
        unknown = [f"{value} in {where[value]}" for value in sorted(totals) if not 0 <= value < self.num_classes]
        if unknown:
            raise InvalidArgumentError(
                f"masks for {part} hold {some(unknown)}, but the classes are 0 to {self.num_classes - 1}; convert what "
                "is a class to its number or name it in class_names, and mark pixels that do not count with "
                "ignore_index"
            )
        if part == "train" and len(totals) < 2:
            only = "".join(f"one class only ({self._class_names[value]})" for value in totals) or "no pixel that counts"
            rank_zero_warn(
                f"masks for train hold {only}, with ignore_index={self.ignore_index}; there is nothing to tell apart, "
                "check what the numbers in the masks mean",
                category=DashaWarning,
            )
        return torch.tensor([totals.get(value, 0) for value in range(self.num_classes)])

    def _numbers(self, part: str, where: Mapping[int, Path], found: Collection[int]) -> tuple[str, ...]:
        """Names of classes that nothing names: their numbers, up to the largest, all of which must be there."""
        missing = [value for value in range(max(found)) if value not in found and value != self.ignore_index]
        if missing:
            odd = min(value for value in found if value > missing[0])
            raise InvalidArgumentError(
                f"masks for {part} hold {odd} in {where[odd]}, but {missing[0]} in none, and classes are numbered from "
                f"0 without gaps: convert {odd} to {missing[0]} if it is a class; pass ignore_index={odd}, to the "
                f"datamodule and to the task, if those pixels do not count; or give class_names if {part} only lacks "
                f"{missing[0]}"
            )
        return tuple(map(str, range(max(found) + 1)))


def read_class_names(path: Path) -> tuple[str, ...]:
    """Names of classes, one in a line; lines may begin with the number of the class, counted from 0.

    Raises:
        InvalidArgumentError: If it is no text, or numbers are out of order.
    """
    lines = text_lines(path)
    cells = [line.split(maxsplit=1) for line in lines]
    if not all(len(cell) == 2 and cell[0].rstrip(":,").isdecimal() for cell in cells):
        return tuple(lines)
    numbers = [int(cell[0].rstrip(":,")) for cell in cells]
    if numbers != list(range(len(cells))):
        raise InvalidArgumentError(f"{path} numbers the classes {numbers}, but they must be 0, 1, 2 … in order")
    return tuple(cell[1] for cell in cells)
