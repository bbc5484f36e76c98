"""Results as tables on the terminal, and as what the JSON file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darts_autoar.bench.monash.data import Case
from darts_autoar.bench.monash.methods import AUTO_AR, METHODS
from darts_autoar.bench.monash.run import REFERENCE
from darts_autoar.bench.monash.scores import DEFINITIONS
from dasha.bench.output import show


def print_results(
    cases: Sequence[Case], records: Sequence[dict[str, Any]], unfinished: Sequence[dict[str, Any]]
) -> None:
    """Print a table per data set, and what is not finished."""
    for case in cases:
        _print_case(case, [record for record in records if record["dataset"] == case.name])
    for entry in unfinished:
        print(f"not finished: {METHODS[entry['method']].label} on {entry['dataset']}, {entry['done']} of {entry['of']}")


def _print_case(case: Case, records: Sequence[dict[str, Any]]) -> None:
    columns = ("method", "MASE", "sMAPE %", "WQL", "fit s", "predict s", "seconds", "× AutoARIMA", "failed", "measured")
    rows = [
        [
            record["label"],
            _number(record["mase"], ".3f"),
            _number(record["smape"], ".2f"),
            _number(record["wql"], ".4f"),
            f"{record['fit_seconds']:.2f}",
            f"{record['predict_seconds']:.2f}",
            f"{record['seconds']:.2f}",
            _number(record[f"relative_to_{REFERENCE}"], ".3g"),
            str(len(record["failed"])),
            record["measured"]["last"][:16].replace("T", " "),
        ]
        for record in records
    ]
    notes = [case.describe(), "processor seconds", *unscaled_note(records)]
    show(f"Monash archive, {case.name}", columns, rows, "; ".join(notes))
    for record in records:
        print(f"  {record['label']}: {describe_settings(record)}")


def unscaled_note(records: Sequence[dict[str, Any]]) -> list[str]:
    """Say how many series do not count for MASE, if any."""
    count = max((record["unscaled"] for record in records), default=0)
    return [f"{count} series have no scale and do not count for MASE"] if count else []


def describe_settings(record: dict[str, Any]) -> str:
    """Settings of a method in one line."""
    return ", ".join(f"{name}={value}" for name, value in record["settings"].items())


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def content(
    cases: Sequence[Case],
    records: Sequence[dict[str, Any]],
    unfinished: Sequence[dict[str, Any]],
    *,
    environment: dict[str, Any],
    skipped: Mapping[str, str],
    max_series: int | None = None,
) -> dict[str, Any]:
    """What the JSON file holds."""
    return {
        "benchmark": "monash",
        "environment": environment,
        "definitions": DEFINITIONS,
        "presets": AUTO_AR,
        "max_series": max_series,
        "datasets": [
            {
                "name": case.name,
                "sha256": case.sha256,
                "series": len(case.series),
                "horizon": case.setting.horizon,
                "season": case.setting.season,
                "left_out": list(case.left_out),
            }
            for case in cases
        ],
        "results": list(records),
        "unfinished": list(unfinished),
        "skipped": dict(skipped),
    }
