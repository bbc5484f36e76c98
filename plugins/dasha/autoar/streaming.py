"""Summaries of series that come in chunks, in memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from dasha.autoar.matrices import as_matrix
from dasha.autoar.pace import Pace, followed, joined, require_even
from dasha.autoar.parts import IntArray
from dasha.autoar.summary import KPSS_LAGS, ChannelSummary, gap, summarise_many
from dasha.autoar.time_steps import Frequency, as_times, steps_between
from dasha.errors import InvalidArgumentError, InvalidSeriesError
from dasha.types import FloatArray

# Rows of one series that wait to be summed up together: a merge costs as much as summing up some thousand rows.
_WAITING_ROWS = 1 << 15
# Fewer missing steps than this become rows of NaN, more of them a gap of their own.
_WIDE_GAP = 16


@dataclass(frozen=True, eq=False)
class SeriesSummary:
    """Consecutive rows of one series.

    Attributes:
        channels: One summary per channel, all of as many rows.
        first: Time of the first row; None if times were not given.
        last: Time of the last row.
        pace: How evenly the rows are spaced; None if times or a second row are lacking, or a frequency was given.
    """

    channels: tuple[ChannelSummary, ...]
    first: Any = None
    last: Any = None
    pace: Pace | None = None


def series_name(series_id: Hashable) -> str:
    """How messages call a series; None is the id of a single one without an id."""
    return "the series" if series_id is None else f"series {series_id!r}"


def join_series(earlier: SeriesSummary, later: SeriesSummary, *, freq: Frequency = None, name: str) -> SeriesSummary:
    """Append later rows of the same series; missing steps between them become a gap.

    Args:
        earlier: Rows before.
        later: Rows after.
        freq: As in `SeriesAccumulator`.
        name: How messages call the series.

    Raises:
        InvalidSeriesError: If the rows overlap in time, are not evenly spaced and ``freq`` is None, or differ in their
            number of channels.
    """
    _require_channels(len(earlier.channels), len(later.channels), name)
    missing, pace = steps_to(earlier, later, freq=freq, name=name)
    pairs = zip(earlier.channels, later.channels, strict=True)
    return SeriesSummary(tuple(_after_gap(a, missing) + b for a, b in pairs), earlier.first, later.last, pace)


def steps_to(earlier: SeriesSummary, later: SeriesSummary, *, freq: Frequency, name: str) -> tuple[int, Pace | None]:
    """Missing steps between rows and those after them, and the pace of both; arguments and errors of `join_series`."""
    if earlier.last is None or later.first is None:
        return 0, earlier.pace
    missing = int(steps_between([earlier.last, later.first], freq, name)[0]) - 1
    if freq is not None:
        return missing, None
    pace = joined(earlier.pace, earlier.last, later.first, later.pace)
    require_even(pace, name)
    return missing, pace


class SeriesAccumulator:
    """Collects chunks of many series, each in order of time.

    Args:
        max_length: Longest window whose moments will be wanted.
        freq: Time between two steps, a pandas frequency for dates or a number for numbers; missing steps become
            gaps. None takes rows as evenly spaced, which times, where there are any, must bear out: all steps as long
            as the first, or as many months or working days.
        kpss_lags: See `dasha.autoar.summary.summarise`.
        start: Series summed up before, which the chunks continue.
        may_be_uneven: Only note uneven steps where ``freq`` is None: not all rows are here, so that others may lie in
            between.

    Example:
        >>> accumulator = SeriesAccumulator(max_length=25)
        >>> for chunk in np.split(np.random.default_rng(0).normal(size=(1000, 2)), 4):
        ...     accumulator.add(chunk, series_id="wind")
        >>> accumulator.series()["wind"].channels[1].count
        1000
    """

    def __init__(
        self,
        max_length: int,
        *,
        freq: Frequency = None,
        kpss_lags: int = KPSS_LAGS,
        start: Mapping[Hashable, SeriesSummary] | None = None,
        may_be_uneven: bool = False,
    ) -> None:
        self._empty = gap(0, max_length, kpss_lags=kpss_lags)
        self._freq, self._may_be_uneven = freq, may_be_uneven
        self._series = {series_id: _Growing(summary) for series_id, summary in (start or {}).items()}
        self._ids = {str(series_id): series_id for series_id in self._series}

    def add(self, values: Any, *, series_id: Hashable = None, times: Any = None) -> None:
        """Append rows to a series.

        Args:
            values: Shape ``(T,)`` or ``(T, C)``, oldest first; NaN marks a missing value.
            series_id: Which series.
            times: Shape ``(T,)``; None takes the rows as following the last.

        Raises:
            InvalidSeriesError: If the values are not usable, if times do not rise or do not lie on the grid of
                ``freq``, if they are not evenly spaced and ``freq`` is None, if the number of channels changes, or if
                the id differs from that of another series only in its type.
        """
        if len(values) == 0:
            return
        name, known_id = series_name(series_id), self._ids.get(str(series_id), series_id)
        if known_id != series_id:
            raise InvalidSeriesError(
                f"{name} is not {series_name(known_id)}, which came before: the ids differ in type alone; give both as "
                f"{type(known_id).__name__}, or both as {type(series_id).__name__}"
            )
        matrix = as_matrix(values, name)
        growing = self._series.get(series_id)
        if growing is None:
            growing = _Growing(SeriesSummary((self._empty,) * matrix.shape[1]))
        _require_channels(len(growing.summed.channels), matrix.shape[1], name)
        if growing.has_rows and (times is None) != (growing.last is None):
            raise InvalidSeriesError(f"{name} has times in some chunks but not in all; give them in all or in none")
        steps, pace = np.ones(len(matrix), dtype=np.int64), growing.pace
        if times is not None:
            if len(times) != len(matrix):
                raise InvalidSeriesError(f"{name} has {len(matrix)} rows but {len(times)} times; give one per row")
            index = as_times(times)
            whole = index if growing.last is None else pd.Index([growing.last]).append(index)
            known = steps_between(whole, self._freq, name)
            steps[len(steps) - len(known) :] = known  # a first row has no step before it
            if self._freq is None:
                pace = followed(pace, whole)
            if not self._may_be_uneven:
                require_even(pace, name)
        for missing, rows in _dense(matrix, steps):
            growing.append(missing, rows)
        if times is not None:
            growing.first = index[0] if growing.first is None else growing.first
            growing.last, growing.pace = index[-1], pace
        self._series[series_id] = growing
        self._ids[str(series_id)] = series_id

    def add_table(
        self, table: Any, *, targets: Sequence[str], id_column: str | None = None, time_column: str | None = None
    ) -> None:
        """Append the rows of a pandas or pyarrow table in long format.

        Args:
            table: One row per series and time; series may be mixed.
            targets: Columns with the channels.
            id_column: Column that tells series apart; None if the table holds one.
            time_column: Column with the times; None takes rows in their order.

        Raises:
            InvalidSeriesError: As in `add`, and if columns are missing or ids are.
        """
        for series_id, times, values in series_of_table(
            table, targets=targets, id_column=id_column, time_column=time_column
        ):
            self.add(values, series_id=series_id, times=times)

    def series(self) -> dict[Hashable, SeriesSummary]:
        """Everything so far, by series; more rows may follow."""
        return {series_id: growing.result() for series_id, growing in self._series.items()}


def accumulate(
    chunks: Iterable[Any],
    max_length: int,
    *,
    freq: Frequency = None,
    kpss_lags: int = KPSS_LAGS,
    targets: Sequence[str] | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
) -> dict[Hashable, SeriesSummary]:
    """Sum up all chunks; see `SeriesAccumulator`.

    Args:
        chunks: Arrays of one series, tuples ``(id, values)`` or ``(id, values, times)``, or tables.
        max_length: Longest window whose moments will be wanted.
        freq: Time between two steps.
        kpss_lags: See `dasha.autoar.summary.summarise`.
        targets: Columns with the channels, needed for tables.
        id_column: Column of tables that tells series apart.
        time_column: Column of tables with the times.

    Returns:
        Series by id; None is the id of chunks without one.
    """
    accumulator = SeriesAccumulator(max_length, freq=freq, kpss_lags=kpss_lags)
    add_chunks(accumulator, chunks, targets=targets, id_column=id_column, time_column=time_column)
    return accumulator.series()


def add_chunks(
    accumulator: SeriesAccumulator,
    chunks: Iterable[Any],
    *,
    targets: Sequence[str] | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
) -> None:
    """Append chunks of any of the kinds that `accumulate` takes."""
    for chunk in chunks:
        if isinstance(chunk, tuple):
            accumulator.add(chunk[1], series_id=chunk[0], times=chunk[2] if len(chunk) > 2 else None)
        elif isinstance(chunk, pd.DataFrame) or hasattr(chunk, "to_pandas"):
            if targets is None:
                raise InvalidArgumentError("chunks are tables, but targets is None; name the columns with the channels")
            accumulator.add_table(chunk, targets=targets, id_column=id_column, time_column=time_column)
        else:
            accumulator.add(chunk)


def series_of_table(
    table: Any, *, targets: Sequence[str], id_column: str | None, time_column: str | None
) -> Iterator[tuple[Hashable, pd.Index | None, FloatArray]]:
    """Id, times and values ``(T, C)`` of every series of a table in long format, rows in their order.

    Raises:
        InvalidSeriesError: If columns are missing, targets are no numbers, or rows have no id.
    """
    names = [name for name in (id_column, time_column) if name is not None]
    columns = list(table.columns) if isinstance(table, pd.DataFrame) else table.schema.names
    absent = [name for name in [*names, *targets] if name not in columns]
    if absent:
        raise InvalidSeriesError(
            f"the table has no column {absent[0]!r}; its columns are {', '.join(map(str, columns))}"
        )
    frame = table if isinstance(table, pd.DataFrame) else table.select([*names, *targets]).to_pandas()
    try:
        values = frame[list(targets)].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InvalidSeriesError(
            f"columns {list(targets)} must hold numbers, but {error}; convert them first"
        ) from error
    times = None if time_column is None else pd.Index(frame[time_column])
    if id_column is None:
        yield None, times, values
        return
    codes, ids = pd.factorize(frame[id_column])
    is_empty = (codes < 0) | np.isin(codes, np.flatnonzero(ids == ""))
    if is_empty.any():
        raise InvalidSeriesError(f"{int(is_empty.sum())} rows have no {id_column!r}; fill in or drop them")
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(ids) + 1))
    for number, series_id in enumerate(ids.tolist()):
        rows = order[bounds[number] : bounds[number + 1]]
        yield series_id, None if times is None else times[rows], values[rows]


class _Growing:
    """One series: what is summed up, and the rows that wait to be."""

    def __init__(self, summed: SeriesSummary) -> None:
        self.summed = summed
        self.first, self.last, self.pace = summed.first, summed.last, summed.pace
        self._waiting: list[FloatArray] = []
        self._count = 0

    @property
    def has_rows(self) -> bool:
        """Whether anything was added."""
        return bool(self._waiting) or self.summed.channels[0].rows > 0

    def append(self, missing: int, rows: FloatArray) -> None:
        """Add missing rows, then rows."""
        if missing:
            channels = self.result().channels
            self.summed, self._waiting, self._count = SeriesSummary(_all_after_gap(channels, missing)), [], 0
        self._waiting.append(rows)
        self._count += len(rows)
        if self._count >= _WAITING_ROWS:
            self.summed, self._waiting, self._count = self.result(), [], 0

    def result(self) -> SeriesSummary:
        """Everything summed up."""
        channels = self.summed.channels
        if self._waiting:
            sizes = channels[0]
            rows = np.concatenate(self._waiting).T
            later = summarise_many(np.ascontiguousarray(rows), sizes.max_length, kpss_lags=sizes.lags)
            channels = tuple(a + b for a, b in zip(channels, later, strict=True))
        return SeriesSummary(channels, self.first, self.last, self.pace)


def _dense(matrix: FloatArray, steps: IntArray) -> Iterator[tuple[int, FloatArray]]:
    """Cut rows at wide gaps and fill narrow ones with NaN: missing rows before each piece, and the piece."""
    cuts = np.flatnonzero(steps > _WIDE_GAP)
    bounds = [0, *cuts[cuts > 0].tolist(), len(matrix)]
    for start, stop in pairwise(bounds):
        first = int(steps[start])
        inside = steps[start:stop].cumsum() - first
        rows = np.full((int(inside[-1]) + 1, matrix.shape[1]), np.nan)
        rows[inside] = matrix[start:stop]
        yield first - 1, rows


def _after_gap(channel: ChannelSummary, missing: int) -> ChannelSummary:
    return channel + gap(missing, channel.max_length, kpss_lags=channel.lags) if missing else channel


def _all_after_gap(channels: Sequence[ChannelSummary], missing: int) -> tuple[ChannelSummary, ...]:
    return tuple(_after_gap(channel, missing) for channel in channels)


def _require_channels(known: int, found: int, name: str) -> None:
    if known != found:
        channels = "1 channel" if found == 1 else f"{found} channels"
        raise InvalidSeriesError(f"{name} has {channels}, but had {known} before; give all {known} with all rows")
