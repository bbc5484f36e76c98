"""Summaries of Parquet and CSV files in long format, read batch by batch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pyarrow.dataset

from dasha.autoar.streaming import SeriesAccumulator, SeriesSummary
from dasha.autoar.summary import KPSS_LAGS
from dasha.autoar.time_steps import Frequency
from dasha.errors import InvalidArgumentError, InvalidSeriesError, InvalidTableError

# Batches that are read ahead; the default of 16 holds most of a file in memory.
_READ_AHEAD = 2


def summarise_files(
    source: Any,
    *,
    targets: Sequence[str],
    id_column: str | None = None,
    time_column: str | None = None,
    max_length: int,
    freq: Frequency = None,
    kpss_lags: int = KPSS_LAGS,
) -> dict[Hashable, SeriesSummary]:
    """Sum up every series of some files.

    Files are read one after the other, in an order in which every series goes on in time, which ids and times alone
    are read for first. Every series must be in order of time within each file, and its files must not overlap.

    Args:
        source: A file, a folder, a list of files, or a ``pyarrow.dataset.Dataset``.
        targets: Columns with the channels.
        id_column: Column that tells series apart; None if there is one series.
        time_column: Column with the times; None takes rows in the order of files and rows.
        max_length: Longest window whose moments will be wanted.
        freq: Time between two steps; missing steps become gaps. None takes rows as evenly spaced, and they must be.
        kpss_lags: See `dasha.autoar.summary.summarise`.

    Raises:
        InvalidArgumentError: If a column is not there.
        InvalidTableError: If a file cannot be read.
        InvalidSeriesError: If times do not rise, do not lie on the grid of ``freq``, or are uneven without it, or
            values are unusable.
    """
    columns = [name for name in (id_column, time_column) if name is not None] + list(targets)
    accumulator = SeriesAccumulator(max_length, freq=freq, kpss_lags=kpss_lags)
    try:
        dataset = open_dataset(source, targets, id_column)
        absent = [name for name in columns if name not in dataset.schema.names]
        if absent:
            raise InvalidArgumentError(
                f"the files have no column {absent[0]!r}; their columns are {', '.join(dataset.schema.names)}"
            )
        for fragment in _in_order_of_time(dataset, id_column, time_column):
            for batch in _batches(dataset, fragment, columns):
                if batch.num_rows:
                    accumulator.add_table(batch, targets=targets, id_column=id_column, time_column=time_column)
    except (OSError, pyarrow.ArrowException) as error:
        raise InvalidTableError(f"{source} cannot be read: {error}") from error
    return accumulator.series()


def csv_options(targets: Sequence[str], id_column: str | None) -> Any:
    """How text becomes values: targets are real even where the first are whole, ids are text as it is written."""
    types = dict.fromkeys(targets, pyarrow.float64())
    if id_column is not None:
        types[id_column] = pyarrow.string()
    return pyarrow.csv.ConvertOptions(column_types=types)


def is_csv(source: Any) -> bool:
    """Whether a file, a folder (by its first data file) or a list of files holds CSV.

    Raises:
        InvalidTableError: If a folder holds neither Parquet nor CSV files.
    """
    first = Path(source[0] if isinstance(source, list | tuple) else source)
    if first.is_dir():
        kinds = (".parquet", ".csv", ".csv.gz")
        names = sorted(str(path) for path in first.rglob("*") if str(path).lower().endswith(kinds))
        if not names:
            raise InvalidTableError(f"{first} holds no file that ends in {', '.join(kinds)}; name the files")
        first = Path(names[0])
    return first.name.lower().endswith((".csv", ".csv.gz"))


def open_dataset(source: Any, targets: Sequence[str], id_column: str | None) -> Any:
    """Dataset of some files, of which nothing but names and types is read; ids may stand in names of folders.

    Args:
        source: As in `summarise_files`.
        targets: Columns with the channels.
        id_column: Column that tells series apart, or None.
    """
    if isinstance(source, pyarrow.dataset.Dataset):
        return source
    options = csv_options(targets, id_column)
    layout: Any = pyarrow.dataset.CsvFileFormat(convert_options=options) if is_csv(source) else "parquet"
    paths = [str(path) for path in source] if isinstance(source, list | tuple) else str(source)

    def opened(folders: Any) -> Any:
        return pyarrow.dataset.dataset(paths, format=layout, partitioning=folders, exclude_invalid_files=False)

    dataset = opened("hive")
    first = next(dataset.get_fragments(), None)
    if first is None or id_column not in dataset.schema.names or id_column in first.physical_schema.names:
        return dataset
    # The names of folders hold text as it is written: as numbers, 007 and 7 would be one series.
    folders = dataset.partitioning.schema
    as_text = folders.set(folders.get_field_index(id_column), pyarrow.field(id_column, pyarrow.string()))
    return opened(pyarrow.dataset.partitioning(as_text, flavor="hive"))


def _in_order_of_time(dataset: Any, id_column: str | None, time_column: str | None) -> list[Any]:
    """Files in an order in which every series goes on in time, whether rows are ordered by time or by id."""
    fragments = list(dataset.get_fragments())
    if time_column is None or len(fragments) < 2:
        return fragments
    files_of: dict[Hashable, list[tuple[Any, int]]] = {}
    for place, fragment in enumerate(fragments):
        for series_id, first in _first_times(dataset, fragment, id_column, time_column).items():
            files_of.setdefault(series_id, []).append((first, place))
    order = TopologicalSorter[int](dict.fromkeys(range(len(fragments)), ()))
    for visits in files_of.values():
        for (_, earlier), (_, later) in pairwise(sorted(visits)):
            order.add(later, earlier)
    try:
        return [fragments[place] for place in order.static_order()]
    except CycleError as error:
        raise InvalidSeriesError(
            "the files cannot be read in an order in which every series goes on in time; sort the rows by time, or use "
            "engine='ray', which does"
        ) from error


def _first_times(dataset: Any, fragment: Any, id_column: str | None, time_column: str) -> dict[Hashable, Any]:
    keys = [] if id_column is None else [id_column]
    firsts: dict[Hashable, Any] = {}
    for batch in _batches(dataset, fragment, [*keys, time_column]):
        first = pyarrow.Table.from_batches([batch]).group_by(keys).aggregate([(time_column, "min")]).to_pylist()
        for row in first:
            if row[f"{time_column}_min"] is not None:
                firsts.setdefault(row[id_column] if id_column is not None else None, row[f"{time_column}_min"])
    return firsts


def _batches(dataset: Any, fragment: Any, columns: list[str]) -> Any:
    return fragment.to_batches(schema=dataset.schema, columns=columns, batch_readahead=_READ_AHEAD)
