"""Means over seeds, with their interval, as tables on the terminal and on pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dasha.bench.output import show
from dasha.metrics import METRICS
from dasha.report.page import Cell, Table, number_cells
from dasha.search.result import over_seeds


@dataclass(frozen=True)
class Summary:
    """One method on one data set, over its seeds.

    Attributes:
        dataset: Name of the data.
        method: Name of the method.
        metric: Name of the metric.
        mean: On test data.
        interval: Half-width of the 95 % interval of the mean (Student's t); None for a single seed.
        validation: Mean on validation data.
        seeds: Number of seeds.
        parameters: Mean number of trained parameters; None where a method has no such thing.
        seconds: Mean seconds of everything: search, tuning and training.
        single: Mean on test data of single networks, where several predict together; None elsewhere.
    """

    dataset: str
    method: str
    metric: str
    mean: float
    interval: float | None
    validation: float
    seeds: int
    parameters: float | None
    seconds: float
    single: float | None = None

    @property
    def text(self) -> str:
        """Mean and interval."""
        return f"{self.mean:.4f}" + ("" if self.interval is None else f" ± {self.interval:.4f}")


def summarise(records: Sequence[Mapping[str, Any]]) -> list[Summary]:
    """Means over the seeds of every data set and method, in the order of the records."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["dataset"], record["method"]), []).append(record)
    return [_summary(dataset, method, own) for (dataset, method), own in groups.items()]


def _summary(dataset: str, method: str, own: Sequence[Mapping[str, Any]]) -> Summary:
    names = ("score", "validation", "seconds")
    mean, interval = over_seeds([{name: float(one[name]) for name in names} for one in own])
    singles = [score for one in own for score in one.get("members", ())]
    sizes = [one["parameters"] for one in own if one.get("parameters") is not None]
    return Summary(
        dataset,
        method,
        str(own[0]["metric"]),
        mean["score"],
        interval.get("score"),
        mean["validation"],
        len(own),
        sum(sizes) / len(sizes) if sizes else None,
        mean["seconds"],
        sum(singles) / len(singles) if singles else None,
    )


def show_summaries(title: str, summaries: Sequence[Summary], caption: str = "") -> None:
    """Print a row per data set and method."""
    has_single = any(one.single is not None for one in summaries)
    columns = ["data", "method", "metric", "test", "validation", "seeds", "parameters", "seconds"]
    columns += ["single"] * has_single
    rows = [
        [
            one.dataset,
            one.method,
            METRICS[one.metric].title,
            one.text,
            f"{one.validation:.4f}",
            str(one.seeds),
            size_text(one.parameters),
            f"{one.seconds:.0f}",
            *[single_text(one.single)] * has_single,
        ]
        for one in summaries
    ]
    show(title, columns, rows, caption)


def summary_table(summaries: Sequence[Summary], *, caption: str = "") -> Table:
    """Return a row per method on one data set, the best mean set off."""
    has_single = any(one.single is not None for one in summaries)
    lower = not METRICS[summaries[0].metric].higher_is_better
    cells = number_cells([one.mean for one in summaries], digits=4, lower_is_better=lower)
    rows = [
        [
            Cell(one.method),
            cell,
            Cell("–" if one.interval is None else f"± {one.interval:.4f}", numeric=True),
            Cell(f"{one.validation:.4f}", numeric=True),
            Cell(str(one.seeds), numeric=True),
            Cell(size_text(one.parameters), numeric=True),
            Cell(f"{one.seconds:.0f}", numeric=True),
            *[Cell(single_text(one.single), numeric=True)] * has_single,
        ]
        for one, cell in zip(summaries, cells, strict=True)
    ]
    title = f"Test {METRICS[summaries[0].metric].title}"
    columns: tuple[str, ...] = ("Method", title, "95 % interval", "Validation", "Seeds", "Parameters", "Seconds")
    columns += ("Single networks",) * has_single
    return Table(columns, rows, caption)


def single_text(score: float | None) -> str:
    """Mean score of single networks; a dash where there is one network only."""
    return "–" if score is None else f"{score:.4f}"


def size_text(count: float | None) -> str:
    """A number of parameters, short."""
    if count is None or not math.isfinite(count):
        return "–"
    return f"{count / 1e6:.2f} M" if count >= 1e6 else f"{count / 1e3:.1f} k" if count >= 1e3 else f"{count:.0f}"


def as_rows(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """All values, for JSON."""
    return [asdict(one) for one in summaries]
