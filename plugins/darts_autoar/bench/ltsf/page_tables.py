"""The tables of the page: our figures, the published ones beside them, and what was chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from darts_autoar.bench.ltsf import published as others
from darts_autoar.bench.ltsf.run import root_mean
from darts_autoar.bench.ltsf.tables import by_preset, number
from dasha.published import PublishedResult, published_forecasting
from dasha.report.page import Cell, Table, number_cells


def preset_table(records: Sequence[dict[str, Any]]) -> Table:
    """Return a row per preset: means over all settings."""
    groups = by_preset(records)
    means = number_cells([root_mean(own) or math.nan for own in groups.values()], digits=4)
    rows = []
    for (preset, own), mean in zip(groups.items(), means, strict=True):
        places = [others.mean_place(own, group) for group in others.GROUPS]
        ranked = places[0][2] if places[0] else 0
        first = sum(found is not None and found.rank <= 1 for found in map(others.place, own))
        rows.append(
            [
                Cell(f"ours: {preset}"),
                Cell(str(len(own)), numeric=True),
                mean,
                *(Cell(f"{one[0]:.1f} of {one[1]:.1f}" if one else "–", numeric=True) for one in places),
                Cell(f"{first} of {ranked}", numeric=True),
                *(_seconds(sum(record[name] for record in own)) for name in ("fit_seconds", "forecast_seconds")),
            ]
        )
    return Table(
        (
            "Preset",
            "Settings",
            "Mean √MSE",
            "Mean place",
            "among trained",
            "among zero-shot",
            "First",
            "Fit s",
            "Forecast s",
        ),
        rows,
        caption="Mean places over the settings for which figures are published; “among trained” and “among zero-shot” "
        "rank against published models with and without training on the data set. Seconds of all settings together.",
    )


def setting_table(records: Sequence[dict[str, Any]]) -> Table:
    """Return a row per data set and horizon: our figures and their places."""
    groups = by_preset(records)
    rows = []
    for dataset, horizon in others.settings_of(records):
        own = [
            next((one for one in group if (one["dataset"], one["horizon"]) == (dataset, horizon)), None)
            for group in groups.values()
        ]
        cells = []
        for record, shown in zip(
            own, number_cells([one["mse"] if one else math.nan for one in own], digits=4), strict=True
        ):
            found = others.place(record) if record else None
            cells += [shown, Cell(str(found or "–"), numeric=True)]
        figures = published_forecasting(dataset, horizon, "mse")
        best = f"{others.value(figures[0])} {figures[0].model}" if figures else "none published"
        rows.append([Cell(dataset), Cell(str(horizon), numeric=True), *cells, Cell(best)])
    headings = [heading for preset in groups for heading in (f"MSE, {preset}", "Place")]
    return Table(
        ("Data", "Horizon", *headings, "Published: lowest"),
        rows,
        caption="* read in a second-hand copy of the table.",
    )


def comparison_table(records: Sequence[dict[str, Any]], metric: str, sources: Sequence[str]) -> Table:
    """Return ours, then published models, those with all horizons first and by their mean.

    Args:
        records: Ours on one data set.
        metric: ``"mse"`` or ``"mae"``.
        sources: Where published figures were read; they are numbered from 1.
    """
    dataset = records[0]["dataset"]
    horizons = [horizon for _, horizon in others.settings_of(records)]
    ours = {(record["preset"], record["horizon"]): record[metric] for record in records}
    presets = list(by_preset(records))
    figures = {
        (figure.model, horizon): figure
        for horizon in horizons
        for figure in published_forecasting(dataset, horizon, metric)
    }
    models = sorted(dict.fromkeys(model for model, _ in figures), key=lambda name: _order(name, horizons, figures))
    columns = []
    for horizon in horizons:
        # Rounded as what is published, so that equal figures are set off together.
        known = [round(ours.get((preset, horizon), math.nan), 3) for preset in presets]
        published = [figures.get((model, horizon)) for model in models]
        cells = number_cells(known + [figure.value if figure else math.nan for figure in published])
        marks = ["" for _ in presets] + ["*" if figure and figure.is_second_hand else "" for figure in published]
        columns.append(
            [Cell(cell.text + mark, cell.numeric, cell.best, cell.bar) for cell, mark in zip(cells, marks, strict=True)]
        )
    heads = [[Cell(f"ours: {preset}"), Cell(_kind_of_ours(preset)), Cell("512", numeric=True)] for preset in presets]
    tails = [[Cell("measured")] for _ in presets]
    for model in models:
        own = [figure for (name, _), figure in figures.items() if name == model]
        lookbacks = {figure.lookback for figure in own if figure.lookback}
        places = sorted({sources.index(figure.source) + 1 for figure in own})
        heads.append(
            [
                Cell(others.short(model)),
                Cell("zero-shot" if own[0].is_zero_shot else "trained"),
                Cell("/".join(map(str, sorted(lookbacks))) or "?", numeric=True),
            ]
        )
        tails.append([Cell(f"published [{', '.join(map(str, places))}]")])
    rows = [
        [*head, *(column[place] for column in columns), *tail]
        for place, (head, tail) in enumerate(zip(heads, tails, strict=True))
    ]
    return Table(
        (metric.upper(), "", "Context", *(f"{horizon} steps" for horizon in horizons), ""),
        rows,
        caption="* read in a second-hand copy of the table. Published figures were not run again; most have another "
        "context than ours (? where the source names none)."
        if models
        else "Nothing is published for these horizons.",
        marked=range(len(presets)),
    )


def _order(model: str, horizons: Sequence[int], figures: dict[tuple[str, int], PublishedResult]) -> tuple[int, float]:
    """Models with figures for all horizons first, the best first."""
    values = [figures[model, horizon].value for horizon in horizons if (model, horizon) in figures]
    return -len(values), sum(values) / len(values)


def _kind_of_ours(preset: str) -> str:
    return "zero-shot" if preset == "zero-shot" else "trained"


def chosen_table(records: Sequence[dict[str, Any]]) -> Table:
    """Return a row per preset and horizon: lookback, differencing or weights, and seconds."""
    rows = [
        [
            Cell(f"ours: {record['preset']}"),
            Cell(str(record["horizon"]), numeric=True),
            Cell(number(record["lookback"]), numeric=True),
            Cell(number(record["diff_order"]), numeric=True),
            _seconds(record["fit_seconds"]),
            _seconds(record["forecast_seconds"]),
            Cell(record["weighed"] or ""),
        ]
        for own in by_preset(records).values()
        for record in own
    ]
    return Table(
        ("What was chosen", "Horizon", "Lookback", "d", "Fit s", "Forecast s", "Weights"),
        rows,
        caption="d is the order of differencing. A strategy that weighs candidates has neither one lookback nor one d; "
        "zero-shot forecasts choose anew for every origin.",
    )


def _seconds(value: float) -> Cell:
    return Cell(f"{value:.2f}", numeric=True)
