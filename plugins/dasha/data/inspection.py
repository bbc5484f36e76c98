"""What is wrong with data, said before any training starts, and what is worth knowing about it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dasha.data.codes import CodedSplit, CodeTable
from dasha.data.moments import ChannelMoments
from dasha.data.split import Batch, Split
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.metrics import METRICS, has_value
from dasha.randomness import seeded
from dasha.tasks import TaskSpec

_BATCH = 64
_NAMED = 5  # classes that a warning names


@dataclass(frozen=True)
class DataSummary:
    """One split.

    Attributes:
        count: Samples.
        shape: Of an input, ``(C, …)``.
        class_counts: Samples (positions, for dense targets) of every class or with every label; empty for numbers.
        mean: Of every channel.
        std: Of every channel, 1 for a constant one.
        target_mean: Of every target that is a number; otherwise empty.
        target_std: Of every target that is learnt in units of its spread, 1 for a constant one; otherwise empty.
        is_partial: Whether the pass may have left out samples.
        fingerprint: Changes with any change of a value, of the shape or of the order; batches and types do not matter,
            but values that are kept as codes have another one than the same values by themselves.
    """

    count: int
    shape: tuple[int, ...]
    class_counts: tuple[int, ...]
    mean: tuple[float, ...] = field(repr=False)
    std: tuple[float, ...] = field(repr=False)
    target_mean: tuple[float, ...] = field(default=(), repr=False)
    target_std: tuple[float, ...] = field(default=(), repr=False)
    is_partial: bool = False
    fingerprint: str = ""

    @property
    def balanced_weights(self) -> tuple[float, ...]:
        """Weights of the classes or labels, inversely proportional to their counts; 0 where there are none.

        Every class then has the same share in the loss, and the mean weight of the samples is 1.
        """
        present = [count for count in self.class_counts if count]
        total = sum(present) / max(len(present), 1)
        return tuple(total / count if count else 0.0 for count in self.class_counts)


def inspect(task: TaskSpec, split: Split, name: str) -> DataSummary:
    """Go once over a split; of a `dasha.data.codes.CodedSplit`, over its codes.

    Args:
        task: What the data must fit.
        split: The data.
        name: ``"train"`` or ``"validation"``, for messages.

    Raises:
        InvalidArgumentError: If the split is empty, inputs have the wrong number of channels, unequal shapes, or values
            that are not finite; if targets have the wrong shape or type, or values out of range.
    """
    with seeded(0):
        if isinstance(split, CodedSplit) and split.size:
            table = CodeTable(split.codes, split.columns)
            if table.is_finite:  # otherwise a pass over the values says where they are not
                return _of_codes(task, split, table, name)
        return _of_batches(task, split, name)


def first_shape(split: Split) -> tuple[int, ...]:
    """Shape of the first input, ``(C, …)``; empty if there is none."""
    with seeded(0):  # loaders draw from the global generators
        inputs, _ = next(iter(split.batches(1, shuffle=False)), (None, None))
    return () if inputs is None else tuple(inputs.shape[1:])


def _of_batches(task: TaskSpec, split: Split, name: str) -> DataSummary:
    count = 0
    shape: tuple[int, ...] = ()
    digests = hashlib.sha256(), hashlib.sha256()
    classes = torch.zeros(task.classes if task.has_classes else task.num_outputs, dtype=torch.int64)
    moments, scale = ChannelMoments(task.in_channels), ChannelMoments(task.num_outputs)
    for inputs, targets in _on_cpu(split, name):
        shape = _checked_shape(task, inputs, shape, name)
        _check_values(inputs, name, count)
        _check_targets(task, inputs, targets, name, count)
        for digest, part in zip(digests, (inputs, _plain(task, targets)), strict=True):
            digest.update(part.contiguous().numpy().data)
        count += len(inputs)
        moments.add(inputs)
        classes += _class_counts(task, targets)
        _measure_targets(task, targets, scale)
    if count == 0:
        raise InvalidArgumentError(f"{name} is empty; at least one sample is needed, and many more are wise")
    return _summary(task, split, count, shape, classes, (moments, scale), [digest.digest() for digest in digests])


def _of_codes(task: TaskSpec, split: CodedSplit, table: CodeTable, name: str) -> DataSummary:
    """The summary of inputs that are never unfolded; targets are looked at together."""
    inputs, targets = torch.empty(table.shape, device="meta"), split.targets.cpu()
    shape = _checked_shape(task, inputs, (), name)
    _check_targets(task, inputs, targets, name, 0)
    digests = [table.digest(), hashlib.sha256(_plain(task, targets).contiguous().numpy().data).digest()]
    scale = ChannelMoments(task.num_outputs)
    _measure_targets(task, targets, scale)
    return _summary(task, split, len(inputs), shape, _class_counts(task, targets), (table.moments, scale), digests)


def _measure_targets(task: TaskSpec, targets: Tensor, scale: ChannelMoments) -> None:
    if task.has_numbers:
        scale.add(targets.reshape(len(targets), task.num_outputs, -1))


def _summary(
    task: TaskSpec,
    split: Split,
    count: int,
    shape: tuple[int, ...],
    classes: Tensor,
    measured: tuple[ChannelMoments, ChannelMoments],
    digests: Sequence[bytes],
) -> DataSummary:
    """Put together what a pass over inputs and targets gave."""
    moments, scale = measured
    is_counted = task.has_classes or task.kind == "multilabel"
    return DataSummary(
        count=count,
        shape=shape,
        class_counts=tuple(classes.tolist()) if is_counted else (),
        mean=tuple(moments.mean.tolist()),
        std=tuple(moments.std.tolist()),
        target_mean=tuple(scale.mean.tolist()) if task.has_numbers else (),
        target_std=tuple(scale.std.tolist()) if task.has_standard_targets else (),
        is_partial=split.is_partial,
        fingerprint=_fingerprint(shape, *digests),
    )


def check_pair(task: TaskSpec, train: DataSummary, validation: DataSummary) -> None:
    """Compare the splits.

    Of training passes that are partial, a class without samples is a warning; of partial validation passes, nothing.

    Raises:
        InvalidArgumentError: If their inputs differ in the number of dimensions, a class cannot be learnt, or the
            deciding metric is not defined on the validation data.

    Warns:
        DashaWarning: If a class or label that is trained is absent from the validation data.
    """
    if len(train.shape) != len(validation.shape):
        raise InvalidArgumentError(f"inputs have shape {train.shape} in train but {validation.shape} in validation")
    if not train.class_counts:
        return
    names = task.class_names or tuple(map(str, range(len(train.class_counts))))
    present = [name for name, count in zip(names, train.class_counts, strict=True) if count]
    is_partial = train.is_partial or validation.is_partial
    if task.has_classes and len(present) < 2 and not is_partial:
        only = f"one class only ({present[0]})" if present else "no label that counts"
        raise InvalidArgumentError(
            f"train holds {only}; there is nothing to tell apart, check how the labels were read"
        )
    # Rare classes of positions may be absent, unless they are asked for.
    needed = validation.class_counts if task.kind == "segmentation" else [1] * len(names)
    counts = zip(names, train.class_counts, needed, strict=True)
    missing = [name for name, count, is_needed in counts if is_needed and not count]
    if missing:
        what = "label" if task.kind == "multilabel" else "class"
        text = f"train has no sample of {what} {', '.join(missing)}"
        if task.has_classes and missing == [names[0]] and not validation.class_counts[0] and not is_partial:
            raise InvalidArgumentError(f"{text}, nor has validation; labels begin at 0: subtract 1 if yours begin at 1")
        if is_partial:
            warnings.warn(f"{text} in one pass, which may leave out samples", DashaWarning, stacklevel=2)
            return
        raise InvalidArgumentError(
            f"{text}; supply some, or number the others without it and lower num_outputs={task.num_outputs}"
        )
    if not validation.is_partial:
        _check_scored(task, names, train, validation)


def _check_scored(task: TaskSpec, names: Sequence[str], train: DataSummary, validation: DataSummary) -> None:
    """Refuse validation data on which nothing can be decided, and warn of classes that decide nothing."""
    total = sum(validation.class_counts) if task.has_classes else validation.count
    if not has_value(task, validation.class_counts, total):
        needed = "samples with and without a label" if METRICS[task.metric].needs == "both" else "positive samples"
        raise InvalidArgumentError(
            f"metric={task.metric!r} has no value on validation, which lacks {needed}; supply other validation data, "
            "or choose another metric"
        )
    pairs = zip(names, train.class_counts, validation.class_counts, strict=True)
    absent = [name for name, trained, scored in pairs if trained and not scored]
    if absent:
        shown = ", ".join(absent[:_NAMED]) + (f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else "")
        what = "label" if task.kind == "multilabel" else "class"
        warnings.warn(
            f"validation has no sample of {what} {shown}, so that no choice takes it into account and means leave it "
            "out; supply some if it matters",
            DashaWarning,
            stacklevel=3,
        )


def _on_cpu(split: Split, name: str) -> Iterator[Batch]:
    """Batches in order; what is wrong with one is said with the name of the split and how far it was read."""
    count = 0
    try:
        for inputs, targets in split.batches(_BATCH, shuffle=False):
            yield inputs.cpu(), targets.cpu()
            count += len(inputs)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{name}, in the batch after {count} samples: {error}") from error


def _plain(task: TaskSpec, targets: Tensor) -> Tensor:
    """Targets in the one type that their kind has, whatever type they came in."""
    return targets.long() if task.has_classes or task.kind == "multilabel" else targets.double()


def _fingerprint(shape: tuple[int, ...], *digests: bytes) -> str:
    return hashlib.sha256(repr(shape).encode() + b"".join(digests)).hexdigest()


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
        raise InvalidArgumentError(
            f"{name} has {int(bad.sum())} values that are not finite in float32 (NaN, infinite, or beyond 3.4e38), "
            f"first in sample {_first(bad, before)}; fill or scale them, or leave out their samples"
        )


def _first(bad: Tensor, before: int) -> int:
    """Number of the first sample with anything bad, of which ``before`` were looked at already."""
    return before + int(bad.reshape(len(bad), -1).any(1).nonzero()[0])


def _check_targets(task: TaskSpec, inputs: Tensor, targets: Tensor, name: str, before: int) -> None:
    _check_target_shape(task, inputs, targets, name)
    missing = targets.isnan()
    if not task.has_numbers and bool(missing.any()):
        raise InvalidArgumentError(
            f"{name} has missing labels (NaN), {int(missing.sum())} in all, first in sample {_first(missing, before)}; "
            + ("give them the number of ignore_index" if task.kind == "segmentation" else "leave out their samples")
        )
    if task.has_classes:
        _check_classes(task, targets, name)
    elif task.kind == "multilabel" and not bool(((targets == 0) | (targets == 1)).all()):
        raise InvalidArgumentError(f"{name} has labels other than 0 and 1, which is all that kind='multilabel' allows")
    elif not bool(torch.isfinite(targets.double()).all()):
        raise InvalidArgumentError(f"{name} has targets that are not finite (NaN or infinite); drop or fill them")
    elif task.has_counts and bool((targets < 0).any()):
        raise InvalidArgumentError(f"{name} has negative targets, but loss='poisson' is for counts")


def _check_target_shape(task: TaskSpec, inputs: Tensor, targets: Tensor, name: str) -> None:
    if targets.ndim < 1 or len(targets) != len(inputs):
        raise InvalidArgumentError(
            f"{name} gives {len(inputs)} inputs with targets of shape {tuple(targets.shape)}, but must give as many "
            "targets as inputs"
        )
    spatial = tuple(inputs.shape[2:]) if task.is_dense else ()
    outputs = 1 if task.has_classes else task.num_outputs
    allowed = [spatial, (1, *spatial)] if outputs == 1 else [(outputs, *spatial)]
    if tuple(targets.shape[1:]) not in allowed:
        is_one_hot = task.has_classes and tuple(targets.shape[1:]) == (task.classes, *spatial)
        shapes = " or ".join(f"({', '.join(map(str, ('N', *shape)))})" for shape in allowed)
        raise InvalidArgumentError(
            f"{name} has targets of shape {tuple(targets.shape)}, but kind={task.kind!r} with num_outputs="
            f"{task.num_outputs} needs {shapes}{'; use .argmax(1) if they are one-hot' if is_one_hot else ''}"
        )


def _check_classes(task: TaskSpec, targets: Tensor, name: str) -> None:
    if targets.is_floating_point():
        raise InvalidArgumentError(
            f"{name} has labels of type {targets.dtype}, but classes are whole numbers; use kind='regression' for "
            "numbers, or leave out samples without a label (NaN), if there are any, and convert the others, with "
            ".astype(int) or .long()"
        )
    counted = _counted(task, targets)
    outside = (counted < 0) | (counted >= task.classes)
    if bool(outside.any()):
        values = sorted(set(counted[outside].tolist()))[:3]
        raise InvalidArgumentError(
            f"{name} has labels {values}, but num_outputs={task.num_outputs} allows 0 to {task.classes - 1}"
            + ("; mark positions that do not count with ignore_index" if task.kind == "segmentation" else "")
        )


def _counted(task: TaskSpec, targets: Tensor) -> Tensor:
    """Labels that count, as whole numbers of one type: bytes would take an ``ignore_index`` of -1 for 255."""
    labels = targets.long()
    return labels if task.ignore_index is None else labels[labels != task.ignore_index]


def _class_counts(task: TaskSpec, targets: Tensor) -> Tensor:
    if task.has_classes:
        return torch.bincount(_counted(task, targets).flatten(), minlength=task.classes)
    if task.kind == "multilabel":
        return targets.long().sum(0)
    return torch.zeros(task.num_outputs, dtype=torch.int64)
