"""Settings of every stage, with the values of the paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from dasha.arguments import make_plain
from dasha.errors import InvalidArgumentError

Precision = Literal["float32", "bfloat16", "float16"]
PrecisionChoice = Literal["auto", Precision]

# Name and values of the hyperparameter by which trials choose between the searched kernels and the backbone's.
KERNELS = "kernels"
SEARCHED, OWN = KERNEL_CHOICES = ("searched", "own")
# What gradient descent is usually given for batches of a few dozen, where nothing is tuned.
ORDINARY = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}


class Allowed(NamedTuple):
    """Numbers that a setting may have.

    Attributes:
        text: For messages.
        has: Whether a number is one of them.
    """

    text: str
    has: Callable[[float], bool]


POSITIVE = Allowed("above 0", lambda value: value > 0)
FROM_0 = Allowed("at least 0", lambda value: value >= 0)
FROM_0_TO_1 = Allowed("at least 0 and at most 1", lambda value: 0 <= value <= 1)
FROM_0_BELOW_1 = Allowed("at least 0 and below 1", lambda value: 0 <= value < 1)
ABOVE_0_TO_1 = Allowed("above 0 and at most 1", lambda value: 0 < value <= 1)
_LOGARITHMIC = Allowed("above 0, where the scale is logarithmic", POSITIVE.has)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number and not a truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number and not a truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def whole(owner: Any, prefix: str, **least: int) -> None:
    """Check that attributes are whole numbers of at least so much.

    Raises:
        InvalidArgumentError: If one is not.
    """
    for name, bound in least.items():
        value = getattr(owner, name)
        if not is_whole(value) or value < bound:
            raise InvalidArgumentError(f"{prefix}{name}={value!r} must be a whole number, at least {bound}")


def number(owner: Any, prefix: str, **allowed: Allowed) -> None:
    """Check that attributes are numbers that are allowed.

    Raises:
        InvalidArgumentError: If one is not.
    """
    for name, those in allowed.items():
        value = getattr(owner, name)
        if not is_number(value) or not those.has(value):
            raise InvalidArgumentError(f"{prefix}{name}={value!r} must be a number {those.text}")


def numbers(owner: Any, prefix: str, **allowed: Allowed) -> None:
    """Check that attributes are several numbers that are allowed.

    Raises:
        InvalidArgumentError: If one is not.
    """
    for name, those in allowed.items():
        values = getattr(owner, name)
        if not isinstance(values, (tuple, list)) or not all(is_number(value) and those.has(value) for value in values):
            raise InvalidArgumentError(
                f"{prefix}{name}={values!r} must be a tuple of numbers, each {those.text}, such as (0.5,)"
            )


def span(owner: Any, prefix: str, **allowed: Allowed) -> None:
    """Check that attributes are pairs of numbers that are allowed, the smaller first.

    Raises:
        InvalidArgumentError: If one is not.
    """
    for name, those in allowed.items():
        ends = getattr(owner, name)
        is_pair = isinstance(ends, tuple) and len(ends) == 2 and all(map(is_number, ends))
        if not is_pair or not all(map(those.has, ends)) or ends[0] > ends[1]:
            raise InvalidArgumentError(
                f"{prefix}{name}={ends!r} must be a pair of numbers, the smaller first, both {those.text}"
            )


def one_of(owner: Any, prefix: str, name: str, allowed: Sequence[str]) -> None:
    """Check that an attribute has one of the allowed values.

    Raises:
        InvalidArgumentError: If it has not.
    """
    value = getattr(owner, name)
    if value not in allowed:
        raise InvalidArgumentError(f"{prefix}{name}={value!r} must be one of {', '.join(map(repr, allowed))}")


def positive_or_none(owner: Any, prefix: str, name: str) -> None:
    """Check that an attribute is a number above 0, or None.

    Raises:
        InvalidArgumentError: If it is not.
    """
    value = getattr(owner, name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0):
        raise InvalidArgumentError(f"{prefix}{name}={value!r} must be a number above 0, or None for no limit")


@dataclass(frozen=True)
class SearchSettings:
    """Kernel search, arXiv 2204.07554.

    Attributes:
        kernel_sizes: Candidates of every searched convolution.
        dilations: Likewise; every pair of the two is tried.
        width: Of the backbone that is searched.
        epochs: Passes at most.
        batch_fraction: Share of the batches that one pass sees.
        batch_size: Samples per step.
        lr: Learning rate of the weights.
        alpha_lr: Learning rate of the architecture's logits.
        momentum: Of both optimisers, Nesterov's.
        weight_decay: Of the weights.
        milestones: Shares of the epochs after which both learning rates shrink.
        gamma: Factor by which they shrink.
        grad_scale: The gradient of every layer's logits is brought to a length of one over this.
        size_penalty: Added to the gradient for every position of the receptive field.
        max_norm: Gradients of the weights are clipped to this length; None for no clipping.
        temperature: Of the Gumbel softmax.
        settled_epochs: The search ends early when no layer's choice has changed for so many epochs.
        is_depthwise: Whether convolutions with as many outputs as inputs are depthwise during the search.
        max_cost: Tera floating-point operations at most, counted as if the kernels were the backbone's own; passes see
            fewer samples where there are too many. The same again for every candidate where a backbone is chosen. None
            for no limit.
    """

    kernel_sizes: tuple[int, ...] = (3, 5, 7, 9)
    dilations: tuple[int, ...] = (1, 3, 7, 15)
    width: int = 1
    epochs: int = 100
    batch_fraction: float = 0.2
    batch_size: int = 16
    lr: float = 0.1
    alpha_lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    milestones: tuple[float, ...] = (0.3, 0.6, 0.8)
    gamma: float = 0.2
    grad_scale: float = 1000.0
    size_penalty: float = 1e-5
    max_norm: float | None = 1.0
    temperature: float = 1.0
    settled_epochs: int = 30
    is_depthwise: bool = True
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        make_plain(self)
        positive_or_none(self, "search.", "max_cost")
        positive_or_none(self, "search.", "max_norm")
        whole(self, "search.", width=1, epochs=1, batch_size=1, settled_epochs=1)
        number(self, "search.", batch_fraction=ABOVE_0_TO_1, gamma=ABOVE_0_TO_1, momentum=FROM_0_BELOW_1)
        number(self, "search.", lr=POSITIVE, grad_scale=POSITIVE, temperature=POSITIVE)
        number(self, "search.", alpha_lr=FROM_0, weight_decay=FROM_0, size_penalty=FROM_0)
        numbers(self, "search.", milestones=FROM_0_TO_1)
        for name in ("kernel_sizes", "dilations"):
            values = getattr(self, name)
            is_several = isinstance(values, (tuple, list)) and len(values) > 0
            if not is_several or not all(is_whole(value) and value >= 1 for value in values):
                raise InvalidArgumentError(
                    f"search.{name}={values!r} must be a tuple of whole numbers, each at least 1, such as (3, 5)"
                )
            if len(set(values)) < len(values):
                raise InvalidArgumentError(
                    f"search.{name}={values!r} must be different numbers; leave out the repeated"
                )


@dataclass(frozen=True)
class TuneSettings:
    """Hyperparameters by successive halving, arXiv 1810.05934.

    Attributes:
        trials: Settings that are tried.
        min_resource: Epochs of the first rung; no trial is stopped where that is not below ``max_resource``.
        max_resource: Epochs of a trial that is never stopped.
        reduction_factor: One in so many trials passes a rung.
        lr: Range of the learning rate, on a logarithmic scale.
        weight_decay: Range of the weight decay, on a logarithmic scale.
        momentum: Range of the momentum.
        dropout: Values tried.
        first: Values of the first trial, where the search space has them; those of the others are drawn.
        schedule: ``"constant"``, or ``"cosine"`` for a learning rate that falls to 0 at ``max_resource``, as in the
            final training: rates that only pay once they have fallen are judged by what they come to.
        seeds: Number of initial weights that trials choose from.
        max_cost: Tera floating-point operations of all trials at most, about; passes see fewer samples where there are
            too many, those of every trial as few as its own network asks for. None for no limit.
        cpus_per_trial: With ``engine="ray"``, CPUs of a trial, and threads of torch in it.
        gpus_per_trial: Likewise GPUs; below 1, trials share one. None for one where the run computes on a GPU.
    """

    trials: int = 120
    min_resource: int = 1
    max_resource: int = 20
    reduction_factor: int = 2
    lr: tuple[float, float] = (1e-5, 0.5)
    weight_decay: tuple[float, float] = (5e-7, 5e-3)
    momentum: tuple[float, float] = (0.9, 1.0)
    dropout: tuple[float, ...] = (0.0, 0.05, 0.1)
    first: Mapping[str, Any] = field(default_factory=dict)
    schedule: Literal["constant", "cosine"] = "constant"
    seeds: int = 500
    max_cost: float | None = None
    cpus_per_trial: int = 1
    gpus_per_trial: float | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        make_plain(self)
        positive_or_none(self, "tune.", "max_cost")
        one_of(self, "tune.", "schedule", ("constant", "cosine"))
        if not isinstance(self.first, Mapping):
            raise InvalidArgumentError(f"tune.first={self.first!r} must be a mapping of names to values")
        whole(self, "tune.", trials=1, min_resource=1, max_resource=1, reduction_factor=2, seeds=1, cpus_per_trial=1)
        gpus = self.gpus_per_trial
        if gpus is not None and not (is_number(gpus) and gpus >= 0 and (gpus <= 1 or gpus % 1 == 0)):
            raise InvalidArgumentError(
                f"tune.gpus_per_trial={gpus!r} must be a whole number of GPUs, a share of one, or None"
            )
        span(self, "tune.", lr=_LOGARITHMIC, weight_decay=_LOGARITHMIC, momentum=FROM_0_TO_1)
        numbers(self, "tune.", dropout=FROM_0_BELOW_1)
        if not self.dropout:
            raise InvalidArgumentError(f"tune.dropout={self.dropout!r} must have a value at least, such as (0.0,)")


@dataclass(frozen=True)
class RetrainSettings:
    """Final training.

    Attributes:
        epochs: Passes over the data.
        schedule: ``"step"`` shrinks the learning rate at milestones, ``"cosine"`` lets it fall to 0 after a warm-up.
        milestones: Shares of the epochs.
        gamma: Factor at a milestone.
        warmup: Share of the epochs over which the cosine schedule rises.
        max_norm: Gradients are clipped to this length; None for no clipping.
        max_cost: Tera floating-point operations at most; passes see fewer samples where there are too many. None for no
            limit.
    """

    epochs: int = 200
    schedule: Literal["step", "cosine"] = "step"
    milestones: tuple[float, ...] = (0.3, 0.6, 0.8)
    gamma: float = 0.2
    warmup: float = 0.05
    max_norm: float | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        make_plain(self)
        positive_or_none(self, "retrain.", "max_cost")
        positive_or_none(self, "retrain.", "max_norm")
        whole(self, "retrain.", epochs=1)
        number(self, "retrain.", gamma=ABOVE_0_TO_1, warmup=FROM_0_TO_1)
        numbers(self, "retrain.", milestones=FROM_0_TO_1)
        one_of(self, "retrain.", "schedule", ("step", "cosine"))
