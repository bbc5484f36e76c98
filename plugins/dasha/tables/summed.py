"""Series of which only sums and the last rows are left, as `dasha.tables.SeriesSet` holds series."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dasha.autoar.streaming import SeriesSummary
from dasha.autoar.time_steps import without_zone
from dasha.errors import InvalidTableError
from dasha.tables.collection import EarlierRows, IndexedSeries, SeriesSet
from dasha.tables.layout import FileLayout
from dasha.tables.timeline import anchored, regular_grids

Times = Sequence[pd.DatetimeIndex | pd.RangeIndex]


def series_ends(layout: FileLayout, summaries: Mapping[Hashable, SeriesSummary], *, steps: int) -> SeriesSet:
    """Last rows of every series, with their times.

    Args:
        layout: What is in the files.
        summaries: Series by id, as a fit on the files keeps them.
        steps: Rows of each to hold; fewer where a series is shorter, or sums keep fewer.

    Raises:
        InvalidTableError: If a series lies on no grid of the frequency.
    """
    counts = [min(steps, *(channel.kept_rows for channel in one.channels)) for one in summaries.values()]
    notes = list(layout.notes)
    if layout.time_column is None:
        lengths = [one.channels[0].rows for one in summaries.values()]
        firsts: list[Any] = [1] * len(lengths)
        indices: Times = [_numbers(last, count, 1) for last, count in zip(lengths, counts, strict=True)]
    elif isinstance(layout.freq, int):
        firsts = [int(one.first) for one in summaries.values()]
        lasts = [int(one.last) for one in summaries.values()]
        indices = [_numbers(last, count, layout.freq) for last, count in zip(lasts, counts, strict=True)]
    else:
        assert layout.freq is not None
        indices, firsts, zone = _dates(summaries, counts, layout.freq)
        notes += zone
    series = []
    for (series_id, one), index, first in zip(summaries.items(), indices, firsts, strict=True):
        values = np.column_stack([channel.last_values(len(index)) for channel in one.channels])
        rows = one.channels[0].rows
        missing = sum(channel.rows - channel.count for channel in one.channels) - int(np.isnan(values).sum())
        series.append(IndexedSeries(_plain(series_id), values, index, EarlierRows(first, rows - len(index), missing)))
    return SeriesSet(layout.path, "", layout.columns, tuple(series), layout.id_column, layout.time_column, tuple(notes))


def _numbers(last: int, count: int, step: int) -> pd.RangeIndex:
    return pd.RangeIndex(last - (count - 1) * step, last + step, step)


def _dates(
    summaries: Mapping[Hashable, SeriesSummary], counts: Sequence[int], freq: str
) -> tuple[Times, list[Any], list[str]]:
    """Grids that end with every series, the first times, and a note on the zone."""
    offset = pd.tseries.frequencies.to_offset(freq)
    ends = pd.DatetimeIndex([time for one in summaries.values() for time in (one.first, one.last)])
    ends, notes = _local(ends, offset)
    ends = ends.as_unit("ns")
    firsts, lasts = list(ends[::2]), list(ends[1::2])
    freqs = [anchored(freq, last) for last in lasts]
    starts = [
        last if count == 1 else last - (count - 1) * pd.tseries.frequencies.to_offset(one)
        for last, count, one in zip(lasts, counts, freqs, strict=True)
    ]
    grids = regular_grids(starts, counts, freqs)
    for series_id, grid, last in zip(summaries, grids, lasts, strict=True):
        if grid[-1] != last:
            raise InvalidTableError(
                f"series {series_id!r} ends at {last}, which is no time of frequency {freq}; pass another --freq, or "
                "round the times"
            )
    return grids, firsts, notes


def _local(times: pd.DatetimeIndex, offset: pd.offsets.BaseOffset) -> tuple[pd.DatetimeIndex, list[str]]:
    if times.tz is None:
        return times, []
    local, utc = without_zone(times, offset), times.tz_convert(None)
    if (local == utc).all():
        return local, [] if str(times.tz) == "UTC" else [f"times were turned from {times.tz} into UTC"]
    return local, [f"times are kept as local times of {times.tz}"]


def _plain(series_id: Hashable) -> str | int | None:
    return series_id if series_id is None or isinstance(series_id, int) else str(series_id)
