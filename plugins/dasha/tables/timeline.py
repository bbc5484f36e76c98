"""Times put in order on a regular grid; gaps become missing values only where ``--freq`` asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.tables.grid import NOT_MOVED, place_on_grid, proposed, shown
from dasha.tables.times import Reading, readings, stand_for_dates, whole_numbers


@dataclass(frozen=True)
class Timeline:
    """Where the rows of a file lie on a regular grid.

    Attributes:
        index: The grid, a ``DatetimeIndex`` with a frequency or a ``RangeIndex``, length ``T``.
        rows: Row of the file at every grid point, shape ``(T,)``; -1 where there is none.
        notes: What was assumed, sorted, moved or filled in.
        moved: How many rows were moved to the nearest time of the grid.
        furthest: By how much at most.
    """

    index: pd.DatetimeIndex | pd.RangeIndex
    rows: np.ndarray
    notes: tuple[str, ...] = ()
    moved: int = 0
    furthest: pd.Timedelta = NOT_MOVED


Beside = Callable[[], Sequence[pd.DatetimeIndex]]
"""Gives the rising times of further series, which a proposed frequency must fit too."""

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


def build_timeline(column: pd.Series, freq: str | None, *, may_move: bool = True, beside: Beside = tuple) -> Timeline:
    """Read the times of a file and find, or check, their frequency.

    Rows out of order are sorted, and rows beside the grid of ``freq`` are moved onto it as
    `dasha.tables.grid.place_on_grid` says, both with a note.

    Args:
        column: Dates, or whole numbers.
        freq: Pandas frequency to put the rows on (older names such as ``H`` and ``M`` too); None finds it.
        may_move: Whether rows may be moved.
        beside: Gives the times of further series, for the frequency that an error proposes.

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

    def place(times: pd.DatetimeIndex, moving: bool) -> Placed:
        return [_date_timeline(str(column.name), times, freq, moving, beside)], []

    timelines, notes = likeliest(column, place, freq, may_move=may_move)
    timeline = timelines[0]
    return replace(timeline, notes=(*notes, *timeline.notes))


def likeliest(
    column: pd.Series, place: Callable[[pd.DatetimeIndex, bool], Placed], freq: str | None, *, may_move: bool
) -> Placed:
    """Timelines for the likeliest way to read a column as dates: the first that puts them on a regular grid.

    Where days and months could be one another, the way that leaves fewer gaps. Rows are moved only where no way does
    without.

    Args:
        column: Dates of any kind.
        place: Makes timelines, and notes on them, from the dates; the second argument says whether rows may be moved.
        freq: As in `build_timeline`; rows are moved only where it is given.
        may_move: Whether rows may be moved at all.

    Returns:
        The timelines; what was assumed in reading comes first among the notes.

    Raises:
        InvalidTableError: If no way gives timelines, or days and months could be one another and nothing decides.
    """
    known = readings(column)
    try:
        fitting = _fitting(known, lambda times: place(times, may_move and freq is None))
    except InvalidTableError:
        if freq is None or not may_move:
            raise
        fitting = _fitting(known, lambda times: place(times, True))
    fitting.sort(key=lambda one: _gaps(one[1]))
    if len(fitting) > 1 and _gaps(fitting[0][1]) == _gaps(fitting[1][1]):
        _refuse_to_guess(str(column.name), fitting)
    reading, (timelines, notes) = fitting[0]
    return timelines, [*filter(None, [reading.note]), *notes]


def _fitting(known: Sequence[Reading], place: Callable[[pd.DatetimeIndex], Placed]) -> list[tuple[Reading, Placed]]:
    """Ways to read the column that give timelines; at least one."""
    fitting: list[tuple[Reading, Placed]] = []
    problems = []
    for reading in known:
        if fitting and reading.order in ("", fitting[0][0].order):
            continue
        try:
            fitting.append((reading, place(reading.times)))
        except InvalidTableError as error:
            problems.append(error)
    if not fitting:
        raise problems[0]
    return fitting


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


def _date_timeline(name: str, times: pd.DatetimeIndex, freq: str | None, may_move: bool, beside: Beside) -> Timeline:
    order, notes = _order(name, times)
    ordered = times[order]
    if freq is not None:
        placed = place_on_grid(ordered, freq, may_move=may_move, beside=beside)
        rows = np.full(len(placed.grid), -1)
        rows[placed.places] = order
        if placed.moved:
            notes.append(
                f"{placed.moved} of {len(ordered)} rows were moved to the nearest time of the grid of "
                f"{placed.grid.freqstr}, by at most {shown(placed.furthest)}"
            )
        if placed.missing:
            notes.append(
                f"{placed.missing} times between the first and the last are not in the file and count as missing values"
            )
        return Timeline(placed.grid, rows, tuple(notes), placed.moved, placed.furthest)
    if len(ordered) < 3:
        raise InvalidTableError(
            f"{len(ordered)} data row(s) are too few to tell how often values come; supply more history, or say it "
            "with --freq"
        )
    found = pd.infer_freq(ordered)
    if found is None:
        raise _irregular(ordered, beside, may_move=may_move)
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


def _irregular(ordered: pd.DatetimeIndex, beside: Beside, *, may_move: bool) -> InvalidTableError:
    name = proposed([ordered, *beside()], may_move=may_move)
    rows = "--row-numbers to take the rows as evenly spaced"
    if name is None:
        steps = ordered[1:] - ordered[:-1]
        return InvalidTableError(
            f"times are irregular, and no frequency fits them: steps lie between {shown(steps.min())} and "
            f"{shown(steps.max())}, the median is {shown(steps.to_series().median())}; round the times, or pass {rows}"
        )
    placed = place_on_grid(ordered, name, may_move=may_move)
    leave = " and leave the missing ones to the model, or " if placed.missing else ", or "
    if placed.moved:
        return InvalidTableError(
            f"times are irregular: {placed.moved} of {len(ordered)} rows lie beside the grid of {name}, by up to "
            f"{shown(placed.furthest)}; pass --freq {name} to move them onto it{leave}{rows}"
        )
    gap = int(np.flatnonzero(np.diff(placed.places) > 1)[0]) if placed.missing else 0
    return InvalidTableError(
        f"times are irregular: {ordered[gap + 1]} follows {ordered[gap]}, but the usual step is {name} "
        f"({placed.missing} of {len(placed.grid)} times are not in the file); pass --freq {name} to put the rows on a "
        f"regular grid{leave}{rows}"
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
