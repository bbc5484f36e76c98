"""How many steps lie between consecutive times of a series."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pandas as pd

from dasha.autoar.pace import STEP_ROUNDING
from dasha.autoar.parts import IntArray
from dasha.errors import InvalidArgumentError, InvalidSeriesError

Frequency = str | int | float | pd.Timedelta | pd.offsets.BaseOffset | None


def as_times(times: Any) -> pd.Index:
    """Times as an index; days without a time of day, which CSV and Parquet files hold, as their midnight.

    Dates as text are read where they are written as ISO 8601 says, in UTC if they carry UTC offsets.
    """
    index = pd.Index(times)
    if index.inferred_type == "string":
        with contextlib.suppress(ValueError):
            is_offset = index.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$").any()
            return pd.DatetimeIndex(pd.to_datetime(index, format="ISO8601", utc=bool(is_offset)))
    return pd.DatetimeIndex(index) if index.inferred_type == "date" else index


def steps_between(times: Any, freq: Frequency, name: str) -> IntArray:
    """Steps from every time to the next.

    Args:
        times: Dates or numbers, shape ``(T,)``.
        freq: Time between two steps: a pandas frequency for dates, a number for numbers. None takes the rows as
            evenly spaced, which `dasha.autoar.pace` checks, and checks only their order.
        name: How messages call the series.

    Returns:
        Shape ``(T - 1,)``, each at least 1; more where steps are missing.

    Raises:
        InvalidArgumentError: If ``freq`` is no frequency for such times.
        InvalidSeriesError: If times are missing, do not rise, or do not lie on the grid.
    """
    index = as_times(times)
    if index.hasnans:
        raise InvalidSeriesError(
            f"{name} has {np.count_nonzero(index.isna())} rows without a time; fill in or drop them"
        )
    falling = np.flatnonzero(~(index[1:] > index[:-1]))
    if falling.size:
        before, time = index[falling[0]], index[falling[0] + 1]
        raise InvalidSeriesError(
            f"{name} has {time} after {before}, but times must rise from row to row and from chunk to chunk; sort the "
            "rows by time and remove those given twice"
        )
    if not isinstance(index, pd.DatetimeIndex) and not pd.api.types.is_numeric_dtype(index.dtype):
        raise InvalidSeriesError(
            f"{name} has times of dtype {index.dtype}, but they must be dates or numbers; write dates like 2024-01-31 "
            "23:00, or leave the times out"
        )
    if freq is None or len(index) < 2:
        return np.ones(max(len(index) - 1, 0), dtype=np.int64)
    is_date = isinstance(index, pd.DatetimeIndex)
    steps = _date_steps(pd.DatetimeIndex(index), freq) if is_date else _number_steps(index.to_numpy(), freq)
    off_grid = np.flatnonzero(steps < 1)
    if off_grid.size:
        before, time = index[off_grid[0]], index[off_grid[0] + 1]
        raise InvalidSeriesError(
            f"{name} has {time} after {before}, which is no whole number of steps of freq={freq!r}; choose another "
            "freq or round the times"
        )
    return steps


def without_zone(times: pd.DatetimeIndex, offset: pd.offsets.BaseOffset) -> pd.DatetimeIndex:
    """Times to count steps on: local ones for days and months, which are those of the local calendar, else UTC.

    Hours go on through a change of clocks.
    """
    if times.tz is None:
        return times
    is_calendar = not isinstance(offset, pd.offsets.Tick) or isinstance(offset, pd.offsets.Day)
    return times.tz_localize(None) if is_calendar else times.tz_convert(None)


def _number_steps(times: np.ndarray, freq: Frequency) -> IntArray:
    """Steps, and 0 where the time is off the grid."""
    if isinstance(freq, bool) or not isinstance(freq, int | float) or not freq > 0:
        raise InvalidArgumentError(f"freq is {freq!r}, but must be a positive number or None where times are numbers")
    ratios = np.diff(times) / freq
    steps = np.rint(ratios)
    return np.where(np.abs(ratios - steps) <= STEP_ROUNDING, steps, 0).astype(np.int64)


def _date_steps(times: pd.DatetimeIndex, freq: Frequency) -> IntArray:
    """Steps, and 0 where the time is off the grid."""
    try:
        offset = pd.tseries.frequencies.to_offset(freq)  # type: ignore[arg-type]
        is_forward = offset is not None and pd.Timestamp(0) + offset > pd.Timestamp(0)
    except (ValueError, TypeError):
        is_forward = False
    if not is_forward or offset is None:
        raise InvalidArgumentError(
            f"freq is {freq!r}, but must be a pandas frequency such as '15min', 'h', 'D' or 'MS'"
        )
    times = without_zone(times, offset)
    if isinstance(offset, pd.offsets.Week):
        offset = pd.offsets.Day(7 * offset.n)
    if isinstance(offset, pd.offsets.Tick | pd.offsets.Day):
        step = pd.Timedelta(days=offset.n) if isinstance(offset, pd.offsets.Day) else pd.Timedelta(offset)
        distances = times[1:] - times[:-1]
        is_whole = (distances % step) == pd.Timedelta(0)
        return np.where(is_whole, distances // step, 0).astype(np.int64)
    grid = pd.date_range(times[0], times[-1], freq=offset)
    places = grid.get_indexer(times)
    steps = np.diff(places)
    return np.where((places[1:] >= 0) & (places[:-1] >= 0), steps, 0).astype(np.int64)
