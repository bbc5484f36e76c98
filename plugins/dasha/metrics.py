"""Metrics by name, each computed once over all predictions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torchmetrics as tm
from torch import Tensor
from torchmetrics.metric import CompositionalMetric

from dasha.errors import InvalidArgumentError
from dasha.registry import close_matches

if TYPE_CHECKING:
    from dasha.tasks import Kind, TaskSpec

_CLASSES = ("binary", "multiclass", "segmentation")
_NUMBERS = ("regression", "dense_regression")
Needs = Literal["nothing", "mention", "positives", "both"]


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is made and read.

    Attributes:
        title: Name in tables.
        kinds: Kinds of task that it belongs to.
        higher_is_better: Its direction.
        make: Makes the torchmetrics object of a task.
        needs: What a class or label must have for its value to be defined and part of the mean: ``"nothing"``,
            ``"mention"`` (samples that have it, or are said to), ``"positives"`` (samples that have it), or
            ``"both"`` (samples that do not, too).
    """

    title: str
    kinds: tuple[str, ...]
    higher_is_better: bool
    make: Callable[[TaskSpec], tm.Metric]
    needs: Needs = "nothing"


def _of_classes(name: str, **options: Any) -> Callable[[TaskSpec], tm.Metric]:
    """Maker of a classification metric from torchmetrics' three variants of it."""

    def make(task: TaskSpec) -> tm.Metric:
        own = dict(options)
        if _is_one_decision(task):
            own.pop("average", None)
            family = "Binary"
        elif task.kind == "multilabel":
            own["num_labels"] = task.num_outputs
            family = "Multilabel"
        else:
            own |= {"num_classes": task.num_outputs, "ignore_index": task.ignore_index}
            family = "Multiclass"
        metric: tm.Metric = getattr(tm.classification, f"{family}{name}")(**own)
        return metric

    return make


def _mcc(task: TaskSpec) -> tm.Metric:
    """Matthews' correlation coefficient of all decisions together."""
    return CompositionalMetric(_correlation, _of_classes("ConfusionMatrix")(task), None)


def _correlation(confusion: Tensor) -> Tensor:
    """Matthews' correlation coefficient; 0 where all targets, or all decisions, are the same.

    Args:
        confusion: Counts by target and decision, shape ``(classes, classes)``, or ``(labels, 2, 2)``, added up.
    """
    table = confusion.double().reshape(-1, *confusion.shape[-2:]).sum(0)
    targets, decisions, total = table.sum(1), table.sum(0), table.sum()
    spread = (total**2 - targets @ targets) * (total**2 - decisions @ decisions)
    covariance = total * table.trace() - targets @ decisions
    return torch.where(spread > 0, covariance / spread.sqrt(), 0.0)


def _is_one_decision(task: TaskSpec) -> bool:
    """Whether a sample is one yes or no."""
    return task.kind == "binary" or (task.kind == "multilabel" and task.num_outputs == 1)


def _recalls(task: TaskSpec) -> tm.Metric:
    """Recall of every class."""
    return tm.classification.MulticlassAccuracy(
        num_classes=task.classes, average="none", ignore_index=task.ignore_index
    )


_SCORED = (*_CLASSES, "multilabel")
_RANKED = ("binary", "multiclass", "multilabel")
METRICS: dict[str, MetricInfo] = {
    "accuracy": MetricInfo("accuracy", _SCORED, True, _of_classes("Accuracy", average="micro")),
    "balanced_accuracy": MetricInfo("balanced accuracy", _CLASSES, True, _recalls, needs="positives"),
    "f1": MetricInfo("F1", _SCORED, True, _of_classes("F1Score", average="none"), needs="mention"),
    "mcc": MetricInfo("MCC", _SCORED, True, _mcc),
    "jaccard": MetricInfo("Jaccard index", _SCORED, True, _of_classes("JaccardIndex", average="none"), needs="mention"),
    "auroc": MetricInfo("AUROC", _RANKED, True, _of_classes("AUROC", average="none"), needs="both"),
    "average_precision": MetricInfo(
        "average precision", _RANKED, True, _of_classes("AveragePrecision", average="none"), needs="positives"
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


def check_metric(kind: Kind | str, name: str) -> None:
    """Check that a kind of task has a metric.

    Raises:
        InvalidArgumentError: Naming those that it has.
    """
    allowed = metric_names(kind)
    if name not in allowed:
        guess = close_matches(str(name), list(allowed))
        raise InvalidArgumentError(
            f"metric={name!r} must be one of {', '.join(map(repr, allowed))} for kind={kind!r}{guess and ';'}{guess}"
        )


def has_value(task: TaskSpec, counts: Sequence[int], total: int) -> bool:
    """Whether the deciding metric of a task of classes or labels is defined on data.

    Args:
        task: Of the data.
        counts: Samples or positions of every class, or with every label.
        total: All samples or positions that count.
    """
    needs = METRICS[task.metric].needs
    if needs == "nothing" or (needs == "mention" and task.has_classes):
        return total > 0
    # Balanced accuracy looks at both classes even where one output decides between them.
    own = counts[-1:] if _is_one_decision(task) and task.metric != "balanced_accuracy" else counts
    return bool(_is_defined(torch.tensor(own), total, needs).any())


def _is_defined(positives: Tensor, count: int, needs: Needs) -> Tensor:
    """Which classes or labels have a value, by the number of samples that have each of them."""
    return (positives > 0) & ((positives < count) | (needs == "positives")) | (needs == "nothing")


class Metrics:
    """Metrics of a task, fed batch by batch and computed once over all predictions.

    Values for several classes or labels are averaged with equal weights, except accuracy and MCC, which count all
    decisions together; MCC is 0 where all targets or all decisions are the same. Binary F1, Jaccard index and average
    precision are those of class 1.

    A class or label without a sample in the data leaves balanced accuracy, AUROC and average precision of its own
    undefined, and so does one that every sample has for AUROC: it is left out of the mean, which is that of the others.
    F1 and Jaccard index leave out what is neither there nor predicted. If none is left, the value is NaN.

    Args:
        task: Decides what the outputs mean.
        names: Those wanted; by default all that its kind has.

    Raises:
        InvalidArgumentError: If the kind has no metric of a name.
    """

    def __init__(self, task: TaskSpec, names: Sequence[str] = ()) -> None:
        for name in names:
            check_metric(task.kind, name)
        self._task = task
        self._metrics = {name: METRICS[name].make(task) for name in names or metric_names(task.kind)}
        parts = [part for metric in self._metrics.values() for part in metric.modules()]
        for metric in (part for part in parts if isinstance(part, tm.Metric)):
            # One process of several may search alone: it must not wait for the others.
            metric.distributed_available_fn = _has_others
            if task.kind in _NUMBERS:
                metric.set_dtype(torch.float64)
        # Samples or positions that count, and how many of them have every class or label.
        self._count = 0
        self._positives = torch.zeros(task.classes if task.has_classes else task.num_outputs, dtype=torch.int64)
        # Those that are said to have each of them, of several classes or labels.
        self._said = torch.zeros_like(self._positives)
        self._is_finite = True

    def update(self, outputs: Tensor, target: Tensor) -> None:
        """Take one batch: outputs of the network ``(N, num_outputs, …)``, and targets as the data gives them."""
        # Nothing of a large map is ranked or summed, so that float32 will do.
        precision = torch.float32 if self._task.kind == "segmentation" else torch.float64
        predictions, target = prediction_of(self._task, outputs.detach().cpu().to(precision)), target.detach().cpu()
        if not bool(predictions.isfinite().all()):
            self._is_finite = False
        if not self._is_finite or not len(predictions):
            return
        predictions, target = self._aligned(predictions, target)
        self._tally(predictions, target)
        for name, metric in self._metrics.items():
            # Defined by the decisions alone, and only in the variant for several classes.
            is_decided = name == "balanced_accuracy" and self._task.kind == "binary"
            metric.update((predictions > 0.5).long() if is_decided else predictions, target)

    def compute(self) -> dict[str, float]:
        """Value of every metric; NaN where it is not defined, and everywhere if a prediction is not finite."""
        if not self._is_finite or not self._count:
            return dict.fromkeys(self._metrics, math.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that are not defined, which `_mean` leaves out
            return {name: self._mean(name, metric) for name, metric in self._metrics.items()}

    def of_each(self, name: str) -> list[float]:
        """One metric of every class or label, those of `compute` before their mean is taken; NaN where it has none.

        Args:
            name: Of one that classes or labels have each on their own, such as average precision of several labels.
        """
        if not self._is_finite or not self._count:
            return [math.nan] * len(self._positives)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in `compute`
            values: Tensor = self._metrics[name].compute().reshape(-1).double()
        return values.where(self._defined(name, len(values)), math.nan).tolist()

    def _aligned(self, predictions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions and targets in the shapes that torchmetrics wants."""
        if self._task.kind in _NUMBERS:
            pair = (part.movedim(1, -1).flatten(0, -2) for part in (predictions, target.reshape(predictions.shape)))
            predictions, target = (part[:, 0] if self._task.num_outputs == 1 else part for part in pair)
            return predictions.contiguous(), target.to(predictions.dtype).contiguous()
        if _is_one_decision(self._task):
            return predictions[:, 0], target.long().reshape(-1)
        if self._task.kind == "multilabel":
            return predictions, target.long().reshape(predictions.shape)
        return predictions, target.long().reshape(predictions.shape[:1] + predictions.shape[2:])

    def _tally(self, predictions: Tensor, target: Tensor) -> None:
        if self._task.has_classes:
            ignored, size = self._task.ignore_index, len(self._positives)
            counted = slice(None) if ignored is None else target != ignored
            self._positives += torch.bincount(target[counted].flatten(), minlength=size)
            self._count += target[counted].numel()
            if self._task.kind != "binary":
                self._said += torch.bincount(predictions.argmax(1)[counted].flatten(), minlength=size)
            if ignored in range(size):  # a class that is never scored
                self._said[ignored] = 0
        else:
            self._count += len(target)
            if self._task.kind == "multilabel":
                self._positives += target.sum(0)
                self._said += (predictions > 0.5).sum(0)

    def _mean(self, name: str, metric: tm.Metric) -> float:
        """Mean over the classes, labels or targets whose value is defined."""
        try:
            values: Tensor = metric.compute().reshape(-1)
        except (ValueError, RuntimeError):  # R² of a single sample
            return math.nan
        return float(values[self._defined(name, len(values))].double().mean())

    def _defined(self, name: str, count: int) -> Tensor:
        """Which of so many values of a metric are defined."""
        needs = METRICS[name].needs
        if needs == "mention" and self._task.kind != "binary":
            return self._positives + self._said > 0
        if needs in ("mention", "nothing"):
            return torch.ones(count, dtype=torch.bool)
        positives = self._positives[-count:]  # one value for two classes is that of the last
        return _is_defined(positives, self._count, needs)


def _has_others() -> bool:
    """Whether there are other processes to take into account: never."""
    return False


def prediction_of(task: TaskSpec, outputs: Tensor) -> Tensor:
    """Probabilities, or expected numbers, from the outputs of the network; same shape."""
    if task.kind in ("binary", "multilabel"):
        return outputs.sigmoid()
    if task.has_classes:
        return outputs.softmax(1)
    return outputs.exp() if task.has_counts else outputs


def score_of(task: TaskSpec, values: Mapping[str, float]) -> float:
    """The deciding metric turned so that larger is better; minus infinity where it is not a number."""
    value = values[task.metric]
    if not math.isfinite(value):
        return -math.inf
    return value if METRICS[task.metric].higher_is_better else -value


def value_of(task: TaskSpec, score: float) -> float:
    """The deciding metric from a score that `score_of` gave."""
    return score if METRICS[task.metric].higher_is_better else -score
