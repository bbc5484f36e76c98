"""Published accuracy on tasks of satellite images and of DNA."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from dasha.errors import InvalidArgumentError
from dasha.published.forecasting import SECOND_HAND

FIELDS = ("satellite", "genomics")
"""What figures are about; each has a file."""


@dataclass(frozen=True)
class PublishedScore:
    """One figure; larger is better for all of them.

    Attributes:
        benchmark: Collection of tasks, or data and split.
        task: Of the benchmark.
        model: As the source calls it; a rerun by somebody else is a model of its own.
        metric: ``"accuracy"``, ``"f1"``, ``"mcc"`` and the like; ``"mixed"`` for a mean over tasks of several metrics.
        value: Of the metric.
        source: Where the figure was read.
    """

    benchmark: str
    task: str
    model: str
    metric: str
    value: float
    source: str

    @property
    def is_second_hand(self) -> bool:
        """Whether the figure was read in a copy of the table, not in the paper itself."""
        return SECOND_HAND in self.source


def published_scores(field: str, *, benchmark: str | None = None, task: str | None = None) -> list[PublishedScore]:
    """Published figures, best first.

    Args:
        field: One of `FIELDS`.
        benchmark: Only of this one.
        task: Only of this one.

    Returns:
        Empty where nothing is known.

    Raises:
        InvalidArgumentError: If the field is another one.
    """
    if field not in FIELDS:
        raise InvalidArgumentError(f"field is {field!r}, but must be {' or '.join(map(repr, FIELDS))}")
    found = [one for one in _table(field) if benchmark in (None, one.benchmark) and task in (None, one.task)]
    return sorted(found, key=lambda one: -one.value)


@cache
def _table(field: str) -> tuple[PublishedScore, ...]:
    text = resources.files("dasha.published").joinpath(f"{field}.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedScore(
            row["benchmark"], row["task"], row["model"], row["metric"], float(row["value"]), source=row["source"]
        )
        for row in csv.DictReader(text.splitlines())
    )
