"""Summaries of many series together: made, continued, and fitted on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dasha.autoar.config import AutoARConfig
from dasha.autoar.fitted import FittedAR
from dasha.autoar.fitting import fit_data
from dasha.autoar.streaming import SeriesAccumulator, SeriesSummary, join_series, series_name, steps_to
from dasha.autoar.summary import KPSS_LAGS, gap, summarise_many
from dasha.autoar.summary_data import SummaryData
from dasha.autoar.time_steps import Frequency
from dasha.errors import InvalidArgumentError, InvalidSeriesError
from dasha.types import FloatArray

Summaries = SeriesSummary | Sequence[SeriesSummary] | Mapping[Hashable, SeriesSummary]


@dataclass(frozen=True, eq=False)
class SummarySet:
    """Summaries of series, in the order in which a model numbers them.

    Attributes:
        series: Summaries by id; None is the id of a single series without one.
        freq: Time between two steps as text or a number; None takes rows as evenly spaced.
    """

    series: dict[Hashable, SeriesSummary]
    freq: str | int | float | None = None

    @cached_property
    def numbers(self) -> dict[Hashable, int]:
        """Number of every series, by id."""
        return {series_id: number for number, series_id in enumerate(self.series)}

    def accumulator(self) -> SeriesAccumulator:
        """Takes rows that follow, and further series of the same window lengths."""
        sizes = next(iter(self.series.values())).channels[0]
        return SeriesAccumulator(sizes.max_length, freq=self.freq, kpss_lags=sizes.lags, start=self.series)

    def empty_accumulator(self) -> SeriesAccumulator:
        """Takes rows to be joined later."""
        sizes = next(iter(self.series.values())).channels[0]
        return SeriesAccumulator(sizes.max_length, freq=self.freq, kpss_lags=sizes.lags)


def summary_set(summaries: Summaries, freq: Frequency, name: str) -> SummarySet:
    """Check summaries as callers pass them; those of a list get the ids ``0, 1, …``.

    Raises:
        InvalidArgumentError: If something is no summary of at least one row, or ``freq`` cannot be kept.
    """
    series: dict[Hashable, SeriesSummary] = {}
    if isinstance(summaries, SeriesSummary):
        series[None] = summaries
    elif isinstance(summaries, Mapping):
        series.update(summaries)
    else:
        series.update(enumerate(summaries))
    if not series:
        raise InvalidSeriesError(f"{name} holds no series; pass at least one with at least one row")
    for series_id, one in series.items():
        if not isinstance(one, SeriesSummary):
            raise InvalidArgumentError(
                f"{name} holds a {type(one).__name__} for {series_name(series_id)}, but must hold SeriesSummary "
                "objects; make them with dasha.autoar.accumulate, or call fit with arrays"
            )
        rows = {channel.rows for channel in one.channels}
        if len(rows) != 1 or rows == {0}:
            raise InvalidArgumentError(
                f"{name} has channels of {sorted(rows)} rows in {series_name(series_id)}, but a series must have at "
                "least one channel, and as many rows in each, at least one"
            )
    return SummarySet(series, plain_frequency(freq))


def plain_frequency(freq: Frequency) -> str | int | float | None:
    """The same frequency as text or a number, which can be saved."""
    if freq is None or isinstance(freq, str | int | float):
        return freq
    return str(pd.tseries.frequencies.to_offset(freq).freqstr)


def summaries_of_matrices(matrices: Sequence[FloatArray], max_length: int, *, is_list: bool) -> SummarySet:
    """Sum up series ``(T, C)`` in memory, with the ids ``0, 1, …``, or None for a single one."""
    series = [SeriesSummary(tuple(summarise_many(matrix.T, max_length, kpss_lags=KPSS_LAGS))) for matrix in matrices]
    return SummarySet(dict(enumerate(series)) if is_list else {None: series[0]})


def continued(kept: SummarySet, rows: Any, series: Any, *, is_validation: bool = False) -> SummarySet:
    """Sum up arrays that follow series which are kept.

    Args:
        kept: The series so far.
        rows: One array, a list of arrays, or arrays by id.
        series: Ids of what an array or a list continues; None stands for all, in their order.
        is_validation: Give the new rows alone, not joined with those so far.

    Raises:
        InvalidArgumentError: If it is not clear which series is meant, or it was read with times.
        InvalidSeriesError: If rows are unusable, or have another number of channels.
    """
    accumulator = kept.empty_accumulator() if is_validation else kept.accumulator()
    for series_id, values in _by_id(kept, rows, series):
        if series_id not in kept.series:
            raise InvalidArgumentError(
                f"{series_name(series_id)} is not one that the model was fitted on; they are {_some(kept.series)}"
            )
        if kept.series[series_id].last is not None:
            raise InvalidArgumentError(
                f"{series_name(series_id)} was read with times, so that its new rows need theirs; pass them through "
                "update_stream, as (id, values, times) or as tables"
            )
        accumulator.add(values, series_id=series_id)
    return SummarySet(accumulator.series(), kept.freq)


def fit_summary_set(
    config: AutoARConfig, train: SummarySet, validation: SummarySet | None, *, is_list: bool
) -> FittedAR:
    """Fit on summaries, and keep those of training and validation rows together.

    Raises:
        InvalidArgumentError: If the settings ask for what sums cannot give.
        InvalidSeriesError: If validation rows do not continue a training series.
        SeriesTooShortError: If there is too little data for what was asked.
    """
    require_summable(config, has_validation=validation is not None)
    following: list[SeriesSummary] | None = None
    joined = train.series
    if validation is not None:
        unknown = [series_id for series_id in validation.series if series_id not in train.series]
        if unknown:
            raise InvalidSeriesError(
                f"validation has {series_name(unknown[0])}, but series has only {_some(train.series)}; pass the rows "
                "that follow training series, under the same ids"
            )
        pairs = {series_id: (one, validation.series.get(series_id)) for series_id, one in train.series.items()}
        following = [_after(*pair, freq=train.freq, name=series_name(name)) for name, pair in pairs.items()]
        ids = zip(train.series.items(), following, strict=True)
        joined = {name: _joined(before, after, series_name(name)) for (name, before), after in ids}
    names = [series_name(series_id) for series_id in train.series]
    data = SummaryData.of(config, list(train.series.values()), following, list(joined.values()), names)
    fitted = fit_data(config, data)
    return replace(fitted, is_list=is_list, summaries=SummarySet(joined, train.freq))


def require_summable(config: AutoARConfig, *, has_validation: bool) -> None:
    """Refuse what sums cannot give, before any row is read.

    Raises:
        InvalidArgumentError: If the strategy is not the paper's, or rows would have to be held out.
    """
    if config.is_zero_shot:
        raise InvalidArgumentError(
            "mode='zero-shot' learns nothing; summaries, streams and files are for mode='trained': choose it, or call "
            "predict with a context"
        )
    if config.needs_maps:
        raise InvalidArgumentError(
            f"strategy={config.strategy!r} with pooling={config.pooled_over!r} needs the rows themselves; summaries, "
            "streams and files are for strategy='recursive' with pooling='pooled': choose these, or call fit with "
            "arrays"
        )
    if config.criterion == "validation" and config.lookback is None and not has_validation:
        raise InvalidArgumentError(
            "criterion='validation' has no validation rows, and sums cannot be split afterwards; pass the last rows of "
            "each series as validation, or use criterion='bic'"
        )


def in_order_of_id(series: Mapping[Hashable, SeriesSummary]) -> dict[Hashable, SeriesSummary]:
    """The same by rising id: the order of files and partitions means nothing."""
    try:
        ids: Iterable[Any] = sorted(series)
    except TypeError:
        ids = sorted(series, key=repr)
    return {series_id: series[series_id] for series_id in ids}


def _by_id(kept: SummarySet, rows: Any, series: Any) -> list[tuple[Hashable, Any]]:
    if isinstance(rows, Mapping):
        if series is not None:
            raise InvalidArgumentError("series goes with arrays; rows by id already say which series they continue")
        return list(rows.items())
    is_many = isinstance(rows, list | tuple) and not all(np.ndim(values) == 0 for values in rows)
    values = list(rows) if is_many else [rows]
    if series is None:
        ids = list(kept.series)
    else:
        ids = list(series) if isinstance(series, list | tuple | np.ndarray) else [series]
    if len(ids) != len(values):
        raise InvalidArgumentError(
            f"rows are given for {len(values)} series, but {'the model has' if series is None else 'series names'} "
            f"{len(ids)}; name one id per array in series, or pass rows by id"
        )
    return list(zip(ids, values, strict=True))


def _after(before: SeriesSummary, after: SeriesSummary | None, *, freq: Frequency, name: str) -> SeriesSummary:
    """Rows that follow, with the missing ones in between; their pace is that of all rows."""
    nothing = SeriesSummary(tuple(gap(0, one.max_length, kpss_lags=one.lags) for one in before.channels))
    if after is None:
        return nothing
    missing, pace = steps_to(before, after, freq=freq, name=name)
    start = SeriesSummary(tuple(gap(missing, one.max_length, kpss_lags=one.lags) for one in before.channels))
    following = join_series(start, SeriesSummary(after.channels), name=name)
    return SeriesSummary(following.channels, last=after.last, pace=pace)


def _joined(before: SeriesSummary, after: SeriesSummary, name: str) -> SeriesSummary:
    whole = join_series(before, SeriesSummary(after.channels), name=name)
    last, pace = (before.last, before.pace) if after.last is None else (after.last, after.pace)
    return SeriesSummary(whole.channels, before.first, last, pace)


def _some(series: Iterable[Hashable]) -> str:
    names = [repr(name) for name in series]
    return ", ".join(names[:5]) + (f", … ({len(names)} in all)" if len(names) > 5 else "")
