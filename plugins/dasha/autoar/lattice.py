"""Auto-regressions of many windows at once by Burg's recursion: every order in one pass, always stable."""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor

LATTICE_CRITERIA = ("aicc", "bic")
# Relative power below which only rounding is left to explain.
_FLOOR = 1e-11
_TINY = 1e-300


def reflections(x: Tensor, max_order: int, *, ridge: float = 0.0) -> tuple[Tensor, Tensor]:
    """Reflection coefficients of every window, each shrunk towards zero (Burg 1975, with a ridge).

    Every stage predicts the forward and the backward residuals of the stage before from each other. By the
    inequality of the means its coefficient never exceeds 1 in size, and so every model is stable, however short the
    window. The ridge is that of a coefficient whose prior variance is ``1/ridge``: it spares the near-certain ones.
    Residuals are never formed: the sums follow from autocovariances and the ends of the window (Vos 2013, "A fast
    implementation of Burg's method"), ``O(n log n + P²)`` a window.

    Args:
        x: Centred windows, shape ``(N, n)``, oldest first, no missing values.
        max_order: Number of stages ``P``, less than ``n`` unless 0.
        ridge: Prior precision of every coefficient, at least 0.

    Returns:
        Coefficients ``(N, P)``, and the mean square of the residuals of every order, ``(N, P + 1)``.
    """
    windows, steps = x.shape
    covariance = _autocovariances(x, max_order)  # (N, P + 1), sums
    power = x.new_empty(windows, max_order + 1)
    power[:, 0] = covariance[:, 0] / max(steps, 1)
    coefficients = x.new_zeros(windows, max_order)
    if max_order == 0:
        return coefficients, power
    # With C the second moments of [x(t) … x(t-m-1)] over the window and J the reversal of their order:
    # a = [1, -phi, 0] of order m, moment = (C + J C J) a, edge = last row of the next, longer C + J C J.
    polynomial = torch.nn.functional.pad(x.new_ones(windows, 1), (0, 1))
    ends = x[:, :1] ** 2 + x[:, -1:] ** 2
    moment = torch.cat([2.0 * covariance[:, :1] - ends, 2.0 * covariance[:, 1:2]], dim=1)
    edge = 2.0 * covariance[:, 1:]
    for order in range(max_order):
        product = (polynomial.flip(1) * moment).sum(1)
        energy = (polynomial * moment).sum(1)
        has_rest = energy > _FLOOR * covariance[:, 0]
        free = torch.where(has_rest, product / energy, 0.0).clamp(-1.0, 1.0)
        count = steps - order - 1
        k = free * count / (count + ridge * (1.0 - free**2))
        coefficients[:, order] = k
        power[:, order + 1] = power[:, order] * (1.0 + k**2 - 2.0 * k * free)
        if order + 1 == max_order:
            break
        polynomial = polynomial - k[:, None] * polynomial.flip(1)
        moment = moment - k[:, None] * moment.flip(1)
        first, last = x[:, : order + 2].flip(1), x[:, steps - order - 2 :]
        for values in (first, last):
            moment = moment - values * (values * polynomial).sum(1, keepdim=True)
        edge[:, : order + 1] -= first[:, :1] * first[:, 1:] + last[:, :1] * last[:, 1:]
        corner = (edge[:, : order + 2].flip(1) * polynomial).sum(1, keepdim=True)
        moment = torch.cat([moment, corner], dim=1)
        polynomial = torch.nn.functional.pad(polynomial, (0, 1))
    return coefficients, power.clamp(min=0.0)


def _autocovariances(x: Tensor, max_lag: int) -> Tensor:
    """``sum_t x(t)·x(t-d)`` for ``d = 0 … max_lag``, shape ``(N, max_lag + 1)``."""
    if x.shape[1] == 0:
        return x.new_zeros(len(x), max_lag + 1)
    size = next_fast_len(x.shape[1] + max_lag, real=True)
    result: Tensor = torch.fft.irfft(torch.fft.rfft(x, size).abs().square(), size)
    return result[:, : max_lag + 1]


def best_order(power: Tensor, steps: int, criterion: str, *, spent: Tensor | float = 1.0) -> Tensor:
    """Order of the smallest criterion, shape ``(N,)``, int64.

    Args:
        power: Mean square of the residuals of every order, shape ``(N, P + 1)``.
        steps: Values ``n`` in a window.
        criterion: ``"aicc"``: ``n·ln(power) + 2·q·n/(n - q - 1)``; ``"bic"``: ``n·ln(power) + q·ln(n)``, where ``q``
            counts the order and ``spent``.
        spent: Parameters estimated beforehand, shape ``(N, 1)`` or a number.
    """
    unknowns = torch.arange(power.shape[1], dtype=power.dtype, device=power.device) + spent
    if criterion == "bic":
        penalty = unknowns * math.log(max(steps, 2))
    else:
        room = steps - unknowns - 1.0
        penalty = torch.where(room > 0, 2.0 * unknowns * steps / room, torch.inf)
        penalty[:, 0] = penalty[:, 0].clamp(max=1e9)  # order 0 stays when no order leaves room
    fit = power.clamp(min=_TINY).log()
    return (steps * fit + penalty).argmin(1)


def lag_coefficients(reflection: Tensor, order: Tensor) -> Tensor:
    """Coefficients of lags ``1 … P`` from reflection coefficients (the step-up recursion of Levinson and Durbin).

    Args:
        reflection: Shape ``(N, P)``.
        order: Stages to use, shape ``(N,)``.

    Returns:
        Shape ``(N, P)``, zero beyond each order.
    """
    stages = reflection.shape[1]
    used = torch.arange(stages, device=order.device) < order[:, None]
    reflection = torch.where(used, reflection, 0.0)
    result = torch.zeros_like(reflection)
    for stage in range(stages):
        k = reflection[:, stage : stage + 1]
        result[:, :stage] = result[:, :stage] - k * result[:, :stage].flip(1)
        result[:, stage : stage + 1] = k
    return result


def continue_windows(x: Tensor, coefficients: Tensor, order: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    """Run every window's recursion on.

    Args:
        x: Centred windows, shape ``(N, n)`` with ``n >= P``.
        coefficients: Shape ``(N, P)``, lag 1 first.
        order: Lags that are not zero, shape ``(N,)``.
        horizon: Steps ``H``.

    Returns:
        Forecasts ``(N, H)`` and responses to a unit innovation ``psi``, ``(N, H)`` with ``psi[:, 0] = 1``.
    """
    path, psi = x.new_empty(len(x), horizon), x.new_empty(len(x), horizon)
    # Windows of like orders together: few of them need all lags.
    for rows in order.argsort().chunk(4):
        lags = int(order[rows].max())
        path[rows], psi[rows] = _continue(x[rows], coefficients[rows, :lags], horizon)
    return path, psi


def _continue(x: Tensor, coefficients: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    windows, lags = coefficients.shape
    # (time, forecasts | responses): a step reads one contiguous block.
    values = x.new_zeros(lags + horizon, 2 * windows)
    values[:lags, :windows] = x[:, x.shape[1] - lags :].T
    if lags:
        oldest_first = coefficients.flip(1).T.repeat(1, 2)
        terms = torch.empty_like(oldest_first)
        for step in range(horizon):
            torch.mul(values[step : step + lags], oldest_first, out=terms)
            torch.sum(terms, 0, out=values[lags + step])
            if step == 0:
                values[lags, windows:] = 1.0
    else:
        values[0, windows:] = 1.0
    return values[lags:, :windows].T, values[lags:, windows:].T
