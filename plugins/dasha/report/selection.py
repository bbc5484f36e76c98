"""What a strategy of Auto-AR chose: as a figure, as a line of text, and as records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dasha.autoar.fitted import Selection
from dasha.report.style import ACCENT, GRID, INK, MUTED, escape, new_figure, polish

_WIDTH, _ROOM, _PER_BAR = 8.6, 1.4, 0.27  # inches
# A candidate that fails badly would press the bars of all others together: its bar is cut, its number is not.
_LONGEST_BAR = 3.0


def selection_figure(selection: Selection, *, horizon: int) -> Figure:
    """Draw the candidates of a strategy in a figure of its own; see `draw_selection`."""
    figure = new_figure(*figure_size(selection))
    draw_selection(selection, figure.subplots(), horizon=horizon)
    return figure


def figure_size(selection: Selection) -> tuple[float, float]:
    """Width and height, in inches, that keep every candidate legible."""
    return _WIDTH, _ROOM + _PER_BAR * len(selection.names)


def draw_selection(selection: Selection, axes: Axes, *, horizon: int) -> None:
    """Draw the validation error of every candidate as a bar, the best above, and that of their weighted mean as a line.

    The numbers at the right are the errors and the mean weights over all channels; candidates without weight are grey.

    Args:
        selection: What was scored and how it was weighed.
        axes: Where to draw.
        horizon: Steps that were scored.
    """
    order = np.argsort(selection.errors, kind="stable")
    errors, weights = selection.errors[order], selection.weights.mean(0)[order]
    places = np.arange(len(errors))
    limit = _longest(np.append(errors, selection.error))
    colours = [ACCENT if weight > 0 else GRID for weight in weights]
    axes.barh(places, np.minimum(errors, limit), height=0.68, color=colours)
    label = f"weighted mean: {_number(selection.error)}"
    axes.axvline(selection.error, color=INK, linewidth=1.2, linestyle="--", label=label)
    polish(axes)
    steps = f"{horizon} {'step' if horizon == 1 else 'steps'}"
    axes.set_title(
        f"Candidates by their error over {steps} on validation rows",
        loc="left",
        pad=20,  # room for the legend and the heads of the numbers
        fontsize=10,
        color=INK,
        weight="bold",
    )
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.7)
    axes.set_yticks(places, [escape(selection.names[index]) for index in order], color=INK)
    axes.set(ylim=(len(errors) - 0.4, -0.6), xlim=(0, 1.02 * limit))
    channels = len(selection.weights)
    over = "of 1 channel" if channels == 1 else f"mean over {channels} channels"
    axes.set_xlabel(f"mean squared error, standardised, {over}", fontsize=8, color=MUTED)
    _columns(axes, [_number(error) for error in errors], [percent(weight) for weight in weights])
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, fontsize=8, labelcolor=INK, borderaxespad=0.1
    )


def _columns(axes: Axes, errors: list[str], weights: list[str]) -> None:
    """Write the numbers beside the bars."""
    for right, head, texts in ((50, "error", errors), (90, "weight", weights)):
        common: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "ha": "right"}
        axes.annotate(head, (1, 1), xycoords="axes fraction", xytext=(right, 7), color=MUTED, **common)
        beside = axes.get_yaxis_transform()
        for place, text in enumerate(texts):
            axes.annotate(text, (1, place), xycoords=beside, xytext=(right, 0), color=INK, va="center", **common)


def _longest(errors: np.ndarray) -> float:
    """Length at which bars are cut."""
    known = errors[np.isfinite(errors)]
    if not known.size or known.max() <= 0:
        return 1.0
    middle = float(np.median(known))
    return min(float(known.max()), _LONGEST_BAR * middle) if middle > 0 else float(known.max())


def _number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if math.isfinite(value) else "–"


def percent(weight: float) -> str:
    """Weight as text; a small one does not look like none."""
    return "<1 %" if 0 < weight < 0.005 else f"{100 * weight:.0f} %"


def describe_weights(selection: Selection, *, count: int = 3) -> str:
    """Say which candidates have the largest mean weight over channels, in one line."""
    weights = selection.weights.mean(0)
    order = np.argsort(-weights, kind="stable")
    used = order[weights[order] > 0]
    named = [f"{percent(weights[index])} {selection.names[index]}" for index in used[:count]]
    rest = used[count:]
    if len(rest):
        noun = "other" if len(rest) == 1 else "others"
        named.append(f"{percent(weights[rest].sum())} {len(rest)} {noun}")
    return "; ".join(named)


def selection_record(selection: Selection | None) -> dict[str, Any] | None:
    """Return everything for JSON, the heaviest candidate first; None if nothing was weighed."""
    if selection is None:
        return None
    weights = selection.weights.mean(0)
    candidates = [
        {
            "name": selection.names[index],
            "error": _finite(selection.errors[index]),
            "weight": float(weights[index]),
            "weight_of_unseen_series": float(selection.common[index]),
        }
        for index in np.lexsort((selection.errors, -weights))
    ]
    return {"error": _finite(selection.error), "candidates": candidates}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
