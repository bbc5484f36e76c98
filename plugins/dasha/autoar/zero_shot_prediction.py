"""From series to zero-shot forecasts in their units: every channel and origin is a window of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasha.autoar.config import AutoARConfig
from dasha.autoar.device import resolve_device
from dasha.autoar.zero_shot import ZeroShotResult, zero_shot_forecast
from dasha.types import FloatArray, GaussianForecast

# Values of the windows, or of their forecasts, held at once beside the result.
_WINDOW_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class ZeroShotChoices:
    """What ``mode="zero-shot"`` chose for every channel of one window.

    Attributes:
        period: Steps of the season, shape ``(C,)``, int64; 0 where none was found.
        diff_orders: The ``D`` differencing orders that were averaged.
        weights: Weight of every differencing order, shape ``(C, D)``; NaN for a channel without any value.
        lookbacks: Lookback of the auto-regression at every differencing order, shape ``(C, D)``, int64.
    """

    period: NDArray[np.int64]
    diff_orders: tuple[int, ...]
    weights: FloatArray
    lookbacks: NDArray[np.int64]

    @property
    def diff_order(self) -> NDArray[np.int64]:
        """Differencing order of the largest weight, shape ``(C,)``; the smaller one of equals."""
        orders: NDArray[np.int64] = np.array(self.diff_orders)[self.weights.argmax(1)]
        return orders

    @property
    def lookback(self) -> NDArray[np.int64]:
        """Lookback of the auto-regression at that differencing order, shape ``(C,)``."""
        return np.take_along_axis(self.lookbacks, self.weights.argmax(1)[:, None], axis=1)[:, 0]


def forecast_ends(config: AutoARConfig, horizon: int, series: Sequence[FloatArray]) -> list[GaussianForecast]:
    """Forecast the steps after the end of every series, all of them together.

    Args:
        config: Settings; ``max_lookback`` is the length ``K`` of the windows.
        horizon: Steps ``H``, at least 1.
        series: Arrays ``(T, C)`` of any lengths and channel counts, oldest first; NaN marks a missing value.

    Returns:
        Forecasts with ``mean`` of shape ``(H, C)``; NaN for a channel without any value in its window.
    """
    result, bounds = _ends(config, horizon, series)
    mean, sigma, psi = (part.cpu().numpy() for part in (result.mean, result.sigma, result.psi))
    return [
        GaussianForecast.of_innovations(mean[start:stop].T, sigma[start:stop], psi[start:stop].T)
        for start, stop in bounds
    ]


def choices_of_ends(config: AutoARConfig, series: Sequence[FloatArray]) -> list[ZeroShotChoices]:
    """What is chosen for the last window of every series; arguments as in `forecast_ends`."""
    result, bounds = _ends(config, 1, series)
    period, weights, lookbacks = (part.cpu().numpy() for part in (result.period, result.weights, result.lookbacks))
    return [
        ZeroShotChoices(period[start:stop], result.diff_orders, weights[start:stop], lookbacks[start:stop])
        for start, stop in bounds
    ]


def _ends(
    config: AutoARConfig, horizon: int, series: Sequence[FloatArray]
) -> tuple[ZeroShotResult, list[tuple[int, int]]]:
    """Results for the last windows of all channels, and which of them belong to each series."""
    longest = min(config.max_lookback, max(len(matrix) for matrix in series))
    offsets = np.cumsum([0, *(matrix.shape[1] for matrix in series)])
    windows = np.full((offsets[-1], longest), np.nan)
    for (start, stop), matrix in zip(pairwise(offsets), series, strict=True):
        windows[start:stop, max(0, longest - len(matrix)) :] = matrix[-longest:].T
    result = _forecast(config, horizon, torch.from_numpy(windows).to(resolve_device(config.device)))
    return result, list(pairwise(offsets.tolist()))


def forecast_origins(config: AutoARConfig, horizon: int, y: FloatArray, ends: np.ndarray) -> GaussianForecast:
    """Forecast from many origins of one series.

    Args:
        config: Settings; ``max_lookback`` is the length ``K`` of the windows.
        horizon: Steps ``H``, at least 1.
        y: Shape ``(T, C)``, oldest first; NaN marks a missing value.
        ends: Number of rows known at every origin, shape ``(N,)``, each in ``1 … T``.

    Returns:
        Forecast with ``mean`` of shape ``(N, H, C)``; NaN for a channel without any value in its window.
    """
    count, channels = len(ends), y.shape[1]
    context = min(config.max_lookback, int(ends.max(initial=1)))
    mean, psi = (np.empty((count, horizon, channels)) for _ in range(2))
    sigma = np.empty((count, channels))
    earliest = max(0, int(ends.min(initial=len(y))) - context)
    values = torch.from_numpy(np.ascontiguousarray(y[earliest : ends.max(initial=0)].T))  # (C, T)
    values = values.to(resolve_device(config.device))
    before = values.new_full((channels, context), torch.nan)
    windows = torch.cat([before, values], dim=1).unfold(1, context, 1)  # (C, T + 1, K), a view
    block = max(1, _WINDOW_ELEMENTS // (channels * max(context, horizon)))
    for start in range(0, count, block):
        rows = slice(start, start + block)
        chosen = windows[:, torch.from_numpy(ends[rows] - earliest).to(values.device)]  # (C, n, K)
        result = _forecast(config, horizon, chosen.flatten(0, 1))
        mean[rows] = _by_origin(result.mean, channels)
        psi[rows] = _by_origin(result.psi, channels)
        sigma[rows] = _by_origin(result.sigma[:, None], channels)[:, 0]
    return GaussianForecast.of_innovations(mean, sigma, psi)


def _forecast(config: AutoARConfig, horizon: int, windows: Tensor) -> ZeroShotResult:
    order = config.diff_order if isinstance(config.diff_order, int) else "auto"
    return zero_shot_forecast(windows, horizon, diff_order=order)


def _by_origin(values: Tensor, channels: int) -> FloatArray:
    """Rows of all windows, channel by channel, ``(C·n, H)`` as ``(n, H, C)``."""
    result: FloatArray = values.reshape(channels, -1, values.shape[1]).permute(1, 2, 0).cpu().numpy()
    return result
