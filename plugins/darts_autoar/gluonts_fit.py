"""Fits for GluonTS: what was asked for, or the nearest that the data can carry."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import numpy as np

from dasha.autoar import AutoAR
from dasha.autoar.config import AutoARConfig
from dasha.autoar.summary_set import summaries_of_matrices
from dasha.errors import DashaWarning, SeriesTooShortError, ValidationTooShortError
from dasha.types import FloatArray


def fit_rows(config: AutoARConfig, train: list[FloatArray], later: list[FloatArray] | None) -> AutoAR:
    """Fit on series ``(T, C)``, and perhaps on the rows that follow them; called by public methods only."""

    def fit(one: AutoARConfig) -> AutoAR:
        try:
            return engine_of(one).fit(train, validation=later)
        except ValidationTooShortError as error:
            if later is None or one is not config:
                raise
            engine = engine_of(one).fit([np.vstack(pair) for pair in zip(train, later, strict=True)])
            _warn_of_few(config, error.rows)
            return engine

    return fit_or_simpler(config, fit)


def fit_sums(config: AutoARConfig, train: list[FloatArray]) -> AutoAR:
    """Fit on the sums of series ``(T, C)``, which the engine keeps; called by public methods only."""
    kept = summaries_of_matrices(train, engine_of(config).summary_length, is_list=True)
    return fit_or_simpler(config, lambda one: engine_of(one).fit_summaries(kept.series))


def fit_or_simpler(config: AutoARConfig, fit: Callable[[AutoARConfig], AutoAR]) -> AutoAR:
    """Fit with these settings, or with the nearest ones that the data can carry, and a warning.

    Args:
        config: What was asked for.
        fit: Raises `SeriesTooShortError` where settings want more data than there is.
    """
    try:
        return fit(config)
    except SeriesTooShortError as error:
        reason = error
    *some, last = simpler(config)
    for candidate in some:
        with contextlib.suppress(SeriesTooShortError):
            engine = fit(candidate)
            break
    else:
        engine = fit(last)
    warnings.warn(
        f"training_data is too short for what was asked ({reason}); trained {engine!r} instead",
        DashaWarning,
        stacklevel=4,
    )
    return engine


def simpler(config: AutoARConfig) -> Iterator[AutoARConfig]:
    """What to train instead, the nearest first; the last of them takes any series with a value."""
    plain = replace(config, strategy="recursive", pooling=None)
    if config.needs_maps:
        yield plain
    bound = config.max_lookback
    if config.lookback is not None:
        bound = max(1, config.lookback, config.diff_order if isinstance(config.diff_order, int) else 0)
    yield replace(plain, criterion="bic", lookback=None, max_lookback=bound)
    yield replace(plain, lookback=0, diff_order=0)


def engine_of(config: AutoARConfig) -> AutoAR:
    """An engine with these settings."""
    return AutoAR(**asdict(config))


def _warn_of_few(config: AutoARConfig, rows: int) -> None:
    warnings.warn(
        f"validation_data reaches {rows} steps at most past training_data, but strategy={config.strategy!r} is weighed "
        f"on at least {config.horizon}; trained as if all of it were training_data, of which the last "
        f"validation_fraction={config.validation_fraction:g} is held out",
        DashaWarning,
        stacklevel=6,
    )
