"""Labels as the targets of a task."""

from __future__ import annotations

from typing import Any

import numpy as np

from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec
from genomics_adapter.sequences.data import SequenceData


def targets_of(data: SequenceData, task: TaskSpec) -> np.ndarray:
    """Labels as targets of a task.

    Returns:
        int64 for classes and labels, float32 for numbers.

    Raises:
        InvalidArgumentError: If there are none or they do not fit; the message names the first place and its value.
    """
    labels = data.labels
    if labels is None:
        raise InvalidArgumentError(f"{data.source} has no labels, but kind={task.kind!r} needs them; name their column")
    if data.class_names and task.class_names and data.class_names != task.class_names:
        raise InvalidArgumentError(
            f"{data.source} has classes {', '.join(data.class_names)}, but the task {', '.join(task.class_names)}; "
            "read it with class_names=task.class_names"
        )
    if task.is_dense:
        return labels
    columns = 1 if task.has_classes else task.num_outputs
    width = labels.shape[1] if labels.ndim > 1 else 1
    if labels.ndim > 2 or width != columns:
        raise InvalidArgumentError(
            f"{data.source} has labels of shape {labels.shape}, but kind={task.kind!r} with num_outputs="
            f"{task.num_outputs} needs {columns} for every sequence"
        )
    values = labels.reshape(len(labels), width)
    _refuse(data, task, *_wrong(values, task, bool(data.class_names)))
    values = values[:, 0] if columns == 1 else values
    return values.astype(np.float32 if task.kind == "regression" else np.int64)


def _wrong(values: np.ndarray, task: TaskSpec, are_words: bool) -> tuple[np.ndarray, str]:
    """Which values ``(N, T)`` do not fit, and what would."""
    if task.kind == "regression":
        if are_words:
            return np.ones(values.shape, bool), "numbers"
        negative = (values < 0) if task.loss == "poisson" else np.zeros(values.shape, bool)
        return negative | ~np.isfinite(values), "counts of at least 0" if task.loss == "poisson" else "finite numbers"
    most = 1 if task.kind == "multilabel" else task.classes - 1
    return (values != np.floor(values)) | (values < 0) | (values > most), f"whole numbers from 0 to {most}"


def _refuse(data: SequenceData, task: TaskSpec, wrong: np.ndarray, allowed: str) -> None:
    if not wrong.any():
        return
    row, column = map(int, np.argwhere(wrong)[0])
    assert data.labels is not None
    value: Any = data.labels.reshape(len(data), -1)[row, column].item()
    shown = data.class_names[int(value)] if data.class_names else value
    raise InvalidArgumentError(
        f"{data.source.place(row)} has label {shown!r}, but kind={task.kind!r} with num_outputs={task.num_outputs} "
        f"allows {allowed} ({int(wrong.any(1).sum())} sequences do not fit)"
    )
