"""Results as tables on the terminal, and as what the JSON file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darts_autoar.bench.ltsf import published as others
from darts_autoar.bench.ltsf.run import root_mean
from dasha.bench.output import show


def print_results(records: Sequence[dict[str, Any]], changed: str = "") -> None:
    """Print what was measured, and the published figures beside it.

    Args:
        records: Measurements, setting by setting.
        changed: Settings that are other than the preset's, for the title.
    """
    rows = [
        [
            record["dataset"],
            str(record["horizon"]),
            record["preset"],
            f"{record['mse']:.4f}",
            f"{record['mae']:.4f}",
            number(record["lookback"]),
            number(record["diff_order"]),
            f"{record['fit_seconds']:.2f}",
            f"{record['forecast_seconds']:.2f}",
            str(others.place(record) or "–"),
        ]
        for record in records
    ]
    columns = ["data", "horizon", "preset", "MSE", "MAE", "lookback", "d", "fit s", "forecast s", "place"]
    means = [f"{preset} {value:.4f}" for preset, value in overall(records).items() if value is not None]
    caption = (
        f"mean of sqrt(MSE): {', '.join(means)}; place: rank of the MSE among it and the published ones"
        if means
        else "no data"
    )
    show(f"Auto-AR, long-term forecasting benchmark{changed}", columns, rows, caption)
    if records:
        show("MSE beside published figures", *others.comparison(records), others.CAPTION)
    columns, rows = others.foundation_models(records)
    if rows:
        show("Published MSE of zero-shot foundation models", columns, rows, others.CAPTION)


def number(value: int | None) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else str(value)


def by_preset(records: Sequence[dict[str, Any]], presets: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Measurements of every preset, in their order."""
    names = presets or list(dict.fromkeys(record["preset"] for record in records))
    return {preset: [record for record in records if record["preset"] == preset] for preset in names}


def overall(records: Sequence[dict[str, Any]], presets: Sequence[str] = ()) -> dict[str, float | None]:
    """Mean of sqrt(MSE) of every preset."""
    return {preset: root_mean(own) for preset, own in by_preset(records, presets).items()}


def content(
    records: Sequence[dict[str, Any]],
    *,
    presets: Mapping[str, dict[str, Any]],
    environment: dict[str, Any],
    skipped: Mapping[str, str],
) -> dict[str, Any]:
    """What the JSON file holds."""
    names = dict.fromkeys(record["dataset"] for record in records)
    groups = by_preset(records, list(presets))
    return {
        "benchmark": "ltsf",
        "environment": environment,
        "settings": dict(presets),
        "results": list(records),
        "mean_root_mse": overall(records, list(presets)),
        "mean_root_mse_by_dataset": {
            preset: {name: root_mean([record for record in own if record["dataset"] == name]) for name in names}
            for preset, own in groups.items()
        },
        "places": others.place_rows(records),
        "published": others.published_rows(records),
        "skipped": dict(skipped),
    }
