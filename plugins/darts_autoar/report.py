"""Comparisons as table rows, JSON, and sections of the report page."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from matplotlib.figure import Figure

import dasha
from darts_autoar.comparison import Outcome
from darts_autoar.scores import Score
from darts_autoar.tasks import Task
from dasha._ray import Engine
from dasha.bench.versions import installed_versions
from dasha.report.page import Cell, Table, number_cells
from dasha.report.plots import MAX_BACKTEST_PANELS, BacktestPanel, backtest_figure, spread_out

_COLUMNS = ("model", "MASE", "MAE", "MSE", "seconds", "fitted", "remark")


def score_rows(scores: Sequence[Score]) -> list[dict[str, object]]:
    """Return one row per model for the terminal."""
    return [
        dict(
            zip(
                _COLUMNS,
                (row.model, row.mase, row.mae, row.mse, row.seconds, row.fitted, row.remark),
                strict=True,
            )
        )
        for row in scores
    ]


def score_records(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return one record per model for JSON; what is not a number becomes None."""
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(row).items()}
        for row in scores
    ]


def score_table(scores: Sequence[Score], *, caption: str = "") -> Table:
    """Return the table of one comparison for the page, Auto-AR set off."""
    numbers = [number_cells([getattr(row, name) for row in scores]) for name in ("mase", "mae", "mse")]
    rows = [
        [
            Cell(row.model),
            *(column[place] for column in numbers),
            Cell(f"{row.seconds:.2f}", numeric=True),
            Cell(row.fitted),
            Cell(row.remark),
        ]
        for place, row in enumerate(scores)
    ]
    return Table(("Model", "MASE", "MAE", "MSE", "Seconds", "Fitted", ""), rows, caption=caption, marked=(0,))


def comparison_figure(
    tasks: Sequence[Task], outcomes: Sequence[Outcome], *, columns: Sequence[str], title: str = ""
) -> tuple[Figure, str] | None:
    """Return the figure of what was observed and what was forecast, with a description; None if every model failed.

    Of one series, the first columns are drawn; of several, columns of series from all over the file.
    """
    forecasts = {outcome.label: outcome.forecasts for outcome in outcomes if outcome.forecasts is not None}
    if not forecasts:
        return None
    count = len(tasks) * len(columns)
    shown = min(count, MAX_BACKTEST_PANELS)
    panels = []
    for place in range(shown) if len(tasks) == 1 else spread_out(count, shown):
        number, channel = divmod(place, len(columns))
        task = tasks[number]
        names = [*filter(None, [task.name]), *(columns[channel : channel + 1] if len(columns) > 1 else [])]
        own = {label: blocks[number][:, :, channel] for label, blocks in forecasts.items()}
        panels.append(BacktestPanel(": ".join(names), task.index, task.values[:, channel], task.windows.origins, own))
    drawn = ", ".join(panel.title or columns[0] for panel in panels)
    return backtest_figure(panels, title=title), f"Values of {drawn} and the forecasts of {', '.join(forecasts)}"


def describe_windows(tasks: Sequence[Task]) -> str:
    """Say in a sentence what was forecast from where."""
    windows = tasks[0].windows
    counts, training, rows = (
        _span(values)
        for values in (
            [len(task.windows.origins) for task in tasks],
            [task.windows.training_rows for task in tasks],
            [len(task.index) for task in tasks],
        )
    )
    each = "" if len(tasks) == 1 else f" for each of {len(tasks)} series"
    noun = "window" if counts == "1" else "windows"
    return (
        f"{counts} {noun} of {windows.horizon} steps{each}, {windows.stride} apart, "
        f"after {training} of {rows} rows; season of {tasks[0].season_length}"
    )


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def describe_fitting(tasks: Sequence[Task], *, is_zero_shot: bool = False, engine: Engine = "local") -> str:
    """Say which models were fitted when, and on what.

    Args:
        tasks: What was forecast.
        is_zero_shot: Whether Auto-AR learned nothing.
        engine: Where the local models were fitted.
    """
    first = tasks[0]
    local = "at every window" if first.refit else "once too where Darts can apply the fitted model to a longer history"
    recent = f", on at most the latest {first.local_rows} rows" if first.local_rows else ""
    columns = ", one per column," if first.per_column else ""
    together, each = (",", "") if len(tasks) == 1 else (" of all series together,", " to every series")
    once = (
        "Auto-AR is not fitted, and forecasts every window from its own past alone; linear regression is fitted once"
        if is_zero_shot
        else "Auto-AR and linear regression are fitted once"
    )
    elsewhere = (
        " They ran on workers of Ray, and their seconds are the sum over all fits and forecasts there, not the time "
        "that passed."
        if engine == "ray"
        else ""
    )
    return (
        f"{once}{columns} on the rows before the first window{together} and "
        f"applied to the history of every window; the other models are fitted{each} {local}{recent}.{elsewhere} "
        "Nothing is chosen on the windows."
    )


def versions() -> dict[str, str]:
    """Versions that the figures were made with."""
    return {
        "dasha-plugins": dasha.__version__,
        "python": platform.python_version(),
        **installed_versions(("darts", "statsforecast", "numpy", "torch")),
    }
