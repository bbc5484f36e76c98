"""Darts series to arrays and back, and how a series is recognised as the continuation of a training series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from darts import TimeSeries
from darts.utils.utils import generate_index

from darts_autoar.continuation import best_match, distinctive_end
from dasha.types import FloatArray


def to_matrix(series: TimeSeries) -> FloatArray:
    """Values of a deterministic series, shape ``(T, C)``, float64.

    Raises:
        ValueError: If the series holds samples.
    """
    series._assert_deterministic()
    values: FloatArray = series.values(copy=False).astype(np.float64)
    return values


class TrainingEnd(NamedTuple):
    """The last rows of a training series; plain values, so that Darts' safe loading accepts them."""

    components: list[str]
    freq: str
    end: pd.Timestamp | int
    values: FloatArray

    @staticmethod
    def of(series: TimeSeries, values: FloatArray, end: pd.Timestamp | int) -> TrainingEnd:
        """Ends of a training series with ``values`` up to the time ``end``."""
        return TrainingEnd(list(series.components), series.freq_str, end, distinctive_end(values))

    def followed_by(self, rows: FloatArray, end: pd.Timestamp | int) -> TrainingEnd:
        """Ends of the same series with further rows up to the time ``end``."""
        return self._replace(end=max(self.end, end), values=distinctive_end(np.vstack([self.values, rows])))


def rows_after(end: TrainingEnd, later: TimeSeries, name: str) -> FloatArray:
    """Rows of ``later`` that follow the end of a training series, NaN for steps between the two, shape ``(T, C)``.

    None follow where ``later`` does not reach beyond it.

    Args:
        end: Of the training series.
        later: What reaches beyond it.
        name: Of the argument that ``later`` comes from.

    Raises:
        ValueError: If the two differ in frequency or components.
    """
    width = len(end.components)
    if later.freq_str != end.freq or later.n_components != width:
        raise ValueError(
            f"`{name}` has frequency {later.freq_str} and {later.n_components} components, but must have {end.freq} "
            f"and {width} as the training series has"
        )
    values = to_matrix(later)
    if later.end_time() <= end.end:
        return values[:0]
    if later.start_time() <= end.end:
        return values[_position(later, end.end) + 1 :]
    if later.has_range_index:
        between = (later.start_time() - end.end) // later.freq - 1
    else:
        between = len(pd.date_range(pd.Timestamp(end.end), later.start_time(), freq=later.freq)) - 2
    return np.vstack([np.full((between, width), np.nan), values])


class KnownSeries:
    """Finds which training series a given series continues, and from where on.

    A series continues a training series when it has the same components and frequency and holds the last rows of
    the training series, at the same times and with the same values.
    """

    def __init__(self, ends: Sequence[TrainingEnd]) -> None:
        self._probes = [end.values for end in ends]
        self._candidates: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        self._times: dict[tuple[Any, ...], set[pd.Timestamp | int]] = defaultdict(set)
        for number, end in enumerate(ends):
            kind = (tuple(end.components), end.freq)
            self._times[kind].add(end.end)
            self._candidates[(*kind, end.end, end.values[-1].tobytes())].append(number)

    def find(self, series: TimeSeries, values: FloatArray) -> list[tuple[int, int]]:
        """All matches, earliest first: number of the training series, and how many rows of ``series`` hold its end.

        What follows those rows plays no part, so that a series and its beginning are matched alike.

        Args:
            series: The series.
            values: Its values, shape ``(T, C)``.
        """
        kind = (tuple(series.components), series.freq_str)
        matches = []
        for time in sorted(self._times.get(kind, ())):
            if series.start_time() <= time <= series.end_time():
                position = _position(series, time)
                candidates = self._candidates.get((*kind, time, values[position].tobytes()), ())
                number = best_match(values[: position + 1], self._probes, candidates, least_changes=2)
                if number is not None:
                    matches.append((number, position + 1))
        return matches


def forecast_series(
    series: TimeSeries, values: np.ndarray, components: Sequence[str], start: pd.Timestamp | int, stride: int = 1
) -> TimeSeries:
    """Forecast as a series, with what belongs to the input carried over.

    Args:
        series: What was forecast; gives frequency, static covariates, hierarchy and metadata.
        values: Shape ``(H, components, samples)``.
        components: Names; other than those of ``series`` when they are parameters or quantiles, which belong to no
            hierarchy and have no static covariates.
        start: Time of the first row.
        stride: Steps between two rows.
    """
    times = generate_index(start=start, length=len(values), freq=series.freq * stride, name=series.time_index.name)
    return TimeSeries(times=times, values=values, **_belongings(series, components))


def window_times(
    series: TimeSeries, first: pd.Timestamp | int, count: int, horizon: int, stride: int
) -> list[pd.Index]:
    """Times of ``horizon`` steps from each of ``count`` origins, ``stride`` steps apart, as slices of one index."""
    length = horizon + (count - 1) * stride
    times = generate_index(start=first, length=length, freq=series.freq, name=series.time_index.name)
    return [times[start : start + horizon] for start in range(0, count * stride, stride)]


def window_series(
    series: TimeSeries, values: np.ndarray, components: Sequence[str], times: Sequence[pd.Index]
) -> list[TimeSeries]:
    """One series per origin, as `forecast_series`.

    Args:
        series: What was forecast.
        values: Shape ``(N, H, components, samples)``.
        components: Names.
        times: One index of ``H`` times for each origin.
    """
    shared = _belongings(series, components)  # once: asking a series for them costs more than building a forecast
    return [TimeSeries(times=index, values=block, **shared) for index, block in zip(times, values, strict=True)]


def _belongings(series: TimeSeries, components: Sequence[str]) -> dict[str, Any]:
    """Arguments of ``TimeSeries`` other than times and values."""
    is_renamed = list(components) != list(series.components)
    return {
        "components": pd.Index(components),
        "static_covariates": None if is_renamed else series.static_covariates,
        "hierarchy": None if is_renamed else series.hierarchy,
        "metadata": series.metadata,
        "copy": False,
    }


def _position(series: TimeSeries, time: pd.Timestamp | int) -> int:
    return int(series.get_index_at_point(time))
