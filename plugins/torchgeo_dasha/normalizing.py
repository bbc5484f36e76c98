"""Whether a datamodule does to images what its normalisation says, tried on images of known values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.trainer.states import RunningStage
from torch import Tensor

from dasha.errors import InvalidArgumentError, failures_as
from dasha.randomness import seeded
from torchgeo_dasha.batches import in_stage
from torchgeo_dasha.inputs import UNKNOWN, Normalization

_SIDE = 64  # of images whose size is not known
_LARGEST = 1024  # sides that are tried; more would take memory for nothing


def checked(
    trainer: Trainer, bands: tuple[int, ...], *, target: str, size: Sequence[int] | None
) -> dict[str, Any] | None:
    """What a checkpoint holds of the normalisation by the trainer's datamodule, in plain values.

    Args:
        trainer: Has a datamodule, or not.
        bands: Shape of an image before height and width.
        target: Key of the targets in a batch.
        size: Height and width of the images, if known.

    Returns:
        ``mean`` and ``std``; or why these are not all that happens to images; or None if nothing can be told.
    """
    datamodule = getattr(trainer, "datamodule", None)
    normalization = Normalization.of_datamodule(datamodule)
    if normalization is None:
        return None
    shape = (*bands, *(min(side, _LARGEST) for side in size or (_SIDE, _SIDE)))
    try:
        with failures_as(lambda why: InvalidArgumentError(f"cannot be tried on an image of shape {shape} ({why})")):
            _check(normalization, shape, partial(_handed, trainer, target))
    except InvalidArgumentError as error:
        return {UNKNOWN: f"{type(datamodule).__name__} {error}"}
    return normalization.as_dict()


def _check(normalization: Normalization, shape: tuple[int, ...], handed: Any) -> None:
    """Try a constant image and a ramp; medians do not change where images are cropped or padded."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (normalization.mean, normalization.std))
    close = partial(torch.allclose, rtol=0.01, atol=1e-6 * (1 + float((mean / std).abs().max())), equal_nan=True)
    level = torch.full(shape, 0.5)
    if not close(handed(mean + std * level).median(), level.median()):
        told = [", ".join(f"{value:.4g}" for value in values) for values in (normalization.mean, normalization.std)]
        raise InvalidArgumentError(f"does not just subtract {told[0]} from images and divide them by {told[1]}")
    ramp = (torch.linspace(-1, 1, shape[-2])[:, None] + torch.linspace(-1, 1, shape[-1])).expand(shape)
    if not close(_slopes(handed(mean + std * ramp)), _slopes(ramp)):
        raise InvalidArgumentError(f"resizes images of {shape[-2]} × {shape[-1]} pixels, or changes what is in them")


def _slopes(images: Tensor) -> Tensor:
    """From row to row, and from column to column."""
    return torch.stack([images.diff(dim=axis).median() for axis in (-2, -1)])


def _handed(trainer: Trainer, target: str, image: Tensor) -> Tensor:
    """Images as the network gets those for validation, on the CPU; with a target only if the datamodule wants one."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    batch = {"image": image[None].to(trainer.strategy.root_device)}
    zeros = torch.zeros((1, *image.shape[-2:]) if target == "mask" else (1,), dtype=torch.long)
    with seeded(0), in_stage(trainer, RunningStage.VALIDATING):
        try:
            handed = _through_hooks(datamodule, dict(batch))
        except KeyError:
            handed = _through_hooks(datamodule, {**batch, target: zeros.to(batch["image"].device)})
    return handed["image"].float().cpu()


def _through_hooks(datamodule: LightningDataModule, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch before and after its transfer, in which those of scenes lose what only they have."""
    handed: dict[str, Tensor] = datamodule.on_after_batch_transfer(datamodule.on_before_batch_transfer(batch, 0), 0)
    return handed
