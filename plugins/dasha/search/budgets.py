"""How much is spent on every stage; every number can be replaced and is written into the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, get_args

from dasha.arguments import make_plain
from dasha.errors import InvalidArgumentError
from dasha.registry import close_matches
from dasha.search.settings import (
    FROM_0_BELOW_1,
    KERNELS,
    ORDINARY,
    OWN,
    PrecisionChoice,
    RetrainSettings,
    SearchSettings,
    TuneSettings,
    number,
    one_of,
    positive_or_none,
    whole,
)

_STAGES = ("search", "tune", "retrain")
_LARGEST_PATCH = {False: 4, True: 2}
_LEAST_STEPS = 32


@dataclass(frozen=True)
class Budget:
    """Everything that decides how long a run takes and how thorough it is.

    Attributes:
        search: Kernel search.
        tune: Hyperparameters.
        retrain: Final training.
        width: Of the backbone that is tuned and retrained.
        backbone_options: Further options of the backbone, such as its depth; those of a budget itself are for backbones
            that have them.
        batch_size: Samples per step of tuning and retraining.
        least_batch_size: Batches, those of the kernel search too, are halved down to this size where the training data
            makes fewer than 32 of them, and have it where every position has an output; None leaves them as they are.
            Sizes that are asked for by name, and batches of loaders, stay.
        accumulate: Batches per optimiser step.
        precision: Of all training but that of the kernel search; ``"auto"`` is ``"bfloat16"`` where the device computes
            in it, and ``"float32"`` elsewhere.
        label_smoothing: Share of the target that is spread over all classes in training, where there is one class per
            sample and the task has no share of its own.
        selection_epochs: Epochs of the costliest backbone where one is chosen automatically; the others get so many
            more as they are cheaper.
        max_positions: Larger inputs go in as patches, of at most 4 positions along each axis, or 2 where every position
            has an output; None for no limit.
        patch_size: Positions along each axis that go in as the channels of one, of backbones that can; set from
            ``max_positions`` and the data.
    """

    search: SearchSettings = field(default_factory=SearchSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    width: int = 8
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 16
    least_batch_size: int | None = None
    accumulate: int = 1
    precision: PrecisionChoice = "float32"
    label_smoothing: float = 0.0
    selection_epochs: int = 5
    max_positions: int | None = None
    patch_size: int = 1

    def __post_init__(self) -> None:
        """Check every value."""
        make_plain(self)
        whole(self, "", width=1, batch_size=1, accumulate=1, selection_epochs=1, patch_size=1)
        positive_or_none(self, "", "max_positions")
        if self.least_batch_size is not None:
            whole(self, "", least_batch_size=1)
        one_of(self, "", "precision", get_args(PrecisionChoice))
        number(self, "", label_smoothing=FROM_0_BELOW_1)

    def replaced(self, changes: Mapping[str, Any]) -> Budget:
        """The budget with other values.

        Args:
            changes: Values by name; those of a stage by ``"search.epochs"`` and the like.

        Raises:
            InvalidArgumentError: If there is no such name.
        """
        # Of one stage at once: the least and the most may only fit together when both are there.
        by_stage: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            stage, _, name = path.rpartition(".")
            if stage not in ("", *_STAGES):
                raise InvalidArgumentError(
                    f"budget has no stage {stage!r};{close_matches(stage, list(_STAGES))} known: {', '.join(_STAGES)}"
                )
            known = [entry.name for entry in fields(getattr(self, stage) if stage else self)]
            if name not in known or name in _STAGES:
                raise InvalidArgumentError(
                    f"budget has no value {path!r};{close_matches(name, known)} known: {', '.join(known)}"
                )
            by_stage.setdefault(stage, {})[name] = tuple(value) if isinstance(value, list) else value
        own = by_stage.pop("", {})
        return replace(self, **own, **{stage: replace(getattr(self, stage), **new) for stage, new in by_stage.items()})

    def fitted_to(self, sizes: Sequence[int], samples: int, *, is_dense: bool = False) -> Budget:
        """The budget with patches for large inputs, smaller batches, and without kernels that no input can tell apart.

        A kernel longer than the input, or a dilation that leaves only the centre inside, adds cost and nothing else.
        An epoch of few batches has few steps, and a sample with an output at every position says much by itself.

        Args:
            sizes: Spatial sizes of an input.
            samples: Of the training data.
            is_dense: Whether every position has an output.
        """
        patch_size = self.patch_size if self.max_positions is None else self._patch_size(sizes, is_dense)
        shortest = math.ceil(min(sizes) / patch_size)
        kernel_sizes = tuple(size for size in self.search.kernel_sizes if size <= shortest)
        dilations = tuple(dilation for dilation in self.search.dilations if dilation < shortest)
        search = replace(
            self.search,
            kernel_sizes=kernel_sizes or self.search.kernel_sizes[:1],
            dilations=dilations or self.search.dilations[:1],
            batch_size=self._batch_size(self.search.batch_size, samples, is_dense),
        )
        batch_size = self._batch_size(self.batch_size, samples, is_dense)
        return replace(self, search=search, patch_size=patch_size, batch_size=batch_size)

    def _batch_size(self, size: int, samples: int, is_dense: bool) -> int:
        least = size if self.least_batch_size is None else self.least_batch_size
        while size > least and (is_dense or samples < _LEAST_STEPS * size):
            size = max(least, size // 2)
        return size

    def _patch_size(self, sizes: Sequence[int], is_dense: bool) -> int:
        excess = math.prod(sizes) / (self.max_positions or 1)
        side: float = excess ** (1 / len(sizes))
        return min(max(1, math.ceil(side - 1e-9)), _LARGEST_PATCH[is_dense])

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
        changes = {**_SEQUENCES, **changes, **_FAST_SEQUENCES.get(name, {})}
    else:
        changes |= _DEEP_IMAGES.get(name, {})
    return base.replaced(changes)


# The paper's settings of sequences; those of images are the defaults, and these.
_DEEP_IMAGES: dict[str, dict[str, Any]] = {"paper": {"backbone_options": {"depth": 22}, "label_smoothing": 0.1}}
_SEQUENCES: dict[str, Any] = {
    "search.kernel_sizes": (3, 5, 7, 9, 11),
    "search.dilations": (1, 3, 5, 7),
    "search.width": 8,
    "search.batch_size": 128,
    "search.grad_scale": 100.0,
    "batch_size": 128,
}
_FIRST = {**ORDINARY, KERNELS: OWN}
_OF_FAST_SEQUENCES = {"search.grad_scale": 100.0, "tune.first": {**_FIRST, "dropout": 0.1}}
# No wider than the network that is trained: a U-Net takes twenty times as long at the width of the paper. There are
# twice as many backbones to choose from as for images.
_FAST_SEQUENCES = {
    "smoke": {**_OF_FAST_SEQUENCES, "search.width": 1},
    "quick": {**_OF_FAST_SEQUENCES, "search.width": 2, "selection_epochs": 5},
    "standard": _OF_FAST_SEQUENCES,
}
_QUICK: dict[str, Any] = {
    "search.epochs": 10,
    "search.batch_fraction": 0.5,
    "search.batch_size": 32,
    "search.settled_epochs": 5,
    # A few hundred steps say little about single layers: the penalty on size has to be seen beside what they say, and
    # weights have to learn until shortly before the end.
    "search.grad_scale": 500.0,
    "search.milestones": (0.7, 0.9),
    "tune.trials": 10,
    "tune.min_resource": 2,
    "tune.max_resource": 8,
    "tune.schedule": "cosine",
    "tune.first": {**_FIRST, "dropout": 0.0},
    "tune.lr": (3e-3, 0.3),
    "tune.momentum": (0.85, 0.97),
    "tune.weight_decay": (5e-6, 5e-3),
    "retrain.epochs": 32,
    "retrain.schedule": "cosine",
    "retrain.max_norm": 1.0,
    # About ten minutes for every stage on two cores.
    "search.max_cost": 4.0,
    "tune.max_cost": 30.0,
    "retrain.max_cost": 50.0,
    "max_positions": 1024,
    "batch_size": 32,
    "least_batch_size": 8,
    "width": 2,
    "label_smoothing": 0.1,
    "selection_epochs": 6,
    "precision": "auto",
}
_BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {
        **_QUICK,
        "search.epochs": 2,
        "search.batch_fraction": 0.1,
        "tune.trials": 3,
        "tune.min_resource": 1,
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
        "search.max_cost": None,
        "tune.max_cost": None,
        "retrain.max_cost": None,
        "max_positions": 128**2,
        "width": 4,
    },
    "paper": {},
}
