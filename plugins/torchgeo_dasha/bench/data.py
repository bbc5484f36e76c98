"""The data sets, as arrays for the core and as datamodules for the trainer, from one reading of the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dasha.bench.files import find_folder
from dasha.bench.search import BenchData
from dasha.data.turns import FlipsAndTurns
from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec
from torchgeo_dasha.data.base import FileDataset, FilesDataModule, Sample
from torchgeo_dasha.data.image_folder import ImageFolderDataModule
from torchgeo_dasha.data.segmentation import CLASSES_FILE, TileSegmentationDataModule, read_class_names

EUROSAT, DUBAI = "eurosat_rgb_3000", "mbrsc_dubai_256"
DATASETS = (EUROSAT, DUBAI)
_SCENES = r"^tile\d+"
_UNLABELED = "Unlabeled"
_LARGEST_BATCH = {EUROSAT: 32, DUBAI: 16}


class Cached(FileDataset):
    """A data set whose files are read once: what is measured is training, not the reading of files.

    Args:
        dataset: Reads them.
    """

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset.paths, spec=dataset.spec, fill=dataset.fill, rgb=dataset.rgb)
        self.samples: list[Sample] = [dataset[index] for index in range(len(dataset))]

    def __getitem__(self, index: int) -> Sample:
        """One sample; the caller may change the mapping."""
        return dict(self.samples[index])


class CachedImages(ImageFolderDataModule):
    """Images in folders of classes, read once."""

    def make_dataset(self, part: str, paths: list[Path], fill: Tensor, rgb: list[int]) -> FileDataset:
        """Make the data set of one part."""
        return Cached(super().make_dataset(part, paths, fill, rgb))


class CachedTiles(TileSegmentationDataModule):
    """Tiles, read once."""

    def make_dataset(self, part: str, paths: list[Path], fill: Tensor, rgb: list[int]) -> FileDataset:
        """Make the data set of one part."""
        return Cached(super().make_dataset(part, paths, fill, rgb))


@dataclass(frozen=True)
class Images:
    """A data set in both forms.

    Attributes:
        data: For the core.
        module: For TorchGeo's trainer.
    """

    data: BenchData
    module: FilesDataModule = field(repr=False)


def load(name: str, *, data_dir: Path | None, batch_size: int | None = None) -> Images:
    """Read a data set.

    Args:
        name: One of `DATASETS`.
        data_dir: Folder with the data set's folder, perhaps further down.
        batch_size: Of the stock tasks; by default 32 images or 16 tiles.

    Raises:
        InvalidArgumentError: If there is no such data set, or something in it is not allowed.
        InvalidTableError: If its folder is not there.
    """
    if name not in DATASETS:
        raise InvalidArgumentError(f"there is no data set {name!r}; known are {', '.join(DATASETS)}")
    root = find_folder(name, data_dir)
    size = batch_size or _LARGEST_BATCH[name]
    return _images(name, root, size) if name == EUROSAT else _tiles(name, root, size)


def _images(name: str, root: Path, batch_size: int) -> Images:
    module = CachedImages(root, batch_size=batch_size)
    _set_up(module)
    task = TaskSpec("multiclass", module.in_channels, module.num_classes, class_names=module.class_names)
    return _both(name, task, module, "label")


def _tiles(name: str, root: Path, batch_size: int) -> Images:
    names = read_class_names(root / CLASSES_FILE) if (root / CLASSES_FILE).is_file() else ()
    ignored = names.index(_UNLABELED) if _UNLABELED in names else None
    module = CachedTiles(root, batch_size=batch_size, groups=_SCENES, ignore_index=ignored)
    _set_up(module)
    task = TaskSpec(
        "segmentation", module.in_channels, module.num_classes, class_names=module.class_names, ignore_index=ignored
    )
    return _both(name, task, module, "mask")


def _set_up(module: FilesDataModule) -> None:
    module.setup("fit")
    module.setup("test")


def _both(name: str, task: TaskSpec, module: FilesDataModule, key: str) -> Images:
    train, validation, test = (
        _arrays(dataset.samples, key) for dataset in (module.train_dataset, module.val_dataset, module.test_dataset)
    )
    augment = FlipsAndTurns(is_dense=task.is_dense)
    return Images(BenchData(name, task, train, validation, test, augment, facts={"split": module.rule}), module)


def _arrays(samples: list[Sample], key: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets; bytes stay bytes."""
    inputs = torch.stack([sample["image"] for sample in samples])
    as_bytes = inputs.to(torch.uint8)
    inputs = as_bytes if torch.equal(as_bytes.float(), inputs) else inputs
    return inputs, torch.stack([sample[key] for sample in samples])
