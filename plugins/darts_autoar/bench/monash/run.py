"""The runs of the comparison: what is known comes from the store, the rest is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from darts_autoar.bench.monash.data import Case
from darts_autoar.bench.monash.methods import METHODS
from darts_autoar.bench.monash.prediction import Prediction, predict_all, predict_one
from darts_autoar.bench.monash.scores import score
from dasha.bench.store import Item, Results, Store
from dasha.types import FloatArray

PACKAGES = ("pandas", "darts", "statsforecast")
REFERENCE = "autoarima"


@dataclass(frozen=True)
class Entry:
    """One method on one data set, as far as it is known.

    Attributes:
        case: The data set.
        name: Name of the method.
        results: What the store has of it.
    """

    case: Case
    name: str
    results: Results

    @property
    def is_complete(self) -> bool:
        """Whether every series is forecast."""
        return len(self.results.items) == len(self.case.series)

    @property
    def title(self) -> str:
        """What runs, for people."""
        return f"{METHODS[self.name].label} on {self.case.name}"

    def predictions(self) -> list[Prediction]:
        """Forecasts of all series, which must be complete."""
        return [_prediction(self.results.items[number]) for number in range(len(self.case.series))]


def open_entry(store: Store, case: Case, name: str) -> Entry:
    """Find out what is known of a method on a data set."""
    method = METHODS[name]
    settings = {
        "dataset": case.name,
        "sha256": case.sha256,
        "series": len(case.series),
        "horizon": case.setting.horizon,
        "season": case.setting.season,
        "method": method.describe(case.setting),
    }
    results = store.open(case.name, name, settings=settings, packages=method.packages, is_ours=method.is_ours)
    return Entry(case, name, results)


def run(entry: Entry, advance: Callable[[str, float], None] = lambda name, amount: None) -> None:
    """Measure what is not there yet.

    Args:
        entry: Method and data set.
        advance: Called with the title and the share of the work that was done since the last call, 0 when measuring
            begins; the shares add up to 1.
    """
    case, method, results = entry.case, METHODS[entry.name], entry.results
    count = len(case.series)
    missing = [number for number in range(count) if number not in results.items]
    if len(missing) < count:
        advance(entry.title, 1 - len(missing) / count)
    if not missing:
        return
    advance(entry.title, 0)
    try:
        method.warm_up(case.setting)
        if method.pooled:
            for number, prediction in enumerate(predict_all(method, case.train, case.setting)):
                results.add(number, _item(prediction))
            advance(entry.title, len(missing) / count)
            return
        for number in missing:
            results.add(number, _item(predict_one(method, case.train[number], case.setting)))
            advance(entry.title, 1 / count)
    finally:
        results.flush()


def _item(prediction: Prediction) -> Item:
    return {name: value for name, value in asdict(prediction).items() if value is not None}


def _prediction(item: Item) -> Prediction:
    return Prediction(
        np.asarray(item["mean"]),
        np.asarray(item["quantiles"]) if "quantiles" in item else None,
        float(item["fit_seconds"]),
        float(item["predict_seconds"]),
        float(item["wall_seconds"]),
        str(item["error"]),
        str(item.get("detail", "")),
    )


def record(entry: Entry) -> dict[str, Any]:
    """Everything about one method on one data set, all series of which are done."""
    case, results, method = entry.case, entry.results, METHODS[entry.name]
    predictions = entry.predictions()
    scores = score(
        case.train,
        case.actual,
        np.stack([prediction.mean for prediction in predictions]),
        quantiles_of(predictions),
        season=case.setting.season,
    )
    fit, predict, wall = (
        sum(getattr(prediction, f"{part}_seconds") for prediction in predictions) for part in ("fit", "predict", "wall")
    )
    return {
        "dataset": case.name,
        "method": entry.name,
        "label": method.label,
        "settings": method.describe(case.setting),
        **asdict(scores),
        "chosen": predictions[0].detail,
        "fit_seconds": fit,
        "predict_seconds": predict,
        "seconds": fit + predict,
        "wall_seconds": wall,
        "series": len(predictions),
        "failed": {
            series: prediction.error
            for series, prediction in zip(case.series, predictions, strict=True)
            if prediction.error
        },
        "measured": {"first": min(results.measured), "last": max(results.measured)},
        "environment": results.environment,
    }


def quantiles_of(predictions: Sequence[Prediction]) -> FloatArray | None:
    """Quantiles of all series, shape ``(N, 9, H)``; None if any has none."""
    found = [prediction.quantiles for prediction in predictions if prediction.quantiles is not None]
    return np.stack(found) if len(found) == len(predictions) else None


def summarise(entries: Sequence[Entry]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Report what is complete, in the order given.

    Returns:
        Records of the finished ones, with seconds relative to the reference on the same data (None where that is not
        finished), and how far the others are.
    """
    records = [record(entry) for entry in entries if entry.is_complete]
    unfinished = [
        {
            "dataset": entry.case.name,
            "method": entry.name,
            "done": len(entry.results.items),
            "of": len(entry.case.series),
        }
        for entry in entries
        if not entry.is_complete
    ]
    reference = {one["dataset"]: one["seconds"] for one in records if one["method"] == REFERENCE}
    for one in records:
        seconds = reference.get(one["dataset"])
        one[f"relative_to_{REFERENCE}"] = one["seconds"] / seconds if seconds else None
    return records, unfinished
