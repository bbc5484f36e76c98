"""Batches of a datamodule as the trainer would hand them to the network, for the search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric.utilities.data import sized_len
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.trainer.states import RunningStage
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from torchgeo.datamodules import BaseDataModule

from dasha.data.split import LoaderSplit
from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec


@dataclass(frozen=True)
class Prepare:
    """What a batch of a loader goes through before it is searched on.

    Attributes:
        trainer: Has set its datamodule up.
        spec: What the batch is for.
        target: Key of the targets.
        stage: Whose hooks the trainer would call.
    """

    trainer: Trainer
    spec: TaskSpec
    target: str
    stage: RunningStage

    def __call__(self, batch: Any) -> Mapping[str, Tensor]:
        """Inputs and targets of a batch, as the core takes them."""
        return self.pair(self.handed(batch))

    def handed(self, batch: Any) -> Mapping[str, Any]:
        """The batch on the device, transformed by the hooks, as the trainer hands it to the task."""
        with in_stage(self.trainer, self.stage):
            batch = self.trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        for key in ("image", self.target):
            if key not in batch:
                raise InvalidArgumentError(
                    f"batches have {', '.join(map(repr, batch))}, but this task needs 'image' and {self.target!r}"
                )
        handed: Mapping[str, Any] = batch
        return handed

    def pair(self, handed: Mapping[str, Any]) -> Mapping[str, Tensor]:
        """Inputs and targets alone."""
        image, targets = handed["image"], handed[self.target]
        # Images of several times, (N, T, C, H, W), go in as one with all channels, as in TorchGeo's own tasks.
        image = image.flatten(1, 2) if image.ndim == 5 else image
        # Augmentation makes numbers of classes.
        targets = targets.long() if self.spec.has_classes else targets
        return {"image": image, "label": targets}


@contextmanager
def in_stage(trainer: Trainer, stage: RunningStage) -> Iterator[None]:
    """Let the hooks of a datamodule take the trainer for one in this stage."""
    before, trainer.state.stage = trainer.state.stage, stage
    try:
        yield
    finally:
        trainer.state.stage = before


def splits_of(trainer: Trainer, spec: TaskSpec, target: str) -> tuple[LoaderSplit, LoaderSplit]:
    """Training and validation data behind the datamodule's own transfer and augmentation.

    Args:
        trainer: Has set its datamodule up.
        spec: What the data is for.
        target: Key of the targets in a batch.

    Raises:
        InvalidArgumentError: If there is no datamodule, or it has no such loaders.
    """
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, LightningDataModule):
        raise InvalidArgumentError(
            "the search needs the trainer's datamodule, but fit got loaders; pass datamodule=, for example "
            "LightningDataModule.from_datasets(train, val), or set architecture= to a finished search"
        )
    train = train_split(trainer, spec, target)
    prepare = Prepare(trainer, spec, target, RunningStage.VALIDATING)
    return train, _split(datamodule.val_dataloader(), "val", trainer.limit_val_batches, prepare)


def train_split(trainer: Trainer, spec: TaskSpec, target: str) -> LoaderSplit:
    """The training data alone, of a trainer with a datamodule; otherwise as `splits_of`."""
    loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
    prepare = Prepare(trainer, spec, target, RunningStage.TRAINING)
    return _split(loader, "train", trainer.limit_train_batches, prepare)


def has_statistics(datamodule: Any, channels: int) -> bool:
    """Whether a datamodule brings mean and spread of its channels; TorchGeo's default only divides bytes by 255."""
    mean, std = getattr(datamodule, "mean", None), getattr(datamodule, "std", None)
    if mean is None or std is None or mean is BaseDataModule.mean:
        return False
    return bool(min(torch.as_tensor(mean).numel(), torch.as_tensor(std).numel()) > 1) or channels == 1


def batch_size_of(loader: DataLoader[Any]) -> int | None:
    """Samples per batch, where the loader or its batch sampler says so."""
    size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    return size if isinstance(size, int) else None


def _split(loader: Any, name: str, limit: float | int, prepare: Prepare) -> LoaderSplit:
    if isinstance(loader, (list, tuple)) and len(loader) == 1:
        loader = loader[0]
    if not isinstance(loader, DataLoader):
        raise InvalidArgumentError(
            f"the datamodule's {name}_dataloader gives {type(loader).__name__}, but only one DataLoader can be "
            "searched on or measured"
        )
    batches = sized_len(loader)
    if batches is None:
        raise InvalidArgumentError(
            f"the datamodule's {name}_dataloader gives a DataLoader without a length, which cannot be searched on or "
            "measured; give its data set a __len__"
        )
    wanted = int(batches * limit) if isinstance(limit, float) else min(limit, batches)
    if limit == 0:
        raise InvalidArgumentError(
            f"limit_{name}_batches=0 leaves nothing of {name}_dataloader, but the search needs it; leave the limit "
            "out, or set architecture= to a finished search, which trains without"
        )
    if wanted < 1:
        raise InvalidArgumentError(
            f"{name}_dataloader gives {batches} batches and limit_{name}_batches={limit} leaves none, but the search "
            "needs one; lower batch_size (TorchGeo drops training batches that are not full), or raise the limit"
        )
    whole = isinstance(loader.sampler, SequentialSampler | RandomSampler) and loader.batch_size is not None
    is_partial = loader.drop_last or not whole or bool(getattr(loader.sampler, "replacement", False))
    return LoaderSplit(loader, prepare=prepare, max_batches=wanted if wanted < batches else None, is_partial=is_partial)
