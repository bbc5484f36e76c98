"""Whether the search chooses alike on the same data, and otherwise on other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

# Permutations: so many chunks of so many, which are compared together.
_CHUNKS, _CHUNK = 99, 101
Architecture = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Choice:
    """What one run chose.

    Attributes:
        dataset: Name of the data.
        seed: Of the run.
        architecture: Kernel size and dilation by layer.
    """

    dataset: str
    seed: int
    architecture: Architecture


@dataclass(frozen=True)
class Clustering:
    """Distances between what runs chose, runs with different seeds alone: equal seeds begin from equal draws.

    Attributes:
        within: Mean distance of two runs on the same data.
        between: Mean distance of two runs on different data.
        p_value: Share of permutations, of the runs of every seed among the data sets, whose difference, between minus
            within, is at least that of the runs as they are, which count as one of them.
        runs: Number of runs compared.
        tasks: Number of data sets.
        permutations: Number of permutations.
    """

    within: float
    between: float
    p_value: float
    runs: int
    tasks: int
    permutations: int

    def __str__(self) -> str:
        return (
            f"mean distance {self.within:.3f} within a task and {self.between:.3f} between tasks ({self.runs} runs, "
            f"{self.tasks} tasks; permutation p = {self.p_value:.4f}, {self.permutations} permutations)"
        )


def kernel_distance(first: Architecture, second: Architecture) -> float:
    """Mean over the layers of how many times kernel size and dilation differ, as |Δ log2 size| + |Δ log2 dilation|.

    Both have the same layers.
    """
    pairs = np.array([[first[name], second[name]] for name in first], dtype=float)  # layers × 2 × (size, dilation)
    return float(np.abs(np.diff(np.log2(pairs), axis=1)).sum(-1).mean())


def cluster(choices: Sequence[Choice], *, seed: int = 0) -> Clustering | None:
    """Compare runs on the same data with runs on different data.

    Args:
        choices: Of every run; all have the same layers.
        seed: Of the permutations.

    Returns:
        None unless runs with different seeds are there both on one data set and on two.
    """
    labels = np.unique([one.dataset for one in choices], return_inverse=True)[1]
    seeds = np.array([one.seed for one in choices])
    pairs = np.array([pair for pair in combinations(range(len(choices)), 2) if seeds[pair[0]] != seeds[pair[1]]]).T
    if not pairs.size or len(set((labels[pairs[0]] == labels[pairs[1]]).tolist())) < 2:
        return None
    distances = np.array(
        [kernel_distance(choices[one].architecture, choices[other].architecture) for one, other in pairs.T]
    )
    (within,), (between,) = _means(distances, labels[None], pairs)
    rng = np.random.default_rng(seed)
    as_large = 0
    for _ in range(_CHUNKS):
        drawn = np.tile(labels, (_CHUNK, 1))
        for block in (seeds == one for one in np.unique(seeds)):
            drawn[:, block] = rng.permuted(drawn[:, block], axis=1)
        own_within, own_between = _means(distances, drawn, pairs)
        # Rounding must not tell equal differences apart.
        as_large += int((own_between - own_within >= between - within - 1e-12).sum())
    drawn_count = _CHUNKS * _CHUNK
    p_value = (1 + as_large) / (1 + drawn_count)
    return Clustering(float(within), float(between), p_value, len(choices), int(labels.max()) + 1, drawn_count)


def comparable(records: Sequence[Mapping[str, Any]]) -> list[Choice]:
    """Choices that can be compared: those of the network that most runs have.

    They count whether tuning kept them or preferred the network's own kernels.
    """
    searched = [record for record in records if record.get("searched")]
    layers = [tuple(record["searched"]) for record in searched]
    if not layers:
        return []
    usual = max(dict.fromkeys(layers), key=layers.count)
    return [
        Choice(record["dataset"], record["seed"], record["searched"])
        for record, own in zip(searched, layers, strict=True)
        if own == usual
    ]


def _means(distances: np.ndarray, labels: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean distances of pairs on the same data, and on different data, for every row of ``labels`` ``(P, runs)``."""
    is_same = labels[:, pairs[0]] == labels[:, pairs[1]]  # (P, pairs)
    with np.errstate(invalid="ignore"):  # NaN, which is larger than nothing, where there are no such pairs
        return is_same @ distances / is_same.sum(1), ~is_same @ distances / (~is_same).sum(1)
