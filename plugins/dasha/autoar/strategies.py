"""Strategies beyond the paper's: linear forecasters for one horizon, weighed by their errors on validation rows.

Every candidate is a linear map, so that its errors, and those of any weighted mean, follow from the moments of the
validation windows. Channels go through in chunks: their moments are made, used and dropped.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.config import AutoARConfig
from dasha.autoar.fitted import FittedMaps, Selection
from dasha.autoar.panel import Panel
from dasha.autoar.plan import Chunk, Maps, Plan, all_maps, candidates_of, chunks_of, largest_context, pool_of
from dasha.autoar.smoothing import season_of
from dasha.autoar.stacking import error_covariance, error_products
from dasha.autoar.training import TrainingData
from dasha.autoar.weighing import (
    Products,
    Shares,
    Trial,
    candidate_errors,
    fold_sizes,
    folds,
    score,
    together,
    weigh,
    weighted_errors,
)
from dasha.errors import SeriesTooShortError, ValidationTooShortError
from dasha.types import FloatArray


def fit_maps(config: AutoARConfig, data: TrainingData, order: int, held_out: np.ndarray) -> FittedMaps:
    """Estimate the candidates, weigh them on the held-out rows, and estimate them again on everything.

    Args:
        config: Settings with a strategy of this module.
        data: Training and validation rows together.
        order: Differencing order that KPSS chose, or that was given.
        held_out: Rows at the end of every channel that only weigh the candidates, shape ``(C_total,)``.

    Raises:
        ValidationTooShortError: If rows are held out, but of no channel as many as the horizon.
        SeriesTooShortError: If no window fits into the held-out rows and what is before them, or too few past values
            are left to difference.
    """
    lengths = np.array([len(channel) for channel in data.panel.channels])
    fitting = data.cut(np.zeros_like(lengths), lengths - held_out)
    is_open = config.diff_order == "kpss"
    context = largest_context(config, data, fitting, max(1, order) if is_open and config.strategy == "auto" else order)
    orders = _orders_tried(config, data, fitting, order, context) if is_open else [order]
    scored = data.cut(np.maximum(lengths - held_out - context, 0), np.where(held_out > 0, lengths, 0))
    if not all(data.stretches(part, 0).windows(max(1, context) + config.horizon) for part in (fitting, scored)):
        raise _no_window(config, data, fitting, held_out, context)
    if config.lookback is None and context <= orders[-1]:
        raise SeriesTooShortError(_hardly_any_past(config, orders[-1], context))
    pool = pool_of(config, data, fitting, context, orders)
    season = season_of(data, fitting, context) if config.strategy == "auto" else 1
    plan = Plan(config, data, context, candidates_of(config, pool, season=season))
    chunks = list(chunks_of(plan, fitting))
    trials = [Trial(fitting, scored), *folds(plan, fitting)]
    pools = chain([pool], (pool_of(config, data, trial.fitting, context, plan.orders) for trial in trials[1:]))
    products = together([score(plan, chunks, *pair) for pair in zip(trials, pools, strict=True)])
    return _combine(plan, chunks, trials, products, weigh(plan, products))


def _no_window(
    config: AutoARConfig, data: TrainingData, fitting: Panel, held_out: np.ndarray, context: int
) -> SeriesTooShortError:
    most, horizon = int(held_out[data.rows].max()), config.horizon
    asked = f"strategy={config.strategy!r} with horizon={horizon}"
    if 0 < most < horizon:
        return ValidationTooShortError(
            f"validation has {most} rows at most of a series, but {asked} needs at least {horizon}; pass more of them, "
            "shorten horizon, or leave validation out: the last validation_fraction of each series is then held out",
            rows=most,
        )
    length = max(1, context) + horizon
    has_fitting = data.stretches(fitting, 0).windows(length) > 0
    where = f"whose last {horizon} are validation rows" if has_fitting else "before the validation rows"
    return SeriesTooShortError(
        f"{asked} finds no gap-free stretch of {length} steps {where}; shorten horizon or lookback, supply more "
        "history, or use strategy='recursive' with pooling='pooled'"
    )


def _hardly_any_past(config: AutoARConfig, order: int, context: int) -> str:
    asked = (
        f"strategy={config.strategy!r} with horizon={config.horizon} and differencing order {order} needs at least "
        f"{order + 1} past values, but "
    )
    if context == config.max_lookback:
        return f"{asked}max_lookback is {context}; raise max_lookback, or lower diff_order"
    return (
        f"{asked}the rows before the validation rows carry {context}, with four time steps per coefficient and half of "
        "all windows and series left; supply more history, shorten horizon, lower diff_order, or use "
        "strategy='recursive' with pooling='pooled'"
    )


def _orders_tried(config: AutoARConfig, data: TrainingData, fitting: Panel, order: int, context: int) -> list[int]:
    """Differencing orders of the auto-regressions that are weighed.

    KPSS asks for order 2 where some of many channels do; order 1 is always worth a try then. ``strategy="auto"`` tries
    it with the lower orders, too, and levels around a fixed mean where most channels show more than one season: on a
    single stretch of validation rows they win or lose by luck.
    """
    if order > 1:
        return [1, order]
    if config.strategy != "auto":
        return [order]
    sizes = fold_sizes(fitting, context=context, horizon=config.horizon)[data.rows]
    return sorted({1, order, *([0] if (sizes > 0).mean() >= 0.5 else [])})


def _combine(plan: Plan, chunks: list[Chunk], trials: list[Trial], products: Products, shares: Shares) -> FittedMaps:
    """Weighted maps, estimated on everything, with the spread of their errors.

    The errors on the rows that the maps were estimated on are too small. By how much is measured where both are known:
    on the validation windows, which the trial maps had not seen.
    """
    device, panel = plan.data.device, plan.data.panel
    final = pool_of(plan.config, plan.data, panel, plan.context, plan.orders)
    pooled = plan.pooled_maps(final)
    common = torch.from_numpy(shares.common[: len(plan.pooled)]).to(device)
    first = torch.einsum("n,nhk->hk", common, pooled[0]), common @ pooled[1]
    maps = [(first[0][None], first[1][None])]
    errors = error_covariance(*maps[0], final.levels.as_channel())[0]
    variances, correlation = errors.diagonal().repeat(1 + len(plan.data.std), 1), torch.zeros_like(errors)
    achieved = torch.zeros(len(plan.data.std), dtype=torch.float64, device=device)
    groups = np.zeros(len(plan.data.std), dtype=np.int64)
    for chunk in chunks:
        levels = plan.levels(panel, chunk.rows)
        weights, bias = all_maps(plan, panel, chunk, levels, pooled)
        share = torch.from_numpy(shares.weights[chunk.rows]).to(device)
        own = torch.einsum("cn,cnhk->chk", share, weights), torch.einsum("cn,cnh->ch", share, bias)
        covariance = error_covariance(*own, levels)
        variance = covariance.diagonal(dim1=1, dim2=2)
        rows = torch.tensor(chunk.rows, device=device)
        variances[1 + rows] = torch.where(levels.count[:, None] > 0, variance, variances[0])
        root = variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()
        correlation += (covariance / (root[:, :, None] * root[:, None, :])).sum(0)
        achieved[rows] = _mean_errors(plan, chunk, trials, own)
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
        factor=_correlation_factor(correlation).contiguous().cpu().numpy(),
        selection=_selection(plan, products, shares),
    )


def _mean_errors(plan: Plan, chunk: Chunk, trials: list[Trial], maps: Maps) -> Tensor:
    """Mean squared error of one map per channel over the scored windows of all trials, shape ``(C,)``."""
    squares, count = torch.zeros(2, len(chunk.rows), dtype=maps[1].dtype, device=maps[1].device)
    for trial in trials:
        scored = trial.rows(plan)
        places = [place for place, row in enumerate(chunk.rows) if row in scored]
        if places:
            levels = plan.levels(trial.scored, [chunk.rows[place] for place in places])
            errors = error_products(maps[0][places, None], maps[1][places, None], levels).mean((1, 2, 3))
            squares[places] += levels.count * errors
            count[places] += levels.count
    mean: Tensor = squares / count.clamp(min=1.0)
    return mean


def _optimism(products: Products, weights: FloatArray, achieved: FloatArray) -> float:
    """How much larger the errors on unseen rows are, in mean squares over the validation windows; at least 1."""
    scored = products.windows > 0
    unseen = weighted_errors(products, weights)
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


def _selection(plan: Plan, products: Products, shares: Shares) -> Selection:
    return Selection(
        names=tuple(map(str, plan.candidates)),
        errors=candidate_errors(products),
        error=float(weighted_errors(products, shares.weights).mean()),
        weights=shares.weights,
        common=shares.common,
    )
