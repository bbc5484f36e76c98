"""The Auto-AR procedure: scale, difference, search the lookback, estimate on everything."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from dasha.autoar.array_data import ArrayData
from dasha.autoar.config import AutoARConfig
from dasha.autoar.differencing import level_coefficients
from dasha.autoar.fit_data import FitData, Part
from dasha.autoar.fitted import FittedAR, FittedMaps
from dasha.autoar.gaps import LONGEST_BRIDGE
from dasha.autoar.panel import Scale
from dasha.autoar.residuals import root_mean_square
from dasha.autoar.selection import (
    HORIZON_CRITERIA,
    horizon_bic,
    horizon_errors,
    information_criterion,
    nested_regression,
)
from dasha.autoar.strategies import fit_maps
from dasha.autoar.training import SMALLEST_SERIES, STEPS_PER_COEFFICIENT, Stretches, held_out_rows, largest_that
from dasha.errors import DashaWarning, InvalidSeriesError, SeriesTooShortError
from dasha.types import FloatArray

_MIN_ROWS = 4
# Where gaps leave so many times fewer lookbacks to choose from, it is worth a word.
_FEWER_LOOKBACKS = 2


def fit_auto_ar(config: AutoARConfig, train: list[FloatArray], validation: list[FloatArray] | None) -> FittedAR:
    """Run the whole procedure on rows in memory.

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
    data = ArrayData.of(_base(config), train, validation)
    if not config.needs_maps:
        return fit_data(config, data)
    return fit_data(
        config, data, lambda order: fit_maps(config, data.training, order, held_out_rows(config, train, validation))
    )


def fit_data(config: AutoARConfig, data: FitData, make_maps: Callable[[int], FittedMaps] | None = None) -> FittedAR:
    """Run the procedure on rows or on sums of them.

    Args:
        config: Checked settings.
        data: Training and validation rows.
        make_maps: Makes the forecast maps of a strategy from the differencing order; None for the paper's strategy.

    Raises:
        InvalidSeriesError: If no series holds any value.
        SeriesTooShortError: If there is too little data for what was asked.
    """
    if np.isnan(data.mean).all():
        raise InvalidSeriesError("series hold no value at all, only missing ones; check how the data was read")
    if not data.rows:
        return _constant_model(data)
    order = config.diff_order
    if isinstance(order, str):
        order = data.kpss_order()
        if config.lookback is None:
            order = min(order, config.max_lookback)
    path = np.empty(0)
    if config.lookback is None:
        path = _criterion_path(_base(config), data, order)
        lookback = int(np.argmin(path))
    else:
        lookback = config.lookback
        _require_rows(data, order, lookback)
    maps = None if make_maps is None else make_maps(order)
    return _estimate(data, order, lookback, path, maps)


def _base(config: AutoARConfig) -> AutoARConfig:
    """Settings of the auto-regression: next to maps it fills gaps, the rows are all its own, one step its horizon."""
    chosen_by = config.one_step_criterion if config.needs_maps else config.criterion
    return replace(config, strategy="recursive", pooling="pooled", criterion=chosen_by)


def _criterion_path(config: AutoARConfig, data: FitData, order: int) -> FloatArray:
    """Criterion of every lookback ``0 … P`` on one common sample, shape ``(P+1,)``."""
    fitting = data.fitting
    ahead = config.horizon if config.criterion == "horizon_bic" else 1
    stretches = fitting.stretches(order)
    if not _carries_any(stretches, ahead):
        raise _too_short(config, fitting, order, ahead)
    largest = _largest_lookback(config, stretches, ahead)
    _warn_of_gaps(largest, _largest_lookback(config, stretches.without_gaps(), ahead), stretches)
    moments = fitting.window_moments(largest + 1, diff_order=order)
    regression = nested_regression(moments)
    if config.criterion not in HORIZON_CRITERIA:
        return information_criterion(config.criterion, regression.rss, regression.count).cpu().numpy()
    context = max(1, largest + order)
    scored = data.scored(context) if config.criterion == "validation" else fitting
    windows = scored.window_moments(context + config.horizon)
    if windows.count == 0:
        raise _nothing_to_score(config, data, context)
    mse = horizon_errors(regression, windows, diff_order=order, horizon=config.horizon).mean(1)
    if config.criterion == "horizon_bic":
        mse = horizon_bic(mse, windows.count * config.horizon)
    return mse.cpu().numpy()


def _nothing_to_score(config: AutoARConfig, data: FitData, context: int) -> SeriesTooShortError:
    longest = data.scored(context).stretches(0).longest
    ways = []
    if longest == 0 and config.horizon > 1:  # a series that would lose more than half holds nothing out
        ways.append("shorten horizon")
    elif longest > context:
        ways.append(f"shorten horizon to {longest - context}")
    if context > 1 and data.scored(1).stretches(0).longest > config.horizon:
        ways.append("shorten max_lookback")
    ways += ["use criterion='bic'", "hold out more rows without gaps"]
    return SeriesTooShortError(
        f"criterion={config.criterion!r} with horizon={config.horizon} and a context of {context} steps finds no "
        f"gap-free window to score; {_either(ways)}"
    )


def _either(ways: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))


def _largest_lookback(config: AutoARConfig, stretches: Stretches, ahead: int) -> int:
    """Largest lookback that the data can carry, at most ``max_lookback - d``.

    At least half of the series that carry any must have a window of it: a few long ones are not to decide for many
    short ones.
    """
    fewest = stretches.series(ahead + SMALLEST_SERIES) / 2

    def is_enough(lookback: int) -> bool:
        steps, length = stretches.steps(lookback + 1), lookback + ahead
        carries = stretches.windows(length) > 0 and stretches.series(length) >= fewest
        return carries and steps >= STEPS_PER_COEFFICIENT * (lookback + 2)

    return largest_that(is_enough, 0, config.max_lookback - stretches.diff_order)


def _warn_of_gaps(largest: int, possible: int, stretches: Stretches) -> None:
    if _FEWER_LOOKBACKS * (largest + 1) <= possible:
        warnings.warn(
            f"gaps of more than {LONGEST_BRIDGE} steps leave stretches of at most {stretches.longest} steps, so that "
            f"lookbacks up to {largest} were tried, where without gaps it would be {possible}; fill these gaps first, "
            "or begin after them",
            DashaWarning,
            stacklevel=2,
        )


def _carries_any(stretches: Stretches, ahead: int) -> bool:
    """Tell whether the data carries the smallest model: no past value of the differenced series."""
    enough = max(1, stretches.diff_order) + ahead
    return stretches.windows(1) >= _MIN_ROWS and (ahead == 1 or stretches.longest >= enough)


def _too_short(config: AutoARConfig, part: Part, order: int, ahead: int) -> SeriesTooShortError:
    """The error, with those ways out that lead somewhere."""
    stretches = part.stretches(order)
    ways = ["supply more history"]
    lower = [one for one in range(order) if _carries_any(part.stretches(one), ahead)]
    if lower:
        ways.append(f"lower diff_order to {lower[-1]}")
    if ahead > 1 and _carries_any(stretches, 1):
        shorter = stretches.longest - max(1, order)
        ways += [f"lower horizon to {shorter}"] if shorter >= 1 else []
        ways.append("use criterion='bic'")
    return SeriesTooShortError(
        f"the longest gap-free stretch to fit on has {stretches.longest} steps, but diff_order={order} and "
        f"criterion={config.criterion!r} with horizon={config.horizon} need at least "
        f"{max(order + _MIN_ROWS, max(1, order) + ahead)}; {_either(ways)}"
    )


def _require_rows(data: FitData, order: int, lookback: int) -> None:
    stretches = data.everything.stretches(order)
    rows = stretches.windows(lookback + 1)
    if rows < lookback + 2:
        raise SeriesTooShortError(
            f"lookback={lookback} with diff_order={order} leaves {rows} observations for {lookback + 1} coefficients "
            f"(the longest gap-free stretch has {stretches.longest} steps); shorten lookback or supply more history"
        )


def _estimate(data: FitData, order: int, lookback: int, path: FloatArray, maps: FittedMaps | None) -> FittedAR:
    """Least squares at the chosen lookback on every row there is, and the units of the residuals."""
    moments = data.everything.window_moments(lookback + 1, diff_order=order)
    regression = nested_regression(moments)
    intercept, coefficients = regression.coefficients(lookback)
    freedom = moments.count / max(1, moments.count - lookback - 1)
    variance = float(regression.rss[lookback]) / moments.count
    spread = float(regression.rss[0]) / moments.count
    sigma = np.zeros_like(data.std)
    count, squares = data.residual_sums(coefficients, intercept, diff_order=order)
    sigma[data.rows] = root_mean_square(count, squares, pooled=variance**0.5)[data.rows]
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
        tails=data.tails(scales, levels, intercept, context),
        maps=maps,
    )


def _scales(data: FitData, sigma: FloatArray) -> list[Scale]:
    bounds = pairwise(data.offsets)
    return [Scale(data.mean[a:b], data.std[a:b], sigma[a:b]) for a, b in bounds]


def _constant_model(data: FitData) -> FittedAR:
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
        tails=data.tails(scales, zero, zero[0], 1),
    )
