"""`read_table`: from a file to a regular matrix with its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.tables.files import RawTable, read_file
from dasha.tables.targets import choose_targets, unknown_name
from dasha.tables.timeline import Timeline, build_timeline, frequency_of, future_times, row_numbers
from dasha.tables.times import find_time_column, row_number_columns
from dasha.types import FloatArray


@dataclass(frozen=True)
class SeriesTable:
    """Series of one file on a regular grid of times.

    Attributes:
        path: The file.
        sha256: Hash of the file.
        columns: Names of the series.
        values: Shape ``(T, C)``, oldest first; NaN marks a missing value.
        index: Times, length ``T``: a ``DatetimeIndex`` with a frequency, or a ``RangeIndex``.
        time_column: Column that the times came from; None if rows are counted.
        notes: What was assumed in reading, one sentence each.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    values: FloatArray
    index: pd.DatetimeIndex | pd.RangeIndex
    time_column: str | None
    notes: tuple[str, ...]

    @property
    def freq(self) -> str:
        """Frequency as pandas writes it; the step for whole numbers."""
        return frequency_of(self.index)

    def future(self, horizon: int) -> pd.Index:
        """Times of the ``horizon`` steps that follow."""
        return future_times(self.index, horizon)

    @property
    def missing(self) -> int:
        """Number of missing values."""
        return int(np.isnan(self.values).sum())


def read_table(
    path: Path,
    *,
    time_column: str | None = None,
    targets: Sequence[str] | None = None,
    freq: str | None = None,
    count_rows: bool = False,
) -> SeriesTable:
    """Read a CSV, gzipped CSV or Parquet file of series in columns.

    Args:
        path: The file.
        time_column: Column of dates or whole numbers; None takes the first that holds dates, else one of whole
            numbers that may be seconds since 1970, that rise and may be dates written ``YYYYMMDD`` or ``YYYYMM``, or
            that are named like a time, else counts the rows.
        targets: Columns to forecast; None takes every numeric one.
        freq: Pandas frequency on which the rows are put, missing ones left empty; None finds it and refuses gaps.
        count_rows: Leave the times out and take the rows as evenly spaced, in the order of the file.

    Raises:
        InvalidTableError: If the file cannot be read, or does not hold regular series.
    """
    raw = read_file(path)
    columns = choose_columns(raw, path, time_column=time_column, targets=targets, freq=freq, count_rows=count_rows)
    timeline = row_numbers(len(raw.frame)) if columns.times is None else build_timeline(columns.times, freq)
    placed = place_rows(columns.values, timeline)
    notes = (*raw.notes, *timeline.notes, *columns.notes)
    return SeriesTable(path, raw.sha256, columns.names, placed, timeline.index, columns.time_column, notes)


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are taken for.

    Attributes:
        names: Columns to forecast.
        values: Their values, one row per data row of the file; NaN marks a missing value.
        times: Column of times; None if rows are counted.
        notes: What was left out or understood, one sentence each.
    """

    names: tuple[str, ...]
    values: FloatArray
    times: pd.Series | None
    notes: tuple[str, ...]

    @property
    def time_column(self) -> str | None:
        """Name of the column of times."""
        return None if self.times is None else str(self.times.name)


def choose_columns(
    raw: RawTable,
    path: Path,
    *,
    time_column: str | None,
    targets: Sequence[str] | None,
    freq: str | None,
    count_rows: bool,
    id_column: str | None = None,
) -> Columns:
    """Tell times, targets and what is neither apart; arguments as for `read_table`.

    Args:
        raw: The file.
        path: Its path, for messages.
        time_column: See `read_table`.
        targets: See `read_table`.
        freq: See `read_table`.
        count_rows: See `read_table`.
        id_column: Column that tells series apart, which is neither time nor target.

    Raises:
        InvalidTableError: If a column that was named is not there or cannot be what it is named for.
    """
    frame = raw.frame
    if frame.shape[1] == 0 or len(frame) == 0:
        raise InvalidTableError(f"{path} has a header but no data rows")
    for kind, name in (("id column", id_column), ("time column", time_column)):
        if name is not None and name not in frame.columns:
            raise unknown_name(kind, name, list(frame.columns))
    if id_column is not None and id_column == time_column:
        raise InvalidTableError(
            f"{id_column!r} is given as --id-column and as --time-column; it can be only one of them"
        )
    if id_column is not None and id_column in (targets or ()):
        raise InvalidTableError(f"target {id_column!r} is the id column; leave it out of --targets")
    ids = frame[id_column] if id_column else None
    frame = frame.drop(columns=[id_column] if id_column else [])
    chosen = time_column or find_time_column(frame, ids)
    if freq is not None and count_rows:
        raise InvalidTableError("--freq needs times, which --row-numbers leaves out; give one of the two")
    if freq is not None and chosen is None:
        raise InvalidTableError(f"--freq is {freq!r}, but {path} has no dates; name them with --time-column")
    ignored = [name for name in row_number_columns(frame) if name != chosen and name not in (targets or ())]
    series = frame.drop(columns=[*ignored, *([chosen] if chosen else [])])
    if chosen in (targets or ()):
        raise InvalidTableError(f"target {chosen!r} is the time column; leave it out of --targets")
    names, values, remarks = choose_targets(series, targets, separator=raw.separator)
    times = frame[chosen] if chosen is not None and not count_rows else None
    return Columns(names, values, times, tuple(remarks))


def place_rows(values: FloatArray, timeline: Timeline) -> FloatArray:
    """Rows of a file on a grid, shape ``(T, C)``; NaN where the grid has a time that the file has not."""
    return np.where(timeline.rows[:, None] >= 0, values[timeline.rows], np.nan)
