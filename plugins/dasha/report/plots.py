"""The figures: a forecast after its history, and forecasts of several models beside what was observed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dasha.report.panels import add_legend, finish_time_axes, panel_grid
from dasha.report.style import ACCENT, INK, MUTED, OTHERS
from dasha.types import FloatArray, GaussianForecast

MAX_PANELS = 24
"""Series shown at most in one figure; the tables hold them all."""
_MIN_HISTORY = 60
_HISTORY_PER_HORIZON = 4
_MAX_WINDOWS_SHOWN = 8
_MAX_BACKTEST_PANELS = 6


def forecast_figure(
    values: FloatArray,
    forecast: GaussianForecast,
    *,
    index: pd.Index,
    future: pd.Index,
    columns: Sequence[str],
    quantiles: Sequence[float],
    title: str,
) -> Figure:
    """Draw the end of the history, the expected values and the bands between pairs of quantiles.

    Args:
        values: History, shape ``(T, C)``.
        forecast: Arrays ``(H, C)``.
        index: Times of the history, length ``T``.
        future: Times of the forecast, length ``H``.
        columns: Names, length ``C``; the first `MAX_PANELS` are drawn.
        quantiles: Sorted levels; without a pair around the middle, the band is 10–90 %.
        title: Line above the figure.
    """
    shown = min(len(columns), MAX_PANELS)
    tail = slice(-max(_MIN_HISTORY, _HISTORY_PER_HORIZON * len(future)), None)
    bands = _bands(quantiles)
    heading = title if shown == len(columns) else f"{title} (first {shown} of {len(columns)})"
    figure, panels = panel_grid(shown, heading, across=min(3, math.ceil(math.sqrt(shown))))
    limits = [(forecast.quantile(low), forecast.quantile(high)) for low, high in bands]
    for channel, axes in enumerate(panels):
        axes.plot(index[tail].to_numpy(), values[tail, channel], color=INK, linewidth=1.0, label="history")
        for number, (low, high) in enumerate(limits):
            axes.fill_between(
                future.to_numpy(),
                low[:, channel],
                high[:, channel],
                color=ACCENT,
                alpha=0.16 + 0.12 * number,
                linewidth=0,
                label=f"{bands[number][0]:.3g} to {bands[number][1]:.3g} quantile",
            )
        mean = forecast.mean[:, channel]
        marker = "o" if len(future) == 1 else ""
        axes.plot(future.to_numpy(), mean, color=ACCENT, linewidth=1.4, marker=marker, markersize=4, label="forecast")
        finish_time_axes(axes, index, title=columns[channel] if len(columns) > 1 else "")
        _keep_legible(axes, np.concatenate([values[tail, channel], mean]))
    add_legend(figure, panels[0])
    return figure


def backtest_figure(
    values: FloatArray,
    forecasts: Mapping[str, FloatArray],
    *,
    index: pd.Index,
    origins: Sequence[int],
    columns: Sequence[str],
    title: str = "",
) -> Figure:
    """Draw what was observed and what every model had forecast, window by window.

    Args:
        values: What was observed, shape ``(T, C)``.
        forecasts: Per model, the first in the accent colour: ``(W, H, C)``.
        index: Times, length ``T``.
        origins: Rows known at every window, length ``W``, ascending.
        columns: Names, length ``C``; the first six are drawn.
        title: Line above the figure.
    """
    horizon = next(iter(forecasts.values())).shape[1]
    picked = _apart(origins, horizon)
    first = max(0, origins[picked[0]] - max(_MIN_HISTORY // 2, horizon))
    last = origins[picked[-1]] + horizon
    shown = min(len(columns), _MAX_BACKTEST_PANELS)
    figure, panels = panel_grid(shown, title, across=min(2, shown))
    for channel, axes in enumerate(panels):
        axes.plot(index[first:last].to_numpy(), values[first:last, channel], color=INK, linewidth=1.1, label="observed")
        for number, (name, values_of_model) in enumerate(forecasts.items()):
            for position, window in enumerate(picked):
                start = origins[window]
                axes.plot(
                    index[start : start + horizon].to_numpy(),
                    values_of_model[window, :, channel],
                    color=model_colour(number),
                    linewidth=1.6 if number == 0 else 0.9,
                    alpha=1.0 if number == 0 else 0.8,
                    zorder=4 if number == 0 else 3,
                    marker="o" if horizon == 1 else "",
                    markersize=3,
                    label=name if position == 0 else None,
                )
        for window in picked:
            axes.axvline(index.to_numpy()[origins[window] - 1], color=MUTED, linewidth=0.5, alpha=0.5)
        finish_time_axes(axes, index, title=columns[channel] if len(columns) > 1 else "")
    add_legend(figure, panels[0])
    return figure


def model_colour(number: int) -> str:
    """Colour of the model in this place; the first has the accent."""
    return ACCENT if number == 0 else OTHERS[(number - 1) % len(OTHERS)]


def _keep_legible(axes: Axes, lines: FloatArray) -> None:
    """Let bands run out of the panel where they would press the lines flat."""
    known = lines[np.isfinite(lines)]
    if known.size == 0 or known.max() == known.min():
        return
    low, high = axes.get_ylim()
    room = 1.5 * (known.max() - known.min())
    axes.set_ylim(max(low, known.min() - room), min(high, known.max() + room))


def _apart(origins: Sequence[int], horizon: int) -> list[int]:
    """Latest windows that do not overlap, in order."""
    picked = [len(origins) - 1]
    for window in range(len(origins) - 2, -1, -1):
        if origins[picked[-1]] - origins[window] >= horizon and len(picked) < _MAX_WINDOWS_SHOWN:
            picked.append(window)
    return picked[::-1]


def _bands(quantiles: Sequence[float]) -> list[tuple[float, float]]:
    pairs = [(quantiles[i], quantiles[-1 - i]) for i in range(len(quantiles) // 2)]
    return [(low, high) for low, high in pairs if low < 0.5 < high] or [(0.1, 0.9)]
