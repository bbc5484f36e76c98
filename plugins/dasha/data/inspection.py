"""What is wrong with data, said before any training starts, and what is worth knowing about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dasha.data.split import Split
from dasha.errors import InvalidArgumentError
from dasha.randomness import seeded
from dasha.tasks import TaskSpec

_BATCH = 256


@dataclass(frozen=True)
class DataSummary:
    """One split.

    Attributes:
        count: Samples.
        shape: Of an input, ``(C, …)``.
        class_counts: Samples (positions, for dense targets) of every class or with every label; empty for numbers.
        mean: Of every channel.
        std: Of every channel, 1 for a constant one.
        fingerprint: Changes with any change of the data.
    """

    count: int
    shape: tuple[int, ...]
    class_counts: tuple[int, ...]
    mean: tuple[float, ...] = field(repr=False)
    std: tuple[float, ...] = field(repr=False)
    fingerprint: str = ""


def inspect(task: TaskSpec, split: Split, name: str) -> DataSummary:
    """Go once over a split.

    Args:
        task: What the data must fit.
        split: The data.
        name: ``"train"`` or ``"validation"``, for messages.

    Raises:
        InvalidArgumentError: If the split is empty, inputs have the wrong number of channels, unequal shapes, or values
            that are not finite; if targets have the wrong shape or type, or values out of range.
    """
    count, shape = 0, ()
    digest = hashlib.sha256()
    classes = torch.zeros(task.classes if task.has_classes else task.num_outputs, dtype=torch.int64)
    total, squares, positions = (torch.zeros(task.in_channels, dtype=torch.float64) for _ in range(3))
    with seeded(0):
        for inputs, targets in split.batches(_BATCH, shuffle=False):
            shape = _checked_shape(task, inputs, shape, name)
            _check_values(inputs, name, count)
            _check_targets(task, inputs, targets, name)
            digest.update(inputs.contiguous().numpy().tobytes() + targets.contiguous().numpy().tobytes())
            count += len(inputs)
            flat = inputs.transpose(0, 1).flatten(1).double()
            total += flat.sum(1)
            squares += (flat**2).sum(1)
            positions += flat.shape[1]
            classes += _class_counts(task, targets)
    if count == 0:
        raise InvalidArgumentError(f"{name} is empty; at least one sample is needed, and many more are wise")
    mean = total / positions
    std = (squares / positions - mean**2).clamp(min=0).sqrt()
    std = torch.where(std > 1e-6 * mean.abs() + 1e-12, std, 1.0)
    is_counted = task.has_classes or task.kind == "multilabel"
    return DataSummary(
        count=count,
        shape=shape,
        class_counts=tuple(classes.tolist()) if is_counted else (),
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        fingerprint=digest.hexdigest(),
    )


def check_pair(task: TaskSpec, train: DataSummary, validation: DataSummary) -> None:
    """Compare the splits.

    Raises:
        InvalidArgumentError: If their inputs differ in the number of dimensions, or a class cannot be learnt.
    """
    if len(train.shape) != len(validation.shape):
        raise InvalidArgumentError(f"inputs have shape {train.shape} in train but {validation.shape} in validation")
    if not train.class_counts:
        return
    names = task.class_names or tuple(map(str, range(len(train.class_counts))))
    present = [name for name, count in zip(names, train.class_counts, strict=True) if count]
    if task.has_classes and len(present) == 1:
        raise InvalidArgumentError(
            f"train holds one class only ({present[0]}); there is nothing to tell apart, check how the labels were read"
        )
    # Rare classes of positions may be absent, unless they are asked for.
    needed = validation.class_counts if task.kind == "segmentation" else [1] * len(names)
    counts = zip(names, train.class_counts, needed, strict=True)
    missing = [name for name, count, is_needed in counts if is_needed and not count]
    if missing:
        what = "label" if task.kind == "multilabel" else "class"
        raise InvalidArgumentError(
            f"train has no sample of {what} {', '.join(missing)}; supply some, or leave it out and lower num_outputs="
            f"{task.num_outputs}"
        )


def _checked_shape(task: TaskSpec, inputs: Tensor, known: tuple[int, ...], name: str) -> tuple[int, ...]:
    shape = tuple(inputs.shape[1:])
    if inputs.ndim not in (3, 4):
        raise InvalidArgumentError(
            f"{name} gives batches of shape {tuple(inputs.shape)}, but must give (N, C, L) or (N, C, H, W)"
        )
    if shape[0] != task.in_channels:
        raise InvalidArgumentError(
            f"{name} has inputs with {shape[0]} channels (shape {shape}), but in_channels={task.in_channels}; channels "
            "come first"
        )
    if known and known != shape:
        raise InvalidArgumentError(
            f"{name} has inputs of unequal shapes, {known} and {shape}; resize, pad or crop them to one shape"
        )
    return shape


def _check_values(inputs: Tensor, name: str, before: int) -> None:
    bad = ~torch.isfinite(inputs)
    if bool(bad.any()):
        first = before + int(bad.flatten(1).any(1).nonzero()[0])
        raise InvalidArgumentError(
            f"{name} has {int(bad.sum())} values that are not finite (NaN or infinite), first in sample {first}; fill or "
            "mask them"
        )


def _check_targets(task: TaskSpec, inputs: Tensor, targets: Tensor, name: str) -> None:
    spatial = tuple(inputs.shape[2:]) if task.is_dense else ()
    outputs = (task.num_outputs,)
    allowed = [spatial] if task.has_classes else [(*outputs, *spatial)] + ([spatial] if outputs == (1,) else [])
    if task.kind == "binary":
        allowed.append((1,))
    if task.kind == "segmentation":
        allowed.append((1, *spatial))
    if tuple(targets.shape[1:]) not in allowed:
        raise InvalidArgumentError(
            f"{name} has targets of shape {tuple(targets.shape[1:])}, but kind={task.kind!r} with num_outputs="
            f"{task.num_outputs} needs {' or '.join(map(str, allowed))}"
        )
    if task.has_classes:
        _check_classes(task, targets, name)
    elif task.kind == "multilabel" and not bool(((targets == 0) | (targets == 1)).all()):
        raise InvalidArgumentError(f"{name} has labels other than 0 and 1, which is all that kind='multilabel' allows")
    elif not bool(torch.isfinite(targets.double()).all()):
        raise InvalidArgumentError(f"{name} has targets that are not finite (NaN or infinite); drop or fill them")
    elif task.loss == "poisson" and bool((targets < 0).any()):
        raise InvalidArgumentError(f"{name} has negative targets, but loss='poisson' is for counts")


def _check_classes(task: TaskSpec, targets: Tensor, name: str) -> None:
    if targets.is_floating_point():
        raise InvalidArgumentError(
            f"{name} has labels of type {targets.dtype}, but classes are whole numbers; use kind='regression' for numbers, "
            "or convert them with .astype(int)"
        )
    counted = targets if task.ignore_index is None else targets[targets != task.ignore_index]
    outside = (counted < 0) | (counted >= task.classes)
    if bool(outside.any()):
        values = sorted(set(counted[outside].tolist()))[:3]
        raise InvalidArgumentError(
            f"{name} has labels {values}, but num_outputs={task.num_outputs} allows 0 to {task.classes - 1}"
            + ("; mark positions that do not count with ignore_index" if task.kind == "segmentation" else "")
        )


def _class_counts(task: TaskSpec, targets: Tensor) -> Tensor:
    if task.has_classes:
        counted = targets if task.ignore_index is None else targets[targets != task.ignore_index]
        return torch.bincount(counted.long().flatten(), minlength=task.classes)
    if task.kind == "multilabel":
        return targets.long().sum(0)
    return torch.zeros(task.num_outputs, dtype=torch.int64)
