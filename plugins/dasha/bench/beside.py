"""Published figures beside ours: marked as such, with their sources, and ranks among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dasha.bench.place import Place
from dasha.bench.summary import Summary
from dasha.metrics import METRICS
from dasha.published import PublishedScore
from dasha.report.page import Cell, Section, Table

NOTE = (
    "Rows marked as published were read in the sources named at the end of the page, not run again. Their data, splits "
    "and training are those of the sources."
)


def place(summary: Summary, figures: Sequence[PublishedScore], *, digits: int = 3) -> Place | None:
    """Rank one of our means, none of our others taking part; None where nothing comparable is published.

    Args:
        summary: Ours, rounded as published figures are.
        figures: Of the same task.
        digits: After the point, of both.
    """
    values = np.array([round(one.value, digits) for one in figures if one.metric == summary.metric])
    if not values.size:
        return None
    ours = round(summary.mean, digits)
    return Place(1 + float((values > ours).sum() + 0.5 * (values == ours).sum()), len(values) + 1)


def mean_place(places: Sequence[Place | None]) -> tuple[float, float, int] | None:
    """Mean rank, mean number of figures ranked, and number of tasks; None where there are no ranks."""
    found = [one for one in places if one is not None]
    if not found:
        return None
    return float(np.mean([one.rank for one in found])), float(np.mean([one.of for one in found])), len(found)


def sources_of(figures: Sequence[PublishedScore]) -> list[str]:
    """Sources, each once, in the order in which they are numbered."""
    return list(dict.fromkeys(one.source for one in figures))


def published_table(figures: Sequence[PublishedScore], sources: Sequence[str], *, caption: str = "") -> Table:
    """Return a row per figure, with its data, and the number of its source."""
    rows = [
        [
            Cell(one.model),
            Cell(f"{one.benchmark}: {one.task}"),
            Cell(title_of(one.metric)),
            Cell(f"{one.value:.4g}{'*' if one.is_second_hand else ''}", numeric=True),
            Cell(f"published\u00a0[{sources.index(one.source) + 1}]"),
        ]
        for one in figures
    ]
    starred = "* read in a second-hand copy of the table." if any(one.is_second_hand for one in figures) else ""
    columns = ("Published model", "Data", "Metric", "Value", "")
    return Table(columns, rows, " ".join(filter(None, (caption, starred))))


def source_section(sources: Sequence[str]) -> list[Section]:
    """The numbered sources as the last section; none if there are none."""
    rows = [[Cell(f"[{place}]"), Cell(source)] for place, source in enumerate(sources, start=1)]
    return [Section("Sources of published figures", tables=[Table(("", "Source"), rows)])] if rows else []


def published_rows(figures: Sequence[PublishedScore]) -> list[dict[str, Any]]:
    """All values, for JSON, each said to be published."""
    return [{**asdict(one), "origin": "published", "second_hand": one.is_second_hand} for one in figures]


def title_of(metric: str) -> str:
    """Name of a metric in tables."""
    return METRICS[metric].title if metric in METRICS else metric
