"""Forecasts without training data: every window is a series of its own, and all are solved together.

A window is split into a season (`dasha.autoar.seasonality`) and a remainder. Auto-regressions of the remainder and of
its differences (`dasha.autoar.lattice`), each with the lookback that a criterion chooses, are averaged: the
differenced one by as much as deviations from the running mean have lasted within the window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from dasha.autoar.config import whole_number
from dasha.autoar.lattice import (
    LATTICE_CRITERIA,
    best_order,
    continue_windows,
    lag_coefficients,
    reflections,
)
from dasha.autoar.seasonality import find_periods, fit_season
from dasha.autoar.windows import equal_lengths, without_outliers
from dasha.errors import InvalidArgumentError

# Values per unknown of an auto-regression that a short window must have.
_VALUES_PER_LAG = 4
_MIN_PERSISTENCE_LENGTH = 24
_LEAD_TIMES = 6


@dataclass(frozen=True)
class ZeroShotResult:
    """Forecasts of ``N`` windows in their own units; NaN throughout for a window without any value.

    Attributes:
        mean: Expected values, shape ``(N, H)``.
        sigma: Standard deviation of the one-step innovations, shape ``(N,)``; 0 for a constant window.
        psi: Response to a unit innovation after ``0 … H-1`` steps, shape ``(N, H)``.
        period: Period of the season, shape ``(N,)``, int64; 0 where none was found.
        diff_orders: The ``D`` differencing orders that were averaged.
        weights: Weight of every differencing order, shape ``(N, D)``.
        lookbacks: Order of the auto-regression of every differencing order, shape ``(N, D)``, int64.
    """

    mean: Tensor
    sigma: Tensor
    psi: Tensor
    period: Tensor
    diff_orders: tuple[int, ...]
    weights: Tensor
    lookbacks: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation of every forecast value, shape ``(N, H)``."""
        return self.sigma[:, None] * (self.psi**2).cumsum(1).sqrt()

    @property
    def diff_order(self) -> Tensor:
        """Differencing order of the largest weight, shape ``(N,)``; the smaller one of equals."""
        orders = torch.tensor(self.diff_orders, device=self.weights.device)
        return orders[self.weights.argmax(1)]

    @property
    def lookback(self) -> Tensor:
        """Order of the auto-regression of that differencing order, shape ``(N,)``."""
        return self.lookbacks.gather(1, self.weights.argmax(1)[:, None])[:, 0]


@dataclass(frozen=True)
class _Settings:
    max_lookback: int
    criterion: str
    diff_orders: tuple[int, ...]
    ridge: float
    is_seasonal: bool


def zero_shot_forecast(
    windows: Tensor,
    horizon: int,
    *,
    max_lookback: int = 48,
    criterion: str = "aicc",
    diff_order: str | int = "auto",
    ridge: float = 1.0,
    seasonal: bool = True,
) -> ZeroShotResult:
    """Fit an auto-regression to every window on its own, and forecast.

    Nothing but the window is used; the work is batched over windows of equal length, in pieces of bounded size, on
    the device of ``windows``.

    Args:
        windows: Shape ``(N, K)``, oldest first. Leading NaN make a window shorter. Gaps within are bridged by a
            straight line, and after the last value by that value.
        horizon: Steps ``H`` to forecast, at least 1.
        max_lookback: Largest order of the auto-regression; at most a quarter of the values of a window are lags.
        criterion: ``"aicc"`` or ``"bic"``, which chooses the lookback of every window and differencing order.
        diff_order: ``"auto"`` averages the orders 0 and 1; 0, 1 or 2 is used alone.
        ridge: Prior precision of every partial autocorrelation, around zero; 0 for none.
        seasonal: Whether to look for a season.

    Returns:
        Forecasts in float64. Values further from the bulk of a window than three times its range are moved to that
        distance before the fit, so that one sentinel does not decide everything.

    Raises:
        InvalidArgumentError: If the windows are not a matrix of finite numbers or NaN, or an option is not one of
            the values above.
    """
    settings = _checked(windows, max_lookback, criterion, diff_order, ridge, seasonal)
    whole_number("horizon", horizon, minimum=1)
    count, orders = len(windows), len(settings.diff_orders)
    like = windows.new_empty(0, dtype=torch.float64)
    result = ZeroShotResult(
        mean=like.new_full((count, horizon), torch.nan),
        sigma=like.new_full((count,), torch.nan),
        psi=like.new_full((count, horizon), torch.nan),
        period=torch.zeros(count, dtype=torch.int64, device=like.device),
        diff_orders=settings.diff_orders,
        weights=like.new_full((count, orders), torch.nan),
        lookbacks=torch.zeros(count, orders, dtype=torch.int64, device=like.device),
    )
    for rows, y in equal_lengths(windows, horizon=horizon):
        part = _forecast(y, horizon, settings)
        for name in ("mean", "sigma", "psi", "period", "weights", "lookbacks"):
            getattr(result, name)[rows] = getattr(part, name)
    return result


def _checked(
    windows: Tensor, max_lookback: int, criterion: str, diff_order: str | int, ridge: float, seasonal: bool
) -> _Settings:
    if windows.ndim != 2 or not windows.is_floating_point() or windows.shape[1] == 0:
        raise InvalidArgumentError(
            f"windows has shape {tuple(windows.shape)} and dtype {windows.dtype}, but must be a matrix (N, K) of "
            "floating-point numbers with at least one column"
        )
    if bool(torch.isinf(windows).any()):
        raise InvalidArgumentError("windows holds infinite values; replace them by NaN to treat them as missing")
    if criterion not in LATTICE_CRITERIA:
        raise InvalidArgumentError(f"criterion is {criterion!r}, but must be 'aicc' or 'bic'")
    if diff_order != "auto" and (isinstance(diff_order, bool) or diff_order not in (0, 1, 2)):
        raise InvalidArgumentError(f"diff_order is {diff_order!r}, but must be 'auto', 0, 1 or 2")
    if isinstance(ridge, bool) or not isinstance(ridge, Real) or not 0.0 <= ridge < math.inf:
        raise InvalidArgumentError(f"ridge is {ridge!r}, but must be a finite number of at least 0")
    diff_orders = (0, 1) if diff_order == "auto" else (int(diff_order),)
    return _Settings(
        whole_number("max_lookback", max_lookback, minimum=0), criterion, diff_orders, float(ridge), seasonal
    )


def _forecast(y: Tensor, horizon: int, settings: _Settings) -> ZeroShotResult:
    """Forecast gap-free windows ``(N, n)`` of one length."""
    reference = y[:, -1:]
    centred = without_outliers(y - reference)
    unit = centred.abs().amax(1, keepdim=True)
    unit = torch.where(unit > 0, unit, 1.0)
    scaled = centred / unit
    level = scaled.mean(1, keepdim=True)
    z = scaled - level
    period = find_periods(z) if settings.is_seasonal else torch.zeros(len(y), dtype=torch.int64, device=y.device)
    season, future, unknowns = fit_season(z, period, horizon)
    rest = z - season
    weights = _order_weights(rest, settings.diff_orders)
    mean, psi = future.clone(), torch.zeros_like(future)
    variance = mean.new_zeros(len(y))
    lookbacks = []
    for position, order in enumerate(settings.diff_orders):
        path, response, power, lookback = _auto_regression(rest, order, horizon, unknowns, settings)
        weight = weights[:, position]
        mean += weight[:, None] * path
        psi += weight[:, None] * response
        variance += weight * power
        lookbacks.append(lookback)
    return ZeroShotResult(
        mean=(mean + level) * unit + reference,
        sigma=variance.sqrt() * unit[:, 0],
        psi=psi,
        period=period,
        diff_orders=settings.diff_orders,
        weights=weights,
        lookbacks=torch.stack(lookbacks, dim=1),
    )


def _order_weights(rest: Tensor, diff_orders: tuple[int, ...]) -> Tensor:
    """Weights of the differencing orders, shape ``(N, D)``: the persistence of deviations for order 1.

    Deviations of ``y(t + h)`` from the mean up to ``t`` are regressed on those of ``y(t)``, over all ``t`` of the
    last four fifths and six lead times ``h`` from a tenth to half of the window; the slope is averaged with 1/2.
    """
    if len(diff_orders) == 1:
        return rest.new_ones(len(rest), 1)
    steps = rest.shape[1]
    if steps < _MIN_PERSISTENCE_LENGTH:
        return rest.new_full((len(rest), 2), 0.5)
    running = rest.cumsum(1) / torch.arange(1, steps + 1, dtype=rest.dtype, device=rest.device)
    deviation = rest - running
    first = steps // 5
    product, square = rest.new_zeros(len(rest)), rest.new_zeros(len(rest))
    for lead in torch.linspace(steps / 10, steps / 2, _LEAD_TIMES).long().tolist():
        now = deviation[:, first : steps - lead]
        later = rest[:, first + lead :] - running[:, first : steps - lead]
        product += (now * later).mean(1)
        square += (now**2).mean(1)
    slope = torch.where(square > 0, product / square, 0.5)
    persistence = (0.5 * slope + 0.25).clamp(0.0, 1.0)
    return torch.stack([1.0 - persistence, persistence], dim=1)


def _auto_regression(
    rest: Tensor, diff_order: int, horizon: int, unknowns: Tensor, settings: _Settings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Forecast ``(N, H)``, psi ``(N, H)``, innovation variance ``(N,)`` and lookback ``(N,)`` of one order."""
    x = rest.diff(n=diff_order, dim=1) if diff_order else rest - rest.mean(1, keepdim=True)
    steps = x.shape[1]
    spent = unknowns[:, None] + 1.0
    reflection, power = reflections(x, min(settings.max_lookback, steps // _VALUES_PER_LAG), ridge=settings.ridge)
    lookback = best_order(power, steps, settings.criterion, spent=spent)
    path, psi = continue_windows(x, lag_coefficients(reflection, lookback), lookback, horizon)
    for order in reversed(range(diff_order)):
        last = rest.diff(n=order, dim=1)[:, -1:]
        path, psi = path.cumsum(1) + (last if last.shape[1] else 0.0), psi.cumsum(1)
    if not diff_order:
        path = path + rest.mean(1, keepdim=True)
    # Fitted residuals are smaller than innovations by the coefficients spent.
    room = (steps - lookback - spent[:, 0]).clamp(min=1.0)
    variance = power.gather(1, lookback[:, None])[:, 0] * (max(steps, 1) / room)
    return path, psi, variance, lookback
