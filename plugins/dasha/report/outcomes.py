"""The figure of a test: what was known, what came, and what had been forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dasha.report.panels import add_legend, finish_time_axes, panel_grid
from dasha.report.plots import keep_legible, model_colour
from dasha.report.style import ACCENT, INK, MUTED
from dasha.types import FloatArray


@dataclass(frozen=True)
class OutcomePanel:
    """One panel of `outcome_figure`.

    Attributes:
        title: Line above the panel.
        index: Times of what was known and of what came, length ``R + H``.
        values: Known and observed values, shape ``(R + H,)``.
        forecasts: Per model, the first in the accent colour: ``(H,)``.
        bands: Lower and upper quantile of the first model, each ``(H,)``, by their name; the widest first.
    """

    title: str
    index: pd.Index
    values: FloatArray
    forecasts: Mapping[str, FloatArray]
    bands: Mapping[str, tuple[FloatArray, FloatArray]]


def outcome_figure(panels: Sequence[OutcomePanel], *, title: str = "", across: int = 2) -> Figure:
    """Draw what was observed and what every model had forecast, with the bands of the first.

    Args:
        panels: What to draw, all with the same models.
        title: Line above the figure.
        across: Panels in a row.
    """
    figure, grid = panel_grid(len(panels), title, across=min(across, len(panels)))
    for panel, axes in zip(panels, grid, strict=True):
        _draw(panel, axes)
    add_legend(figure, grid[0])
    return figure


def _draw(panel: OutcomePanel, axes: Axes) -> None:
    horizon = len(next(iter(panel.forecasts.values())))
    times = panel.index.to_numpy()
    future = times[-horizon:]
    for number, (name, (low, high)) in enumerate(panel.bands.items()):
        axes.fill_between(future, low, high, color=ACCENT, alpha=0.16 + 0.12 * number, linewidth=0, label=name)
    axes.plot(times, panel.values, color=INK, linewidth=1.0, label="observed", zorder=3)
    for number, (name, values) in enumerate(panel.forecasts.items()):
        is_first = number == 0
        axes.plot(
            future,
            values,
            color=model_colour(number),
            linewidth=1.6 if is_first else 1.0,
            alpha=1.0 if is_first else 0.85,
            zorder=5 if is_first else 4,
            marker="o" if horizon == 1 else "",
            markersize=3,
            label=name,
        )
    if len(times) > horizon:
        axes.axvline(times[-horizon - 1], color=MUTED, linewidth=0.6, alpha=0.6)
    finish_time_axes(axes, panel.index, title=panel.title)
    keep_legible(axes, np.concatenate([panel.values, *panel.forecasts.values()]))
