"""Strategies beyond the paper's: linear forecasters for one horizon, weighed by their errors on validation rows.

Every candidate is a linear map, so that its errors, and those of any weighted mean, follow from the moments of the
validation windows. Channels go through in chunks: their moments are made, used and dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.candidates import RIDGES, Candidate, Pool, local_lookbacks, local_recursive_maps, pooled_maps
from dasha.autoar.config import AutoARConfig
from dasha.autoar.differencing import MAX_DIFF_ORDER
from dasha.autoar.direct import direct_regression
from dasha.autoar.fitted import FittedMaps, Selection
from dasha.autoar.moments import ChannelMoments, WindowMoments, channel_moments, window_moments
from dasha.autoar.panel import Panel, gap_free_lengths
from dasha.autoar.selection import (
    NestedRegression,
    information_criterion,
    nested_regression,
)
from dasha.autoar.stacking import error_covariance, error_products, stacked_weights
from dasha.autoar.training import STEPS_PER_COEFFICIENT, TrainingData
from dasha.errors import SeriesTooShortError
from dasha.types import FloatArray

# Elements of the maps and moments of one chunk of channels.
_CHUNK_ELEMENTS = 1 << 26
# A channel with fewer windows of past and future takes the pooled direct regression in the place of its own.
_FEWEST_WINDOWS = 2

Maps = tuple[Tensor, Tensor]


def fit_maps(config: AutoARConfig, data: TrainingData, order: int, held_out: np.ndarray) -> FittedMaps:
    """Estimate the candidates, weigh them on the held-out rows, and estimate them again on everything.

    Args:
        config: Settings with a strategy of this module.
        data: Training and validation rows together.
        order: Differencing order that KPSS chose, or that was given.
        held_out: Rows at the end of every channel that only weigh the candidates, shape ``(C_total,)``.

    Raises:
        SeriesTooShortError: If no window fits into the held-out rows and what is before them.
    """
    lengths = np.array([len(channel) for channel in data.panel.channels])
    fitting = data.cut(np.zeros_like(lengths), lengths - held_out)
    orders = sorted({0, 1, order}) if config.strategy == "auto" and config.diff_order == "kpss" else [order]
    context = _largest_context(config, data, fitting, orders[-1])
    scored = data.cut(np.maximum(lengths - held_out - context, 0), np.where(held_out > 0, lengths, 0))
    if context <= orders[-1] or not data.stretches(scored, 0).windows(context + config.horizon):
        raise SeriesTooShortError(
            f"strategy={config.strategy!r} with horizon={config.horizon} finds no gap-free stretch of "
            f"{max(1, context) + config.horizon} steps whose last {config.horizon} are validation rows; shorten "
            "horizon or max_lookback, supply more history, or use strategy='recursive' with pooling='pooled'"
        )
    trial = _pool(config, data, fitting, context, orders)
    plan = _Plan(config, data, context, _candidates(config, trial))
    chunks = list(_chunks(plan, fitting))
    products = _score(plan, chunks, fitting, scored, trial)
    final = _pool(config, data, data.panel, context, orders)
    return _combine(plan, chunks, scored, final, products, _weigh(plan, products))


@dataclass(frozen=True)
class _Plan:
    """What stays the same from trial to final estimation; pooled candidates come first."""

    config: AutoARConfig
    data: TrainingData
    context: int
    candidates: list[Candidate]

    @property
    def pooled(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.is_pooled]

    @property
    def local(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if not candidate.is_pooled]

    def levels(self, panel: Panel, rows: list[int]) -> ChannelMoments:
        """Moments of windows of past and future of some channels."""
        return channel_moments(self.data.block(panel, rows), self.context + self.config.horizon)


@dataclass(frozen=True)
class _Chunk:
    """Channels that go through together.

    Attributes:
        rows: Their numbers.
        largest: Largest lookback of an auto-regression of their own; below 0 if they cannot carry one.
        lookbacks: Chosen lookbacks by differencing order, each of shape ``(len(rows),)``.
    """

    rows: list[int]
    largest: int
    lookbacks: dict[int, Tensor]


@dataclass(frozen=True)
class _Shares:
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


@dataclass(frozen=True)
class _Products:
    """Errors of the candidates on the validation windows.

    Attributes:
        mean: Products of the errors of two candidates, mean over steps and windows, shape ``(C_total, N, N)``.
        windows: Windows that do not overlap in what they forecast, shape ``(C_total,)``.
    """

    mean: FloatArray
    windows: FloatArray


def _largest_context(config: AutoARConfig, data: TrainingData, fitting: Panel, order: int) -> int:
    """Past values that the maps take: at most ``max_lookback``, and few enough that the data can carry them.

    At least half of the windows with a single past value must be left, lest the shorter series fall out.
    """
    if config.lookback is not None:
        return max(1, config.lookback + order)
    stretches = data.stretches(fitting, 0)
    fewest = stretches.windows(1 + config.horizon) / 2
    low, high = 0, config.max_lookback
    while low < high:
        middle = (low + high + 1) // 2
        length = middle + config.horizon
        is_enough = stretches.steps(length) >= STEPS_PER_COEFFICIENT * (middle + 1)
        low, high = (middle, high) if is_enough and stretches.windows(length) >= fewest else (low, middle - 1)
    return low


def _pool(config: AutoARConfig, data: TrainingData, panel: Panel, context: int, orders: Sequence[int]) -> Pool:
    """Moments of all channels of a part of the data."""

    def moments(length: int, order: int) -> WindowMoments:
        blocks = (block for _, block in data.blocks(panel, diff_order=order))
        return window_moments(blocks, length, device=data.device)

    regressions = {order: nested_regression(moments(context - order + 1, order)) for order in orders}
    return Pool(moments(context + config.horizon, 0), regressions)


def _candidates(config: AutoARConfig, pool: Pool) -> list[Candidate]:
    """Pooled candidates, and those per channel if they are asked for.

    Pooled ones are always there: series that were not in the training data have no others.
    """
    pooled, local = [], []
    if config.strategy != "direct":
        for order, regression in pool.regressions.items():
            pooled.append(Candidate(True, order, _lookback(config, regression)))
        local += [Candidate(False, order) for order in pool.regressions]
    if config.strategy != "recursive":
        pooled += [Candidate(True, ridge=ridge) for ridge in RIDGES]
        local += [Candidate(False, ridge=ridge) for ridge in RIDGES]
    return pooled + (local if config.pooled_over != "pooled" else [])


def _lookback(config: AutoARConfig, regression: NestedRegression) -> int:
    """Lookback of the pooled auto-regression of one differencing order."""
    if config.lookback is not None:
        return config.lookback
    return int(information_criterion(config.one_step_criterion, regression.rss, regression.count).argmin())


def _chunks(plan: _Plan, fitting: Panel) -> Iterator[_Chunk]:
    """Channels in groups of bounded size that can carry similar lookbacks."""
    config, data = plan.config, plan.data
    orders = sorted({candidate.diff_order for candidate in plan.candidates if candidate.diff_order is not None})
    bound = plan.context - max(orders, default=0)
    largest = {row: min(bound, _own_lookback(config, fitting, row)) for row in data.rows}
    horizon, window = config.horizon, plan.context + config.horizon
    elements = 3 * (len(plan.candidates) * horizon * (plan.context + 1) + window**2)
    size = max(1, _CHUNK_ELEMENTS // elements)
    waiting = sorted(data.rows, key=lambda row: -largest[row])
    while waiting:
        first = largest[waiting[0]]
        rows = [row for row in waiting[:size] if 2 * largest[row] >= first]
        waiting = waiting[len(rows) :]
        carried = largest[rows[-1]]
        yield _Chunk(rows, carried, {order: _chosen_lookbacks(plan, fitting, rows, carried, order) for order in orders})


def _own_lookback(config: AutoARConfig, fitting: Panel, row: int) -> int:
    """Largest lookback that the auto-regression of one channel can carry, below 0 if none."""
    lengths = gap_free_lengths(fitting.channels[row]) - MAX_DIFF_ORDER
    if config.lookback is not None:
        is_enough = np.maximum(lengths - config.lookback, 0).sum() >= config.lookback + 2
        return config.lookback if is_enough else -1
    low, high = -1, int(lengths.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        is_enough = np.maximum(lengths - middle, 0).sum() >= STEPS_PER_COEFFICIENT * (middle + 2)
        low, high = (middle, high) if is_enough else (low, middle - 1)
    return low


def _chosen_lookbacks(plan: _Plan, fitting: Panel, rows: list[int], largest: int, order: int) -> Tensor:
    if plan.config.lookback is not None or largest < 0 or not plan.local:
        return torch.full((len(rows),), max(largest, 0), device=plan.data.device)
    moments = channel_moments(plan.data.block(fitting, rows, diff_order=order), largest + 1)
    return local_lookbacks(plan.config.one_step_criterion, moments)


def _all_maps(plan: _Plan, panel: Panel, chunk: _Chunk, levels: ChannelMoments, pooled: Maps) -> Maps:
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
    return torch.cat([part[0] for part in parts], 1), torch.cat([part[1] for part in parts], 1)


def _local_recursive(plan: _Plan, panel: Panel, chunk: _Chunk, order: int, pooled: Maps) -> Maps:
    """Maps of one auto-regression per channel; of the pooled one where channels are too short for their own."""
    if chunk.largest < 0:
        shared = next(index for index, candidate in enumerate(plan.pooled) if candidate.diff_order == order)
        weights, bias = (part[shared].expand(len(chunk.rows), *part.shape[1:]) for part in pooled)
    else:
        moments = channel_moments(plan.data.block(panel, chunk.rows, diff_order=order), chunk.largest + 1)
        weights, bias = local_recursive_maps(moments, chunk.lookbacks[order], order, plan.config.horizon, plan.context)
    return weights[:, None], bias[:, None]


def _where(is_own: Tensor, own: Maps, shared: Maps) -> Maps:
    return (
        torch.where(is_own[:, None, None, None], own[0], shared[0]),
        torch.where(is_own[:, None, None], own[1], shared[1]),
    )


def _score(plan: _Plan, chunks: list[_Chunk], fitting: Panel, scored: Panel, trial: Pool) -> _Products:
    """Errors of all candidates, estimated on the fitting part, on the validation windows of every channel."""
    channels, size = len(plan.data.std), len(plan.candidates)
    mean, windows = np.zeros((channels, size, size)), np.zeros(channels)
    pooled = pooled_maps(plan.pooled, trial, plan.config.horizon)
    for chunk in chunks:
        weights, bias = _all_maps(plan, fitting, chunk, plan.levels(fitting, chunk.rows), pooled)
        levels = plan.levels(scored, chunk.rows)
        mean[chunk.rows] = error_products(weights, bias, levels).mean(1).cpu().numpy()
        apart = (levels.count - 1).clamp(min=0) / plan.config.horizon + (levels.count > 0)
        windows[chunk.rows] = apart.cpu().numpy()
    return _Products(mean, windows)


def _weigh(plan: _Plan, products: _Products) -> _Shares:
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
    return _Shares(weights, common)


def _stacked(plan: _Plan, products: _Products, allowed: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Weights of some candidates; without knowledge every kind has the same share."""
    kinds = [(plan.candidates[index].is_pooled, plan.candidates[index].is_recursive) for index in allowed.tolist()]
    prior = np.array([1.0 / (len(set(kinds)) * kinds.count(kind)) for kind in kinds])
    return stacked_weights(products.mean[:, allowed[:, None], allowed], products.windows, prior)


def _equal_weights(plan: _Plan, products: _Products, allowed: np.ndarray) -> FloatArray:
    """Equal weights for the best candidate of every kind."""
    errors = _candidate_errors(products)
    best: dict[tuple[bool, bool], int] = {}
    for index in allowed.tolist():
        kind = plan.candidates[index].is_pooled, plan.candidates[index].is_recursive
        if kind not in best or errors[index] < errors[best[kind]]:
            best[kind] = index
    weights = np.zeros(len(errors))
    weights[list(best.values())] = 1.0 / len(best)
    return weights


def _candidate_errors(products: _Products) -> FloatArray:
    """Mean squared error of every candidate over the channels that have validation windows."""
    errors: FloatArray = np.diagonal(products.mean[products.windows > 0], axis1=1, axis2=2).mean(0)
    return errors


def _combine(
    plan: _Plan, chunks: list[_Chunk], scored: Panel, final: Pool, products: _Products, shares: _Shares
) -> FittedMaps:
    """Weighted maps, estimated on everything, with the spread of their errors.

    The errors on the rows that the maps were estimated on are too small. By how much is measured where both are known:
    on the validation windows, which the trial maps had not seen.
    """
    device, panel = plan.data.device, plan.data.panel
    pooled = pooled_maps(plan.pooled, final, plan.config.horizon)
    common = torch.from_numpy(shares.common[: len(plan.pooled)]).to(device)
    first = torch.einsum("n,nhk->hk", common, pooled[0]), common @ pooled[1]
    maps = [(first[0][None], first[1][None])]
    errors = error_covariance(*maps[0], final.levels.as_channel())[0]
    variances, correlation = errors.diagonal().repeat(1 + len(plan.data.std), 1), torch.zeros_like(errors)
    achieved = torch.zeros(len(plan.data.std), dtype=torch.float64, device=device)
    groups = np.zeros(len(plan.data.std), dtype=np.int64)
    for chunk in chunks:
        levels = plan.levels(panel, chunk.rows)
        weights, bias = _all_maps(plan, panel, chunk, levels, pooled)
        share = torch.from_numpy(shares.weights[chunk.rows]).to(device)
        own = torch.einsum("cn,cnhk->chk", share, weights), torch.einsum("cn,cnh->ch", share, bias)
        covariance = error_covariance(*own, levels)
        variance = covariance.diagonal(dim1=1, dim2=2)
        rows = torch.tensor(chunk.rows, device=device)
        variances[1 + rows] = torch.where(levels.count[:, None] > 0, variance, variances[0])
        root = variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()
        correlation += (covariance / (root[:, :, None] * root[:, None, :])).sum(0)
        seen = error_products(own[0][:, None], own[1][:, None], plan.levels(scored, chunk.rows))
        achieved[rows] = seen.mean((1, 2, 3))
        if not shares.are_equal:
            groups[chunk.rows] = len(maps) + np.arange(len(chunk.rows))
            maps += [(own[0][i : i + 1], own[1][i : i + 1]) for i in range(len(chunk.rows))]
    spread = variances.clamp(min=0.0).sqrt() * _optimism(products, shares.weights, achieved.cpu().numpy()) ** 0.5
    weights, bias = (torch.cat([one[part] for one in maps]) for part in (0, 1))
    used = int((weights != 0).any(0).any(0).nonzero().max()) + 1 if bool((weights != 0).any()) else 1
    return FittedMaps(
        weights=weights[..., :used].contiguous().cpu().numpy(),
        bias=bias.cpu().numpy(),
        groups=groups,
        spread=spread.cpu().numpy(),
        factor=_correlation_factor(correlation).cpu().numpy(),
        selection=_selection(plan, products, shares),
    )


def _optimism(products: _Products, weights: FloatArray, achieved: FloatArray) -> float:
    """How much larger the errors on unseen rows are, in mean squares over the validation windows; at least 1."""
    scored = products.windows > 0
    unseen = np.einsum("cn,cnm,cm->c", weights, products.mean, weights)[scored]
    unit = np.maximum(unseen, 1e-12 * unseen.max(initial=0.0) + np.finfo(float).tiny)
    seen = float((achieved[scored] / unit).sum())
    return max(1.0, float((unseen / unit).sum()) / seen) if seen > 0 else 1.0


def _correlation_factor(correlation: Tensor) -> Tensor:
    """Lower Cholesky factor with rows of length 1 of a correlation matrix that may lack full rank."""
    size = len(correlation)
    scale = correlation.diagonal().mean().clamp(min=torch.finfo(correlation.dtype).tiny)
    identity = torch.eye(size, dtype=correlation.dtype, device=correlation.device)
    factor, jitter = identity, 1e-10
    while jitter < 1.0:
        factor, info = torch.linalg.cholesky_ex(correlation / scale + jitter * identity)
        if int(info) == 0:
            break
        factor, jitter = identity, 10 * jitter
    lengths: Tensor = torch.linalg.vector_norm(factor, dim=1, keepdim=True)
    return factor / lengths


def _selection(plan: _Plan, products: _Products, shares: _Shares) -> Selection:
    scored = products.windows > 0
    weighted = np.einsum("cn,cnm,cm->c", shares.weights, products.mean, shares.weights)[scored]
    return Selection(
        names=tuple(map(str, plan.candidates)),
        errors=_candidate_errors(products),
        error=float(weighted.mean()),
        weights=shares.weights,
        common=shares.common,
    )
