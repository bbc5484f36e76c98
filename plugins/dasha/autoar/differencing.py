"""Differencing: choose the order by KPSS, apply it, and fold it back into level coefficients."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.fft import irfft, next_fast_len, rfft
from torch import Tensor

from dasha.autoar.kpss import CRITICAL_VALUE, LEVEL, ROUNDING, kpss_lags, long_run_variance
from dasha.autoar.kpss import MAX_DIFF_ORDER as MAX_DIFF_ORDER

# Fewer values than this say nothing about stationarity (and break the lag rule of the test).
_MIN_KPSS_LENGTH = 12


def difference(y: Tensor, order: int) -> Tensor:
    """Difference ``order`` times along time.

    Args:
        y: Shape ``(C, T)``.
        order: Number of first differences, at least 0.

    Returns:
        Shape ``(C, T - order)``; a missing value makes the differences that use it missing.
    """
    return y.diff(n=order, dim=1) if order else y


def kpss_order(channels: Iterable[np.ndarray], *, max_order: int = MAX_DIFF_ORDER) -> int:
    """Smallest differencing order at which no more than 5 % of the channels reject trend-stationarity at 5 %.

    KPSS with regression ``"ct"`` and automatic lags, as in arXiv 2411.02796, which differences until no channel
    rejects: the same up to 19 channels, while some of many stationary channels always reject. Missing values: the
    longest gap-free stretch is tested. Stretches that are constant, exactly linear or shorter than 12 values never ask
    for differencing.

    Args:
        channels: Arrays of shape ``(T,)``.
        max_order: Largest order returned.

    Returns:
        One order for all channels together.
    """
    stretches = [_longest_stretch(channel) for channel in channels]
    order = 0
    while order < max_order and sum(_rejects(np.diff(values, n=order)) for values in stretches) > LEVEL * len(
        stretches
    ):
        order += 1
    return order


def _longest_stretch(values: np.ndarray) -> np.ndarray:
    missing = np.flatnonzero(np.isnan(values))
    if missing.size == 0:
        return values
    bounds = np.concatenate([[-1], missing, [len(values)]])
    widest = int(np.argmax(np.diff(bounds)))
    return values[bounds[widest] + 1 : bounds[widest + 1]]


def _rejects(values: np.ndarray) -> bool:
    if len(values) < _MIN_KPSS_LENGTH:
        return False
    residuals = _detrended(values)
    if np.abs(residuals).max() <= ROUNDING * np.abs(values).max():
        return False
    return kpss_statistic(residuals) > CRITICAL_VALUE


def kpss_statistic(residuals: np.ndarray) -> float:
    """KPSS statistic with lags by the rule of Hobijn, Franses and Ooms (1998).

    The number that ``kpss(values, regression="ct", nlags="auto")`` of statsmodels gives, from one FFT and without
    its warnings.

    Args:
        residuals: Values less their linear trend, shape ``(T,)``, not all zero.
    """
    steps = len(residuals)
    size = next_fast_len(2 * steps, real=True)
    spectrum = rfft(residuals, size)
    products = irfft(spectrum.real**2 + spectrum.imag**2, size)[:steps]  # sum_t e(t)·e(t-k) for every lag k
    variance = long_run_variance(products, kpss_lags(products, steps))
    return float((residuals.cumsum() ** 2).sum() / (steps * variance))


def _detrended(values: np.ndarray) -> np.ndarray:
    """What is left after removing the straight line of least squares."""
    time = np.arange(len(values)) - (len(values) - 1) / 2
    centred = values - values[0]  # far from zero the mean itself has lost digits
    centred -= centred.mean()
    residuals: np.ndarray = centred - time * ((time * centred).sum() / (time**2).sum())
    return residuals


def level_coefficients(coefficients: Tensor, order: int) -> Tensor:
    """Coefficients on levels of an auto-regression that was fitted on differences.

    Multiplies the lag polynomial ``1 - sum_i phi_i B^i`` with ``(1 - B)^order``; the intercept stays as it is.

    Args:
        coefficients: Shape ``(…, P)``, lag 1 first.
        order: Differencing order ``d``.

    Returns:
        Shape ``(…, P + d)``, and one zero column instead of none.
    """
    levels = coefficients
    for _ in range(order):
        polynomial = torch.nn.functional.pad(-levels, (1, 0))
        polynomial[..., 0] = 1.0
        longer = torch.nn.functional.pad(polynomial, (0, 1))
        longer[..., 1:] -= polynomial
        levels = -longer[..., 1:]
    if levels.shape[-1] == 0:
        levels = torch.nn.functional.pad(levels, (0, 1))
    return levels
