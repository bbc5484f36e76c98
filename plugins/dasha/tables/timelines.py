"""Times of many series that are stacked in one file: each on a grid of its own, all at one frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.tables.grid import proposed, shown
from dasha.tables.timeline import (
    Beside,
    Placed,
    Timeline,
    anchored,
    build_timeline,
    frequency_of,
    likeliest,
    regular_grids,
    row_numbers,
)
from dasha.tables.times import stand_for_dates, whole_numbers


@dataclass(frozen=True)
class Group:
    """Rows of one series.

    Attributes:
        name: Its id as text.
        rows: Rows of the file, ascending, shape ``(T,)``.
    """

    name: str
    rows: np.ndarray


def count_rows_of(groups: Sequence[Group]) -> list[Timeline]:
    """Timelines without times: the rows of every series, counted from 1."""
    counted = [row_numbers(len(group.rows)) for group in groups]
    return [Timeline(one.index, group.rows, one.notes) for group, one in zip(groups, counted, strict=True)]


def build_timelines(column: pd.Series, groups: Sequence[Group], freq: str | None) -> tuple[list[Timeline], list[str]]:
    """Read the times of all series at once, so that every date is read the same way.

    Where no frequency is given, the series with most rows sets it, and no series may have gaps.

    Args:
        column: Dates, or whole numbers, of all rows of the file.
        groups: Rows of every series.
        freq: As for `dasha.tables.timeline.build_timeline`.

    Returns:
        One timeline for each group, whose rows are those of the file, and notes on all of them together.

    Raises:
        InvalidTableError: As `dasha.tables.timeline.build_timeline`, and if a series has a time twice or another
            frequency than the longest; the series is named.
    """
    numbers = whole_numbers(column)
    if numbers is not None and not stand_for_dates(numbers):
        return _on_grids(str(column.name), pd.Index(numbers), groups, freq, may_move=False)
    if numbers is None and pd.api.types.is_numeric_dtype(column) and column.notna().all():
        build_timeline(column, freq)  # says what is wrong with such a column

    def place(times: pd.DatetimeIndex, may_move: bool) -> Placed:
        return _on_grids(str(column.name), times, groups, freq, may_move=may_move)

    return likeliest(column, place, freq, may_move=True)


def _on_grids(name: str, times: pd.Index, groups: Sequence[Group], freq: str | None, *, may_move: bool) -> Placed:
    """Timelines for one way to read the times: dates or whole numbers, in the order of the file."""
    _refuse_duplicates(times, groups)
    longest = max(groups, key=lambda group: len(group.rows))

    def every() -> list[pd.DatetimeIndex]:
        return [pd.DatetimeIndex(times[group.rows]).sort_values() for group in groups]

    def build(group: Group) -> Timeline:
        try:
            column = pd.Series(times[group.rows], name=name)
            return build_timeline(column, freq, may_move=may_move, beside=every)
        except InvalidTableError as error:
            raise InvalidTableError(f"series {group.name!r}: {error}") from None

    found = build(longest)
    if freq is None:
        local = _like_the_longest(times, groups, longest, found, every)
    else:
        local = [build(group) for group in groups]
    timelines, unsorted, gaps = [], 0, []
    for group, timeline in zip(groups, local, strict=True):
        is_row = timeline.rows >= 0
        unsorted += bool((np.diff(timeline.rows[is_row]) < 0).any())
        gaps.append(int((~is_row).sum()))
        timelines.append(Timeline(timeline.index, np.where(is_row, group.rows[timeline.rows], -1)))
    notes = [f"rows of {unsorted} series were not in order of time and have been sorted"] if unsorted else []
    if sum(gaps):
        notes.append(
            f"{sum(gaps)} times in {np.count_nonzero(gaps)} of {len(groups)} series, between the first and the last of "
            "the series, are not in the file and count as missing values"
        )
    moved = [timeline for timeline in local if timeline.moved]
    if moved:
        rows, furthest = sum(timeline.moved for timeline in moved), max(timeline.furthest for timeline in moved)
        notes.append(
            f"{rows} rows in {len(moved)} of {len(groups)} series were moved to the nearest time of the grid of "
            f"{freq}, by at most {shown(furthest)}"
        )
    return timelines, notes


def _like_the_longest(
    times: pd.Index, groups: Sequence[Group], longest: Group, found: Timeline, every: Beside
) -> list[Timeline]:
    """Timelines of series that must have the frequency of the longest one, and no gaps."""
    orders = [np.argsort(times[group.rows].to_numpy(), kind="stable") for group in groups]
    ordered = [times[group.rows[order]] for group, order in zip(groups, orders, strict=True)]
    lengths = [len(one) for one in ordered]
    steps = [frequency_of(found.index)] * len(groups)
    grids: Sequence[pd.DatetimeIndex | pd.RangeIndex]
    if isinstance(found.index, pd.DatetimeIndex):
        steps = [anchored(step, one[0]) for step, one in zip(steps, ordered, strict=True)]
        grids = regular_grids([one[0] for one in ordered], lengths, steps)
    else:
        step = found.index.step
        grids = [
            pd.RangeIndex(int(one[0]), int(one[0]) + length * step, step)
            for one, length in zip(ordered, lengths, strict=True)
        ]
    for group, grid, one, step_name in zip(groups, grids, ordered, steps, strict=True):
        off = np.flatnonzero(grid.to_numpy() != one.to_numpy())
        if off.size:
            raise _other_frequency(group, one, int(off[0]), longest, step_name, every)
    return [Timeline(grid, order) for grid, order in zip(grids, orders, strict=True)]


def _other_frequency(
    group: Group, ordered: pd.Index, place: int, longest: Group, step: str, every: Beside
) -> InvalidTableError:
    what = f"{ordered[place]} follows {ordered[place - 1]}" if place else f"the first time is {ordered[0]}"
    way_out = "pass --row-numbers to take the rows as evenly spaced"
    name = proposed(every(), may_move=True) if isinstance(ordered, pd.DatetimeIndex) else None
    if name is not None:
        way_out = (
            f"pass --freq {name} to put the rows on a regular grid and leave the missing ones to the model, or "
            "--row-numbers to take the rows as evenly spaced"
        )
    return InvalidTableError(
        f"series {group.name!r}: {what}, but the longest series, {longest.name!r}, has the frequency {step}; {way_out}"
    )


def _refuse_duplicates(times: pd.Index, groups: Sequence[Group]) -> None:
    codes = np.empty(len(times), dtype=np.int64)
    for code, group in enumerate(groups):
        codes[group.rows] = code
    keys = pd.DataFrame({"code": codes, "time": times.to_numpy()})
    repeated = np.flatnonzero(keys.duplicated().to_numpy())
    if repeated.size == 0:
        return
    later = int(repeated[0])
    first = int(np.flatnonzero((keys == keys.iloc[later]).all(axis=1).to_numpy())[0])
    raise InvalidTableError(
        f"series {groups[codes[later]].name!r} has the time {times[later]} twice, in data rows {first + 1} and "
        f"{later + 1} ({repeated.size} such rows in all); remove the duplicates, or write times in UTC if clocks were "
        "changed"
    )
