"""Times put in order on a regular grid; gaps become missing values only where ``--freq`` asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.tables.times import Reading, readings, stand_for_dates, whole_numbers

# More grid points per row than this mean a wrong frequency, not gaps.
_MAX_EXPANSION = 100
_CAPITALS = {"q", "y", "w", "b", "d"}
_OLD_NAMES = {"H": "h", "T": "min", "S": "s", "L": "ms", "A": "Y", "BH": "bh"}
_ANCHORED = {"M": ("ME", "MS"), "Q": ("QE", "QS"), "Y": ("YE", "YS"), "BM": ("BME", "BMS"), "BQ": ("BQE", "BQS")}


@dataclass(frozen=True)
class Timeline:
    """Where the rows of a file lie on a regular grid.

    Attributes:
        index: The grid, a ``DatetimeIndex`` with a frequency or a ``RangeIndex``, length ``T``.
        rows: Row of the file at every grid point, shape ``(T,)``; -1 where there is none.
        notes: What was assumed, sorted or filled in.
    """

    index: pd.DatetimeIndex | pd.RangeIndex
    rows: np.ndarray
    notes: tuple[str, ...] = ()


Placed = tuple[list[Timeline], list[str]]
"""Timelines of one or several series, and notes on all of them."""


def row_numbers(count: int) -> Timeline:
    """Timeline without times: the rows, counted from 1."""
    return Timeline(pd.RangeIndex(1, count + 1), np.arange(count), ("times are row numbers, counted from 1",))


def future_times(index: pd.DatetimeIndex | pd.RangeIndex, horizon: int) -> pd.Index:
    """Times of the ``horizon`` steps that follow a grid."""
    if isinstance(index, pd.RangeIndex):
        return pd.RangeIndex(index.stop, index.stop + horizon * index.step, index.step)
    return pd.date_range(index[-1], periods=horizon + 1, freq=index.freq)[1:]


def regular_grids(
    starts: Sequence[pd.Timestamp], lengths: Sequence[int], freqs: Sequence[str]
) -> list[pd.DatetimeIndex]:
    """Grids of many series, as ``pd.date_range(start, periods=length, freq=freq)`` gives one.

    Pandas makes grids of weeks and longer step by step, and cuts them at once: series of one frequency and time of day
    share a grid, of which each is a part.

    Raises:
        OutOfBoundsDatetime: If a grid leaves the times that pandas can hold in nanoseconds.
    """
    spans: dict[tuple[str, pd.Timedelta], tuple[pd.Timestamp, pd.Timestamp]] = {}
    for start, length, freq in zip(starts, lengths, freqs, strict=True):
        if not _is_fixed(freq):
            key, end = (freq, start - start.normalize()), last_time(start, length, freq)
            first, last = spans.get(key, (start, end))
            spans[key] = min(first, start), max(last, end)
    shared = {key: pd.date_range(first, last, freq=key[0]) for key, (first, last) in spans.items()}
    grids = []
    for start, length, freq in zip(starts, lengths, freqs, strict=True):
        whole = shared.get((freq, start - start.normalize()), pd.DatetimeIndex([]))
        place = int(whole.searchsorted(start))
        grid = whole[place : place + length]
        # Else the step is fixed, the start is off the grid, or steps depend on where they begin, as every second week.
        fits = len(grid) == length and grid[0] == start
        grids.append(grid if fits else pd.date_range(start, periods=length, freq=freq))
    return grids


def _is_fixed(freq: str) -> bool:
    """Tell whether all steps are equally long, in which case pandas is fast, and a shared grid may be very long."""
    return isinstance(pd.tseries.frequencies.to_offset(freq), pd.offsets.Tick)


def last_time(start: pd.Timestamp, length: int, freq: str) -> pd.Timestamp:
    """Last time of a grid of ``length`` steps, at least one.

    Raises:
        OutOfBoundsDatetime: If that is no time that pandas can hold in nanoseconds.
    """
    first = start.as_unit("ns")
    return first if length == 1 else first + (length - 1) * pd.tseries.frequencies.to_offset(freq)


def frequency_of(index: pd.DatetimeIndex | pd.RangeIndex) -> str:
    """Frequency of a grid as pandas writes it; the step for whole numbers."""
    return str(index.step) if isinstance(index, pd.RangeIndex) else str(index.freqstr)


def build_timeline(column: pd.Series, freq: str | None) -> Timeline:
    """Read the times of a file and find, or check, their frequency.

    Rows out of order are sorted, with a note.

    Args:
        column: Dates, or whole numbers.
        freq: Pandas frequency to put the rows on (older names such as ``H`` and ``M`` too); None finds it.

    Raises:
        InvalidTableError: If times are missing, unreadable, duplicated or irregular, or ``freq`` is unknown or does
            not fit.
    """
    numbers = whole_numbers(column)
    if numbers is not None and not stand_for_dates(numbers):
        return _integer_timeline(str(column.name), numbers, freq)
    if numbers is None and pd.api.types.is_numeric_dtype(column) and column.notna().all():
        raise InvalidTableError(
            f"time column {column.name!r} holds {column.iloc[0]!s}, but must hold dates or whole numbers; "
            "name another --time-column"
        )
    timelines, notes = likeliest(column, lambda times: ([_date_timeline(str(column.name), times, freq)], []))
    timeline = timelines[0]
    return Timeline(timeline.index, timeline.rows, (*notes, *timeline.notes))


def likeliest(column: pd.Series, place: Callable[[pd.DatetimeIndex], Placed]) -> Placed:
    """Timelines for the likeliest way to read a column as dates: the first that puts them on a regular grid.

    Where days and months could be one another, the way that leaves fewer gaps.

    Args:
        column: Dates of any kind.
        place: Makes timelines, and notes on them, from the dates.

    Returns:
        The timelines; what was assumed in reading comes first among the notes.

    Raises:
        InvalidTableError: If no way gives timelines, or days and months could be one another and nothing decides.
    """
    fitting: list[tuple[Reading, Placed]] = []
    problems = []
    for reading in readings(column):
        if fitting and reading.order in ("", fitting[0][0].order):
            continue
        try:
            fitting.append((reading, place(reading.times)))
        except InvalidTableError as error:
            problems.append(error)
    if not fitting:
        raise problems[0]
    fitting.sort(key=lambda one: _gaps(one[1]))
    if len(fitting) > 1 and _gaps(fitting[0][1]) == _gaps(fitting[1][1]):
        _refuse_to_guess(str(column.name), fitting)
    reading, (timelines, notes) = fitting[0]
    return timelines, [*filter(None, [reading.note]), *notes]


def _gaps(placed: Placed) -> int:
    return sum(int((timeline.rows < 0).sum()) for timeline in placed[0])


def _refuse_to_guess(name: str, fitting: Sequence[tuple[Reading, Placed]]) -> None:
    """Raise an error if two readings are different dates."""
    if fitting[0][0].times.equals(fitting[1][0].times):
        return
    freqs = [frequency_of(placed[0][0].index) for _, placed in fitting]
    ways = [
        f"{reading.order} ({reading.times.min():%Y-%m-%d} to {reading.times.max():%Y-%m-%d}, every {freq})"
        for (reading, _), freq in zip(fitting, freqs, strict=True)
    ]
    which = f", or say which with --freq {freqs[0]} or --freq {freqs[1]}" if freqs[0] != freqs[1] else ""
    raise InvalidTableError(
        f"time column {name!r} can be read as {ways[0]} and as {ways[1]}; write dates like 2024-01-31{which}"
    )


def _date_timeline(name: str, times: pd.DatetimeIndex, freq: str | None) -> Timeline:
    order, notes = _order(name, times)
    ordered = times[order]
    if freq is not None:
        grid = _grid(ordered, freq)
        rows = np.full(len(grid), -1)
        rows[grid.get_indexer(ordered)] = order
        gaps = len(grid) - len(ordered)
        if gaps:
            notes.append(f"{gaps} times between the first and the last are not in the file and count as missing values")
        return Timeline(grid, rows, tuple(notes))
    if len(ordered) < 3:
        raise InvalidTableError(
            f"{len(ordered)} data row(s) are too few to tell how often values come; supply more history, or say it "
            "with --freq"
        )
    found = pd.infer_freq(ordered)
    if found is None:
        raise _irregular(ordered)
    return Timeline(pd.DatetimeIndex(ordered, freq=found), order, tuple(notes))


def _order(name: str, times: pd.Index) -> tuple[np.ndarray, list[str]]:
    """Rows in order of time, and a note if that is not the order of the file."""
    order = np.argsort(times.to_numpy(), kind="stable")
    ordered = times[order]
    repeated = ordered[ordered.duplicated()]
    if len(repeated):
        raise InvalidTableError(
            f"time column {name!r} holds {repeated[0]} {int((ordered == repeated[0]).sum())} times "
            f"({repeated.nunique()} duplicated times in all); remove the duplicates, write times in UTC if clocks were "
            "changed, name the column that tells the series apart with --id-column if the file stacks several, or pass "
            "--row-numbers to take the rows as evenly spaced"
        )
    if (order[1:] > order[:-1]).all():
        return order, []
    first = int(np.flatnonzero(times[1:] < times[:-1])[0]) + 2
    return order, [f"rows were not in order of time (the first is data row {first}) and have been sorted"]


def _grid(ordered: pd.DatetimeIndex, freq: str) -> pd.DatetimeIndex:
    """The regular grid from the first to the last time that holds them all."""
    misfits = []
    for name in _spellings(freq, ordered[0]):
        offset = _offset(name, freq)
        step = (ordered[0] + offset) - ordered[0]
        if (ordered[-1] - ordered[0]) / step > _MAX_EXPANSION * len(ordered) + 1000:
            raise InvalidTableError(
                f"--freq {freq} would leave more than {_MAX_EXPANSION} missing rows for each one in the file; "
                f"choose a coarser one (the usual step is {_usual_step(ordered)})"
            )
        grid = pd.date_range(ordered[0], ordered[-1], freq=name)
        off = ordered[~ordered.isin(grid)]
        if len(off) == 0 and len(grid):
            return grid
        misfits.append((off[0] if len(off) else ordered[0], name))
    # Of several anchors, the one on which the series gets furthest is what was meant.
    time, name = max(misfits)
    usual = f" (the usual step is {_usual_step(ordered)})" if len(ordered) > 1 else ""
    raise InvalidTableError(
        f"--freq {freq} does not fit: {time} is not on the grid of {name!r} that starts at {ordered[0]}; "
        f"choose another frequency{usual} or round the times"
    )


def _offset(name: str, asked: str) -> pd.offsets.BaseOffset:
    try:
        offset = pd.tseries.frequencies.to_offset(name)
        is_forward = offset is not None and pd.Timestamp(0) + offset > pd.Timestamp(0)
    except ValueError:
        is_forward = False
    if not is_forward or offset is None:
        raise InvalidTableError(
            f"--freq is {asked!r}, but must be a pandas frequency such as 15min, h, D, B, W, MS, ME, QS or YS"
        )
    return offset


def _spellings(freq: str, first: pd.Timestamp) -> list[str]:
    """Current pandas names for a frequency; where it leaves the anchor open, every anchor the data may have."""
    match = re.fullmatch(r"(\d*)([A-Za-z]+)", freq.strip())
    if match is None:
        return [freq.strip()]
    count, unit = match[1], match[2].upper() if match[2] in _CAPITALS else match[2]
    unit = _OLD_NAMES.get(unit, unit)
    if unit == "W":
        return [f"{count}W-{first.day_name()[:3].upper()}"]
    if unit in _ANCHORED:
        month = "" if unit.endswith("M") else f"-{first.month_name()[:3].upper()}"
        return [f"{count}{name}{month}" for name in _ANCHORED[unit]]
    return [f"{count}{unit}"]


def _usual_step(ordered: pd.DatetimeIndex) -> str:
    steps = pd.Series(ordered[1:] - ordered[:-1])
    usual = steps.mode().iloc[0]
    if pd.Timedelta(days=28) <= usual <= pd.Timedelta(days=31):
        return "MS" if (ordered.day == 1).all() else "ME"
    return str(pd.tseries.frequencies.to_offset(usual).freqstr)


def _irregular(ordered: pd.DatetimeIndex) -> InvalidTableError:
    steps = ordered[1:] - ordered[:-1]
    usual = pd.Series(steps).mode().iloc[0]
    odd = np.flatnonzero(steps != usual)
    first = int(odd[0]) if odd.size else 0
    return InvalidTableError(
        f"times are irregular: {ordered[first + 1]} follows {ordered[first]}, but the usual step is {usual} "
        f"({odd.size} of {len(steps)} steps differ); pass --freq {_usual_step(ordered)} to put the rows on a regular "
        "grid and leave the missing ones to the model, or --row-numbers to take the rows as evenly spaced"
    )


def anchored(freq: str, time: pd.Timestamp) -> str:
    """The same frequency; weeks begin on the day of a time of the series."""
    return re.sub(r"W-[A-Z]{3}$", f"W-{time.day_name()[:3].upper()}", freq)


def _integer_timeline(name: str, numbers: np.ndarray, freq: str | None) -> Timeline:
    if freq is not None:
        raise InvalidTableError(
            f"--freq is {freq!r}, but time column {name!r} holds whole numbers; leave --freq out, or name a column "
            "of dates"
        )
    order, notes = _order(name, pd.Index(numbers))
    ordered = numbers[order]
    steps = np.diff(ordered)
    if steps.size == 0:
        raise InvalidTableError("one data row is too few to forecast from; supply more history")
    odd = np.flatnonzero(steps != steps[0])
    if odd.size:
        raise InvalidTableError(
            f"time column {name!r} is irregular: {ordered[odd[0] + 1]} follows {ordered[odd[0]]}, but the first step "
            f"is {steps[0]}; add the missing rows with empty values"
        )
    step = int(steps[0])
    return Timeline(pd.RangeIndex(int(ordered[0]), int(ordered[-1]) + step, step), order, tuple(notes))
