"""Trained predictors of GluonTS learn from what came later."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import asdict, replace

import numpy as np

from darts_autoar.gluonts_series import EntrySeries, continuations
from dasha.autoar import AutoAR
from dasha.autoar.config import AutoARConfig
from dasha.errors import DashaWarning, InvalidArgumentError, InvalidSeriesError
from dasha.types import FloatArray


def updated(
    engine: AutoAR, config: AutoARConfig, ends: Sequence[EntrySeries], entries: Sequence[EntrySeries]
) -> tuple[AutoAR, list[EntrySeries]]:
    """A further engine, which has also seen the rows that follow the training series, and series that begin.

    Args:
        engine: Fitted with summaries; stays as it is.
        config: Settings that are asked for, which must be those of the engine.
        ends: Ends of the training series, in the order of the engine.
        entries: Series with the new rows. By item id, or by position where nothing has one, they continue a training
            series, with or without its rows; those of other ids are new.

    Returns:
        The engine, and the ends of all its series.

    Raises:
        InvalidArgumentError: If the engine has other settings, or kept no summaries.
        InvalidSeriesError: If a series does not continue the one of its id, or there is no new value.
    """
    _require_same(engine.config, config)
    known_ids = {None, *(one.item_id for one in ends)}
    following = continuations(ends, [one for one in entries if one.item_id in known_ids], name="training_data")
    begun = [one for one in entries if one.item_id not in known_ids]
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
    chunks: list[tuple[Hashable, FloatArray]] = [
        (number, rows) for number, rows in enumerate([*following, *(one.values for one in started)]) if len(rows)
    ]
    grown = AutoAR.restore(config, engine.fitted).update_stream(chunks)
    continued = [replace(end, values=np.vstack([end.values, rows])) for end, rows in zip(ends, following, strict=True)]
    return grown, [*continued, *started]


def _require_same(trained: AutoARConfig, asked: AutoARConfig) -> None:
    before, now = asdict(trained), asdict(asked)
    differing = [name for name in now if name != "device" and before[name] != now[name]]
    if differing:
        trained_with, has = (", ".join(f"{name}={one[name]!r}" for name in differing) for one in (before, now))
        raise InvalidArgumentError(
            f"the predictor was trained with {trained_with}, but the estimator has {has}; use an estimator of the same "
            "settings, or train on all data"
        )
