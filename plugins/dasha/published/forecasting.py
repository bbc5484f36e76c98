"""Published accuracy on the long-term forecasting benchmark."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from dasha.errors import InvalidArgumentError

METRICS = ("mse", "mae")
# Foundation models, trained on other data and applied as they are.
ZERO_SHOT_MODELS = frozenset(
    {
        "Chronos-base zero-shot",
        "Chronos-large zero-shot",
        "MOMENT zero-shot",
        "Moirai-large zero-shot",
        "TTM-A zero-shot",
        "TTM-B1 zero-shot",
        "TimesFM zero-shot",
    }
)
SECOND_HAND = "second-hand copy"
"""What the source of a figure says that was not read in the paper itself."""


@dataclass(frozen=True)
class PublishedResult:
    """One figure, on the scale standardised with the training part.

    Attributes:
        model: As the source calls it; a rerun by somebody else is a model of its own.
        lookback: Past steps the model saw; None where the source says nothing for this figure.
        value: Of the metric.
        source: Where the figure was read.
    """

    model: str
    lookback: int | None
    value: float
    source: str

    @property
    def is_zero_shot(self) -> bool:
        """Whether a foundation model was applied without training on the data set."""
        return self.model in ZERO_SHOT_MODELS

    @property
    def is_second_hand(self) -> bool:
        """Whether the figure was read in a copy of the table, not in the paper itself."""
        return SECOND_HAND in self.source


def published_forecasting(dataset: str, horizon: int, metric: str = "mse") -> list[PublishedResult]:
    """Published figures of one setting, best first.

    Args:
        dataset: File name without ending, such as ``"ETTh1"``.
        horizon: Steps ahead.
        metric: ``"mse"`` or ``"mae"``; smaller is better.

    Returns:
        Empty where nothing is known of the setting.

    Raises:
        InvalidArgumentError: If the metric is another one.
    """
    if metric not in METRICS:
        raise InvalidArgumentError(f"metric is {metric!r}, but must be 'mse' or 'mae'")
    return sorted(_table().get((dataset, horizon, metric), []), key=lambda result: result.value)


@cache
def _table() -> dict[tuple[str, int, str], list[PublishedResult]]:
    table: dict[tuple[str, int, str], list[PublishedResult]] = {}
    text = resources.files("dasha.published").joinpath("forecasting.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        lookback = int(row["lookback"]) if row["lookback"] else None
        result = PublishedResult(row["model"], lookback, float(row["value"]), row["source"])
        table.setdefault((row["task"], int(row["horizon"]), row["metric"]), []).append(result)
    return table
