"""`read_table`: from a file to a regular matrix with its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.tables.files import read_file
from dasha.tables.targets import choose_targets, unknown_name
from dasha.tables.timeline import build_timeline, row_numbers
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
        if isinstance(self.index, pd.RangeIndex):
            return str(self.index.step)
        return str(self.index.freqstr)

    def future(self, horizon: int) -> pd.Index:
        """Times of the ``horizon`` steps that follow."""
        if isinstance(self.index, pd.RangeIndex):
            return pd.RangeIndex(self.index.stop, self.index.stop + horizon * self.index.step, self.index.step)
        return pd.date_range(self.index[-1], periods=horizon + 1, freq=self.index.freq)[1:]

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
            numbers that is named like a time, else counts the rows.
        targets: Columns to forecast; None takes every numeric one.
        freq: Pandas frequency on which the rows are put, missing ones left empty; None finds it and refuses gaps.
        count_rows: Leave the times out and take the rows as evenly spaced, in the order of the file.

    Raises:
        InvalidTableError: If the file cannot be read, or does not hold regular series.
    """
    raw = read_file(path)
    frame, notes = raw.frame, list(raw.notes)
    if frame.shape[1] == 0 or len(frame) == 0:
        raise InvalidTableError(f"{path} has a header but no data rows")
    if time_column is not None and time_column not in frame.columns:
        raise unknown_name("time column", time_column, list(frame.columns))
    chosen = time_column or find_time_column(frame)
    if count_rows:
        if freq is not None:
            raise InvalidTableError("--freq needs times, which --row-numbers leaves out; give one of the two")
        timeline = row_numbers(len(frame))
    elif chosen is None:
        if freq is not None:
            raise InvalidTableError(f"--freq is {freq!r}, but {path} has no dates; name them with --time-column")
        timeline = row_numbers(len(frame))
    else:
        timeline = build_timeline(frame[chosen], freq)
    ignored = [name for name in row_number_columns(frame) if name != chosen and name not in (targets or ())]
    series = frame.drop(columns=[*ignored, *([chosen] if chosen else [])])
    if chosen in (targets or ()):
        raise InvalidTableError(f"target {chosen!r} is the time column; leave it out of --targets")
    names, values, remarks = choose_targets(series, targets, separator=raw.separator)
    placed = np.where(timeline.rows[:, None] >= 0, values[timeline.rows], np.nan)
    notes += [*timeline.notes, *remarks]
    return SeriesTable(path, raw.sha256, names, placed, timeline.index, None if count_rows else chosen, tuple(notes))
