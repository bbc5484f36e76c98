"""Figures of a run: the kernels that were chosen, how they were found, and how trials and trainings went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dasha.report.plots import model_colour, spread_out
from dasha.report.style import ACCENT, GRID, INK, MUTED, escape, legend_options, new_figure, polish

MAX_LAYERS = 16
"""Layers whose coefficients are drawn at most."""
_WIDTH = 9.2
_ACROSS = 4


def kernel_figure(architecture: Mapping[str, Sequence[int]], *, ndim: int, extent: int) -> Figure:
    """Draw which positions every layer reads, along one axis of its input.

    Args:
        architecture: Kernel size and dilation by layer, from the input to the output.
        ndim: 1 for sequences, 2 for images.
        extent: Largest spatial size of the network's input.
    """
    figure = new_figure(_WIDTH, 0.9 + 0.24 * len(architecture))
    axes: Axes = figure.subplots()
    polish(axes)
    dilations = sorted({dilation for _, dilation in architecture.values()})
    reach = max((size - 1) * dilation / 2 for size, dilation in architecture.values())
    for row, (size, dilation) in enumerate(architecture.values()):
        taps = (np.arange(size) - (size - 1) / 2) * dilation
        colour = model_colour(dilations.index(dilation))
        axes.plot(taps[[0, -1]], [row, row], color=colour, linewidth=1.2, alpha=0.35)
        axes.plot(taps, np.full(size, row), linestyle="", marker="s", markersize=5, color=colour)
        axes.annotate(
            f"{' × '.join([str(size)] * ndim)}" + (f", dilation {dilation}" if dilation > 1 else ""),
            (1.01, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=INK,
        )
    if reach > extent:
        axes.axvspan(-extent, extent, color=GRID, alpha=0.45, linewidth=0, zorder=0)
    axes.set_yticks(range(len(architecture)), [escape(name) for name in architecture])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.7)
    axes.set_xlim(-reach - 1, reach + 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
    axes.set_xlabel("offset from the position that is computed, in positions of the layer's input", **_LABEL)
    return figure


def coefficient_figure(
    epochs: Sequence[Mapping[str, Sequence[Sequence[float]]]],
    chosen: Mapping[str, Sequence[int]],
    *,
    kernel_sizes: Sequence[int],
    dilations: Sequence[int],
) -> Figure:
    """Draw the coefficients of every layer by epoch, the chosen pair set off.

    Args:
        epochs: Coefficients by layer, each kernel sizes × dilations, after every epoch.
        chosen: Kernel size and dilation by layer.
        kernel_sizes: Candidates, in the order of the rows.
        dilations: Likewise of the columns.
    """
    names = [list(epochs[-1])[place] for place in spread_out(len(epochs[-1]), MAX_LAYERS)]
    across = min(_ACROSS, len(names))
    down = math.ceil(len(names) / across)
    figure = new_figure(_WIDTH, 0.3 + 1.55 * down)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flatten().tolist()
    times = np.arange(1, len(epochs) + 1)
    marker = "o" if len(epochs) == 1 else ""
    for axes, name in zip(grid, names, strict=False):
        values = np.array([epoch[name] for epoch in epochs], dtype=float)  # epochs × kernel sizes × dilations
        size, dilation = chosen[name]
        winner = list(kernel_sizes).index(size), list(dilations).index(dilation)
        lines = values.reshape(len(epochs), -1)
        axes.plot(times, lines, color=MUTED, linewidth=0.7, alpha=0.45, marker=marker, markersize=2)
        axes.plot(times, values[:, *winner], color=ACCENT, linewidth=1.8, marker=marker, markersize=4)
        polish(axes, title=name, size=8.0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.annotate(
            f"{size}" + (f", dilation {dilation}" if dilation > 1 else ""),
            (0.03, 0.88),
            xycoords="axes fraction",
            fontsize=8,
            color=ACCENT,
        )
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    for axes in grid[max(0, len(names) - across) : len(names)]:
        axes.tick_params(axis="x", labelbottom=True)
    grid[0].set_ylabel("coefficient", **_LABEL)
    figure.supxlabel("epoch", fontsize=8, color=MUTED)
    return figure


def rung_figure(
    trials: Sequence[Mapping[str, Any]], *, winner: int, rungs: Sequence[int], metric: str, sign: float
) -> Figure:
    """Draw the score of every trial by epoch: those stopped early faded, the winner set off.

    Args:
        trials: As in ``tune.json``; scores are turned so that larger is better.
        winner: Number of the best trial.
        rungs: Epochs after which trials are stopped.
        metric: Its title.
        sign: −1 where a small metric is better, 1 otherwise.
    """
    figure = new_figure(_WIDTH, 3.4)
    axes: Axes = figure.subplots()
    polish(axes)
    labelled: set[str] = set()
    for trial in sorted(trials, key=lambda one: (one["number"] == winner, one["state"] == "complete")):
        name, options = _trial_style(trial, is_winner=trial["number"] == winner)
        scores = sign * np.array([np.nan if score is None else score for score in trial["scores"]], dtype=float)
        label = None if name in labelled else name
        labelled.add(name)
        axes.plot(np.arange(1, len(scores) + 1), scores, label=label, marker="o", **options)
    for rung in rungs:
        axes.axvline(rung, color=MUTED, linewidth=0.6, linestyle=(0, (3, 3)), zorder=0)
    _frame_the_good(axes, trials, sign)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch; dashed: rungs", **_LABEL)
    axes.set_ylabel(f"{metric} on validation", **_LABEL)
    figure.legend(loc="outside lower left", ncols=4, **legend_options())
    return figure


def curve_figure(curves: Sequence[Mapping[str, Any]], *, metric: str, title: str) -> Figure:
    """Draw training loss and validation metric of every final training.

    Args:
        curves: As in ``result.json``.
        metric: Name of the deciding metric.
        title: Its title.
    """
    has_validation = any(one["validation"] for one in curves)
    figure = new_figure(_WIDTH, 3.0)
    grid = figure.subplots(1, 2 if has_validation else 1, squeeze=False).flatten().tolist()
    for number, one in enumerate(curves):
        courses = [one["losses"], [epoch.get(metric) for epoch in one["validation"]]]
        for axes, course in zip(grid, courses, strict=False):
            values = np.array([np.nan if value is None else value for value in course], dtype=float)
            marker = "o" if len(values) < 4 else ""
            label = f"seed {number}"
            axes.plot(
                np.arange(1, len(values) + 1),
                values,
                color=model_colour(number),
                linewidth=1.6,
                marker=marker,
                markersize=4,
                label=label,
            )
    for axes, name in zip(grid, ("training loss", f"{title} on validation"), strict=False):
        polish(axes, title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch", **_LABEL)
    losses = [loss for one in curves for loss in one["losses"] if loss is not None]
    if losses and min(losses) > 0 and max(losses) > 10 * min(losses):
        grid[0].set_yscale("log")
        grid[0].minorticks_off()
    if len(curves) > 1:
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=6, **legend_options())
    return figure


_LABEL: dict[str, Any] = {"fontsize": 8, "color": MUTED}


def _trial_style(trial: Mapping[str, Any], *, is_winner: bool) -> tuple[str, dict[str, Any]]:
    if is_winner:
        return "winner", {"color": ACCENT, "linewidth": 2.2, "markersize": 5, "zorder": 5}
    if trial["state"] == "complete":
        return "ran to the end", {"color": INK, "linewidth": 1.1, "markersize": 3, "alpha": 0.8, "zorder": 4}
    faded = {"color": MUTED, "linewidth": 0.9, "markersize": 3, "alpha": 0.45}
    return ("diverged", faded | {"linestyle": ":"}) if trial["state"] == "diverged" else ("stopped early", faded)


def _frame_the_good(axes: Axes, trials: Sequence[Mapping[str, Any]], sign: float) -> None:
    """Let the worst quarter of the scores run out of the frame where it would press the others flat."""
    scores = np.array([score for trial in trials for score in trial["scores"] if score is not None])
    if scores.size < 4:
        return
    low, best = np.quantile(scores, 0.25), scores.max()
    edge = low - 1.0 * (best - low)
    if scores.min() < edge < best:
        room = 0.05 * (best - edge)
        axes.set_ylim(*sorted((sign * edge, sign * (best + room))))
