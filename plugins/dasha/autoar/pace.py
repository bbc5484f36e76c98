"""Whether rows whose times come without a frequency are evenly spaced, in whatever pieces they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dasha.errors import InvalidSeriesError

# Relative to a step: numbers that are not whole are rounded.
STEP_ROUNDING = 1e-6
_DAY = 86_400_000_000_000
_HALF_A_DAY = pd.Timedelta(hours=12)
_EPSILON = 4 * float(np.finfo(np.float64).eps)


Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Pace:
    """What the steps between consecutive rows have in common with the first one.

    There are several ways to count a step: ``"elapsed"`` time; ``"local"``, whole days of a calendar whose clocks
    change; ``"months"``; ``"business days"``. Rows are even as long as all steps are equal in one of them. That depends
    on the times alone, not on the pieces in which they come.

    Attributes:
        first: Time of the first row.
        second: Time of the second row.
        lost: Ways in which not all steps are equal, and the first two times that show it.
    """

    first: Any
    second: Any
    lost: Mapping[str, Pair]

    @property
    def uneven(self) -> Pair | None:
        """The first two times after which no way was left; None while the rows are even."""
        return None if len(self.lost) < len(_WAYS) else max(self.lost.values(), key=lambda pair: pair[1])


def followed(pace: Pace | None, times: pd.Index) -> Pace | None:
    """The pace of rows so far and of those that follow.

    Args:
        pace: Of the rows so far; None for fewer than two.
        times: Dates or numbers that rise, shape ``(T,)``; the last of the rows so far comes first, if there are any.

    Returns:
        None for fewer than two rows.
    """
    if len(times) < 2:
        return pace
    if pace is None:
        pace = Pace(times[0], times[1], _lost_at_once(times[0], times[1]))
    lost = dict(pace.lost)
    for way in _WAYS.keys() - lost.keys():
        even = _even_steps(way, pd.Index([pace.first, pace.second]), times)
        if even < len(times) - 1:
            lost[way] = times[even], times[even + 1]
    return replace(pace, lost=lost)


def _lost_at_once(first: Any, second: Any) -> dict[str, Pair]:
    """What a short step rules out: counting days or months would only take time."""
    is_long = isinstance(first, pd.Timestamp) and second - first > _HALF_A_DAY
    return {} if is_long else {way: (first, second) for way in _WAYS if way != "elapsed"}


def joined(earlier: Pace | None, last: Any, first: Any, later: Pace | None) -> Pace | None:
    """The pace of rows and those after them.

    Args:
        earlier: Pace of the rows before; None for fewer than two.
        last: Time of the last of them.
        first: Time of the first row after.
        later: Pace of the rows after; None for fewer than two.
    """
    pace = followed(earlier, pd.Index([last, first]))
    if later is not None:
        pace = followed(pace, pd.Index([later.first, later.second]))
    return pace if pace is None or later is None else replace(pace, lost={**later.lost, **pace.lost})


def require_even(pace: Pace | None, name: str) -> None:
    """Refuse rows that are not evenly spaced.

    Args:
        pace: Of the rows.
        name: How messages call the series.

    Raises:
        InvalidSeriesError: If they are not; the first two times that differ from the rest are named.
    """
    if pace is None or pace.uneven is None:
        return
    before, time = pace.uneven
    raise InvalidSeriesError(
        f"{name} has {time} after {before}, but began with {pace.first} and {pace.second}, and rows must be evenly "
        f"spaced where freq is None; pass {_way_out(pace)} to the fit to count missing steps as gaps, or leave the "
        "times out to take rows as evenly spaced"
    )


def _way_out(pace: Pace) -> str:
    """The first step as a frequency, in the way that held longest."""
    longest = [way for way, pair in pace.lost.items() if pair == pace.uneven]
    step = pace.second - pace.first
    if not isinstance(step, pd.Timedelta):
        return f"freq={getattr(step, 'item', lambda: step)()!r}"
    if "elapsed" in longest:
        return f"freq={pd.tseries.frequencies.to_offset(step).freqstr!r}"
    return "freq='B'" if "business days" in longest else "freq, such as 'D' or 'MS',"


def _even_steps(way: str, start: pd.Index, times: pd.Index) -> int:
    """How many steps from the first time on are as long as the step between two other times, and can be counted so."""
    count = _WAYS[way]
    wanted, steps = count(start)[0], count(times)
    allowed = 0.0
    if times.dtype.kind == "f" or start.dtype.kind == "f":
        allowed = STEP_ROUNDING * wanted + _EPSILON * float(max(abs(times[0]), abs(times[-1])))
    differs = np.flatnonzero((steps <= 0) | (wanted <= 0) | (abs(steps - wanted) > allowed))
    return int(differs[0]) if differs.size else len(steps)


def _elapsed(times: pd.Index) -> np.ndarray:
    """Nanoseconds, or differences of numbers."""
    if not isinstance(times, pd.DatetimeIndex):
        return np.diff(times.to_numpy())
    utc = times if times.tz is None else times.tz_convert(None)
    return _nanoseconds(utc)


def _local(times: pd.Index) -> np.ndarray:
    """Nanoseconds of the local clock, where they are whole days; else 0."""
    if not isinstance(times, pd.DatetimeIndex) or times.tz is None:
        return np.zeros(len(times) - 1, dtype=np.int64)
    steps = _nanoseconds(times.tz_localize(None))
    return np.where(steps % _DAY == 0, steps, 0)


def _nanoseconds(times: pd.DatetimeIndex) -> np.ndarray:
    steps: np.ndarray = np.diff(times.to_numpy()).astype("timedelta64[ns]").astype(np.int64)
    return steps


def _months(times: pd.Index) -> np.ndarray:
    """Months of the calendar between equal places in the month, else 0."""
    if not isinstance(times, pd.DatetimeIndex):
        return np.zeros(len(times) - 1, dtype=np.int64)
    days, is_same_time = _days(times)
    months = days.astype("datetime64[M]")
    starts, ends = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]") - 1
    is_end = days == ends
    # The 31st is the last day of shorter months.
    is_same = (np.diff((days - starts).astype(np.int64)) == 0) | is_end[1:] | is_end[:-1]
    for working in (np.busday_offset(starts, 0, roll="forward"), np.busday_offset(ends, 0, roll="backward")):
        is_same |= (days == working)[1:] & (days == working)[:-1]
    return np.where(is_same & is_same_time, np.diff(months.astype(np.int64)), 0)


def _business_days(times: pd.Index) -> np.ndarray:
    """Days from Monday to Friday between two of them, else 0."""
    if not isinstance(times, pd.DatetimeIndex):
        return np.zeros(len(times) - 1, dtype=np.int64)
    days, is_same_time = _days(times)
    is_working = np.is_busday(days)
    return np.where(is_working[1:] & is_working[:-1] & is_same_time, np.busday_count(days[:-1], days[1:]), 0)


def _days(times: pd.DatetimeIndex) -> tuple[np.ndarray, np.ndarray]:
    """Days of the local calendar, and whether each time but the first is at the same time of day as the one before."""
    local = (times if times.tz is None else times.tz_localize(None)).to_numpy()
    days = local.astype("datetime64[D]")
    return days, np.diff(local - days).astype(np.int64) == 0


_WAYS: dict[str, Callable[[pd.Index], np.ndarray]] = {
    "elapsed": _elapsed,
    "local": _local,
    "months": _months,
    "business days": _business_days,
}
