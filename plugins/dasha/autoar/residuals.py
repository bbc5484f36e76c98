"""One-step residuals, and the units of a series that was never fitted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from dasha.autoar.panel import Scale
from dasha.types import FloatArray

# Channels with fewer residuals than this borrow the pooled scale.
_MIN_RESIDUALS = 8


def residual_sums(
    blocks: Iterable[tuple[list[int], Tensor]], coefficients: Tensor, intercept: Tensor, *, channels: int
) -> tuple[FloatArray, FloatArray]:
    """Number and sum of squares of the one-step residuals of every channel.

    Args:
        blocks: Channel numbers and differenced values ``(C, T)``; NaN marks a missing value.
        coefficients: Shape ``(p,)``, lag 1 first.
        intercept: Shape ``()``.
        channels: Number of channels in all.

    Returns:
        Two arrays of shape ``(channels,)``, in the units of the blocks; 0 for channels that are in no block.
    """
    count, squares = np.zeros(channels), np.zeros(channels)
    for rows, y in blocks:
        residuals = one_step_residuals(y, coefficients, intercept)
        known = ~torch.isnan(residuals)
        count[rows] = known.sum(1).cpu().numpy()
        squares[rows] = torch.where(known, residuals, 0.0).square().sum(1).cpu().numpy()
    return count, squares


def root_mean_square(count: FloatArray, squares: FloatArray, *, pooled: float) -> FloatArray:
    """Residual scale of every channel; ``pooled`` for those with fewer than 8 residuals."""
    return np.where(count >= _MIN_RESIDUALS, np.sqrt(squares / np.maximum(count, 1)), pooled)


def one_step_residuals(y: Tensor, coefficients: Tensor, intercept: Tensor) -> Tensor:
    """``y(t) - c - sum_i phi_i y(t-i)`` for every ``t >= p``, shape ``(C, T - p)``; NaN where a value is missing.

    A convolution by FFT: the cost does not grow with the lookback.
    """
    lookback = coefficients.shape[0]
    channels, steps = y.shape
    if steps <= lookback:
        return y.new_empty(channels, 0)
    missing = torch.isnan(y)
    has_gaps = bool(missing.any())
    filled = torch.where(missing, 0.0, y) if has_gaps else y
    size = next_fast_len(steps, real=True)  # the first `lookback` outputs wrap around and are dropped
    kernel = torch.cat([y.new_ones(1), -coefficients])
    residuals: Tensor = torch.fft.irfft(torch.fft.rfft(filled, size) * torch.fft.rfft(kernel, size), size)
    residuals = residuals[:, lookback:steps] - intercept
    if has_gaps:
        seen = torch.nn.functional.pad(missing.cumsum(1), (1, 0))
        gap = seen[:, lookback + 1 :] != seen[:, : -(lookback + 1)]
        residuals = torch.where(gap, torch.nan, residuals)
    return residuals


def history_scale(y: FloatArray, ends: np.ndarray, *, diff_order: int, ratio: float) -> Scale:
    """Units of a series from its own past at every origin, for series that were not in the training data.

    The residual scale is ``ratio`` (residual over differenced standard deviation, pooled in training) times the
    standard deviation of the series' own differences.

    Args:
        y: Shape ``(T, C)``, in the units of the series; NaN marks a missing value.
        ends: Number of values known at every origin, shape ``(N,)``.
        diff_order: Differencing order of the model.
        ratio: Pooled training ratio.

    Returns:
        Arrays of shape ``(N, C)``.
    """
    mean, std, _ = _running_moments(y, ends)
    steps = np.diff(y, n=diff_order, axis=0)
    _, step_std, count = _running_moments(steps, np.maximum(ends - diff_order, 0))
    # One difference has no spread; fall back on the spread of the levels.
    sigma = ratio * np.where(count >= 2, step_std, std)
    return Scale(mean, np.nan_to_num(std), np.nan_to_num(sigma))


def _running_moments(y: FloatArray, ends: np.ndarray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, standard deviation and count of the observed values among the first ``ends`` rows, each ``(N, C)``."""
    known = ~np.isnan(y)
    reference = np.zeros(y.shape[1])
    if len(y):  # nothing is left of a single row that was differenced
        reference = np.nan_to_num(np.take_along_axis(y, known.argmax(0)[None, :], 0)[0])
    centred = np.where(known, y - reference, 0.0)  # sums of values far from zero would cancel
    start = np.zeros((1, y.shape[1]))
    count, total, squares = (
        np.concatenate([start, np.cumsum(values, axis=0)])[ends]
        for values in (known.astype(np.float64), centred, centred**2)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0.0)
    negligible = variance <= 1e-14 * np.divide(squares, count, out=np.zeros_like(squares), where=count > 0)
    return mean + reference, np.sqrt(np.where(negligible, 0.0, variance)), count
