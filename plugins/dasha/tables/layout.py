"""Files that need not fit into memory: what their columns are, told from their first rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from dasha.autoar.files import open_dataset
from dasha.errors import InvalidTableError
from dasha.tables.files import RawTable
from dasha.tables.table import choose_columns
from dasha.tables.timeline import build_timeline, frequency_of
from dasha.tables.times import EPOCH_UNITS, calendar_format, epoch_unit, whole_numbers
from dasha.tables.tsf import SUFFIXES

# First rows that tell what the columns are and how often values come.
_SAMPLE_ROWS = 1 << 16


@dataclass(frozen=True)
class FileLayout:
    """What is in some files with equal columns, before their rows are read.

    Attributes:
        source: A file, a folder of files, or an address that pyarrow can open.
        columns: Columns to forecast.
        id_column: Column that tells series apart; None if there is one.
        time_column: Column with the times; None if rows are counted.
        freq: Time between two steps: a pandas frequency for dates, a number for whole numbers; None if rows are
            counted.
        notes: What was assumed, one sentence each.
    """

    source: str
    columns: tuple[str, ...]
    id_column: str | None
    time_column: str | None
    freq: str | int | None
    notes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The source as a path, whose last part is its name."""
        return Path(self.source)


def read_layout(
    source: str,
    *,
    id_column: str | None = None,
    time_column: str | None = None,
    targets: Sequence[str] | None = None,
    freq: str | None = None,
    count_rows: bool = False,
) -> FileLayout:
    """Tell the columns of Parquet or CSV files apart.

    The arguments mean what they mean for `dasha.tables.read_series`, with these differences: dates must be dates to
    pyarrow, and missing steps are never refused and rows never moved onto a grid, since the rows of a series are never
    seen together.

    Args:
        source: A file, a folder of files, or an address that pyarrow can open.
        id_column: Column that tells apart the series of long tables; None for wide ones.
        time_column: Column with the times; None finds it.
        targets: Columns to forecast; None takes every numeric one that is no part of the folders' names.
        freq: Pandas frequency of the times; None finds it in the series with most of the first rows.
        count_rows: Leave the times out and take the rows as evenly spaced, in the order of files and rows.

    Raises:
        InvalidTableError: If files cannot be read or columns cannot be used.
    """
    if source.lower().endswith(SUFFIXES):
        raise InvalidTableError(f"{source} is in the .tsf format, which is always read as a whole; leave --engine out")
    dataset, sample = _opened(source, targets or (), id_column)
    # Folders are named by parts of the data, which are ids at most.
    in_files = [name for first in islice(dataset.get_fragments(), 1) for name in first.physical_schema.names]
    wanted = {*in_files, id_column, time_column, *(targets or ())}
    kept = [name for name in sample.columns if name in wanted]
    columns = choose_columns(
        RawTable(sample[kept], sha256=""),
        Path(source),
        time_column=time_column,
        targets=targets,
        freq=freq,
        count_rows=count_rows,
        id_column=id_column,
    )
    _require_numbers(dataset.schema, columns.names)
    found, notes = None, ["times are row numbers, counted from 1 in every series"]
    if columns.times is not None:
        found, notes = _frequency(dataset.schema, columns.times, None if id_column is None else sample[id_column], freq)
    return FileLayout(source, columns.names, id_column, columns.time_column, found, (*columns.notes, *notes))


def _opened(source: str, targets: Sequence[str], id_column: str | None) -> tuple[Any, pd.DataFrame]:
    try:
        dataset = open_dataset(source, targets, id_column)
        first = dataset.head(_SAMPLE_ROWS, batch_size=_SAMPLE_ROWS, batch_readahead=0, fragment_readahead=0)
    except (OSError, pyarrow.ArrowException) as error:
        raise InvalidTableError(f"{source} cannot be read: {error}") from error
    sample = first.to_pandas()
    for field in dataset.schema:
        # First rows say what kind of column it is, not whether it is empty: later rows may hold values.
        if _is_number(field.type) and sample[field.name].isna().all():
            sample[field.name] = 0.0
    sample.columns = pd.Index([str(name) for name in sample.columns])
    return dataset, sample


def _is_number(kind: Any) -> bool:
    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _require_numbers(schema: Any, names: Sequence[str]) -> None:
    for name in names:
        kind = schema.field(name).type
        if not _is_number(kind):
            raise InvalidTableError(
                f"column {name!r} holds {kind} in the files, but must hold plain numbers such as 1234.5; convert it, "
                "name others with --targets, or leave --engine out, which understands numbers with commas"
            )


def _frequency(schema: Any, times: pd.Series, ids: pd.Series | None, freq: str | None) -> tuple[str | int, list[str]]:
    """Time between two steps, and a note where it was found rather than given."""
    kind = schema.field(str(times.name)).type
    known = times.dropna()  # a row without a time is an error that the fit words better
    numbers = whole_numbers(known)
    is_date = pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind)
    if not is_date and (numbers is None or numbers.size == 0 or calendar_format(numbers) is not None):
        raise InvalidTableError(
            f"time column {times.name!r} holds {times.iloc[0]!s} ({kind}), but must hold dates or whole numbers that "
            "count steps; write dates like 2024-01-31 23:00, or leave --engine out, which understands other ways"
        )
    whose, longest = "", known
    if ids is not None:
        first = ids[known.index].mode().iloc[0]
        whose, longest = f" of series {first!r}", known[(ids[known.index] == first).to_numpy()]
    if is_date or numbers is None:
        found: str | int = _date_step(longest, freq, whose)
        unit = None
    else:
        found = _number_step(longest, freq, whose)
        unit = epoch_unit(numbers)
    if freq is not None:
        return found, []
    kept = [] if unit is None else [f"{times.name!r} counts {EPOCH_UNITS[unit]} since 1970 and stays a number"]
    return found, [
        *kept,
        f"the first rows{whose} come every {found}; steps that are not in the files count as missing values",
    ]


def _date_step(times: pd.Series, freq: str | None, whose: str) -> str:
    try:
        return frequency_of(build_timeline(times.reset_index(drop=True), freq, may_move=False).index)
    except InvalidTableError as error:
        raise InvalidTableError(f"the first {len(times)} rows{whose}: {error}") from None


def _number_step(times: pd.Series, freq: str | None, whose: str) -> int:
    if freq is not None:
        raise InvalidTableError(
            f"--freq is {freq!r}, but time column {times.name!r} holds whole numbers; leave --freq out, or name a "
            "column of dates"
        )
    steps = np.diff(np.unique(times.to_numpy(dtype=np.int64)))
    if steps.size == 0:
        raise InvalidTableError(
            f"the first {len(times)} rows{whose} are too few to tell how often values come; sort the rows by time"
        )
    return int(steps.min())
