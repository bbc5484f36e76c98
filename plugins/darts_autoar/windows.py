"""Where a rolling backtest forecasts from, and the season it may assume."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from dasha.errors import InvalidArgumentError, SeriesTooShortError

_TEST_SHARE = 0.2
_MAX_WINDOWS = 10
_MIN_TRAINING_ROWS = 20
_SEASONS = {"s": 60, "min": 1440, "h": 24, "D": 7, "B": 5, "W": 52, "ME": 12, "MS": 12, "QE": 4, "QS": 4}


@dataclass(frozen=True)
class Windows:
    """Test windows of a rolling backtest.

    Attributes:
        horizon: Steps forecast in each.
        origins: Rows known at each, ascending.
        stride: Steps from one to the next.
    """

    horizon: int
    origins: tuple[int, ...]
    stride: int

    @property
    def training_rows(self) -> int:
        """Rows before the first window."""
        return self.origins[0]


def plan_windows(
    index: pd.Index, *, horizon: int, stride: int | None = None, count: int | None = None, start: str | None = None
) -> Windows:
    """Place windows that end with the last row.

    Args:
        index: Times of all rows.
        horizon: Steps forecast in each window.
        stride: Steps between windows; None for the horizon, so that windows do not overlap.
        count: Number of windows; None for as many as fit into the last fifth of the rows, 1 to 10.
        start: First time forecast, a row number or a share such as ``0.7``, instead of ``count``.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
        SeriesTooShortError: If too few rows are left to train on or to forecast.
    """
    stride = horizon if stride is None else stride
    rows = len(index)
    if start is not None:
        if count is not None:
            raise InvalidArgumentError("--start and --windows both say where the windows begin; give one of the two")
        first = _position(index, start)
        origins = tuple(range(first, rows - horizon + 1, stride))
        if not origins:
            raise SeriesTooShortError(
                f"--start {start} leaves {rows - first} rows to forecast, fewer than --horizon {horizon}; start earlier"
            )
    else:
        if count is None:
            count = max(1, min(_MAX_WINDOWS, 1 + (int(rows * _TEST_SHARE) - horizon) // stride))
        last = rows - horizon
        origins = tuple(last - stride * number for number in range(count - 1, -1, -1))
    if origins[0] < max(_MIN_TRAINING_ROWS, horizon):
        raise SeriesTooShortError(
            f"{rows} rows, {len(origins)} windows of {horizon} steps and a stride of {stride} leave "
            f"{max(0, origins[0])} rows to train on, but at least {max(_MIN_TRAINING_ROWS, horizon)} are needed; "
            "use fewer windows or a shorter horizon"
        )
    return Windows(horizon, origins, stride)


def season_of(index: pd.Index) -> int:
    """Season length usual for a frequency: a day, a week for days, a year for weeks and longer; else 1."""
    name = getattr(index, "freqstr", None) or ""
    match = re.match(r"(\d*)([A-Za-z]+)", name)
    if match is None or match[2] not in _SEASONS:
        return 1
    season, count = _SEASONS[match[2]], int(match[1] or 1)
    return season // count if season % count == 0 else 1


def _position(index: pd.Index, start: str) -> int:
    try:
        number = float(start)
    except ValueError:
        number = None
    if number is not None and 0 < number < 1:
        return round(number * len(index))
    if number is not None and number == int(number) and 0 < number < len(index):
        if not isinstance(index, pd.DatetimeIndex):
            return int(index.searchsorted(int(number))) if number >= index[0] else int(number)
        if number < 1000 or len(index) > number:
            return int(number)
    if isinstance(index, pd.DatetimeIndex):
        try:
            return int(index.searchsorted(pd.Timestamp(start)))
        except ValueError:
            pass
    raise InvalidArgumentError(
        f"--start is {start!r}, but must be a time of the file, a row number below {len(index)}, or a share such as 0.7"
    )
