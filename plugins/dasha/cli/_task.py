"""The task that data is for: inferred where that is safe, and changed by options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from dasha.data.inspection import inspect
from dasha.data.split import as_split
from dasha.errors import InvalidArgumentError
from dasha.tasks import Kind, TaskSpec

if TYPE_CHECKING:
    from dasha.cli._fit_options import FitOptions
    from dasha.data.sources import SourceData

# More classes than this share of the samples are rather counts, ages or numbers of items.
_MOST_CLASSES = 0.2
_BALANCED = "balanced"
# Channels of pictures, with which the last axis is taken for that of channels.
_LAST = (1, 3, 4)


def task_of(data: SourceData, options: FitOptions) -> TaskSpec:
    """Describe the task of data.

    Args:
        data: What is to be learnt from.
        options: Kind of task, metric, loss and what else is not to be as it is by default.

    Raises:
        InvalidArgumentError: If an option is unknown or does not fit, or the kind cannot be inferred.
    """
    names = ("metric", "loss", "label_smoothing", "ignore_index")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(options, name)) is not None}
    if data.spec is None:
        spec = _task_of_arrays(data, options.task, given, in_channels=options.in_channels)
    elif options.in_channels not in (None, data.spec.in_channels):
        raise InvalidArgumentError(
            f"--in-channels is {options.in_channels}, but {data.path!r} is a registered task with "
            f"{data.spec.in_channels}; leave --in-channels out"
        )
    elif options.task in (None, data.spec.kind):
        spec = replace(data.spec, **given)
    else:
        raise InvalidArgumentError(
            f"--task is {options.task!r}, but {data.path!r} is a registered task of kind {data.spec.kind!r}; leave "
            "--task out"
        )
    if options.class_weights is None:
        return spec
    return replace(spec, class_weights=_weights(spec, data, options.class_weights))


def describe_task(spec: TaskSpec) -> str:
    """What is learnt, in a line."""
    weights = ", ".join(f"{weight:.3g}" for weight in spec.class_weights[:8])
    weighed = f", class weights {weights}{' …' if len(spec.class_weights) > 8 else ''}" if weights else ""
    return f"task: {spec.kind}, loss {spec.loss}{weighed}, {spec.metric} decides"


def _weights(spec: TaskSpec, data: SourceData, text: str) -> tuple[float, ...]:
    if text.strip() == _BALANCED:
        if not (spec.has_classes or spec.kind == "multilabel"):
            raise InvalidArgumentError(f"--class-weights are for classes or labels, not for --task {spec.kind}")
        return inspect(spec, as_split(data.train, "train", is_dense=spec.is_dense), "train").balanced_weights
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidArgumentError(
            f"--class-weights is {text!r}, but must be {_BALANCED}, or numbers such as 1,2.5"
        ) from None


def _task_of_arrays(data: SourceData, kind: str | None, given: dict[str, Any], *, in_channels: int | None) -> TaskSpec:
    targets = [np.asarray(part[1]) for part in (data.train, data.validation)]
    shape = data.train[0].shape
    if len(shape) not in (3, 4):
        raise InvalidArgumentError(
            f"inputs have shape {shape}, but must be (N, C, L) or (N, C, H, W), with channels after the samples"
        )
    if len(data.class_names) == 1:
        raise InvalidArgumentError(
            f"{data.path} has one class only ({data.class_names[0]}); there is nothing to tell apart: give a folder of "
            "images for every class"
        )
    if not data.class_names:  # images of a folder are read with channels first
        _check_channels(shape, in_channels)
    known = infer_kind(targets) if kind is None else kind
    if known not in get_args(Kind):
        raise InvalidArgumentError(f"--task is {kind!r}, but must be one of {', '.join(get_args(Kind))}")
    names = data.class_names if known in ("binary", "multiclass") else ()
    outputs = _outputs(known, targets, names, given.get("ignore_index"))
    return TaskSpec(known, shape[1], outputs, class_names=names, **given)  # type: ignore[arg-type]


def _check_channels(shape: tuple[int, ...], in_channels: int | None) -> None:
    """Refuse channels that are not there, and images that look as if channels came last.

    Raises:
        InvalidArgumentError: If the inputs have other channels, or none are named and there are fewer along the last
            axis than after the samples: 1, 3 or 4.
    """
    if in_channels is not None and shape[1] != in_channels:
        raise InvalidArgumentError(
            f"--in-channels is {in_channels}, but inputs have shape {shape}, with {shape[1]} channels after the samples"
        )
    if in_channels is None and len(shape) == 4 and shape[-1] in _LAST and shape[-1] < shape[1]:
        raise InvalidArgumentError(
            f"inputs have shape {shape}, which looks like (N, H, W, C), but must be (N, C, H, W); save them as "
            f"x.transpose(0, 3, 1, 2), or say --in-channels {shape[1]} if they have so many"
        )


def infer_kind(targets: list[np.ndarray]) -> str:
    """The kind of task of targets, which must be one whole number for every sample.

    Raises:
        InvalidArgumentError: If there are several kinds that could be meant.
    """
    train = targets[0]
    way_out = f"say what they are with --task ({', '.join(get_args(Kind))})"
    if any(part.ndim != 1 or part.dtype.kind not in "iu" for part in targets):
        raise InvalidArgumentError(
            f"targets are {train.dtype} of shape {train.shape}, which could be several things; {way_out}"
        )
    values = np.unique(train)
    if len(values) and (values[0] < 0 or len(values) > max(10, _MOST_CLASSES * len(train))):
        raise InvalidArgumentError(
            f"targets are {len(values)} different whole numbers from {values[0]} to {values[-1]}, which may be classes "
            f"or counts; {way_out}"
        )
    return "multiclass"


def _outputs(kind: str, targets: list[np.ndarray], names: tuple[str, ...], ignored: int | None) -> int:
    if kind == "binary":
        return 1
    if kind in ("multiclass", "segmentation"):
        if any(part.dtype.kind not in "iu" for part in targets):
            raise InvalidArgumentError(
                f"targets are {targets[0].dtype}, but --task {kind} needs classes as whole numbers from 0"
            )
        counted = targets if ignored is None else [part[part.astype(np.int64) != ignored] for part in targets]
        return len(names) or max(2, 1 + max(int(part.max(initial=0)) for part in counted))
    return int(targets[0].shape[1]) if targets[0].ndim > 1 else 1
