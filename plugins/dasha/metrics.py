"""Metrics by name, each computed once over all predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torchmetrics as tm
from torch import Tensor

if TYPE_CHECKING:
    from dasha.tasks import Kind, TaskSpec

_CLASSES = ("binary", "multiclass", "segmentation")
_NUMBERS = ("regression", "dense_regression")


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is made and read.

    Attributes:
        title: Name in tables.
        kinds: Kinds of task that it belongs to.
        higher_is_better: Its direction.
        make: Makes the torchmetrics object of a task.
    """

    title: str
    kinds: tuple[str, ...]
    higher_is_better: bool
    make: Callable[[TaskSpec], tm.Metric]


def _of_classes(name: str, **options: Any) -> Callable[[TaskSpec], tm.Metric]:
    """Maker of a classification metric from torchmetrics' three variants of it."""

    def make(task: TaskSpec) -> tm.Metric:
        if task.kind == "binary":
            own = {key: value for key, value in options.items() if key != "average"}
            return getattr(tm.classification, f"Binary{name}")(**own)
        if task.kind == "multilabel":
            return getattr(tm.classification, f"Multilabel{name}")(num_labels=task.num_outputs, **options)
        return getattr(tm.classification, f"Multiclass{name}")(
            num_classes=task.num_outputs, ignore_index=task.ignore_index, **options
        )

    return make


def _balanced_accuracy(task: TaskSpec) -> tm.Metric:
    """Mean recall of the classes."""
    ignored = task.ignore_index
    return tm.classification.MulticlassAccuracy(num_classes=task.classes, average="macro", ignore_index=ignored)


_SCORED = (*_CLASSES, "multilabel")
METRICS: dict[str, MetricInfo] = {
    "accuracy": MetricInfo("accuracy", _SCORED, True, _of_classes("Accuracy", average="micro")),
    "balanced_accuracy": MetricInfo("balanced accuracy", _CLASSES, True, _balanced_accuracy),
    "f1": MetricInfo("F1 (macro)", _SCORED, True, _of_classes("F1Score", average="macro")),
    "mcc": MetricInfo("MCC", _SCORED, True, _of_classes("MatthewsCorrCoef")),
    "jaccard": MetricInfo("Jaccard index", _SCORED, True, _of_classes("JaccardIndex", average="macro")),
    "auroc": MetricInfo("AUROC", ("binary", "multiclass", "multilabel"), True, _of_classes("AUROC", average="macro")),
    "average_precision": MetricInfo(
        "average precision",
        ("binary", "multiclass", "multilabel"),
        True,
        _of_classes("AveragePrecision", average="macro"),
    ),
    "mse": MetricInfo("MSE", _NUMBERS, False, lambda task: tm.MeanSquaredError()),
    "rmse": MetricInfo("RMSE", _NUMBERS, False, lambda task: tm.MeanSquaredError(squared=False)),
    "mae": MetricInfo("MAE", _NUMBERS, False, lambda task: tm.MeanAbsoluteError()),
    "r2": MetricInfo("R²", _NUMBERS, True, lambda task: tm.R2Score()),
    "pearson": MetricInfo("Pearson correlation", _NUMBERS, True, lambda task: tm.PearsonCorrCoef(task.num_outputs)),
}


def metric_names(kind: Kind | str) -> tuple[str, ...]:
    """Names of the metrics of a kind of task."""
    return tuple(name for name, info in METRICS.items() if kind in info.kinds)


class Metrics:
    """Metrics of a task, fed batch by batch and computed once over all predictions.

    Args:
        task: Decides what the outputs mean.
        names: Those wanted; by default all that its kind has.
    """

    def __init__(self, task: TaskSpec, names: Sequence[str] = ()) -> None:
        self._task = task
        self._metrics = {name: METRICS[name].make(task) for name in names or metric_names(task.kind)}

    def update(self, outputs: Tensor, target: Tensor) -> None:
        """Take one batch: outputs of the network ``(N, num_outputs, …)``, and targets as the data gives them."""
        predictions = prediction_of(self._task, outputs.detach().float().cpu())
        target = target.detach().cpu()
        if self._task.kind in _NUMBERS:
            target = target.float().reshape(predictions.shape).movedim(1, -1).flatten(0, -2)
            predictions = predictions.movedim(1, -1).flatten(0, -2)
            if self._task.num_outputs == 1:
                target, predictions = target[:, 0], predictions[:, 0]
        elif self._task.kind == "binary":
            target, predictions = target.long().reshape(-1), predictions.reshape(-1)
        else:
            target = target.long()
        for name, metric in self._metrics.items():
            # Defined by the decisions alone, and only in the variant for several classes.
            is_decided = name == "balanced_accuracy" and self._task.kind == "binary"
            metric.update((predictions > 0.5).long() if is_decided else predictions, target)

    def compute(self) -> dict[str, float]:
        """Value of every metric, the mean over targets; NaN where it is not defined."""
        values = {}
        for name, metric in self._metrics.items():
            try:
                values[name] = float(metric.compute().mean())
            except (ValueError, RuntimeError):  # R² of a single sample
                values[name] = math.nan
        return values


def prediction_of(task: TaskSpec, outputs: Tensor) -> Tensor:
    """Probabilities, or expected numbers, from the outputs of the network; same shape."""
    if task.kind in ("binary", "multilabel"):
        return outputs.sigmoid()
    if task.has_classes:
        return outputs.softmax(1)
    return outputs.exp() if task.loss == "poisson" else outputs


def score_of(task: TaskSpec, values: Mapping[str, float]) -> float:
    """The deciding metric turned so that larger is better; minus infinity where it is not a number."""
    value = values[task.metric]
    if not math.isfinite(value):
        return -math.inf
    return value if METRICS[task.metric].higher_is_better else -value
