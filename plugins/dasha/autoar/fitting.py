"""The Auto-AR procedure: scale, difference, search the lookback, estimate on everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.config import AutoARConfig
from dasha.autoar.device import resolve_device
from dasha.autoar.differencing import kpss_order, level_coefficients
from dasha.autoar.fitted import FittedAR, FittedMaps
from dasha.autoar.forecast import fill_missing
from dasha.autoar.moments import window_moments
from dasha.autoar.panel import Panel, Scale
from dasha.autoar.residuals import residual_std
from dasha.autoar.selection import (
    HORIZON_CRITERIA,
    horizon_bic,
    horizon_errors,
    information_criterion,
    nested_regression,
)
from dasha.autoar.strategies import fit_maps
from dasha.autoar.training import STEPS_PER_COEFFICIENT, Stretches, TrainingData, held_out_rows
from dasha.errors import InvalidSeriesError, SeriesTooShortError
from dasha.types import FloatArray

_MIN_ROWS = 4


def fit_auto_ar(config: AutoARConfig, train: list[FloatArray], validation: list[FloatArray] | None) -> FittedAR:
    """Run the whole procedure.

    Args:
        config: Checked settings.
        train: Series ``(T, C)``; they alone give mean and standard deviation.
        validation: Rows that follow each series, or None.

    Returns:
        The fitted state; its coefficients are estimated on training and validation rows together.

    Raises:
        InvalidSeriesError: If no series holds any value.
        SeriesTooShortError: If there is too little data for what was asked.
    """
    training = Panel.of(train)
    mean, std = training.moments()
    if np.isnan(mean).all():
        raise InvalidSeriesError("series hold no value at all, only missing ones; check how the data was read")
    joined = train if validation is None else [np.vstack(pair) for pair in zip(train, validation, strict=True)]
    data = TrainingData(Panel.of(joined), training.varying(), mean, std, resolve_device(config.device))
    if not data.rows:
        return _constant_model(data, joined)
    order = config.diff_order
    if isinstance(order, str):
        order = kpss_order(data.panel.channels[row] for row in data.rows)
    # Next to maps, the auto-regression fills gaps: the rows are all its own, and one step is its horizon.
    chosen_by = config.one_step_criterion if config.needs_maps else config.criterion
    base = replace(config, strategy="recursive", pooling="pooled", criterion=chosen_by)
    path = np.empty(0)
    if config.lookback is None:
        path = _criterion_path(base, data, order, held_out_rows(base, train, validation))
        lookback = int(np.argmin(path))
    else:
        lookback = config.lookback
        _require_rows(data, order, lookback)
    maps = fit_maps(config, data, order, held_out_rows(config, train, validation)) if config.needs_maps else None
    return _estimate(data, order, lookback, path, joined, maps)


def _values(blocks: Iterator[tuple[list[int], Tensor]]) -> Iterator[Tensor]:
    return (block for _, block in blocks)


def _criterion_path(config: AutoARConfig, data: TrainingData, order: int, held_out: np.ndarray) -> FloatArray:
    """Criterion of every lookback ``0 … P`` on one common sample, shape ``(P+1,)``."""
    lengths = np.array([len(channel) for channel in data.panel.channels])
    fitting = data.cut(np.zeros_like(lengths), lengths - held_out)
    ahead = config.horizon if config.criterion == "horizon_bic" else 1
    largest = _largest_lookback(config, data.stretches(fitting, order), ahead)
    moments = window_moments(_values(data.blocks(fitting, diff_order=order)), largest + 1, device=data.device)
    regression = nested_regression(moments)
    if config.criterion not in HORIZON_CRITERIA:
        return information_criterion(config.criterion, regression.rss, regression.count).cpu().numpy()
    context = max(1, largest + order)
    scored = fitting
    if config.criterion == "validation":
        scored = data.cut(np.maximum(lengths - held_out - context, 0), np.where(held_out > 0, lengths, 0))
    windows = window_moments(_values(data.blocks(scored)), context + config.horizon, device=data.device)
    if windows.count == 0:
        raise SeriesTooShortError(
            f"criterion={config.criterion!r} with horizon={config.horizon} and a context of {context} steps finds no "
            "gap-free window to score; shorten horizon or max_lookback, or use criterion='bic'"
        )
    mse = horizon_errors(regression, windows, diff_order=order, horizon=config.horizon).mean(1)
    if config.criterion == "horizon_bic":
        mse = horizon_bic(mse, windows.count * config.horizon)
    return mse.cpu().numpy()


def _largest_lookback(config: AutoARConfig, stretches: Stretches, ahead: int) -> int:
    """Largest lookback that the data can carry, at most ``max_lookback - d``."""
    order = stretches.diff_order
    needed = max(order + _MIN_ROWS, max(1, order) + ahead)
    if stretches.windows(1) < _MIN_ROWS or (ahead > 1 and stretches.longest < max(1, order) + ahead):
        raise SeriesTooShortError(
            f"the longest gap-free stretch to fit on has {stretches.longest} steps, but diff_order={order} and "
            f"criterion={config.criterion!r} with horizon={config.horizon} need at least {needed}; supply more "
            "history, lower diff_order or horizon, or use criterion='bic'"
        )
    low, high = 0, max(0, config.max_lookback - order)
    while low < high:
        middle = (low + high + 1) // 2
        is_enough = stretches.steps(middle + 1) >= STEPS_PER_COEFFICIENT * (middle + 2)
        low, high = (middle, high) if is_enough and stretches.windows(middle + ahead) else (low, middle - 1)
    return low


def _require_rows(data: TrainingData, order: int, lookback: int) -> None:
    stretches = data.stretches(data.panel, order)
    rows = stretches.windows(lookback + 1)
    if rows < lookback + 2:
        raise SeriesTooShortError(
            f"lookback={lookback} with diff_order={order} leaves {rows} observations for {lookback + 1} coefficients "
            f"(the longest gap-free stretch has {stretches.longest} steps); shorten lookback or supply more history"
        )


def _estimate(
    data: TrainingData,
    order: int,
    lookback: int,
    path: FloatArray,
    joined: list[FloatArray],
    maps: FittedMaps | None,
) -> FittedAR:
    """Least squares at the chosen lookback on every row there is, and the units of the residuals."""
    moments = window_moments(_values(data.blocks(diff_order=order)), lookback + 1, device=data.device)
    regression = nested_regression(moments)
    intercept, coefficients = regression.coefficients(lookback)
    freedom = moments.count / max(1, moments.count - lookback - 1)
    variance = float(regression.rss[lookback]) / moments.count
    spread = float(regression.rss[0]) / moments.count
    sigma = residual_std(
        data.blocks(diff_order=order),
        coefficients,
        intercept,
        channels=len(data.std),
        pooled=variance**0.5,
    )
    scales = _scales(data, sigma * freedom**0.5 * data.std)
    levels = level_coefficients(coefficients, order)
    context = levels.shape[0] if maps is None else maps.context
    return FittedAR(
        diff_order=order,
        coefficients=coefficients.cpu().numpy(),
        intercept=float(intercept),
        criterion_path=path,
        count=moments.count,
        jitter=regression.jitter,
        ratio=(freedom * variance / spread) ** 0.5 if spread > 0 else 0.0,
        scales=scales,
        tails=[_tail(*pair, levels, intercept, context) for pair in zip(joined, scales, strict=True)],
        maps=maps,
    )


def _scales(data: TrainingData, sigma: FloatArray) -> list[Scale]:
    bounds = zip(data.panel.offsets[:-1], data.panel.offsets[1:], strict=True)
    return [Scale(data.mean[a:b], data.std[a:b], sigma[a:b]) for a, b in bounds]


def _tail(matrix: FloatArray, scale: Scale, levels: Tensor, intercept: Tensor, context: int) -> FloatArray:
    """Last rows that a forecast needs, gaps filled from everything before them."""
    if np.isnan(matrix[-context:]).any():
        standardised = torch.from_numpy(np.ascontiguousarray(((matrix - scale.mean) / scale.unit).T)).to(levels.device)
        drift = intercept * torch.from_numpy(scale.std > 0).to(levels.device)  # a constant channel has none
        filled = fill_missing(standardised, levels, drift).T.cpu().numpy() * scale.unit + scale.mean
        matrix = np.where(np.isnan(matrix), filled, matrix)
    return matrix[-context:].copy()


def _constant_model(data: TrainingData, joined: list[FloatArray]) -> FittedAR:
    """Nothing varies: every forecast is the constant itself, without any spread."""
    zero = torch.zeros(1, dtype=torch.float64)
    scales = _scales(data, np.zeros_like(data.std))
    return FittedAR(
        diff_order=0,
        coefficients=np.empty(0),
        intercept=0.0,
        criterion_path=np.empty(0),
        count=0,
        jitter=0.0,
        ratio=0.0,
        scales=scales,
        tails=[_tail(*pair, zero, zero[0], 1) for pair in zip(joined, scales, strict=True)],
    )
