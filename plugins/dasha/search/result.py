"""What a run, and an evaluation of it, came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from dasha.metrics import Metrics, prediction_of
from dasha.search.plan import NetworkPlan, architecture_of
from dasha.tasks import TaskSpec

# Pairs that a picture shows.
_SHOWN = 2000
# Of a label and a sample, but for those that do not have it and are not said to.
_OUTCOMES = ("found", "missed", "wrong")


@dataclass(frozen=True)
class SearchResult:
    """What the stages before the final training decided.

    Attributes:
        plan: Builds the network.
        hyperparameters: Of the winning trial.
        score: Best validation score of the winning trial; larger is better.
        backbone_scores: Validation score of every candidate, where one was chosen; larger is better.
        seconds: Of every stage.
    """

    plan: NetworkPlan
    hyperparameters: dict[str, Any]
    score: float
    backbone_scores: dict[str, float]
    seconds: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> SearchResult:
        """What `as_dict` gave, after JSON, which has no infinity."""
        scores = {name: -math.inf if score is None else score for name, score in content["backbone_scores"].items()}
        return cls(**{**content, "plan": NetworkPlan.of_dict(content["plan"]), "backbone_scores": scores})


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        backbone: Name of the network.
        backbone_scores: Validation score of every candidate, where one was chosen; larger is better.
        architecture: Kernel size and dilation of every searched layer; empty where the network keeps its own kernels.
        hyperparameters: Of the winning trial.
        tuning_score: Best validation score of the winning trial; larger is better.
        parameters: Number of parameters of one network.
        flops: Floating-point operations of one sample in prediction.
        seconds: Of every stage.
        curves: Course of every final training.
        searched: What the kernel search chose, also where the network keeps its own kernels; empty without a search.
    """

    backbone: str
    backbone_scores: dict[str, float]
    architecture: dict[str, tuple[int, int]]
    hyperparameters: dict[str, Any]
    tuning_score: float
    parameters: int
    flops: int
    seconds: dict[str, float]
    curves: list[dict[str, Any]] = field(repr=False)
    searched: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> RunResult:
        """What `as_dict` gave, after JSON."""
        kernels = {name: architecture_of(content.get(name, {})) for name in ("architecture", "searched")}
        scores = {name: -math.inf if score is None else score for name, score in content["backbone_scores"].items()}
        return cls(**{**content, **kernels, "backbone_scores": scores})


@dataclass(frozen=True)
class Evaluation:
    """Metrics on data that nothing was chosen on, each computed once over all predictions.

    Attributes:
        metrics: Of the model: of the ensemble where there is one, otherwise the mean over the seeds.
        per_seed: Of every seed.
        interval: Half-width of the 95 % interval of the ``mean`` over the seeds (Student's t), not of what an ensemble
            came to; empty for one seed.
        count: Samples.
        confusion: Counts of true classes (rows) and predicted ones; empty where targets are no classes.
        scatter: Some targets and their predictions, from all samples, where targets are numbers.
        labels: Of every label, where a sample has any number of them: how many samples have it and it was ``found``,
            have it and it was ``missed``, do not have it and it was said, which is ``wrong``, and its
            ``average_precision``, NaN where no sample has it.
    """

    metrics: dict[str, float]
    per_seed: list[dict[str, float]]
    interval: dict[str, float]
    count: int
    confusion: list[list[int]] = field(default_factory=list, repr=False)
    scatter: list[list[float]] = field(default_factory=list, repr=False)
    labels: list[dict[str, float]] = field(default_factory=list, repr=False)

    def __getitem__(self, metric: str) -> float:
        """One of the metrics."""
        return self.metrics[metric]

    @property
    def mean(self) -> dict[str, float]:
        """Mean of every metric over the seeds, in the middle of its ``interval``; of an ensemble not its metrics."""
        return over_seeds(self.per_seed)[0]

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)


def over_seeds(per_seed: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean of every metric, and half-width of its 95 % interval; no interval for a single seed."""
    values = {name: np.array([one[name] for one in per_seed]) for name in per_seed[0]}
    mean = {name: float(value.mean()) for name, value in values.items()}
    count = len(per_seed)
    if count == 1:
        return mean, {}
    factor = float(student.ppf(0.975, count - 1)) / math.sqrt(count)
    return mean, {name: factor * float(value.std(ddof=1)) for name, value in values.items()}


class Collected:
    """Confusion of classes, outcomes of labels, or targets beside predictions, over batches.

    Args:
        task: Decides which of the three.
    """

    def __init__(self, task: TaskSpec) -> None:
        self._task = task
        self._counts = np.zeros((task.classes, task.classes), dtype=np.int64) if task.has_classes else None
        self._outcomes = np.zeros((task.num_outputs, len(_OUTCOMES)), dtype=np.int64)
        self._ranked = Metrics(task, ["average_precision"]) if task.kind == "multilabel" else None
        self._pairs = np.empty((0, 2), dtype=np.float32)
        self._ranks = np.empty(0)
        self._generator = np.random.default_rng(0)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take one batch of outputs of the network."""
        task = self._task
        if self._counts is not None:
            decided = (outputs[:, 0] > 0).long() if task.kind == "binary" else outputs.argmax(1)
            decided, true = decided.flatten(), targets.long().flatten()
            pairs = true * task.classes + decided
            counted = pairs if task.ignore_index is None else pairs[true != task.ignore_index]
            self._counts += np.bincount(counted.numpy(), minlength=task.classes**2).reshape(self._counts.shape)
        elif self._ranked is not None:
            said, true = outputs > 0, targets.reshape(outputs.shape) > 0
            self._outcomes += torch.stack([true & said, true & ~said, ~true & said], 2).sum(0).numpy()
            self._ranked.update(outputs, targets)
        else:
            predicted = prediction_of(task, outputs).flatten().numpy()
            self._draw(np.stack([targets.float().flatten().numpy(), predicted], 1))

    def _draw(self, pairs: np.ndarray) -> None:
        """Keep those of lowest rank, which is random: every pair of all batches is as likely to be kept."""
        ranks = np.concatenate([self._ranks, self._generator.random(len(pairs))])
        pairs = np.concatenate([self._pairs, pairs])
        if len(ranks) > _SHOWN:
            kept = np.sort(np.argpartition(ranks, _SHOWN)[:_SHOWN])
            pairs, ranks = pairs[kept], ranks[kept]
        self._pairs, self._ranks = pairs, ranks

    @property
    def confusion(self) -> list[list[int]]:
        """Counts of true classes (rows) and predicted ones; empty where targets are no classes."""
        return [] if self._counts is None else self._counts.tolist()

    @property
    def labels(self) -> list[dict[str, float]]:
        """Outcomes and average precision of every label; empty where targets are no labels."""
        if self._ranked is None:
            return []
        ranked = self._ranked.of_each("average_precision")
        return [
            {**dict(zip(_OUTCOMES, counts, strict=True)), "average_precision": value}
            for counts, value in zip(self._outcomes.tolist(), ranked, strict=True)
        ]

    @property
    def scatter(self) -> list[list[float]]:
        """Targets and predictions, drawn from all of them; empty where targets are no numbers."""
        return self._pairs.tolist()
