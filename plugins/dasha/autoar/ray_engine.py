"""Summaries of a Ray dataset: partial ones where the partitions are, merged by series.

Every function that runs on a worker is pure, so that Ray may run it again when a worker dies.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from itertools import pairwise
from operator import itemgetter
from os import PathLike
from typing import Any

import pandas as pd
import pyarrow
from safetensors.numpy import load, save

from dasha._optional import require
from dasha._ray import connected
from dasha.autoar.files import csv_options, is_csv
from dasha.autoar.pace import require_even
from dasha.autoar.plain import pace_from_plain, pace_to_plain
from dasha.autoar.streaming import SeriesAccumulator, SeriesSummary, join_series, series_name
from dasha.autoar.summary import KPSS_LAGS
from dasha.autoar.summary_arrays import from_arrays, to_arrays
from dasha.autoar.time_steps import Frequency, as_times
from dasha.errors import InvalidArgumentError, InvalidSeriesError

# Summaries that one task merges.
_PARTITION_BYTES = 128 << 20
_ONE = "dasha.id"
_FIRST, _LAST, _PACE = "dasha.first", "dasha.last", "dasha.pace"
_STATE, _ERROR = "dasha.state", "dasha.error"


@contextmanager
def connection() -> Iterator[None]:
    """As `dasha._ray.connected`, for work on data sets, which has progress bars and log lines of its own.

    Raises:
        OptionalDependencyError: If Ray is not installed.
        InvalidArgumentError: If there is no cluster at that address.
    """
    data = require("ray.data", extra="ray")
    with connected():
        data.DataContext.get_current().enable_progress_bars = False
        for handler in logging.getLogger("ray.data").handlers:
            if isinstance(handler, logging.StreamHandler):  # Ray's log files stay complete
                handler.setLevel(logging.ERROR)
        yield


def summarise_dataset(
    dataset: Any,
    *,
    id_column: str,
    time_column: str,
    targets: Sequence[str],
    max_length: int,
    freq: Frequency = None,
    kpss_lags: int = KPSS_LAGS,
) -> dict[Hashable, SeriesSummary]:
    """Sum up every series of a Ray dataset in long format, wherever its rows are.

    Rows may come in any order. If every partition holds its rows of a series without rows of another partition in
    between, which files written in order of time do, nothing but the summaries moves between workers; otherwise Ray
    sorts the dataset by id and time, and the work starts again.

    Args:
        dataset: A ``ray.data.Dataset`` with one row per series and time.
        id_column: Column that tells series apart.
        time_column: Column with the times, dates or numbers.
        targets: Columns with the channels.
        max_length: Longest window whose moments will be wanted.
        freq: Time between two steps; missing steps become gaps. None takes rows as evenly spaced, and they must be.
        kpss_lags: See `dasha.autoar.summary.summarise`.

    Returns:
        Series by id; the same, to rounding, however the dataset is partitioned.

    Raises:
        OptionalDependencyError: If Ray is not installed.
        InvalidSeriesError: If a series has a time twice or off the grid of ``freq``, uneven steps without ``freq``, or
            unusable values.
    """
    require("ray.data", extra="ray")
    columns = [id_column, time_column, *targets]
    schema = dataset.schema()
    absent = [name for name in columns if schema is not None and name not in schema.names]
    if absent:
        raise InvalidArgumentError(
            f"the dataset has no column {absent[0]!r}; its columns are {', '.join(schema.names)}"
        )
    selected = dataset.select_columns(columns)
    settings = {
        "id_column": id_column,
        "time_column": time_column,
        "targets": list(targets),
        "max_length": max_length,
        "freq": freq,
        "kpss_lags": kpss_lags,
    }
    merged = _merged(selected, settings, is_sorted=False)
    if any(not row[_STATE] for row in merged):
        merged = _merged(selected.sort([id_column, time_column]), settings, is_sorted=True)
    return {row[id_column]: _summary(row[_STATE], row[_FIRST], row[_LAST], row[_PACE]) for row in merged}


def summarise_source(
    source: Any,
    *,
    targets: Sequence[str],
    id_column: str | None = None,
    time_column: str | None = None,
    max_length: int,
    freq: Frequency = None,
    kpss_lags: int = KPSS_LAGS,
) -> dict[Hashable, SeriesSummary]:
    """Sum up every series of a Ray dataset, or of Parquet or CSV files that Ray reads; see `summarise_dataset`.

    Raises:
        InvalidArgumentError: If ``time_column`` is None: partitions have no order.
    """
    data = require("ray.data", extra="ray")
    if time_column is None:
        raise InvalidArgumentError("engine='ray' needs time_column: partitions have no order; or use engine='local'")
    dataset = source
    if isinstance(source, str | PathLike | list | tuple):
        paths = [str(path) for path in source] if isinstance(source, list | tuple) else str(source)
        if is_csv(source):
            dataset = data.read_csv(paths, convert_options=csv_options(targets, id_column))
        else:
            dataset = data.read_parquet(paths)
    if id_column is None:
        dataset = dataset.map_batches(_with_one_id, batch_format="pyarrow", batch_size=None)
    series = summarise_dataset(
        dataset,
        id_column=id_column or _ONE,
        time_column=time_column,
        targets=targets,
        max_length=max_length,
        freq=freq,
        kpss_lags=kpss_lags,
    )
    return series if id_column is not None else dict(zip([None], series.values(), strict=False))


def summarise_partition(table: Any, **settings: Any) -> Any:
    """Sum up the rows of one partition, series by series.

    Args:
        table: A ``pyarrow.Table`` in long format.
        **settings: Those of `summarise_dataset`.

    Returns:
        A ``pyarrow.Table`` with one row per series: id, first and last time, pace as JSON, the summaries as bytes, and
        an empty text; or one row with the text of an error, which would not come back from a worker as the exception
        it is.
    """
    id_column, time_column = settings["id_column"], settings["time_column"]
    place = table.schema.get_field_index(time_column)
    if pyarrow.types.is_date(table.schema.field(place).type):
        table = table.set_column(place, time_column, table.column(place).cast(pyarrow.timestamp("ms")))
    elif pyarrow.types.is_string(table.schema.field(place).type):
        times = as_times(table.column(place).to_pandas())
        if isinstance(times, pd.DatetimeIndex):
            table = table.set_column(place, time_column, pyarrow.array(times))
    frame = table.to_pandas().sort_values(time_column, kind="stable")
    # Rows of other partitions may lie in between.
    accumulator = SeriesAccumulator(
        settings["max_length"], freq=settings["freq"], kpss_lags=settings["kpss_lags"], may_be_uneven=True
    )
    try:
        known_ids = None if id_column == _ONE else id_column
        accumulator.add_table(frame, targets=settings["targets"], id_column=known_ids, time_column=time_column)
        rows = [
            (0 if name is None else name, one.first, one.last, json.dumps(pace_to_plain(one.pace)), _packed(one), "")
            for name, one in accumulator.series().items()
        ]
    except InvalidSeriesError as error:
        known = frame.dropna(subset=[id_column, time_column])
        if known.empty:
            raise
        time = known[time_column].iloc[0]
        rows = [(known[id_column].tolist()[0], time, time, "null", b"", str(error))]
    id_type, time_type = (table.schema.field(name).type for name in (id_column, time_column))
    if pyarrow.types.is_dictionary(id_type):
        id_type = id_type.value_type
    types = {
        id_column: id_type,
        _FIRST: time_type,
        _LAST: time_type,
        _PACE: pyarrow.string(),
        _STATE: pyarrow.large_binary(),
        _ERROR: pyarrow.string(),
    }
    arrays = [pyarrow.array([row[place] for row in rows], type=kind) for place, kind in enumerate(types.values())]
    return pyarrow.table(arrays, names=list(types))


def merge_partitions(group: pd.DataFrame, *, id_column: str, freq: Frequency, is_sorted: bool) -> pd.DataFrame:
    """Merge the summaries of one series in order of time.

    Args:
        group: Rows of `summarise_partition` with one id.
        id_column: Column with the id.
        freq: Time between two steps.
        is_sorted: Whether overlapping partitions mean repeated times, not rows out of order.

    Returns:
        One row of the same columns; without summaries if there is an error, or if the rows have to be sorted first.
    """
    # Lists: the columns may be of NumPy or of Arrow, which do not offer the same operations.
    columns = (group[name].tolist() for name in (_FIRST, _LAST, _PACE, _STATE, _ERROR))
    rows = sorted(zip(*columns, strict=True), key=itemgetter(0))
    message, state, pace = max(row[4] for row in rows), b"", "null"
    is_in_order = all(earlier[1] < later[0] for earlier, later in pairwise(rows))
    if not message and (is_in_order or is_sorted):
        name = series_name(None if id_column == _ONE else group[id_column].tolist()[0])
        try:
            parts = (_summary(packed, first, last, text) for first, last, text, packed, _ in rows)
            whole = reduce(partial(join_series, freq=freq, name=name), parts)
            require_even(whole.pace, name)  # that of a single part was never checked
            state, pace = _packed(whole), json.dumps(pace_to_plain(whole.pace))
        except InvalidSeriesError as error:
            message = str(error)
    of_all = {_FIRST: rows[0][0], _LAST: max(row[1] for row in rows), _PACE: pace, _STATE: state, _ERROR: message}
    return group.iloc[:1].assign(**{name: [value] for name, value in of_all.items()})


def _with_one_id(table: Any) -> Any:
    return table.append_column(_ONE, pyarrow.array([0] * len(table), type=pyarrow.int8()))


def _merged(dataset: Any, settings: dict[str, Any], *, is_sorted: bool) -> list[dict[str, Any]]:
    # batch_size=None: one call sees one partition whole.
    parts = dataset.map_batches(summarise_partition, batch_format="pyarrow", batch_size=None, fn_kwargs=settings)
    parts = parts.materialize()
    if parts.count() == 0:
        return []
    id_column = settings["id_column"]
    arguments = {"id_column": id_column, "freq": settings["freq"], "is_sorted": is_sorted}
    # Ray's own number of partitions, 200, would start far more tasks than there is work.
    groups = parts.groupby(id_column, num_partitions=1 + parts.size_bytes() // _PARTITION_BYTES)
    groups = groups.map_groups(merge_partitions, batch_format="pandas", fn_kwargs=arguments)
    rows: list[dict[str, Any]] = groups.take_all()
    for row in rows:
        if row[_ERROR]:
            raise InvalidSeriesError(row[_ERROR])
    return rows


def _summary(state: bytes, first: Any, last: Any, pace: str) -> SeriesSummary:
    return SeriesSummary(_unpacked(state), first, last, pace_from_plain(json.loads(pace)))


def _packed(summary: SeriesSummary) -> bytes:
    arrays = [to_arrays(channel) for channel in summary.channels]
    return save({f"{index}.{name}": array for index, one in enumerate(arrays) for name, array in one.items()})


def _unpacked(state: bytes) -> tuple[Any, ...]:
    channels: dict[int, dict[str, Any]] = {}
    for key, array in load(state).items():
        index, _, name = key.partition(".")
        channels.setdefault(int(index), {})[name] = array
    return tuple(from_arrays(channels[index]) for index in sorted(channels))
