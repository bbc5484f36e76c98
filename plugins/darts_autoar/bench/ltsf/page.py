"""The page of the long-term forecasting benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from darts_autoar.bench.ltsf import published as others
from darts_autoar.bench.ltsf.page_tables import chosen_table, comparison_table, preset_table, setting_table
from darts_autoar.bench.ltsf.protocol import LEVELS
from darts_autoar.bench.ltsf.run import Measurement, root_mean
from darts_autoar.bench.ltsf.tables import by_preset
from dasha.bench.facts import facts
from dasha.report.outcomes import OutcomePanel, outcome_figure
from dasha.report.page import Cell, Page, Section, Table

_PUBLISHED = (
    "Rows without “ours” are published figures. They were read in the sources named at the end of the page, not run "
    "again: most of their models saw contexts of another length than ours, and some were scored by another protocol, "
    "so a small difference means little."
)


def ltsf_page(measurements: Sequence[Measurement], *, splits: dict[str, str], command: str) -> Page:
    """Return the page: all settings together, then a section per data set, then the sources.

    Args:
        measurements: What was measured, setting by setting.
        splits: What to say of the split of every data set.
        command: What makes this page.
    """
    records = [one.record for one in measurements]
    sources = _sources(records)
    names = list(dict.fromkeys(record["dataset"] for record in records))
    return Page(
        title="Auto-AR on the long-term forecasting benchmark",
        lead=_lead(records),
        sections=[
            Section(
                "All settings together",
                text=[
                    _PUBLISHED,
                    "A place is the rank of our MSE, rounded to three digits, among the published figures of the same "
                    "data set and horizon; equal figures share a place, and our other presets do not count. Nothing "
                    "was chosen on test values.",
                ],
                tables=[preset_table(records), setting_table(records)],
            ),
            *(
                _section([one for one in measurements if one.record["dataset"] == name], splits[name], sources)
                for name in names
            ),
            *([_source_section(sources)] if sources else []),
        ],
        facts=facts(
            [one.environment for one in measurements],
            [one.measured for one in measurements],
            command=command,
            protocol={
                "Protocol": "arXiv 2411.02796: every origin of the test part, stride 1, nothing dropped; errors on the "
                "scale standardised with the training part.",
                "Context": "512 rows at most for every forecast of ours.",
                "Figures": "Channels and origin were chosen by their place alone. A band far wider than what is drawn "
                "runs out of its panel, as for weather's last channel, which has -9999 for missing values.",
                "Seconds": "By the clock on the wall, other work on the machine included; forecasting is from all "
                "origins of the test part.",
            },
        ),
    )


def _lead(records: Sequence[dict[str, Any]]) -> str:
    settings = len(others.settings_of(records))
    names = len({record["dataset"] for record in records})
    sets, noun = "set" if names == 1 else "sets", "setting" if settings == 1 else "settings"
    parts = []
    for preset, own in by_preset(records).items():
        mean = others.mean_place(own)
        known = f", place {mean[0]:.1f} of {mean[1]:.1f} among published figures" if mean else ""
        parts.append(f"{preset} has a mean root of the MSE of {root_mean(own):.3f}{known}")
    return f"{names} data {sets}, {settings} {noun} of data set and horizon. On average, {'; '.join(parts)}."


def _section(measurements: Sequence[Measurement], split: str, sources: Sequence[str]) -> Section:
    records = [one.record for one in measurements]
    return Section(
        title=records[0]["dataset"],
        text=[split],
        figures=[_figure(measurements)],
        tables=[
            comparison_table(records, "mse", sources),
            comparison_table(records, "mae", sources),
            chosen_table(records),
        ],
    )


def _figure(measurements: Sequence[Measurement]) -> tuple[Figure, str]:
    """First and last channel from the first origin of the test part, one row of panels per horizon."""
    panels = []
    by_horizon: dict[int, list[Measurement]] = {}
    for one in measurements:
        by_horizon.setdefault(one.record["horizon"], []).append(one)
    for horizon, group in by_horizon.items():
        first = group[0].picture
        for row, channel in enumerate(first.channels):
            quantiles = first.quantiles[:, row]
            panels.append(
                OutcomePanel(
                    f"Channel {channel}, {horizon} steps",
                    pd.Index(first.times),
                    first.values[row],
                    {one.record["preset"]: one.picture.mean[row] for one in group},
                    {
                        f"{group[0].record['preset']}, {100 * low:.0f}–{100 * high:.0f} %": (
                            quantiles[place],
                            quantiles[-1 - place],
                        )
                        for place, (low, high) in enumerate(zip(LEVELS, reversed(LEVELS), strict=True))
                        if low < high
                    },
                )
            )
    presets = ", ".join(dict.fromkeys(one.record["preset"] for one in measurements))
    channels = " and ".join(map(str, measurements[0].picture.channels))
    description = (
        f"{measurements[0].record['dataset']}: observed values of {channels} (the first and the last channel) and "
        f"forecasts of {presets} from the first origin of the test part"
    )
    return outcome_figure(panels, title="From the first origin of the test part, first and last channel"), description


def _sources(records: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["source"] for row in others.published_rows(records)))


def _source_section(sources: Sequence[str]) -> Section:
    rows = [[Cell(f"[{place}]"), Cell(source)] for place, source in enumerate(sources, 1)]
    return Section("Sources of the published figures", tables=[Table(("", "Read in"), rows)])
