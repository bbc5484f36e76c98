"""What is to be forecast in a comparison, and what the models see of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from darts_autoar.baselines import Setting
from darts_autoar.windows import Windows
from dasha.types import FloatArray


@dataclass(frozen=True)
class Task:
    """One series to forecast; a comparison is about a list of them.

    Attributes:
        values: Shape ``(T, C)``; NaN marks a missing value, which Auto-AR sees as such. The other models see gaps
            filled by straight lines between known values, the last known value at the end.
        index: Times, length ``T``.
        windows: Test windows.
        season_length: Steps in a season; 1 for none.
        refit: Fit local models anew at every window.
        local_rows: Most recent rows that a local model is fitted on; 0 for all.
        per_column: Fit an Auto-AR for every column, as the other models are, instead of one for all.
        name: What tells the series apart where there are several.
    """

    values: FloatArray
    index: pd.Index
    windows: Windows
    season_length: int
    refit: bool = True
    local_rows: int = 0
    per_column: bool = False
    name: str = ""

    @property
    def setting(self) -> Setting:
        """What a model may know before it sees the series."""
        return Setting(self.windows.horizon, self.season_length, self.windows.training_rows)


def histories(task: Task, column: int, origins: Sequence[int]) -> list[FloatArray]:
    """What is known of a column at some windows, gaps filled."""
    return [fill_gaps(task.values[:origin, column]) for origin in origins]


def timed(task: Task, history: FloatArray) -> Any:
    """Return the first values of a column as a series of Darts."""
    return darts_series(task.index[: len(history)], history)


def darts_series(index: pd.Index, values: FloatArray) -> Any:
    """Return values ``(T,)`` or ``(T, C)`` with their times as a series of Darts."""
    from darts import TimeSeries

    return TimeSeries.from_times_and_values(index, values.reshape(len(index), -1))


def fill_gaps(history: FloatArray) -> FloatArray:
    """Fill missing values ``(T,)`` by straight lines, at the ends by the nearest value, from this history alone."""
    known = ~np.isnan(history)
    if known.all() or not known.any():
        return history
    positions = np.arange(len(history))
    return np.interp(positions, positions[known], history[known])
