"""Weights of the candidates from their errors on windows they were not estimated on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dasha.autoar.candidates import Pool
from dasha.autoar.panel import Panel
from dasha.autoar.plan import Chunk, Plan, all_maps
from dasha.autoar.stacking import error_products, stacked_weights
from dasha.types import FloatArray

# Parts of the fitting rows that are left out in turn, and the horizons that each must hold at least.
_FOLDS = 3
_HORIZONS_PER_FOLD = 2
# What is left must hold this share of all windows. Without gaps it does: folds are as long as a context or more.
_FEWEST_LEFT = 1 / 6


@dataclass(frozen=True)
class Trial:
    """Candidates are estimated on one part of the data and scored on windows of another."""

    fitting: Panel
    scored: Panel

    def rows(self, plan: Plan) -> set[int]:
        """Channels with rows enough for a scored window; the others need no estimation."""
        length = plan.context + plan.config.horizon
        return {row for row, channel in enumerate(self.scored.channels) if len(channel) >= length}


@dataclass(frozen=True)
class Products:
    """Errors of the candidates on the validation windows.

    Attributes:
        mean: Products of the errors of two candidates, mean over steps and windows, shape ``(C_total, N, N)``.
        windows: Windows that do not overlap in what they forecast, shape ``(C_total,)``.
    """

    mean: FloatArray
    windows: FloatArray


@dataclass(frozen=True)
class Shares:
    """Weights of the candidates.

    Attributes:
        weights: For every channel, shape ``(C_total, N)``.
        common: For series that were not in the training data, shape ``(N,)``; 0 for candidates per channel.
    """

    weights: FloatArray
    common: FloatArray

    @property
    def are_equal(self) -> bool:
        """Whether one map serves all channels."""
        return bool((self.weights == self.common).all())


def fold_sizes(fitting: Panel, *, context: int, horizon: int) -> np.ndarray:
    """Rows of one fold of every channel; 0 for channels too short for a context and several horizons in each."""
    room = np.array([len(channel) for channel in fitting.channels]) - context
    return np.where(room >= _FOLDS * max(context, _HORIZONS_PER_FOLD * horizon), room // _FOLDS, 0)


def folds(plan: Plan, fitting: Panel) -> Iterator[Trial]:
    """Every part of the fitting rows left out in turn, where a series is long enough.

    One stretch of validation rows shows one season, or one year; what was best there need not be best later. A part
    without which gaps leave next to nothing to estimate on is not left out.
    """
    length = plan.context + plan.config.horizon
    fewest = _FEWEST_LEFT * plan.data.stretches(fitting, 0).windows(length)
    size = fold_sizes(fitting, context=plan.context, horizon=plan.config.horizon)
    for fold in range(_FOLDS if size.any() else 0):
        start = np.where(size > 0, plan.context + fold * size, 0)
        stop = start + size
        left, scored = [], []
        for channel, first, last in zip(fitting.channels, start.tolist(), stop.tolist(), strict=True):
            kept = channel.copy()
            kept[first:last] = np.nan
            left.append(kept)
            scored.append(channel[max(0, first - plan.context) : last])
        rest = Panel(left, fitting.offsets)
        if plan.data.stretches(rest, 0).windows(length) >= fewest:
            yield Trial(rest, Panel(scored, fitting.offsets))


def score(plan: Plan, chunks: list[Chunk], trial: Trial, pool: Pool) -> Products:
    """Errors of all candidates on the scored windows of every channel; ``pool`` is that of the fitting part."""
    channels, size = len(plan.data.std), len(plan.candidates)
    mean, windows = np.zeros((channels, size, size)), np.zeros(channels)
    pooled = plan.pooled_maps(pool)
    rows = trial.rows(plan)
    for chunk in (part for whole in chunks if (part := whole.only(rows)).rows):
        levels = plan.levels(trial.fitting, chunk.rows)
        weights, bias = all_maps(plan, trial.fitting, chunk, levels, pooled)
        levels = plan.levels(trial.scored, chunk.rows)
        mean[chunk.rows] = error_products(weights, bias, levels).mean(1).cpu().numpy()
        apart = (levels.count - 1).clamp(min=0) / plan.config.horizon + (levels.count > 0)
        windows[chunk.rows] = apart.cpu().numpy()
    return Products(mean, windows)


def together(trials: list[Products]) -> Products:
    """Errors over the windows of all trials."""
    windows = sum((trial.windows for trial in trials), np.zeros_like(trials[0].windows))
    total = sum((trial.windows[:, None, None] * trial.mean for trial in trials), np.zeros_like(trials[0].mean))
    return Products(total / np.maximum(windows, 1e-300)[:, None, None], windows)


def weighted_errors(products: Products, weights: FloatArray) -> FloatArray:
    """Mean squared error of the weighted mean of every channel that has scored windows."""
    errors: FloatArray = np.einsum("cn,cnm,cm->c", weights, products.mean, weights)[products.windows > 0]
    return errors


def weigh(plan: Plan, products: Products) -> Shares:
    """Weights of the candidates, by the strategy and what it pools over."""
    pooled, size = np.arange(len(plan.pooled)), len(plan.candidates)
    pooling = plan.config.pooled_over
    allowed = np.arange(len(pooled) if pooling == "channel" else 0, len(pooled) if pooling == "pooled" else size)
    weights, common = np.zeros((len(products.windows), size)), np.zeros(size)
    if plan.config.strategy == "auto":
        own, shared = _stacked(plan, products, allowed)
        weights[:, allowed] = shared if pooling == "pooled" else own
        common[pooled] = _stacked(plan, products, pooled)[1]
    else:
        weights[:] = _equal_weights(plan, products, allowed)
        common = _equal_weights(plan, products, pooled)
    return Shares(weights, common)


def _stacked(plan: Plan, products: Products, allowed: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Weights of some candidates; without knowledge every kind has the same share."""
    kinds = [plan.candidates[index].kind for index in allowed.tolist()]
    prior = np.array([1.0 / (len(set(kinds)) * kinds.count(kind)) for kind in kinds])
    chosen = products.mean[:, allowed[:, None], allowed]
    return stacked_weights(chosen, products.windows, prior, evidence=_evidence(plan, products))


def _evidence(plan: Plan, products: Products) -> float:
    """Independent windows: channels of one series move together, and count once."""
    offsets = plan.data.panel.offsets
    parts = (products.windows[first:last] for first, last in pairwise(offsets))
    return float(sum(part[part > 0].mean() for part in parts if (part > 0).any()))


def _equal_weights(plan: Plan, products: Products, allowed: np.ndarray) -> FloatArray:
    """Equal weights for the best candidate of every kind."""
    errors = candidate_errors(products)
    best: dict[tuple[str, bool], int] = {}
    for index in allowed.tolist():
        kind = plan.candidates[index].kind
        if kind not in best or errors[index] < errors[best[kind]]:
            best[kind] = index
    weights = np.zeros(len(errors))
    weights[list(best.values())] = 1.0 / len(best)
    return weights


def candidate_errors(products: Products) -> FloatArray:
    """Mean squared error of every candidate over the channels that have validation windows."""
    errors: FloatArray = np.diagonal(products.mean[products.windows > 0], axis1=1, axis2=2).mean(0)
    return errors
