"""Contributions and patterns as letters whose height is what they add."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dasha._optional import require
from dasha.errors import InvalidArgumentError
from dasha.report.style import ACCENT, INK, MUTED, escape, new_figure, polish
from genomics_adapter.patterns import Motif

# Readable on white and in print, and told apart by colour-blind readers: A, C, G, T.
_COLORS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}
_MOST_ROWS = 20


def draw_attributions(
    attributions: Tensor | np.ndarray,
    *,
    titles: Sequence[str] = (),
    start: int = 0,
    end: int | None = None,
    spans: Sequence[Sequence[tuple[int, int]]] = (),
) -> Figure:
    """Draw contributions of some sequences, one below the other, on one scale.

    Args:
        attributions: Shape ``(N, 4, L)``; the first 20 are drawn.
        titles: Of the sequences.
        start: First base that is drawn.
        end: Behind the last one; by default that of the sequence.
        spans: Stretches of every sequence to mark, as pairs of first base and the one behind the last.

    Raises:
        InvalidArgumentError: If the shape or range is not allowed.
        OptionalDependencyError: If tangermeme is missing.
    """
    values = np.asarray(attributions, dtype=np.float64)
    if values.ndim != 3 or values.shape[1] != 4 or not len(values):
        raise InvalidArgumentError(f"attributions have shape {values.shape}, but must have (N, 4, L)")
    length = values.shape[-1]
    end = length if end is None else end
    if not 0 <= start < end <= length:
        raise InvalidArgumentError(f"start={start} and end={end} must lie in the {length} bases, start before end")
    rows = min(len(values), _MOST_ROWS)
    figure = new_figure(9.2, 0.5 + 0.95 * rows)
    grid: list[Axes] = figure.subplots(rows, 1, squeeze=False)[:, 0].tolist()
    shown = values[:rows, :, start:end]
    low, high = min(0.0, float(shown.sum(1).min())), max(0.0, float(shown.sum(1).max()))
    for row, axes in enumerate(grid):
        title = titles[row] if row < len(titles) else ""
        _logo(axes, shown[row], title=title, limits=(1.05 * low, 1.05 * high or 1.0), first=start)
        for begin, stop in spans[row] if row < len(spans) else ():
            axes.axvspan(begin - start, stop - start, color=ACCENT, alpha=0.12, linewidth=0, zorder=0)
    return figure


def draw_motifs(patterns: Sequence[Motif]) -> Figure:
    """Draw patterns: contributions at the left, information in bits at the right; the first 20.

    Raises:
        InvalidArgumentError: If there are none.
        OptionalDependencyError: If tangermeme is missing.
    """
    if not patterns:
        raise InvalidArgumentError(
            "there are no motifs to draw; lower min_members= or threshold= where they were sought"
        )
    patterns = list(patterns)[:_MOST_ROWS]
    figure = new_figure(9.2, 0.4 + 1.25 * len(patterns))
    grid: list[list[Axes]] = figure.subplots(len(patterns), 2, squeeze=False).tolist()
    for number, (motif, (left, right)) in enumerate(zip(patterns, grid, strict=True), start=1):
        values = motif.contributions
        limits = (min(0.0, 1.1 * float(values.sum(0).min())), max(0.0, 1.1 * float(values.sum(0).max())) or 1.0)
        _logo(left, values, title=f"{number}: {motif.consensus}, {len(motif)} seqlets", limits=limits)
        frequencies = motif.frequencies
        bits = 2 + (frequencies * np.log2(frequencies)).sum(0)
        _logo(right, frequencies * bits, title="bits", limits=(0.0, 2.0))
    return figure


def _logo(axes: Axes, values: np.ndarray, *, title: str, limits: tuple[float, float], first: int = 0) -> None:
    plot: Any = require("tangermeme.plot", extra="genomics")
    plot.plot_logo(values, ax=axes, color=_COLORS, ylim=limits)
    polish(axes, title=escape(title))
    axes.grid(visible=False)
    axes.axhline(0, color=MUTED, linewidth=0.5)
    # A letter takes the unit to the right of its position.
    size = values.shape[1]
    axes.set(xlim=(-0.1, size + 0.1), ylim=limits)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, size) if size <= 12 * step or step == size)
    ticks = np.arange(-first % step, size, step)
    axes.set_xticks(ticks + 0.5, [str(first + tick) for tick in ticks])
    axes.tick_params(colors=INK)
