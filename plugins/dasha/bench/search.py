"""DASHA on one data set: the run, and how good its network is on test data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dasha.bench.cases import Case
from dasha.data.inspection import inspect
from dasha.data.split import as_split
from dasha.errors import InvalidArgumentError
from dasha.manager import get_manager
from dasha.metrics import Metrics
from dasha.search.budgets import budget_of
from dasha.search.devices import device_of, evaluating, precision_of
from dasha.search.evaluation import Predictor, samples_at_once
from dasha.search.settings import Precision, whole
from dasha.search.training import Augment, Learning, evaluate
from dasha.search.workflow import Dasha
from dasha.tasks import TaskSpec

ENGINE = ("dasha.search", "dasha.backbones")
"""Our own packages that decide the outcome."""
PACKAGES = ("numpy", "torch", "optuna")


@dataclass(frozen=True)
class BenchData:
    """A supervised data set with all its parts.

    Attributes:
        name: Of the data.
        task: What is learnt; its metric is that of the benchmark.
        train: As `dasha.Dasha` takes it, and so are the others.
        validation: Everything is chosen on it.
        test: Nothing is chosen on it.
        augment: Changes training batches, the same for all methods.
        normalize: Whether inputs are brought to mean 0 and standard deviation 1.
        predictor: Makes what predicts of a trained network, such as a mean over both strands.
        facts: What else is to be known of the data, for JSON.
    """

    name: str
    task: TaskSpec
    train: Any = field(repr=False)
    validation: Any = field(repr=False)
    test: Any = field(repr=False)
    augment: Augment | None = None
    normalize: bool = True
    predictor: Predictor | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def about(self) -> dict[str, Any]:
        """What tells this data apart from other data: task, treatment, and a fingerprint of every part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        found = {}
        for name, part in parts.items():
            summary = inspect(self.task, as_split(part, name, is_dense=self.task.is_dense), name)
            found[name] = {"count": summary.count, "shape": list(summary.shape), "fingerprint": summary.fingerprint}
        treatment = {"augment": repr(self.augment), "normalize": self.normalize, "predictor": _name(self.predictor)}
        return {"task": asdict(self.task), "parts": found, **treatment}


@dataclass(frozen=True)
class Effort:
    """How much is spent on a run.

    Attributes:
        budget: Name of the budget.
        overrides: Values of the budget to replace.
        device: Where to compute.
        backbone: Name of the network; ``"auto"`` chooses it on validation data.
        trainings: Final trainings of a run, whose mean predicts where there are several.
    """

    budget: str = "quick"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    backbone: str = "auto"
    trainings: int = 1

    def __post_init__(self) -> None:
        """Refuse what does not exist before anything runs.

        Raises:
            InvalidArgumentError: If there is no such budget, value or device.
        """
        whole(self, "", trainings=1)
        budget_of(self.budget, 2).replaced(self.overrides)
        device_of(self.device)
        if self.backbone not in ("auto", *get_manager().backbones):
            raise InvalidArgumentError(
                f"backbone={self.backbone!r} must be one of auto, {', '.join(get_manager().backbones)}"
            )

    @property
    def precision(self) -> Precision:
        """Of the training, which "auto" leaves to the device."""
        return precision_of(budget_of(self.budget, 2).replaced(self.overrides).precision, device_of(self.device))


def search_case(data: BenchData, method: str, *, mode: str, seed: int, effort: Effort) -> Case:
    """One run of DASHA as a case.

    Args:
        data: What is learnt.
        method: Its name in tables.
        mode: Which kernels, as `dasha.search.config.RunConfig` has it.
        seed: Of the run.
        effort: How much is spent.
    """
    settings = {
        "data": data.about,
        "search": mode,
        "seed": seed,
        "budget": effort.budget,
        "overrides": dict(effort.overrides),
        "backbone": effort.backbone,
        "trainings": effort.trainings,
        "precision": effort.precision,
    }
    measure = partial(run_search, data, mode=mode, seed=seed, effort=effort)
    return Case(data.name, method, seed, settings, measure, PACKAGES)


def run_search(data: BenchData, folder: Path, *, mode: Any, seed: int, effort: Effort) -> dict[str, Any]:
    """Search, tune, train and measure; a run that was stopped goes on.

    Args:
        data: What is learnt.
        folder: Of the run.
        mode: Which kernels, as `dasha.search.config.RunConfig` has it.
        seed: Of the run.
        effort: How much is spent.

    Returns:
        Score on test, metrics, parameters, seconds of every stage, and what was chosen, for JSON; with ``members``, the
        scores on test of the networks whose mean predicts.
    """
    run = Dasha(
        data.task,
        folder,
        backbone=effort.backbone,
        budget=effort.budget,
        overrides=effort.overrides,
        search=mode,
        seed=seed,
        n_seeds=effort.trainings,
        is_ensemble=effort.trainings > 1,
        normalize=data.normalize,
        augment=data.augment,
        device=effort.device,
        is_shown=False,
    ).fit(data.train, data.validation)
    result = run.result
    members = [scored(data, one, effort.device)["score"] for one in run.members] if effort.trainings > 1 else []
    return {
        **scored(data, run.model, effort.device),
        "members": members,
        "parameters": effort.trainings * result.parameters,
        "seconds": sum(result.seconds.values()),
        "stages": result.seconds,
        "flops": effort.trainings * result.flops,
        "backbone": result.backbone,
        "architecture": {name: list(pair) for name, pair in result.architecture.items()},
        "searched": {name: list(pair) for name, pair in result.searched.items()},
        "hyperparameters": result.hyperparameters,
    }


def scored(data: BenchData, network: nn.Module, device: str) -> dict[str, Any]:
    """Validation and test score of a trained network, in the units of the data.

    Args:
        data: What was learnt.
        network: Inputs ``(N, C, …)`` to outputs.
        device: Where to compute.

    Raises:
        InvalidArgumentError: If the network gives numbers that are not finite.
    """
    predictor = network if data.predictor is None else data.predictor(network)
    place = device_of(device)
    size = samples_at_once(data.about["parts"]["test"]["shape"])
    learning = Learning(data.task, size, place)
    found = {}
    with evaluating(predictor, place) as ready, torch.no_grad():
        for name, part in (("validation", data.validation), ("test", data.test)):
            found[name] = evaluate(ready, as_split(part, name, is_dense=data.task.is_dense), learning, size=size)
    return record_of(data, found["validation"], found["test"])


def metrics_of(task: TaskSpec, outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Metrics of outputs ``(N, num_outputs, …)``, logits where targets are classes."""
    metrics = Metrics(task)
    metrics.update(outputs, targets)
    return metrics.compute()


def record_of(data: BenchData, validation: Mapping[str, float], test: Mapping[str, float]) -> dict[str, Any]:
    """The part of a record that every method has; metrics without a value are None.

    Raises:
        InvalidArgumentError: If the deciding metric has no finite value.
    """
    metric = data.task.metric
    if not (math.isfinite(validation[metric]) and math.isfinite(test[metric])):
        raise InvalidArgumentError(f"{metric} on {data.name} is not finite; what predicts it gives no usable numbers")
    plain = {name: value if math.isfinite(value) else None for name, value in test.items()}
    return {"metric": metric, "score": test[metric], "validation": validation[metric], "metrics": plain}


def _name(function: Any) -> str | None:
    return None if function is None else str(getattr(function, "__qualname__", repr(function)))
