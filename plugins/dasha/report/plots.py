"""The figures: a forecast after its history, and forecasts of several models beside what was observed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dasha.report.panels import add_legend, finish_time_axes, panel_grid
from dasha.report.style import ACCENT, INK, MUTED, OTHERS
from dasha.types import FloatArray, Forecast

MAX_PANELS = 24
"""Series shown at most in one figure; the tables hold them all."""
MAX_BACKTEST_PANELS = 6
"""Series of a backtest shown at most in one figure."""
_MIN_HISTORY = 60
_HISTORY_PER_HORIZON = 4
_MAX_WINDOWS_SHOWN = 8


@dataclass(frozen=True)
class ForecastPanel:
    """One panel of `forecast_figure`.

    Attributes:
        title: Line above the panel; may be empty.
        index: Times of the history, length ``T``.
        values: History, shape ``(T,)``.
        future: Times of the forecast, length ``H``.
        forecast: Arrays ``(H, C)``.
        channel: The one of its channels that is drawn.
    """

    title: str
    index: pd.Index
    values: FloatArray
    future: pd.Index
    forecast: Forecast
    channel: int = 0


def forecast_figure(panels: Sequence[ForecastPanel], *, quantiles: Sequence[float], title: str) -> Figure:
    """Draw the end of every history, the expected values and the bands between pairs of quantiles.

    Args:
        panels: What to draw, at most `MAX_PANELS`.
        quantiles: Sorted levels; without a pair around the middle, the band is 10–90 %.
        title: Line above the figure.
    """
    bands = _bands(quantiles)
    figure, grid = panel_grid(len(panels), title, across=min(3, math.ceil(math.sqrt(len(panels)))))
    for panel, axes in zip(panels, grid, strict=True):
        tail = slice(-history_shown(len(panel.future)), None)
        history, future = panel.values[tail], panel.future.to_numpy()
        axes.plot(panel.index[tail].to_numpy(), history, color=INK, linewidth=1.0, label="history")
        for number, (low, high) in enumerate(bands):
            axes.fill_between(
                future,
                panel.forecast.quantile(low)[:, panel.channel],
                panel.forecast.quantile(high)[:, panel.channel],
                color=ACCENT,
                alpha=0.16 + 0.12 * number,
                linewidth=0,
                label=f"{low:.3g} to {high:.3g} quantile",
            )
        mean = panel.forecast.mean[:, panel.channel]
        marker = "o" if len(future) == 1 else ""
        axes.plot(future, mean, color=ACCENT, linewidth=1.4, marker=marker, markersize=4, label="forecast")
        finish_time_axes(axes, panel.index, title=panel.title)
        keep_legible(axes, np.concatenate([history, mean]))
    add_legend(figure, grid[0])
    return figure


@dataclass(frozen=True)
class BacktestPanel:
    """One panel of `backtest_figure`.

    Attributes:
        title: Line above the panel; may be empty.
        index: Times, length ``T``.
        values: What was observed, shape ``(T,)``.
        origins: Rows known at every window, length ``W``, ascending.
        forecasts: Per model, the first in the accent colour: ``(W, H)``.
    """

    title: str
    index: pd.Index
    values: FloatArray
    origins: Sequence[int]
    forecasts: Mapping[str, FloatArray]


def backtest_figure(panels: Sequence[BacktestPanel], *, title: str = "") -> Figure:
    """Draw what was observed and what every model had forecast, window by window.

    Args:
        panels: What to draw, at most `MAX_BACKTEST_PANELS`.
        title: Line above the figure.
    """
    figure, grid = panel_grid(len(panels), title, across=min(2, len(panels)))
    for panel, axes in zip(panels, grid, strict=True):
        _draw_backtest(panel, axes)
    add_legend(figure, grid[0])
    return figure


def _draw_backtest(panel: BacktestPanel, axes: Axes) -> None:
    origins, times = panel.origins, panel.index.to_numpy()
    horizon = next(iter(panel.forecasts.values())).shape[1]
    picked = _apart(origins, horizon)
    first = max(0, origins[picked[0]] - max(_MIN_HISTORY // 2, horizon))
    last = origins[picked[-1]] + horizon
    axes.plot(times[first:last], panel.values[first:last], color=INK, linewidth=1.1, label="observed")
    for number, (name, values_of_model) in enumerate(panel.forecasts.items()):
        for position, window in enumerate(picked):
            start = origins[window]
            axes.plot(
                times[start : start + horizon],
                values_of_model[window],
                color=model_colour(number),
                linewidth=1.6 if number == 0 else 0.9,
                alpha=1.0 if number == 0 else 0.8,
                zorder=4 if number == 0 else 3,
                marker="o" if horizon == 1 else "",
                markersize=3,
                label=name if position == 0 else None,
            )
    for window in picked:
        axes.axvline(times[origins[window] - 1], color=MUTED, linewidth=0.5, alpha=0.5)
    finish_time_axes(axes, panel.index, title=panel.title)


def history_shown(horizon: int) -> int:
    """Steps of the history that a forecast of ``horizon`` steps is drawn after, where there are as many."""
    return max(_MIN_HISTORY, _HISTORY_PER_HORIZON * horizon)


def spread_out(count: int, shown: int) -> list[int]:
    """At most ``shown`` of ``count`` positions, evenly spaced, the first and the last among them."""
    places = np.linspace(0, count - 1, min(count, shown)).round()
    return sorted({int(place) for place in places})


def model_colour(number: int) -> str:
    """Colour of the model in this place; the first has the accent."""
    return ACCENT if number == 0 else OTHERS[(number - 1) % len(OTHERS)]


def keep_legible(axes: Axes, lines: FloatArray) -> None:
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
