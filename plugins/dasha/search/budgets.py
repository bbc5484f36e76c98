"""How much is spent on every stage; every number can be replaced and is written into the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from dasha.errors import InvalidArgumentError
from dasha.registry import close_matches

Precision = Literal["float32", "bfloat16", "float16"]


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
        max_norm: Gradients of the weights are clipped to this length.
        temperature: Of the Gumbel softmax.
        settled_epochs: The search ends early when no layer's choice has changed for so many epochs.
        is_depthwise: Whether convolutions with as many outputs as inputs are depthwise during the search.
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
    max_norm: float = 1.0
    temperature: float = 1.0
    settled_epochs: int = 30
    is_depthwise: bool = True


@dataclass(frozen=True)
class TuneSettings:
    """Hyperparameters by successive halving, arXiv 1810.05934.

    Attributes:
        trials: Settings that are tried.
        min_resource: Epochs of the first rung.
        max_resource: Epochs of a trial that is never stopped.
        reduction_factor: One in so many trials passes a rung.
        lr: Range of the learning rate, on a logarithmic scale.
        weight_decay: Range of the weight decay, on a logarithmic scale.
        momentum: Range of the momentum.
        dropout: Values tried.
        seeds: Number of initial weights that trials choose from.
    """

    trials: int = 120
    min_resource: int = 1
    max_resource: int = 20
    reduction_factor: int = 2
    lr: tuple[float, float] = (1e-5, 0.5)
    weight_decay: tuple[float, float] = (5e-7, 5e-3)
    momentum: tuple[float, float] = (0.9, 1.0)
    dropout: tuple[float, ...] = (0.0, 0.05, 0.1)
    seeds: int = 500


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
    """

    epochs: int = 200
    schedule: Literal["step", "cosine"] = "step"
    milestones: tuple[float, ...] = (0.3, 0.6, 0.8)
    gamma: float = 0.2
    warmup: float = 0.05
    max_norm: float | None = None


@dataclass(frozen=True)
class Budget:
    """Everything that decides how long a run takes and how thorough it is.

    Attributes:
        search: Kernel search.
        tune: Hyperparameters.
        retrain: Final training.
        width: Of the backbone that is tuned and retrained.
        backbone_options: Further options of the backbone, such as its depth.
        batch_size: Samples per step of tuning and retraining.
        accumulate: Batches per optimiser step.
        precision: Of tuning and retraining.
        selection_epochs: Epochs that every backbone gets where one is chosen automatically.
    """

    search: SearchSettings = field(default_factory=SearchSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    width: int = 8
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 16
    accumulate: int = 1
    precision: Precision = "float32"
    selection_epochs: int = 5

    def replaced(self, changes: Mapping[str, Any]) -> Budget:
        """The budget with other values.

        Args:
            changes: Values by name; those of a stage by ``"search.epochs"`` and the like.

        Raises:
            InvalidArgumentError: If there is no such name.
        """
        budget = self
        for path, value in changes.items():
            stage, _, name = path.rpartition(".")
            owner = getattr(budget, stage, None) if stage else budget
            known = [entry.name for entry in fields(owner)] if owner is not None else ["search", "tune", "retrain"]
            if owner is None or name not in known:
                raise InvalidArgumentError(
                    f"budget has no value {path!r};{close_matches(name, known)} known: {', '.join(known)}"
                )
            if isinstance(value, list):
                value = tuple(value)
            owner = replace(owner, **{name: value})
            budget = replace(budget, **{stage: owner}) if stage else owner
        return budget

    def fitted_to(self, sizes: Sequence[int]) -> Budget:
        """The budget without kernels that no input of these sizes can tell apart.

        A kernel longer than the input, or a dilation that leaves only the centre inside, adds cost and nothing else.

        Args:
            sizes: Spatial sizes of an input.
        """
        shortest = min(sizes)
        kernel_sizes = tuple(size for size in self.search.kernel_sizes if size <= shortest)
        dilations = tuple(dilation for dilation in self.search.dilations if dilation < shortest)
        search = replace(
            self.search,
            kernel_sizes=kernel_sizes or self.search.kernel_sizes[:1],
            dilations=dilations or self.search.dilations[:1],
        )
        return replace(self, search=search)

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)


def budget_of(name: str, ndim: int) -> Budget:
    """A budget by name.

    Args:
        name: ``"smoke"`` (seconds), ``"quick"`` (minutes on two cores), ``"standard"`` or ``"paper"``.
        ndim: 1 for sequences, 2 for images.

    Raises:
        InvalidArgumentError: If there is no such budget.
    """
    if name not in _BUDGETS:
        raise InvalidArgumentError(
            f"budget={name!r} must be one of {', '.join(map(repr, _BUDGETS))};{close_matches(name, list(_BUDGETS))}"
        )
    changes = dict(_BUDGETS[name])
    base = Budget(backbone_options={})
    if ndim == 1:
        changes = {**_SEQUENCES, **changes}
    return base.replaced(changes)


# The paper's settings of sequences; those of images are the defaults.
_SEQUENCES: dict[str, Any] = {
    "search.kernel_sizes": (3, 5, 7, 9, 11),
    "search.dilations": (1, 3, 5, 7),
    "search.width": 8,
    "search.batch_size": 128,
    "search.grad_scale": 100.0,
    "batch_size": 128,
}
_QUICK: dict[str, Any] = {
    "search.epochs": 10,
    "search.batch_fraction": 0.5,
    "search.batch_size": 32,
    "search.settled_epochs": 5,
    "search.grad_scale": 10.0,
    "tune.trials": 12,
    "tune.max_resource": 4,
    "tune.lr": (3e-3, 0.3),
    "tune.momentum": (0.85, 0.97),
    "tune.weight_decay": (5e-6, 5e-3),
    "retrain.epochs": 24,
    "retrain.schedule": "cosine",
    "retrain.max_norm": 1.0,
    "batch_size": 32,
    "width": 2,
    "selection_epochs": 2,
}
_BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        **_QUICK,
        "search.epochs": 2,
        "search.batch_fraction": 0.1,
        "tune.trials": 3,
        "tune.max_resource": 2,
        "retrain.epochs": 2,
        "width": 1,
        "selection_epochs": 1,
    },
    "quick": _QUICK,
    "standard": {
        **_QUICK,
        "search.epochs": 40,
        "search.batch_fraction": 0.3,
        "search.settled_epochs": 12,
        "search.grad_scale": 100.0,
        "tune.trials": 48,
        "tune.max_resource": 12,
        "retrain.epochs": 100,
        "width": 4,
    },
    "paper": {},
}
