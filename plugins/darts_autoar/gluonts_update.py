"""Trained predictors of GluonTS learn from what came later."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from darts_autoar.gluonts_fit import engine_of, fit_or_simpler, simpler
from darts_autoar.gluonts_series import EntrySeries, continuations, has_ids
from dasha.autoar import AutoAR
from dasha.autoar.config import AutoARConfig
from dasha.autoar.summary_set import SummarySet
from dasha.errors import DashaWarning, InvalidArgumentError, InvalidSeriesError

# Rows by which a series is recognised, if it takes so many to tell it from others: not all of a long gap.
_LONGEST_END = 10_000


def updated(
    kept: SummarySet, config: AutoARConfig, ends: Sequence[EntrySeries], entries: Sequence[EntrySeries]
) -> tuple[AutoAR, list[EntrySeries]]:
    """An engine that has also seen the rows that follow the training series, and series that begin.

    Args:
        kept: Sums of the training series; stay as they are.
        config: Settings.
        ends: Ends of the training series, in the order of the sums.
        entries: Series with the new rows. By item id, or by position where not every series has one of its own, they
            continue a training series, with or without its rows; those of other ids are new.

    Returns:
        The engine, and the ends of all its series.

    Raises:
        InvalidSeriesError: If a series does not continue the one of its id, or there is no new value.
    """
    continuing, begun = _by_id(ends, entries)
    following = continuations(ends, continuing, name="training_data")
    started = [one for one in begun if one.has_values()]
    if len(started) < len(begun):
        warnings.warn(
            f"{len(begun) - len(started)} of {len(begun)} new series are left out, because they hold no value",
            DashaWarning,
            stacklevel=3,
        )
    if not started and all(np.isnan(rows).all() for rows in following):
        raise InvalidSeriesError(
            f"training_data holds no value after the end of what the predictor was trained on ({ends[0].name} ends "
            f"before {ends[0].end}); pass series that reach further"
        )
    accumulator = kept.accumulator()
    for number, rows in enumerate([*following, *(one.values for one in started)]):
        if len(rows):
            accumulator.add(rows, series_id=number)
    series = accumulator.series()
    engine = fit_or_simpler(config, lambda one: engine_of(one).fit_summaries(series))
    continued = [_continued(end, rows) for end, rows in zip(ends, following, strict=True)]
    return engine, [*continued, *started]


def summaries_of(engine: AutoAR) -> SummarySet:
    """Sums that a predictor's engine kept.

    Raises:
        InvalidArgumentError: If there are none.
    """
    kept = engine.fitted.summaries
    if kept is None:
        raise InvalidArgumentError(
            "the predictor kept no sums of what it was trained on; train it with AutoAREstimator(keep_summaries=True)"
        )
    return kept


def require_same(trained: AutoARConfig, asked: AutoARConfig) -> None:
    """Refuse to go on with other settings than those trained with, or those that too little data stood in for.

    Raises:
        InvalidArgumentError: If they differ.
    """
    differing = [_differences(trained, one) for one in (asked, *simpler(asked))]
    if all(differing):
        before, now = asdict(trained), asdict(asked)
        trained_with, has = (", ".join(f"{name}={one[name]!r}" for name in differing[0]) for one in (before, now))
        raise InvalidArgumentError(
            f"the predictor was trained with {trained_with}, but the estimator has {has}; use an estimator of the same "
            "settings, or train on all data"
        )


def require_ids(series: Sequence[EntrySeries]) -> None:
    """Refuse series that later rows could not be told apart by, because one of them is left out of the predictor.

    Raises:
        InvalidSeriesError: If not every series has an item id of its own.
    """
    if not has_ids(series):
        empty = next(one for one in series if not one.has_values())
        raise InvalidSeriesError(
            f"{empty.name} holds no value, so that keep_summaries=True would count later rows of the others by wrong "
            "positions; give every series an item_id of its own, or leave it out"
        )


def _by_id(ends: Sequence[EntrySeries], entries: Sequence[EntrySeries]) -> tuple[list[EntrySeries], list[EntrySeries]]:
    """Series that go on, and series that begin; without ids of their own, all go on."""
    if not has_ids(ends):
        return list(entries), []
    known = {one.item_id for one in ends}
    counts = Counter(one.item_id for one in entries)
    for one in entries:
        if one.item_id is None:
            raise InvalidSeriesError(
                f"{one.name} has no item_id, but those that the predictor was trained on have; give it that of the "
                "series that it continues, or a new one"
            )
        if counts[one.item_id] > 1:
            raise InvalidSeriesError(
                f"training_data holds {one.name} {counts[one.item_id]} times; pass all rows of a series as one entry"
            )
    return (
        [one for one in entries if one.item_id in known],
        [one for one in entries if one.item_id not in known],
    )


def _continued(end: EntrySeries, rows: np.ndarray) -> EntrySeries:
    values = np.vstack([end.values, rows])
    surplus = max(0, len(values) - max(_LONGEST_END, len(end.values)))
    return replace(end, values=values[surplus:], start=end.start + surplus)


def _differences(trained: AutoARConfig, asked: AutoARConfig) -> list[str]:
    before, now = asdict(trained), asdict(asked)
    unused = {"device"}
    if asked.lookback is not None or asked.criterion not in ("horizon_bic", "validation"):
        unused.add("horizon")
    return [name for name in now if name not in unused and before[name] != now[name]]
