"""What is to be learnt: kind of output, loss, and the metric that decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from dasha.arguments import make_plain, whole_number
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
_MEASURES: dict[str, Loss] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.smooth_l1_loss,
    "poisson": functional.poisson_nll_loss,
}
_FOCUS = 2.0  # exponent of the focal loss, arXiv 1708.02002
_NONE_IGNORED = -100  # a label that no data have


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
        loss: ``"cross_entropy"`` or ``"focal"`` for classes, ``"mse"``, ``"mae"``, ``"huber"`` or ``"poisson"``
            (counts; the network gives their logarithm) for numbers; by default the first of its kind.
        metric: Name in `dasha.metrics.METRICS` that decides in tuning; by default accuracy, average precision,
            Jaccard index or mean squared error.
        class_weights: Weight of every class or label in the loss; empty for equal ones.
        label_smoothing: Share of the target that is spread over all classes, 0 to below 1, of ``"binary"`` and
            ``"multiclass"``; None for none in what is measured, and in training for what the budget says.
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
    label_smoothing: float | None = None
    ignore_index: int | None = None
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every value and fill in the defaults of the kind."""
        self._check_kind()
        make_plain(self)
        for name in ("in_channels", "num_outputs"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), minimum=1))
        self._check_outputs()
        object.__setattr__(self, "loss", self.loss or _LOSSES[self.kind][0])
        if self.loss not in _LOSSES[self.kind]:
            allowed = ", ".join(map(repr, _LOSSES[self.kind]))
            raise InvalidArgumentError(f"loss={self.loss!r} must be one of {allowed} for kind={self.kind!r}")
        object.__setattr__(self, "metric", self.metric or _METRICS[self.kind])
        self._check_metric()
        self._check_lengths()
        self._check_class_options()

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
    def has_numbers(self) -> bool:
        """Whether targets are numbers, counts or others."""
        return self.kind in ("regression", "dense_regression")

    @property
    def has_standard_targets(self) -> bool:
        """Whether the network learns targets of mean 0 and standard deviation 1: numbers, but counts."""
        return self.has_numbers and not self.has_counts

    @property
    def has_counts(self) -> bool:
        """Whether targets are counts, of which the network gives the logarithm and learns shares of their mean."""
        return self.loss == "poisson"

    @property
    def output(self) -> Literal["vector", "dense"]:
        """What a backbone's head has to give."""
        return "dense" if self.is_dense else "vector"

    @property
    def is_lower_better(self) -> bool:
        """Whether small values of the metric are good."""
        from dasha.metrics import METRICS

        return not METRICS[self.metric].higher_is_better

    def smoothed(self, share: float) -> TaskSpec:
        """The task as it is trained: with smoothed labels, where it has such and says nothing of its own."""
        takes_it = self.kind in ("binary", "multiclass") and self.loss == "cross_entropy"
        return replace(self, label_smoothing=share) if takes_it and self.label_smoothing is None else self

    def loss_function(self, device: torch.device | str = "cpu") -> Loss:
        """Loss of outputs ``(N, num_outputs, …)`` and targets as the data gives them, a scalar."""
        weights = torch.tensor(self.class_weights, device=device) if self.class_weights else None
        if self.has_classes:
            return partial(_class_loss, self, weights)
        if self.kind == "multilabel":
            return partial(_label_loss, weights)
        return partial(_number_loss, _MEASURES[self.loss])

    def weight_of(self, targets: Tensor) -> float:
        """What the loss of a batch weighs in a mean over batches, which is that of all samples together then.

        Args:
            targets: Of the batch, as the data gives them.

        Returns:
            The number of samples, less what is not counted of their positions, times the mean weight of their classes.
        """
        if not self.has_classes or (not self.class_weights and self.ignore_index is None):
            return float(len(targets))
        weights = torch.tensor(self.class_weights or self.classes * (1.0,), dtype=torch.float64, device=targets.device)
        positions = max(1, targets[:1].numel())
        return float(_counted_weights(self, weights, targets.long()).sum()) / positions

    def _check_kind(self) -> None:
        kinds = get_args(Kind)
        if self.kind not in kinds:
            guess = close_matches(str(self.kind), list(kinds))
            raise InvalidArgumentError(
                f"kind={self.kind!r} must be one of {', '.join(map(repr, kinds))}{guess and ';'}{guess}"
            )

    def _check_outputs(self) -> None:
        if self.kind == "binary" and self.num_outputs != 1:
            raise InvalidArgumentError(
                f"num_outputs={self.num_outputs} must be 1 for kind='binary'; "
                "use kind='multiclass' for an output per class"
            )
        if self.kind in ("multiclass", "segmentation") and self.num_outputs < 2:
            way_out = "; use kind='binary' for one output" if self.kind == "multiclass" else ""
            raise InvalidArgumentError(
                f"num_outputs={self.num_outputs} must be at least 2 for kind={self.kind!r}{way_out}"
            )

    def _check_metric(self) -> None:
        from dasha.metrics import check_metric

        check_metric(self.kind, self.metric)

    def _check_lengths(self) -> None:
        if isinstance(self.class_names, str):
            raise InvalidArgumentError(f"class_names={self.class_names!r} must be a sequence of names, not one string")
        weights = self.class_weights
        object.__setattr__(self, "class_weights", weights.tolist() if hasattr(weights, "tolist") else weights)
        _check_weights(self.class_weights)
        counts = {
            "class_weights": self.classes if self.has_classes else self.num_outputs,
            "class_names": self.classes if self.has_classes else self.num_outputs,
        }
        for name, expected in counts.items():
            object.__setattr__(self, name, tuple(getattr(self, name)))
            given = getattr(self, name)
            if given and len(given) != expected:
                raise InvalidArgumentError(f"{name} has {len(given)} entries, but kind={self.kind!r} has {expected}")

    def _check_class_options(self) -> None:
        if self.class_weights and not (self.has_classes or self.kind == "multilabel"):
            raise InvalidArgumentError(f"class_weights are for classes or labels, not for kind={self.kind!r}")
        if any(not 0 <= weight < math.inf for weight in self.class_weights) or (
            self.class_weights and not any(self.class_weights)
        ):
            raise InvalidArgumentError(
                f"class_weights={self.class_weights} must be finite, not negative, and not all zero"
            )
        share = self.label_smoothing or 0.0
        if (
            not isinstance(share, Real)
            or not 0.0 <= share < 1.0
            or (share and self.kind not in ("binary", "multiclass"))
        ):
            raise InvalidArgumentError(
                f"label_smoothing={self.label_smoothing!r} must be 0, or below 1 with kind='binary' or 'multiclass'"
            )
        if share and self.loss == "focal":
            raise InvalidArgumentError(
                f"label_smoothing={self.label_smoothing!r} must be 0 with loss='focal', which lowers the weight of "
                "samples that are sure already"
            )
        if self.ignore_index is not None and self.kind != "segmentation":
            raise InvalidArgumentError(f"ignore_index={self.ignore_index!r} is for kind='segmentation' alone")
        if self.ignore_index is not None and (
            isinstance(self.ignore_index, bool) or not isinstance(self.ignore_index, int)
        ):
            raise InvalidArgumentError(f"ignore_index={self.ignore_index!r} must be an integer or None")


def _check_weights(weights: Any) -> None:
    """Refuse weights that are no numbers, such as the word that the command line knows."""
    if isinstance(weights, str) or not isinstance(weights, Iterable) or not all(isinstance(w, Real) for w in weights):
        raise InvalidArgumentError(
            f"class_weights={weights!r} must be a sequence of numbers, one for every class or label; balanced ones are "
            "dasha.data.inspection.inspect(task, split, 'train').balanced_weights"
        )


def _class_loss(task: TaskSpec, weights: Tensor | None, outputs: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy, or the focal loss, of one class per sample or position: the weighted mean, 0 of nothing."""
    if task.kind == "binary":
        # One output is the difference of two.
        outputs = torch.cat([torch.zeros_like(outputs), outputs], 1)
    target = target.long().reshape(outputs.shape[:1] + outputs.shape[2:])
    weights = outputs.new_ones(outputs.shape[1]) if weights is None else weights.to(outputs)
    ignored = _ignored(task)
    share = task.label_smoothing or 0.0
    errors = functional.cross_entropy(
        outputs, target, weights, ignore_index=ignored, label_smoothing=share, reduction="none"
    )
    if task.loss == "focal":
        plain = functional.cross_entropy(outputs, target, ignore_index=ignored, reduction="none")
        errors = errors * (1 - (-plain).exp()) ** _FOCUS
    total = _counted_weights(task, weights, target).sum()
    # The mean over nothing would be NaN; smoothed labels are errors of samples without weight, too.
    return errors.sum() / total.where(total > 0, math.inf)


def _counted_weights(task: TaskSpec, weights: Tensor, target: Tensor) -> Tensor:
    """Weight of the class of every sample or position, 0 where it does not count."""
    is_counted = target != _ignored(task)
    return torch.where(is_counted, weights[target.where(is_counted, 0)], 0.0)


def _ignored(task: TaskSpec) -> int:
    return _NONE_IGNORED if task.ignore_index is None else task.ignore_index


def _label_loss(weights: Tensor | None, outputs: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of independent labels."""
    target = target.to(outputs.dtype).reshape(outputs.shape)
    weights = None if weights is None else weights.to(outputs)
    return functional.binary_cross_entropy_with_logits(outputs, target, weight=weights)


def _number_loss(measure: Loss, outputs: Tensor, target: Tensor) -> Tensor:
    """Distance of numbers."""
    return measure(outputs, target.to(outputs.dtype).reshape(outputs.shape))
