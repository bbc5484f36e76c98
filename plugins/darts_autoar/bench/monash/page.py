"""The page of the Monash comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import rankdata

from darts_autoar.bench.monash.data import Case
from darts_autoar.bench.monash.methods import METHODS
from darts_autoar.bench.monash.run import REFERENCE, Entry, summarise
from darts_autoar.bench.monash.scores import DEFINITIONS, LEVELS
from darts_autoar.bench.monash.tables import describe_settings, unscaled_note
from darts_autoar.tasks import fill_gaps
from dasha.bench.facts import facts
from dasha.report.outcomes import OutcomePanel, outcome_figure
from dasha.report.page import Cell, Page, Section, Table, number_cells
from dasha.report.plots import spread_out
from dasha.types import FloatArray

_SERIES_SHOWN = 4
_BANDS = (0.1, 0.3)  # and as far from the other end


def monash_page(entries: Sequence[Entry], *, command: str) -> Page:
    """Return the page: all data sets together, then a section for each.

    Args:
        entries: What is known, data set by data set.
        command: What makes this page.
    """
    records, unfinished = summarise(entries)
    cases = list({entry.case.name: entry.case for entry in entries}.values())
    waiting = [
        f"Not finished: {METHODS[one['method']].label} on {one['dataset']}, {one['done']} of {one['of']} series."
        for one in unfinished
    ]
    return Page(
        title="Auto-AR beside established methods on the Monash archive",
        lead=_lead(cases, records),
        sections=[
            Section(
                "All data sets together",
                text=[
                    "Mean absolute scaled error (MASE) of the forecasts of the official horizon; every method was run "
                    "by this project, and none of its settings was chosen on what it was to forecast. No figure on "
                    "this page was taken from a publication.",
                    *waiting,
                ],
                tables=[_overview(cases, records)] if records else [],
            ),
            *(_section(case, entries, records) for case in cases),
        ],
        facts=facts(
            [record["environment"] for record in records],
            [record["measured"][end] for record in records for end in ("first", "last")],
            command=command,
            protocol={
                **DEFINITIONS,
                "Split": "The last steps of every series, as many as the official horizon, are held out; everything "
                "before them is context, and nothing else.",
                "Seconds": "By the clock of the processor, so that other work counts for little; methods were measured "
                "one after the other, not at one time.",
            },
        ),
    )


def _lead(cases: Sequence[Case], records: Sequence[dict[str, Any]]) -> str:
    count = len({record["method"] for record in records})
    series = sum(len(case.series) for case in cases)
    sets, noun = "set" if len(cases) == 1 else "sets", "method" if count == 1 else "methods"
    best = []
    for case in cases:
        own = [record for record in records if record["dataset"] == case.name and record["mase"] is not None]
        if own:
            first = min(own, key=lambda record: float(record["mase"]))
            best.append(f"{case.name}: {first['label']} ({first['mase']:.3f})")
    lowest = f" Lowest MASE: {'; '.join(best)}." if best else ""
    return f"{len(cases)} data {sets} with {series} series, {count} {noun}.{lowest}"


def _overview(cases: Sequence[Case], records: Sequence[dict[str, Any]]) -> Table:
    names = list(dict.fromkeys(record["method"] for record in records))
    known = {(record["method"], record["dataset"]): record for record in records}
    errors = np.array([[_mase(known.get((name, case.name))) for case in cases] for name in names])
    common = np.isfinite(errors).all(axis=0)
    ranks = rankdata(errors[:, common], axis=0).mean(axis=1) if common.any() else np.full(len(names), math.nan)
    columns = [number_cells(column) for column in errors.T]
    ranked = number_cells(ranks.tolist(), digits=1)
    rows = [
        [
            Cell(METHODS[name].label),
            *(column[place] for column in columns),
            ranked[place],
            Cell(f"{sum(record['seconds'] for record in records if record['method'] == name):.1f}", numeric=True),
        ]
        for place, name in enumerate(names)
    ]
    return Table(
        ("Method", *(case.name.removesuffix("_dataset") for case in cases), "Mean rank", "Seconds"),
        rows,
        caption=f"Mean rank by MASE over the data sets on which every method is finished, {common.sum()} of "
        f"{len(cases)}; ties share a rank.",
        marked=_ours(names),
    )


def _section(case: Case, entries: Sequence[Entry], records: Sequence[dict[str, Any]]) -> Section:
    own = [record for record in records if record["dataset"] == case.name]
    complete = [entry for entry in entries if entry.case.name == case.name and entry.is_complete]
    return Section(
        case.name,
        text=[f"{case.describe()}."],
        figures=[_figure(case, complete)] if complete else [],
        tables=[_score_table(own), _settings_table(own)] if own else [],
    )


def _figure(case: Case, entries: Sequence[Entry]) -> tuple[Figure, str]:
    """Series from all over the file, chosen by their place alone."""
    shown = spread_out(len(case.series), _SERIES_SHOWN)
    horizon, season = case.setting.horizon, case.setting.season
    predictions = {METHODS[entry.name].label: entry.predictions() for entry in entries}
    first = next(iter(predictions))
    panels = []
    for number in shown:
        history = fill_gaps(case.train[number])[-max(2 * horizon, 2 * season, 24) :]
        quantiles = predictions[first][number].quantiles
        bands = {} if quantiles is None else _bands(first, quantiles)
        values = np.concatenate([history, case.actual[number]])
        index = pd.RangeIndex(1 - len(history), horizon + 1)  # steps ahead
        means = {label: own[number].mean for label, own in predictions.items()}
        panels.append(OutcomePanel(f"Series {case.series[number]}", index, values, means, bands))
    drawn = ", ".join(case.series[number] for number in shown)
    description = f"{case.name}: series {drawn}, observed and as forecast by {', '.join(predictions)}"
    title = f"Steps ahead of the last known value; {len(shown)} of {len(case.series)} series, evenly spaced in the file"
    return outcome_figure(panels, title=title), description


def _bands(label: str, quantiles: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Pairs of the quantiles ``(9, H)``, the widest first."""
    pairs = [(place, len(LEVELS) - 1 - place) for place in map(LEVELS.index, _BANDS)]
    return {
        f"{label}, {100 * LEVELS[low]:.0f}–{100 * LEVELS[high]:.0f} %": (quantiles[low], quantiles[high])
        for low, high in pairs
    }


def _score_table(records: Sequence[dict[str, Any]]) -> Table:
    mase = [_mase(record) for record in records]
    columns = [
        number_cells(mase),
        number_cells([_or_nan(record["smape"]) for record in records], digits=2),
        number_cells([_or_nan(record["wql"]) for record in records], digits=4),
    ]
    ranks = rankdata(mase, nan_policy="omit")
    rows = [
        [
            Cell(record["label"]),
            *(column[place] for column in columns),
            Cell(f"{ranks[place]:g}" if math.isfinite(ranks[place]) else "–", numeric=True),
            *(Cell(f"{record[name]:.2f}", numeric=True) for name in ("fit_seconds", "predict_seconds", "seconds")),
            Cell(_relative(record[f"relative_to_{REFERENCE}"]), numeric=True),
            Cell(str(len(record["failed"])), numeric=True),
        ]
        for place, record in enumerate(records)
    ]
    headings = ("MASE", "sMAPE %", "WQL", "Rank", "Fit s", "Predict s", "Seconds", "× AutoARIMA", "Failed")
    notes = ["Rank by MASE", "WQL only where a method gives quantiles", *unscaled_note(records)]
    return Table(
        ("Method", *headings), rows, caption=f"{'; '.join(notes)}.", marked=_ours([one["method"] for one in records])
    )


def _settings_table(records: Sequence[dict[str, Any]]) -> Table:
    rows = [
        [
            Cell(record["label"]),
            Cell(record["chosen"]),
            Cell(describe_settings(record)),
            Cell(_span(record["measured"])),
        ]
        for record in records
    ]
    return Table(("Method", "What was chosen", "Settings", "Measured, UTC"), rows)


def _ours(names: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if METHODS[name].is_ours]


def _mase(record: dict[str, Any] | None) -> float:
    return _or_nan(record["mase"]) if record else math.nan


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _relative(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _span(measured: dict[str, str]) -> str:
    first, last = (measured[end][:16].replace("T", " ") for end in ("first", "last"))
    return first if first == last else f"{first} to {last if last[:10] != first[:10] else last[11:]}"
