"""Metrics with intervals: of resampled predictions, and over several trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dasha.errors import InvalidArgumentError
from dasha.metrics import Metrics
from dasha.search.result import over_seeds
from dasha.tasks import TaskSpec


def with_intervals(
    task: TaskSpec, outputs: Tensor, targets: Tensor, *, names: Sequence[str], resamples: int, seed: int
) -> dict[str, dict[str, float | None]]:
    """Metrics over all predictions at once, each with its 95 % percentile interval of the bootstrap (Efron 1979).

    Args:
        task: Decides what the outputs mean.
        outputs: Of the network, shape ``(N, num_outputs)``.
        targets: As the data gives them.
        names: Of the metrics.
        resamples: Draws of ``N`` samples with replacement; 0 for no intervals.
        seed: Of the draws.

    Returns:
        ``value``, ``low`` and ``high`` by metric; bounds are None without resamples, or where no draw has a value.
    """
    if len(outputs) == 0:
        raise InvalidArgumentError("there are no predictions to measure; supply test data")

    def values(rows: Tensor) -> dict[str, float]:
        metrics = Metrics(task, names)
        metrics.update(outputs[rows], targets[rows])
        return metrics.compute()

    whole = values(torch.arange(len(outputs)))
    generator = torch.Generator().manual_seed(seed)
    draws = [values(torch.randint(len(outputs), (len(outputs),), generator=generator)) for _ in range(resamples)]
    result: dict[str, dict[str, float | None]] = {}
    for name, value in whole.items():
        drawn = np.array([draw[name] for draw in draws])
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.quantile(drawn, [0.025, 0.975]).tolist() if len(drawn) else (None, None)
        result[name] = {"value": value, "low": low, "high": high}
    return result


def over_trainings(per_seed: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """``mean`` of every metric, and ``interval``, the half-width of its 95 % interval; None where there is no number.

    Args:
        per_seed: Metrics of every training; None for those that have no value. Nothing is known without any.
    """
    if not per_seed:
        return {}
    numbers = [{name: np.nan if value is None else value for name, value in one.items()} for one in per_seed]
    mean, interval = over_seeds(numbers)
    return {name: {"mean": finite(mean[name]), "interval": finite(interval.get(name))} for name in mean}


def finite(value: float | None) -> float | None:
    """A number that JSON has; None otherwise."""
    return value if value is not None and np.isfinite(value) else None
