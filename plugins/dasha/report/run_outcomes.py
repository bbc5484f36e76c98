"""Figures and tables of what a run came to on test data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dasha.metrics import METRICS
from dasha.report.page import Cell, Table
from dasha.report.style import ACCENT, GRID, INK, MUTED, PAPER, escape, new_figure, polish

MAX_CLASSES = 30
"""Classes of a confusion matrix that is drawn; the pairs confused most often are listed for more."""
_PAIRS = 10


def confusion_figure(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Figure:
    """Draw counts of true classes (rows) and predicted ones, shaded by their share of the true class.

    Large counts are rounded, see `count_text`.

    Args:
        counts: True classes × predicted ones.
        names: Of the classes.
    """
    matrix = np.asarray(counts)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    count = len(matrix)
    side = min(8.0, 1.2 + 0.36 * count + 0.08 * max(map(len, names)))
    figure = new_figure(9.2, side)
    axes: Axes = figure.subplots()
    polish(axes)
    axes.grid(visible=False)
    for row, column in np.argwhere(matrix > 0):
        share = float(shares[row, column])
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=ACCENT, alpha=share, linewidth=0))
        axes.text(
            column,
            row,
            count_text(int(matrix[row, column])),
            ha="center",
            va="center",
            fontsize=8 if count <= 15 else 6,
            color=PAPER if share > 0.5 else INK,
        )
    for edge in np.arange(count + 1) - 0.5:
        axes.axhline(edge, color=GRID, linewidth=0.5)
        axes.axvline(edge, color=GRID, linewidth=0.5)
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
    labels = [escape(name) for name in names]
    axes.set_yticks(range(count), labels)
    is_long = max(map(len, names)) > 3
    axes.set_xticks(range(count), labels, rotation=45 if is_long else 0, ha="right" if is_long else "center")
    axes.set_xlabel("predicted", fontsize=9, color=MUTED)
    axes.set_ylabel("true", fontsize=9, color=MUTED)
    return figure


def confused_pairs(counts: Sequence[Sequence[int]], names: Sequence[str], *, counted: str) -> Table:
    """The pairs of classes that are confused most often.

    Args:
        counts: True classes × predicted ones.
        names: Of the classes.
        counted: What was counted: samples or positions.
    """
    matrix = np.asarray(counts)
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = [np.unravel_index(place, matrix.shape) for place in np.argsort(-wrong, axis=None)[:_PAIRS]]
    rows = [
        [Cell(names[true]), Cell(names[said]), Cell(f"{wrong[true, said]:,}", numeric=True)]
        for true, said in order
        if wrong[true, said]
    ]
    return Table(["true", "predicted", counted], rows)


def scatter_figure(pairs: Sequence[Sequence[float]]) -> Figure:
    """Draw predictions over targets, with the line on which both are equal.

    Args:
        pairs: Target and prediction of every sample.
    """
    values = np.asarray(pairs, dtype=float)
    values = values[np.isfinite(values).all(1)]
    figure = new_figure(9.2, 4.6)
    axes: Axes = figure.subplots()
    polish(axes)
    if len(values):
        ends = [values.min(), values.max()]
        axes.plot(ends, ends, color=MUTED, linewidth=0.8, zorder=1)
    axes.scatter(values[:, 0], values[:, 1], s=9, color=ACCENT, alpha=0.45, linewidth=0)
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlabel("target", fontsize=9, color=MUTED)
    axes.set_ylabel("prediction", fontsize=9, color=MUTED)
    return figure


def metric_table(evaluation: Mapping[str, Any], decisive: str, *, is_ensemble: bool) -> Table:
    """Every metric on the test data, with the 95 % interval of the mean over the seeds where there are several."""
    intervals, per_seed = evaluation["interval"], evaluation["per_seed"]
    is_apart = is_ensemble and bool(intervals)  # the interval is about another number than the metric
    names = sorted(evaluation["metrics"], key=lambda name: name != decisive)
    rows = []
    for name in names:
        title = METRICS[name].title if name in METRICS else name
        row = [Cell(title), Cell(number_text(evaluation["metrics"][name]), numeric=True)]
        if intervals:
            mean = f"{number_text(_mean([one.get(name) for one in per_seed]))} " if is_apart else ""
            row.append(Cell(f"{mean}± {number_text(intervals.get(name))}", numeric=True))
        rows.append(row)
    columns = ["metric", "test"]
    if intervals:
        columns.append("mean of single networks, 95 % interval" if is_apart else "95 % interval of the mean")
    caption = f"{evaluation['count']:,} samples that nothing was chosen on."
    if intervals:
        count = len(per_seed)
        what = f"The ensemble of {count} final trainings" if is_ensemble else f"Mean over {count} final trainings"
        caption += f" {what}; interval by Student's t{' of what they come to one by one' if is_apart else ''}."
    return Table(columns, rows, caption, marked=[0])


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of values that are all known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def count_text(count: int) -> str:
    """A count in five characters at most, from ten thousand on rounded to three digits: 382k, 1.24M."""
    if count < 10_000:
        return str(count)
    digits = f"{count:.2e}"  # rounded first: 999,999 is 1M
    value, power = float(digits[:4]), int(digits[5:])
    thousands = power // 3
    return f"{value * 10 ** (power - 3 * thousands):.3g}{' kMGTPE'[thousands]}"


def number_text(value: Any) -> str:
    """A number with four significant digits; a dash where it is not known."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
