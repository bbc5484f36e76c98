"""Grids of small panels: layout, legend, and axes of time."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dasha.report.style import INK, escape, legend_options, new_figure, polish

_WIDTH, _HEIGHT = 4.4, 2.3
_LETTERS_PER_INCH, _LETTERS_OF_HANDLE = 14.5, 5  # of the legend
_dates: Any = dates  # carries no type information


def panel_grid(count: int, title: str, *, across: int) -> tuple[Figure, list[Axes]]:
    """Make a figure of ``count`` panels, ``across`` in a row, with a title at the left."""
    down = math.ceil(count / across)
    width = 9.2 if across == 1 else _WIDTH * across + (0.4 if across == 2 else 0.0)
    figure = new_figure(width, (3.4 if count == 1 else _HEIGHT * down) + 0.6)
    grid: list[Axes] = figure.subplots(down, across, squeeze=False).flatten().tolist()
    for axes in grid[count:]:
        axes.set_visible(False)
    if title:
        figure.suptitle(escape(title), x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return figure, grid[:count]


def add_legend(figure: Figure, axes: Axes) -> None:
    """Put one legend for all panels below them, in as many columns as the figure is wide enough for."""
    handles, labels = axes.get_legend_handles_labels()
    fitting = int(_LETTERS_PER_INCH * figure.get_figwidth() / (max(map(len, labels)) + _LETTERS_OF_HANDLE))
    columns = max(1, min(len(labels), fitting, 7))
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, **legend_options())


def finish_time_axes(axes: Axes, index: pd.Index, *, title: str = "") -> None:
    """Give axes the common look and readable times."""
    polish(axes, title=title)
    axes.margins(x=0.01)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if isinstance(index, pd.DatetimeIndex):
        locator = _dates.AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(_dates.ConciseDateFormatter(locator))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
