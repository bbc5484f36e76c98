"""Figure and table of labels of which a sample has any number: what was found, missed and wrongly said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dasha.report.page import Cell, Table
from dasha.report.run_outcomes import count_text
from dasha.report.style import ACCENT, INK, MUTED, OTHERS, PAPER, escape, legend_options, new_figure, polish

MAX_LABELS = 30
"""Labels that are drawn; the worst are listed of more."""
_WORST = 10
_NAME = 40
_WRONG = OTHERS[0]
_ROOM = 0.055  # share of a row's width that a count is written into


@dataclass(frozen=True)
class LabelOutcome:
    """What became of one label on test data.

    Attributes:
        name: Of the label.
        found: Samples that have it, and were said to.
        missed: Samples that have it, and were not said to.
        wrong: Samples that do not have it, but were said to.
        average_precision: Of the ranking of all samples; None where no sample has it.
    """

    name: str
    found: int
    missed: int
    wrong: int
    average_precision: float | None

    @property
    def there(self) -> int:
        """Samples that have it."""
        return self.found + self.missed

    @property
    def mentioned(self) -> int:
        """Samples that have it, or were said to."""
        return self.there + self.wrong

    @property
    def precision(self) -> float | None:
        """Share of what was said that is right; None if nothing was."""
        return _share(self.found, self.found + self.wrong)

    @property
    def recall(self) -> float | None:
        """Share of what is there that was said; None if nothing is."""
        return _share(self.found, self.there)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None if the label is neither there nor said."""
        return _share(2 * self.found, self.mentioned + self.found)


def outcomes_of(labels: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[LabelOutcome]:
    """What an evaluation has of every label, the worst by F1 first, those without a value last."""
    outcomes = [LabelOutcome(name, **one) for name, one in zip(names, labels, strict=True)]
    return sorted(outcomes, key=lambda one: (one.f1 is None, one.f1 or 0.0))


def label_figure(outcomes: Sequence[LabelOutcome]) -> Figure:
    """Draw what of every label was found, missed and wrongly said, as shares with their counts.

    Args:
        outcomes: Of the labels, from top to bottom.
    """
    figure = new_figure(9.2, 0.95 + 0.27 * len(outcomes))
    axes: Axes = figure.subplots()
    polish(axes)
    axes.grid(visible=False)
    parts = (("found", ACCENT, 1.0, PAPER), ("missed", MUTED, 0.45, INK), ("wrongly said", _WRONG, 0.85, PAPER))
    for row, one in enumerate(outcomes):
        start, whole = 0.0, max(one.mentioned, 1)
        for (_, colour, alpha, ink), count in zip(parts, (one.found, one.missed, one.wrong), strict=True):
            share = count / whole
            axes.barh(row, share, left=start, height=0.72, color=colour, alpha=alpha, linewidth=0)
            if share > _ROOM:
                axes.text(start + share / 2, row, count_text(count), ha="center", va="center", fontsize=7, color=ink)
            start += share
        told = "neither there nor said" if one.f1 is None else ""
        axes.text(0.005, row, told, va="center", fontsize=8, color=MUTED)
        axes.annotate(
            "–" if one.f1 is None else f"{one.f1:.3f}",
            (1.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.annotate("F1", (1.02, 1.0), xycoords="axes fraction", va="bottom", fontsize=8, color=MUTED)
    axes.set_yticks(range(len(outcomes)), [escape(_short(one.name)) for one in outcomes])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set(xlim=(0, 1), ylim=(len(outcomes) - 0.5, -0.5))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("samples that have the label, or were said to", fontsize=8, color=MUTED)
    handles = [Rectangle((0, 0), 1, 1, color=colour, alpha=alpha, linewidth=0) for _, colour, alpha, _ in parts]
    figure.legend(handles, [name for name, *_ in parts], loc="outside upper left", ncols=3, **legend_options())
    return figure


def label_table(outcomes: Sequence[LabelOutcome]) -> Table:
    """Counts and scores of every label, or of the worst where there are many.

    Args:
        outcomes: Of the labels, the worst first.
    """
    shown = outcomes if len(outcomes) <= MAX_LABELS else outcomes[:_WORST]
    rows = [
        [
            Cell(one.name),
            *(Cell(f"{count:,}", numeric=True) for count in (one.there, one.found, one.missed, one.wrong)),
            *(
                Cell("–" if value is None else f"{value:.3f}", numeric=True)
                for value in (one.precision, one.recall, one.f1, one.average_precision)
            ),
        ]
        for one in shown
    ]
    columns = ["label", "samples", "found", "missed", "wrongly said", "precision", "recall", "F1", "average precision"]
    hidden = len(outcomes) - len(shown)
    return Table(columns, rows, f"The worst by F1; {hidden:,} more labels are not shown." if hidden else "")


def _short(name: str) -> str:
    """A name that leaves room for the bars; the table has all of it."""
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
