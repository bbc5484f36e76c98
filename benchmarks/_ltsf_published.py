"""Other people's figures beside ours, and never taken for ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dasha.published import PublishedResult, published_forecasting

CAPTION = (
    "Published figures were read, not run: their lookback, and often their protocol, is another. "
    "* second-hand copy of the table. Sources: --json"
)


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
            row.append(f"{_value(best)} {_short(best.model)}" if best else "–")
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
        [dataset, str(horizon), *(_value(figures[model]) if model in figures else "–" for model in models)]
        for (dataset, horizon), figures in found.items()
        if figures
    ]
    return ["data", "horizon", *(_short(model).replace("-", "-\n", 1) for model in models)], rows


def _short(model: str) -> str:
    """Name in a column that says zero-shot itself."""
    return model.removesuffix(" zero-shot")


def _value(figure: PublishedResult) -> str:
    return f"{figure.value:.3f}{'*' if figure.is_second_hand else ''}"
