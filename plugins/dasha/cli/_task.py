"""The task that data is for: inferred where that is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from dasha.errors import InvalidArgumentError
from dasha.tasks import Kind, TaskSpec

if TYPE_CHECKING:
    from dasha.data.sources import SourceData

# More classes than this share of the samples are rather counts, ages or numbers of items.
_MOST_CLASSES = 0.2


def task_of(data: SourceData, *, kind: str | None, metric: str | None) -> TaskSpec:
    """Describe the task of data.

    Args:
        data: What is to be learnt from.
        kind: Kind of task; None to infer it.
        metric: Metric that decides; None for that of the kind.

    Raises:
        InvalidArgumentError: If the kind is unknown, does not fit, or cannot be inferred.
    """
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    targets = [np.asarray(part[1]) for part in parts]
    shape = data.train[0].shape
    if len(shape) not in (3, 4):
        raise InvalidArgumentError(
            f"inputs have shape {shape}, but must be (N, C, L) or (N, C, H, W), with channels after the samples"
        )
    known = infer_kind(targets) if kind is None else kind
    if known not in get_args(Kind):
        raise InvalidArgumentError(f"--task is {kind!r}, but must be one of {', '.join(get_args(Kind))}")
    names = data.class_names if known in ("binary", "multiclass") else ()
    outputs = _outputs(known, targets, names)
    return TaskSpec(known, shape[1], outputs, metric=metric or "", class_names=names)  # type: ignore[arg-type]


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


def _outputs(kind: str, targets: list[np.ndarray], names: tuple[str, ...]) -> int:
    if kind == "binary":
        return 1
    if kind in ("multiclass", "segmentation"):
        if any(part.dtype.kind not in "iu" for part in targets):
            raise InvalidArgumentError(
                f"targets are {targets[0].dtype}, but --task {kind} needs classes as whole numbers from 0"
            )
        return len(names) or max(2, 1 + max(int(part.max(initial=0)) for part in targets))
    return int(targets[0].shape[1]) if targets[0].ndim > 1 else 1
