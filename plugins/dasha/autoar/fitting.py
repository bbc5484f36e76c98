"""The Auto-AR procedure: scale, difference, search the lookback, estimate on everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.config import AutoARConfig
from dasha.autoar.device import resolve_device
from dasha.autoar.differencing import difference, kpss_order, level_coefficients
from dasha.autoar.forecast import fill_missing
from dasha.autoar.moments import window_moments
from dasha.autoar.panel import Panel, Scale, gap_free_lengths
from dasha.autoar.residuals import residual_std
from dasha.autoar.selection import (
    HORIZON_CRITERIA,
    horizon_bic,
    horizon_errors,
    information_criterion,
    nested_regression,
)
from dasha.errors import InvalidSeriesError, SeriesTooShortError
from dasha.types import FloatArray

# With fewer time steps per unknown than this, in-sample criteria overfit, above all the one at the horizon. Channels of
# one series move together: a step of all of them counts once.
_STEPS_PER_COEFFICIENT = 4
_MIN_ROWS = 4


@dataclass(frozen=True)
class FittedAR:
    """Everything `dasha.autoar.AutoAR` learned, in plain arrays.

    Attributes:
        diff_order: Differencing order ``d``.
        coefficients: On ``d``-times differenced standardised data, shape ``(p,)``, lag 1 first.
        intercept: Of the same regression.
        criterion_path: Criterion of every lookback searched, shape ``(P+1,)``; empty when the lookback was given.
        count: Observations pooled in the final regression.
        jitter: Relative ridge the final regression needed; 0 unless lags are collinear to rounding.
        ratio: Residual over differenced standard deviation, pooled; gives the residual scale of unseen series.
        scales: Units of every training series, arrays ``(C,)``.
        tails: Last ``max(1, p + d)`` rows (fewer if the series is shorter) of every training series, in its units,
            gaps filled.
        is_list: Whether a list of series was given, so that forecasts come as a list.
    """

    diff_order: int
    coefficients: FloatArray
    intercept: float
    criterion_path: FloatArray
    count: int
    jitter: float
    ratio: float
    scales: list[Scale]
    tails: list[FloatArray]
    is_list: bool = False


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
    data = _TrainingData(Panel.of(joined), training.varying(), mean, std, resolve_device(config.device))
    if not data.rows:
        return _constant_model(data, joined)
    order = config.diff_order
    if isinstance(order, str):
        order = kpss_order(data.panel.channels[row] for row in data.rows)
    path = np.empty(0)
    if config.lookback is None:
        held_out = _held_out(config, train, validation)
        path = _criterion_path(config, data, order, held_out)
        lookback = int(np.argmin(path))
    else:
        lookback = config.lookback
        _require_rows(data, order, lookback)
    return _estimate(data, order, lookback, path, joined)


@dataclass(frozen=True)
class _TrainingData:
    """The panel with its units and the channels that take part."""

    panel: Panel
    rows: list[int]
    mean: FloatArray
    std: FloatArray
    device: torch.device

    def blocks(self, panel: Panel | None = None, *, diff_order: int = 0) -> Iterator[tuple[list[int], Tensor]]:
        """Channel numbers and standardised, differenced values of all channels that take part."""
        for rows, block in (panel or self.panel).blocks(self.rows, self.mean, self.std, self.device):
            yield rows, difference(block, diff_order)

    def cut(self, start: np.ndarray, stop: np.ndarray) -> Panel:
        """Part ``start[i]:stop[i]`` of every channel."""
        parts = zip(self.panel.channels, start.tolist(), stop.tolist(), strict=True)
        return Panel([channel[first:last] for channel, first, last in parts], self.panel.offsets)

    def stretches(self, panel: Panel, diff_order: int) -> _Stretches:
        """Gap-free stretches, after differencing, of all channels that take part."""
        series = np.searchsorted(panel.offsets, self.rows, side="right")
        weights = 1.0 / np.bincount(series)[series]
        lengths = [gap_free_lengths(panel.channels[row]) - diff_order for row in self.rows]
        return _Stretches(np.concatenate(lengths), np.repeat(weights, [len(part) for part in lengths]), diff_order)


@dataclass(frozen=True)
class _Stretches:
    """Gap-free stretches of differenced channels.

    Attributes:
        lengths: Steps in each.
        weights: One over the number of channels that take part in the same series.
        diff_order: Differencing order ``d``.
    """

    lengths: FloatArray
    weights: FloatArray
    diff_order: int

    def windows(self, length: int) -> int:
        """Windows of ``length`` values in all stretches together."""
        return int(np.maximum(self.lengths - length + 1, 0).sum())

    def steps(self, length: int) -> float:
        """The same, where windows of the channels of one series at one time count as one."""
        return float((self.weights * np.maximum(self.lengths - length + 1, 0)).sum())

    @property
    def longest(self) -> int:
        """Levels in the longest stretch."""
        return int(self.lengths.max(initial=-self.diff_order)) + self.diff_order


def _values(blocks: Iterator[tuple[list[int], Tensor]]) -> Iterator[Tensor]:
    return (block for _, block in blocks)


def _held_out(config: AutoARConfig, train: list[FloatArray], validation: list[FloatArray] | None) -> np.ndarray:
    """Rows at the end of every channel that only score the lookback."""
    if config.criterion != "validation":
        rows = [0] * len(train)
    elif validation is not None:
        rows = [len(matrix) for matrix in validation]
    else:
        wanted = [max(config.horizon, round(config.validation_fraction * len(matrix))) for matrix in train]
        # A series that would lose more than half of its rows is left to the estimation.
        rows = [count if 2 * count <= len(matrix) else 0 for count, matrix in zip(wanted, train, strict=True)]
    return np.repeat(rows, [matrix.shape[1] for matrix in train])


def _criterion_path(config: AutoARConfig, data: _TrainingData, order: int, held_out: np.ndarray) -> FloatArray:
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


def _largest_lookback(config: AutoARConfig, stretches: _Stretches, ahead: int) -> int:
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
        is_enough = stretches.steps(middle + 1) >= _STEPS_PER_COEFFICIENT * (middle + 2)
        low, high = (middle, high) if is_enough and stretches.windows(middle + ahead) else (low, middle - 1)
    return low


def _require_rows(data: _TrainingData, order: int, lookback: int) -> None:
    stretches = data.stretches(data.panel, order)
    rows = stretches.windows(lookback + 1)
    if rows < lookback + 2:
        raise SeriesTooShortError(
            f"lookback={lookback} with diff_order={order} leaves {rows} observations for {lookback + 1} coefficients "
            f"(the longest gap-free stretch has {stretches.longest} steps); shorten lookback or supply more history"
        )


def _estimate(data: _TrainingData, order: int, lookback: int, path: FloatArray, joined: list[FloatArray]) -> FittedAR:
    """Least squares at the chosen lookback on every row there is, and the units of the residuals."""
    differenced = _values(data.blocks(diff_order=order))
    regression = nested_regression(window_moments(differenced, lookback + 1, device=data.device))
    intercept, coefficients = regression.coefficients(lookback)
    freedom = regression.count / max(1, regression.count - lookback - 1)
    variance = float(regression.rss[lookback]) / regression.count
    spread = float(regression.rss[0]) / regression.count
    sigma = residual_std(
        data.blocks(diff_order=order),
        coefficients,
        intercept,
        channels=len(data.std),
        pooled=variance**0.5,
    )
    scales = _scales(data, sigma * freedom**0.5 * data.std)
    levels = level_coefficients(coefficients, order)
    return FittedAR(
        diff_order=order,
        coefficients=coefficients.cpu().numpy(),
        intercept=float(intercept),
        criterion_path=path,
        count=regression.count,
        jitter=regression.jitter,
        ratio=(freedom * variance / spread) ** 0.5 if spread > 0 else 0.0,
        scales=scales,
        tails=[_tail(*pair, levels, intercept) for pair in zip(joined, scales, strict=True)],
    )


def _scales(data: _TrainingData, sigma: FloatArray) -> list[Scale]:
    bounds = zip(data.panel.offsets[:-1], data.panel.offsets[1:], strict=True)
    return [Scale(data.mean[a:b], data.std[a:b], sigma[a:b]) for a, b in bounds]


def _tail(matrix: FloatArray, scale: Scale, levels: Tensor, intercept: Tensor) -> FloatArray:
    """Last rows that a forecast needs, gaps filled from everything before them."""
    context = levels.shape[0]
    if np.isnan(matrix[-context:]).any():
        standardised = torch.from_numpy(np.ascontiguousarray(((matrix - scale.mean) / scale.unit).T)).to(levels.device)
        drift = intercept * torch.from_numpy(scale.std > 0).to(levels.device)  # a constant channel has none
        filled = fill_missing(standardised, levels, drift).T.cpu().numpy() * scale.unit + scale.mean
        matrix = np.where(np.isnan(matrix), filled, matrix)
    return matrix[-context:].copy()


def _constant_model(data: _TrainingData, joined: list[FloatArray]) -> FittedAR:
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
        tails=[_tail(*pair, zero, zero[0]) for pair in zip(joined, scales, strict=True)],
    )
