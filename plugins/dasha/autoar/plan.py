"""The candidates of a strategy and the chunks of channels they are estimated on."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.array_data import ArrayPart
from dasha.autoar.candidates import (
    RIDGES,
    SMOOTHINGS,
    Candidate,
    Pool,
    local_lookbacks,
    local_recursive_maps,
    pooled_maps,
)
from dasha.autoar.config import AutoARConfig
from dasha.autoar.differencing import MAX_DIFF_ORDER
from dasha.autoar.direct import direct_regression
from dasha.autoar.harmonics import harmonic_maps
from dasha.autoar.moments import ChannelMoments, channel_moments
from dasha.autoar.panel import Panel, gap_free_lengths
from dasha.autoar.selection import horizon_bic, horizon_errors, information_criterion, nested_regression
from dasha.autoar.training import SMALLEST_SERIES, STEPS_PER_COEFFICIENT, TrainingData, largest_that

# Elements of the maps and moments of one chunk of channels.
_CHUNK_ELEMENTS = 1 << 22
# A channel with fewer windows of past and future takes the pooled direct regression in the place of its own.
_FEWEST_WINDOWS = 2

Maps = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Plan:
    """What stays the same from trial to final estimation; pooled candidates come first."""

    config: AutoARConfig
    data: TrainingData
    context: int
    candidates: list[Candidate]

    @property
    def orders(self) -> list[int]:
        """Differencing orders of the auto-regressions."""
        return sorted({candidate.diff_order for candidate in self.candidates if candidate.diff_order is not None})

    @property
    def pooled(self) -> list[Candidate]:
        """Candidates that all channels share."""
        return [candidate for candidate in self.candidates if candidate.is_pooled]

    @property
    def local(self) -> list[Candidate]:
        """Candidates of every channel on its own."""
        return [candidate for candidate in self.candidates if not candidate.is_pooled]

    def pooled_maps(self, pool: Pool) -> Maps:
        """Maps of the candidates that all channels share, ``(N, H, K)`` and ``(N, H)``."""
        return pooled_maps(self.pooled, pool, self.config.horizon, criterion=self.config.one_step_criterion)

    def levels(self, panel: Panel, rows: list[int]) -> ChannelMoments:
        """Moments of windows of past and future of some channels."""
        return channel_moments(self.data.block(panel, rows), self.context + self.config.horizon)


@dataclass(frozen=True)
class Chunk:
    """Channels that go through together.

    Attributes:
        rows: Their numbers.
        largest: Largest lookback of an auto-regression of their own; below 0 if they cannot carry one.
        lookbacks: Chosen lookbacks by differencing order, each of shape ``(len(rows),)``.
    """

    rows: list[int]
    largest: int
    lookbacks: dict[int, Tensor]

    def only(self, rows: Container[int]) -> Chunk:
        """Those of its channels that are among some."""
        kept = [place for place, row in enumerate(self.rows) if row in rows]
        lookbacks = {order: chosen[kept] for order, chosen in self.lookbacks.items()}
        return Chunk([self.rows[place] for place in kept], self.largest, lookbacks)


def largest_context(config: AutoARConfig, data: TrainingData, fitting: Panel, order: int) -> int:
    """Past values that the maps take: at most ``max_lookback``, and few enough that the data can carry them.

    At least half of the windows with a single past value must be left, and half of the series that carry any, lest the
    shorter series fall out.
    """
    if config.lookback is not None:
        return max(1, config.lookback + order)
    stretches = data.stretches(fitting, 0)
    windows = stretches.windows(1 + config.horizon) / 2
    series = stretches.series(SMALLEST_SERIES + config.horizon) / 2

    def is_enough(context: int) -> bool:
        length = context + config.horizon
        carries = stretches.windows(length) >= windows and stretches.series(length) >= series
        return carries and stretches.steps(length) >= STEPS_PER_COEFFICIENT * (context + 1)

    return largest_that(is_enough, 0, config.max_lookback)


def pool_of(config: AutoARConfig, data: TrainingData, panel: Panel, context: int, orders: Sequence[int]) -> Pool:
    """Moments of all channels of a part of the data."""
    part = ArrayPart(data, panel)
    regressions = {
        order: nested_regression(part.window_moments(context - order + 1, diff_order=order)) for order in orders
    }
    return Pool(part.window_moments(context + config.horizon), regressions)


def candidates_of(config: AutoARConfig, pool: Pool, *, season: int) -> list[Candidate]:
    """Pooled candidates, and those per channel if they are asked for.

    Pooled ones are always there: series that were not in the training data have no others.

    Args:
        config: Settings.
        pool: Moments of the rows that candidates are estimated on.
        season: Steps in a season; 1 for none.
    """
    pooled, local = [], []
    if config.strategy != "direct":
        pooled += [Candidate(True, order, _lookback(config, pool, order)) for order in pool.regressions]
        local += [Candidate(False, order) for order in pool.regressions]
    if config.strategy != "recursive":
        pooled += [Candidate(True, ridge=ridge) for ridge in RIDGES]
        local += [Candidate(False, ridge=ridge) for ridge in RIDGES]
    if config.strategy == "auto" and 0 in pool.regressions:  # it returns to a mean, as they do
        pooled.append(Candidate(True, is_harmonic=True, season=season))
        local.append(Candidate(False, is_harmonic=True, season=season))
    if config.strategy == "auto":
        pooled += [Candidate(True, smoothing=smoothing, season=season) for smoothing in SMOOTHINGS]
    return pooled + (local if config.pooled_over != "pooled" else [])


def _lookback(config: AutoARConfig, pool: Pool, order: int) -> int:
    """Lookback of the pooled auto-regression of one differencing order."""
    if config.lookback is not None:
        return config.lookback
    regression = pool.regressions[order]
    if config.criterion == "horizon_bic":
        errors = horizon_errors(regression, pool.levels, diff_order=order, horizon=config.horizon).mean(1)
        return int(horizon_bic(errors, pool.levels.count * config.horizon).argmin())
    return int(information_criterion(config.one_step_criterion, regression.rss, regression.count).argmin())


def chunks_of(plan: Plan, fitting: Panel) -> Iterator[Chunk]:
    """Channels in groups of bounded size that can carry the same lookbacks, so that none depends on another."""
    config, data = plan.config, plan.data
    bound = plan.context - max(plan.orders, default=0)
    largest = {row: min(bound, _own_lookback(config, fitting, row)) for row in data.rows}
    horizon, window = config.horizon, plan.context + config.horizon
    elements = 3 * (len(plan.candidates) * horizon * (plan.context + 1) + window**2)
    size = max(1, _CHUNK_ELEMENTS // elements)
    for carried, alike in groupby(sorted(data.rows, key=largest.__getitem__), key=largest.__getitem__):
        while rows := list(islice(alike, size)):
            lookbacks = {order: _chosen_lookbacks(plan, fitting, rows, carried, order) for order in plan.orders}
            yield Chunk(rows, carried, lookbacks)


def _own_lookback(config: AutoARConfig, fitting: Panel, row: int) -> int:
    """Largest lookback that the auto-regression of one channel can carry, below 0 if none."""
    lengths = gap_free_lengths(fitting.channels[row]) - MAX_DIFF_ORDER
    if config.lookback is not None:
        is_enough = np.maximum(lengths - config.lookback, 0).sum() >= config.lookback + 2
        return config.lookback if is_enough else -1
    return largest_that(
        lambda lookback: bool(np.maximum(lengths - lookback, 0).sum() >= STEPS_PER_COEFFICIENT * (lookback + 2)),
        -1,
        int(lengths.max(initial=0)),
    )


def _chosen_lookbacks(plan: Plan, fitting: Panel, rows: list[int], largest: int, order: int) -> Tensor:
    if plan.config.lookback is not None or largest < 0 or not plan.local:
        return torch.full((len(rows),), max(largest, 0), device=plan.data.device)
    moments = channel_moments(plan.data.block(fitting, rows, diff_order=order), largest + 1)
    return local_lookbacks(plan.config.one_step_criterion, moments)


def all_maps(plan: Plan, panel: Panel, chunk: Chunk, levels: ChannelMoments, pooled: Maps) -> Maps:
    """Maps of all candidates for every channel of a chunk, ``(C, N, H, K)`` and ``(C, N, H)``."""
    weights, bias = (part.expand(len(chunk.rows), *part.shape) for part in pooled)
    if not plan.local:
        return weights, bias
    orders = [candidate.diff_order for candidate in plan.local if candidate.diff_order is not None]
    parts = [(weights, bias), *(_local_recursive(plan, panel, chunk, order, pooled) for order in orders)]
    ridges = [candidate.ridge for candidate in plan.local if candidate.ridge is not None]
    if ridges:
        own = direct_regression(levels, plan.config.horizon).maps(levels.total.new_tensor(ridges))
        shared = [index for index, candidate in enumerate(plan.pooled) if candidate.ridge is not None]
        parts.append(_where(levels.count >= _FEWEST_WINDOWS, own, (weights[:, shared], bias[:, shared])))
    seasons = [candidate.season for candidate in plan.local if candidate.is_harmonic]
    parts += [_local_harmonic(plan, levels, season, pooled) for season in seasons]
    return torch.cat([part[0] for part in parts], 1), torch.cat([part[1] for part in parts], 1)


def _local_recursive(plan: Plan, panel: Panel, chunk: Chunk, order: int, pooled: Maps) -> Maps:
    """Maps of one auto-regression per channel; of the pooled one where channels are too short for their own."""
    shared = next(index for index, candidate in enumerate(plan.pooled) if candidate.diff_order == order)
    weights, bias = (part[shared].expand(len(chunk.rows), 1, *part.shape[1:]) for part in pooled)
    if chunk.largest < 0:
        return weights, bias
    moments = channel_moments(plan.data.block(panel, chunk.rows, diff_order=order), chunk.largest + 1)
    is_own = moments.count > chunk.largest + 1
    if not bool(is_own.any()):
        return weights, bias
    lookbacks = chunk.lookbacks[order]
    own = local_recursive_maps(_usable(moments, is_own), lookbacks, order, plan.config.horizon, plan.context)
    return _where(is_own, (own[0][:, None], own[1][:, None]), (weights, bias))


def _local_harmonic(plan: Plan, levels: ChannelMoments, season: int, pooled: Maps) -> Maps:
    """Maps of one harmonic regression per channel; of the pooled one where channels have too few windows."""
    shared = next(index for index, candidate in enumerate(plan.pooled) if candidate.is_harmonic)
    weights, bias = (part[shared].expand(len(levels.count), 1, *part.shape[1:]) for part in pooled)
    is_own = levels.count >= _FEWEST_WINDOWS
    if not bool(is_own.any()):
        return weights, bias
    own = harmonic_maps(_usable(levels, is_own), season, plan.config.horizon, criterion=plan.config.one_step_criterion)
    return _where(is_own, (own[0][:, None], own[1][:, None]), (weights, bias))


def _usable(moments: ChannelMoments, is_own: Tensor) -> ChannelMoments:
    """Moments in which any windows stand in the place of too few: the map made from them is not used."""
    donor = int(is_own.int().argmax())
    kept = torch.where(is_own, torch.arange(len(is_own), device=is_own.device), donor)
    return ChannelMoments(moments.count[kept], moments.total[kept], moments.gram[kept])


def _where(is_own: Tensor, own: Maps, shared: Maps) -> Maps:
    return (
        torch.where(is_own[:, None, None, None], own[0], shared[0]),
        torch.where(is_own[:, None, None], own[1], shared[1]),
    )
