"""The kernels that several searches chose, task by task and layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dasha.report.plots import model_colour
from dasha.report.style import INK, MUTED, escape, legend_options, new_figure, polish

MAX_TASKS = 24
"""Tasks drawn at most."""
_ACROSS = 3
_WIDTH = 9.2
_LANE = 0.085  # inches of one run in a layer


def task_kernel_figure(tasks: Mapping[str, Sequence[Mapping[str, Sequence[int]]]]) -> Figure:
    """Draw which positions every layer reads: a panel per task, a row per layer, a lane in it per run.

    Args:
        tasks: Kernel size and dilation by layer, of every run on a task; all have the same layers.
    """
    shown = list(tasks.items())[:MAX_TASKS]
    layers = list(shown[0][1][0])
    pairs = [pair for _, runs in shown for run in runs for pair in run.values()]
    dilations = sorted({int(dilation) for _, dilation in pairs})
    reach = max((size - 1) * dilation / 2 for size, dilation in pairs)
    lanes = max(len(runs) for _, runs in shown)
    across = min(_ACROSS, len(shown))
    down = math.ceil(len(shown) / across)
    figure = new_figure(_WIDTH, 0.8 + down * (0.45 + len(layers) * _LANE * (lanes + 1)))
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flatten().tolist()
    for axes, (name, runs) in zip(grid, shown, strict=False):
        polish(axes, title=name, size=8.0)
        axes.grid(visible=False)
        for row, layer in enumerate(layers):
            for lane, run in enumerate(runs):
                size, dilation = run[layer]
                taps = (np.arange(size) - (size - 1) / 2) * dilation
                height = row + (lane - (len(runs) - 1) / 2) / (lanes + 1)
                colour = model_colour(dilations.index(dilation))
                axes.plot(taps[[0, -1]], [height, height], color=colour, linewidth=0.8, alpha=0.4)
                axes.plot(taps, np.full(size, height), linestyle="", marker="s", markersize=2.4, color=colour)
            axes.axhline(row + 0.5, color=MUTED, linewidth=0.3, alpha=0.4)
        axes.set_xlim(-reach - 1, reach + 1)
        axes.set_ylim(len(layers) - 0.5, -0.5)
        axes.set_yticks(range(len(layers)), [escape(layer) for layer in layers])
        axes.tick_params(axis="y", labelcolor=INK, labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[max(0, len(shown) - across) : len(shown)]:
        axes.tick_params(axis="x", labelbottom=True)
    for number, dilation in enumerate(dilations):
        grid[0].plot([], [], linestyle="", marker="s", markersize=5, color=model_colour(number), label=f"{dilation}")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title="dilation",
        title_fontsize=8,
        loc="outside lower left",
        ncols=len(labels),
        **legend_options(),
    )
    figure.supxlabel("offset from the position that is computed", fontsize=8, color=MUTED)
    return figure
