"""What is to be learnt: kind of output, loss, and the metric that decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from dasha.errors import InvalidArgumentError
from dasha.registry import close_matches

Kind = Literal["binary", "multiclass", "multilabel", "regression", "segmentation", "dense_regression"]
Loss = Callable[[Tensor, Tensor], Tensor]

_LOSSES = {
    "binary": ("cross_entropy", "focal"),
    "multiclass": ("cross_entropy", "focal"),
    "multilabel": ("cross_entropy",),
    "regression": ("mse", "mae", "huber", "poisson"),
    "segmentation": ("cross_entropy", "focal"),
    "dense_regression": ("mse", "mae", "huber"),
}
_METRICS = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "multilabel": "average_precision",
    "regression": "mse",
    "segmentation": "jaccard",
    "dense_regression": "mse",
}
_FOCUS = 2.0  # exponent of the focal loss, arXiv 1708.02002


@dataclass(frozen=True)
class TaskSpec:
    """A supervised task.

    Attributes:
        kind: ``"binary"`` (one output, labels 0 and 1), ``"multiclass"`` (labels ``0 … num_outputs-1``),
            ``"multilabel"`` (labels of shape ``(num_outputs,)``, 0 or 1), ``"regression"`` (targets of shape
            ``(num_outputs,)``), ``"segmentation"`` (a class for every position) or ``"dense_regression"`` (targets of
            shape ``(num_outputs, …)`` for every position).
        in_channels: Channels of the input.
        num_outputs: Outputs of the network: classes, labels or targets.
        loss: ``"cross_entropy"`` or ``"focal"`` for classes, ``"mse"``, ``"mae"``, ``"huber"`` or ``"poisson"`` (counts;
            the network gives their logarithm) for numbers; by default the first of its kind.
        metric: Name in `dasha.metrics.METRICS` that decides in tuning; by default accuracy, average precision,
            Jaccard index or mean squared error.
        class_weights: Weight of every class in the loss; empty for equal ones.
        label_smoothing: Share of the target that is spread over all classes, of ``"multiclass"``, 0 to below 1.
        ignore_index: Label of positions that do not count, of ``"segmentation"``.
        class_names: Names of classes, labels or targets in reports; empty for numbers.

    Raises:
        InvalidArgumentError: If a value is not allowed or does not fit the kind.
    """

    kind: Kind
    in_channels: int
    num_outputs: int
    loss: str = ""
    metric: str = ""
    class_weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    ignore_index: int | None = None
    class_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check every value and fill in the defaults of the kind."""
        if self.kind not in get_args(Kind):
            guess = close_matches(str(self.kind), list(get_args(Kind)))
            raise InvalidArgumentError(
                f"kind={self.kind!r} must be one of {', '.join(map(repr, get_args(Kind)))};{guess}"
            )
        for name in ("in_channels", "num_outputs"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidArgumentError(f"{name}={value!r} must be a whole number, at least 1")
        self._check_outputs()
        object.__setattr__(self, "loss", self.loss or _LOSSES[self.kind][0])
        if self.loss not in _LOSSES[self.kind]:
            allowed = ", ".join(map(repr, _LOSSES[self.kind]))
            raise InvalidArgumentError(f"loss={self.loss!r} must be one of {allowed} for kind={self.kind!r}")
        object.__setattr__(self, "metric", self.metric or _METRICS[self.kind])
        self._check_metric()
        self._check_classes()

    @property
    def is_dense(self) -> bool:
        """Whether there is an output for every position of the input."""
        return self.kind in ("segmentation", "dense_regression")

    @property
    def has_classes(self) -> bool:
        """Whether targets are one class each, as whole numbers."""
        return self.kind in ("binary", "multiclass", "segmentation")

    @property
    def classes(self) -> int:
        """Number of classes of a target that is one class."""
        return 2 if self.kind == "binary" else self.num_outputs

    @property
    def output(self) -> Literal["vector", "dense"]:
        """What a backbone's head has to give."""
        return "dense" if self.is_dense else "vector"

    @property
    def is_lower_better(self) -> bool:
        """Whether small values of the metric are good."""
        from dasha.metrics import METRICS

        return not METRICS[self.metric].higher_is_better

    def loss_function(self, device: torch.device | str = "cpu") -> Loss:
        """Loss of outputs ``(N, num_outputs, …)`` and targets as the data gives them, a scalar."""
        weights = torch.tensor(self.class_weights, device=device) if self.class_weights else None
        if self.has_classes:
            return partial(_class_loss, self, weights)
        if self.kind == "multilabel":
            return lambda outputs, target: functional.binary_cross_entropy_with_logits(
                outputs, target.to(outputs.dtype), weight=weights
            )
        measure = {
            "mse": functional.mse_loss,
            "mae": functional.l1_loss,
            "huber": functional.smooth_l1_loss,
            "poisson": functional.poisson_nll_loss,
        }[self.loss]
        return lambda outputs, target: measure(outputs, target.to(outputs.dtype).reshape(outputs.shape))

    def _check_outputs(self) -> None:
        if self.kind == "binary" and self.num_outputs != 1:
            raise InvalidArgumentError(
                f"num_outputs={self.num_outputs} must be 1 for kind='binary'; use kind='multiclass' for an output per class"
            )
        if self.kind in ("multiclass", "segmentation") and self.num_outputs < 2:
            raise InvalidArgumentError(
                f"num_outputs={self.num_outputs} must be at least 2 for kind={self.kind!r}; use kind='binary' for one output"
            )

    def _check_metric(self) -> None:
        from dasha.metrics import metric_names

        allowed = metric_names(self.kind)
        if self.metric not in allowed:
            guess = close_matches(self.metric, list(allowed))
            raise InvalidArgumentError(
                f"metric={self.metric!r} must be one of {', '.join(map(repr, allowed))} for kind={self.kind!r};{guess}"
            )

    def _check_classes(self) -> None:
        counts = {"class_weights": self.num_outputs if self.kind == "multilabel" else self.classes}
        counts["class_names"] = self.classes if self.has_classes else self.num_outputs
        for name, expected in counts.items():
            object.__setattr__(self, name, tuple(getattr(self, name)))
            given = getattr(self, name)
            if given and len(given) != expected:
                raise InvalidArgumentError(f"{name} has {len(given)} entries, but kind={self.kind!r} has {expected}")
        if self.class_weights and (not (self.has_classes or self.kind == "multilabel") or min(self.class_weights) < 0):
            raise InvalidArgumentError(
                f"class_weights={self.class_weights} must be non-negative and belong to classes or labels, not to {self.kind!r}"
            )
        if not 0.0 <= self.label_smoothing < 1.0 or (self.label_smoothing and self.kind != "multiclass"):
            raise InvalidArgumentError(
                f"label_smoothing={self.label_smoothing!r} must be 0, or below 1 with kind='multiclass'"
            )
        if self.ignore_index is not None and self.kind != "segmentation":
            raise InvalidArgumentError(f"ignore_index={self.ignore_index!r} is for kind='segmentation' alone")


def _class_loss(task: TaskSpec, weights: Tensor | None, outputs: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy, or the focal loss, of one class per sample or position."""
    if task.kind == "binary":
        # One output is the difference of two.
        outputs = torch.cat([torch.zeros_like(outputs), outputs], 1)
    target = target.long().reshape(outputs.shape[:1] + outputs.shape[2:])
    ignored = -100 if task.ignore_index is None else task.ignore_index
    if task.loss == "focal":
        errors = functional.cross_entropy(outputs, target, weights, ignore_index=ignored, reduction="none")
        plain = functional.cross_entropy(outputs, target, ignore_index=ignored, reduction="none")
        counted = (target != ignored).sum().clamp(min=1)
        return ((1 - (-plain).exp()) ** _FOCUS * errors).sum() / counted
    if not bool((target != ignored).any()):
        return outputs.sum() * 0.0  # the mean over nothing is NaN
    return functional.cross_entropy(
        outputs, target, weights, ignore_index=ignored, label_smoothing=task.label_smoothing
    )
