"""Other people's figures beside ours, and never taken for ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dasha.bench.place import Place
from dasha.published import PublishedResult, published_forecasting

CAPTION = (
    "Published figures were read, not run: their lookback, and often their protocol, is another. "
    "* second-hand copy of the table. Sources are in the JSON file"
)
GROUPS: dict[str, Callable[[PublishedResult], bool]] = {
    "all": lambda figure: True,
    "trained": lambda figure: not figure.is_zero_shot,
    "zero_shot": lambda figure: figure.is_zero_shot,
}
"""Published figures that ours are ranked among."""


def settings_of(results: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """Data sets and horizons, each once, as they come."""
    return list(dict.fromkeys((result["dataset"], result["horizon"]) for result in results))


def published_rows(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every published figure of the settings in ``results``, for the JSON file."""
    return [
        {
            "dataset": dataset,
            "horizon": horizon,
            "metric": metric,
            **asdict(figure),
            "origin": "published",
            "zero_shot": figure.is_zero_shot,
            "second_hand": figure.is_second_hand,
        }
        for dataset, horizon in settings_of(results)
        for metric in ("mse", "mae")
        for figure in published_forecasting(dataset, horizon, metric)
    ]


def comparison(results: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table of MSE: ours, and the best published ones with and without training."""
    presets = list(dict.fromkeys(result["preset"] for result in results))
    ours = {(result["dataset"], result["horizon"], result["preset"]): result["mse"] for result in results}
    rows = []
    for dataset, horizon in settings_of(results):
        row = [dataset, str(horizon), *(f"{ours[dataset, horizon, preset]:.4f}" for preset in presets)]
        for is_zero_shot in (False, True):
            figures = published_forecasting(dataset, horizon, "mse")  # best first
            best = next((figure for figure in figures if figure.is_zero_shot == is_zero_shot), None)
            row.append(f"{value(best)} {short(best.model)}" if best else "–")
        rows.append(row)
    published = ["published:\nbest trained", "published:\nbest zero-shot"]
    return ["data", "horizon", *(f"ours:\n{preset}" for preset in presets), *published], rows


def foundation_models(results: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table of the published MSE of every zero-shot model; none of ours is in it."""
    found = {
        setting: {figure.model: figure for figure in published_forecasting(*setting, "mse") if figure.is_zero_shot}
        for setting in settings_of(results)
    }
    models = sorted({model for figures in found.values() for model in figures})
    rows = [
        [dataset, str(horizon), *(value(figures[model]) if model in figures else "–" for model in models)]
        for (dataset, horizon), figures in found.items()
        if figures
    ]
    return ["data", "horizon", *(short(model).replace("-", "-\n", 1) for model in models)], rows


def place(record: dict[str, Any], group: str = "all") -> Place | None:
    """Rank the MSE of one of our presets, none of our others taking part.

    Ours is rounded as published figures are, to three digits.

    Args:
        record: Ours.
        group: One of `GROUPS`.

    Returns:
        None where nothing is published.
    """
    figures = published_forecasting(record["dataset"], record["horizon"], "mse")
    values = np.array([figure.value for figure in figures if GROUPS[group](figure)])
    if not values.size:
        return None
    ours = round(record["mse"], 3)
    return Place(1 + float((values < ours).sum() + 0.5 * (values == ours).sum()), len(values) + 1)


def mean_place(records: Sequence[dict[str, Any]], group: str = "all") -> tuple[float, float, int] | None:
    """Mean rank, mean number of figures ranked, and number of settings; None where nothing is published."""
    places = [found for record in records if (found := place(record, group))]
    if not places:
        return None
    return float(np.mean([one.rank for one in places])), float(np.mean([one.of for one in places])), len(places)


def place_rows(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ranks of every one of our figures for which any are published, for the JSON file."""
    rows = []
    for record in records:
        found = {group: asdict(ranked) for group in GROUPS if (ranked := place(record, group))}
        if found:
            rows.append({**{name: record[name] for name in ("dataset", "horizon", "preset")}, "mse": found})
    return rows


def short(model: str) -> str:
    """Name in a column that says zero-shot itself."""
    return model.removesuffix(" zero-shot")


def value(figure: PublishedResult) -> str:
    """Figure as it is shown, second-hand ones marked."""
    return f"{figure.value:.3f}{'*' if figure.is_second_hand else ''}"
