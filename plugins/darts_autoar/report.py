"""Comparisons as table rows, JSON, and sections of the report page."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

from matplotlib.figure import Figure

import dasha
from darts_autoar.comparison import Outcome, Task
from darts_autoar.scores import Score
from dasha.report.page import Cell, Table, number_cells
from dasha.report.plots import backtest_figure

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
    return Table(("Model", "MASE", "MAE", "MSE", "Seconds", "Fitted", ""), rows, caption=caption, marked=0)


def comparison_figure(
    task: Task, outcomes: Sequence[Outcome], *, columns: Sequence[str], title: str = ""
) -> tuple[Figure, str] | None:
    """Return the figure of what was observed and what was forecast, with a description; None if every model failed."""
    forecasts = {outcome.label: outcome.forecasts for outcome in outcomes if outcome.forecasts is not None}
    if not forecasts:
        return None
    figure = backtest_figure(
        task.values, forecasts, index=task.index, origins=task.windows.origins, columns=columns, title=title
    )
    return figure, f"Values of {', '.join(columns[:6])} and the forecasts of {', '.join(forecasts)}"


def describe_windows(task: Task) -> str:
    """Say in a sentence what was forecast from where."""
    windows = task.windows
    count = len(windows.origins)
    return (
        f"{count} {'window' if count == 1 else 'windows'} of {windows.horizon} steps, {windows.stride} apart, after "
        f"{windows.training_rows} of {len(task.index)} rows; season of {task.season_length}"
    )


def describe_fitting(task: Task) -> str:
    """Say which models were fitted when, and on what."""
    local = "at every window" if task.refit else "once too where Darts can apply the fitted model to a longer history"
    recent = f", on at most the latest {task.local_rows} rows" if task.local_rows else ""
    columns = ", one per column," if task.per_column else ""
    return (
        f"Auto-AR and linear regression are fitted once{columns} on the rows before the first window, and applied to "
        f"the history of every window; the other models are fitted {local}{recent}. Nothing is chosen on the windows."
    )


def versions() -> dict[str, str]:
    """Versions that the figures were made with."""
    names = ("darts", "statsforecast", "numpy", "torch")
    found = {"dasha-plugins": dasha.__version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
