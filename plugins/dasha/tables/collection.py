"""`read_series`: a file as a list of series, be it a wide table, a long one or a ``.tsf`` file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.tables import files
from dasha.tables.files import check_path, read_file
from dasha.tables.table import choose_columns, place_rows, read_table
from dasha.tables.timeline import frequency_of, future_times, last_time, regular_grids
from dasha.tables.timelines import Group, build_timelines, count_rows_of
from dasha.tables.tsf import NAME_ATTRIBUTE, START_ATTRIBUTE, SUFFIXES, TsfData, read_tsf
from dasha.types import FloatArray

TSF_COLUMN = "value"
"""What the values of a ``.tsf`` file are called, where a table has a column name."""


@dataclass(frozen=True)
class EarlierRows:
    """Rows of a series that were summed up and not kept.

    Attributes:
        first: Time of the first.
        steps: How many they are, missing ones included.
        missing: Number of missing values.
    """

    first: pd.Timestamp | int
    steps: int
    missing: int


@dataclass(frozen=True)
class IndexedSeries:
    """One series with its times.

    Attributes:
        id: What tells it apart; None for the only series of a wide table.
        values: Shape ``(T, C)``, oldest first; NaN marks a missing value.
        index: Times, length ``T``: a ``DatetimeIndex`` with a frequency, or a ``RangeIndex``.
        earlier: Rows before ``values``; None where all are there.
    """

    id: str | int | None
    values: FloatArray
    index: pd.DatetimeIndex | pd.RangeIndex
    earlier: EarlierRows | None = None

    @property
    def name(self) -> str:
        """The id as text."""
        return "" if self.id is None else str(self.id)

    @property
    def first(self) -> pd.Timestamp | int:
        """Time of the first step."""
        return self.index[0] if self.earlier is None else self.earlier.first

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.index) + (0 if self.earlier is None else self.earlier.steps)

    @property
    def missing(self) -> int:
        """Number of missing values."""
        return int(np.isnan(self.values).sum()) + (0 if self.earlier is None else self.earlier.missing)

    def future(self, horizon: int) -> pd.Index:
        """Times of the ``horizon`` steps that follow."""
        return future_times(self.index, horizon)


@dataclass(frozen=True)
class SeriesSet:
    """All series of one file, or of a folder of files, of any lengths, with the same columns.

    A wide table is one series of several columns; a long table or a ``.tsf`` file are many.

    Attributes:
        path: The file or folder.
        sha256: Hash of the file; empty where it was not read as a whole.
        columns: Names of the columns, length ``C``.
        series: At least one.
        id_column: Column, or attribute of a ``.tsf`` file, that tells series apart; None for a wide table.
        time_column: Column that the times came from; None if rows are counted.
        notes: What was assumed in reading, one sentence each.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    series: tuple[IndexedSeries, ...]
    id_column: str | None
    time_column: str | None
    notes: tuple[str, ...]

    @property
    def freq(self) -> str:
        """Frequency of the first series as pandas writes it; the step for whole numbers."""
        return frequency_of(self.series[0].index)

    @property
    def rows(self) -> int:
        """Steps of all series together."""
        return sum(series.steps for series in self.series)

    @property
    def missing(self) -> int:
        """Number of missing values."""
        return sum(series.missing for series in self.series)


def read_series(
    path: str | Path,
    *,
    id_column: str | None = None,
    time_column: str | None = None,
    targets: Sequence[str] | None = None,
    freq: str | None = None,
    count_rows: bool = False,
) -> SeriesSet:
    """Read the series of a CSV, gzipped CSV, Parquet or ``.tsf`` file; the latter may be in a ``.zip``.

    Args:
        path: The file.
        id_column: Column that tells apart the series of a long table, which has one row per series and time; None
            for a wide one, which has one column per series.
        time_column: As for `dasha.tables.read_table`.
        targets: As for `dasha.tables.read_table`.
        freq: As for `dasha.tables.read_table`; without it, the longest series of a long table sets the frequency.
        count_rows: As for `dasha.tables.read_table`; the rows of every series are counted.

    Raises:
        InvalidTableError: If the file cannot be read or does not hold regular series, if a series has a time twice,
            or if an option does not go with the kind of file.
    """
    path = Path(path)
    check_path(path, (*files.SUFFIXES, *SUFFIXES))
    if path.name.lower().endswith(SUFFIXES):
        _refuse_with_tsf(path, id_column=id_column, time_column=time_column, targets=targets, freq=freq)
        return _from_tsf(read_tsf(path), count_rows=count_rows)
    if id_column is not None:
        return _read_long(path, id_column, time_column, targets, freq, count_rows)
    table = read_table(path, time_column=time_column, targets=targets, freq=freq, count_rows=count_rows)
    only = IndexedSeries(None, table.values, table.index)
    return SeriesSet(path, table.sha256, table.columns, (only,), None, table.time_column, table.notes)


def _read_long(
    path: Path,
    id_column: str,
    time_column: str | None,
    targets: Sequence[str] | None,
    freq: str | None,
    count_rows: bool,
) -> SeriesSet:
    raw = read_file(path, text_column=id_column)
    columns = choose_columns(
        raw,
        path,
        time_column=time_column,
        targets=targets,
        freq=freq,
        count_rows=count_rows,
        id_column=id_column,
    )
    ids, groups = _groups(raw.frame[id_column])
    if columns.times is None:
        timelines, notes = count_rows_of(groups), ["times are row numbers, counted from 1 in every series"]
    else:
        timelines, notes = build_timelines(columns.times, groups, freq)
    series = tuple(
        IndexedSeries(one, place_rows(columns.values, timeline), timeline.index)
        for one, timeline in zip(ids, timelines, strict=True)
    )
    notes = [*raw.notes, *notes, *columns.notes]
    return SeriesSet(path, raw.sha256, columns.names, series, id_column, columns.time_column, tuple(notes))


def _groups(column: pd.Series) -> tuple[list[str | int], list[Group]]:
    """Ids in the order of their first rows, and the rows of each."""
    missing = np.flatnonzero(column.isna().to_numpy() | (column.astype(str).str.strip() == "").to_numpy())
    if missing.size:
        raise InvalidTableError(
            f"id column {column.name!r} is empty in data row {missing[0] + 1} ({missing.size} such rows in all); "
            "fill in the ids or delete the rows"
        )
    is_integer = pd.api.types.is_integer_dtype(column)
    codes, found = pd.factorize(column.astype(np.int64) if is_integer else column.astype(str))
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    ids: list[str | int] = found.tolist()
    return ids, [Group(str(one), rows) for one, rows in zip(ids, parts, strict=True)]


def _refuse_with_tsf(path: Path, **options: Any) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InvalidTableError(
            f"{', '.join(given)} cannot be used with {path.name}: a .tsf file says itself what its series, times and "
            "values are; leave it out"
        )


def _from_tsf(data: TsfData, *, count_rows: bool) -> SeriesSet:
    lines: dict[str, int] = {}
    for series in data.series:
        if series.name in lines:
            raise InvalidTableError(
                f"lines {lines[series.name]} and {series.line} of {data.path} both hold a series named "
                f"{series.name!r}; give every series a name of its own"
            )
        lines[series.name] = series.line
    indices, notes = _tsf_times(data, count_rows)
    found = tuple(
        IndexedSeries(series.name, series.values[:, None], index)
        for series, index in zip(data.series, indices, strict=True)
    )
    time_column = None if isinstance(indices[0], pd.RangeIndex) else START_ATTRIBUTE
    return SeriesSet(data.path, data.sha256, (TSF_COLUMN,), found, NAME_ATTRIBUTE, time_column, (*data.notes, *notes))


def _tsf_times(data: TsfData, count_rows: bool) -> tuple[Sequence[pd.DatetimeIndex | pd.RangeIndex], list[str]]:
    """Times of every series, and notes; steps counted from 1 where one of them has none that pandas can hold."""
    counted = [pd.RangeIndex(1, len(series.values) + 1) for series in data.series]
    if count_rows or data.freq is None or any(series.start is None for series in data.series):
        return counted, ["times are row numbers, counted from 1 in every series"]
    starts, freqs, moved = [], [], 0
    for series in data.series:
        assert series.start is not None
        start, freq = _grid_start(series.start, data.freq)
        moved += start != series.start
        try:
            last_time(start, len(series.values), freq)
        except (pd.errors.OutOfBoundsDatetime, OverflowError):
            why = f"the times of series {series.name!r} (line {series.line}) leave the years 1678 to 2261"
            return counted, [f"{why}, so times are row numbers, counted from 1 in every series"]
        starts.append(start.as_unit("ns"))
        freqs.append(freq)
    indices = regular_grids(starts, [len(series.values) for series in data.series], freqs)
    notes = [f"the starts of {moved} series were moved to the first day of their month"] if moved else []
    return indices, notes


def _grid_start(start: pd.Timestamp, freq: str) -> tuple[pd.Timestamp, str]:
    """First time on the grid, and the pandas frequency with the anchor that this time asks for."""
    if freq == "W":
        return start, f"W-{start.day_name()[:3].upper()}"
    if freq not in ("MS", "QS", "YS"):
        return start, freq
    month = "" if freq == "MS" else f"-{start.month_name()[:3].upper()}"
    if start.is_month_end and start.day > 1:
        return start, f"{freq[0]}E{month}"
    return start.replace(day=1), freq + month
