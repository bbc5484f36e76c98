"""Scores of forecasts of many series, by the definitions of the Monash archive and of GluonTS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dasha.types import FloatArray

LEVELS = tuple(round(0.1 * number, 1) for number in range(1, 10))

DEFINITIONS = {
    "MASE": (
        "mean over series of the mean absolute error divided by the mean absolute seasonal difference of the training "
        "part (of its first differences where it is not longer than a season); series for which that scale is zero or "
        "unknown are left out and counted"
    ),
    "sMAPE": (
        "mean over series of the mean over steps of 200 |y - f| / (|y| + |f|), in percent; steps at which both are "
        "zero, and missing ones, do not count"
    ),
    "WQL": (
        "mean over the levels .1 … .9 of the sum over all series and steps of twice the pinball loss, divided by the "
        "sum of |y|; none where a method gives no quantiles"
    ),
}


@dataclass(frozen=True)
class Scores:
    """One row of the table.

    Attributes:
        mase: See `DEFINITIONS`.
        smape: In percent.
        wql: None without quantiles.
        unscaled: Series left out of MASE.
    """

    mase: float | None
    smape: float | None
    wql: float | None
    unscaled: int


def score(
    train: Sequence[FloatArray], actual: FloatArray, mean: FloatArray, quantiles: FloatArray | None, *, season: int
) -> Scores:
    """Score the forecasts of ``N`` series.

    Args:
        train: Training part of every series, ``(T_i,)``; NaN marks a missing value.
        actual: What came, shape ``(N, H)``; NaN marks a missing value.
        mean: Point forecasts, shape ``(N, H)``.
        quantiles: Shape ``(N, 9, H)`` for `LEVELS`, or None.
        season: Steps in a season.
    """
    mase = mase_per_series(train, actual, mean, season=season)
    unscaled = np.isnan(mase)
    return Scores(
        mase=_mean(mase),
        smape=_mean(smape_per_series(actual, mean)),
        wql=None if quantiles is None else weighted_quantile_loss(actual, quantiles),
        unscaled=int(unscaled.sum()),
    )


def mase_per_series(train: Sequence[FloatArray], actual: FloatArray, mean: FloatArray, *, season: int) -> FloatArray:
    """Mean absolute scaled errors, shape ``(N,)``; NaN where the scale is zero or unknown."""
    scales = np.array([scale_of(part, season) for part in train])
    errors = np.array([_mean_known(row) for row in np.abs(actual - mean)])
    return errors / np.where(scales > 0, scales, np.nan)


def scale_of(train: FloatArray, season: int) -> float:
    """Mean absolute seasonal difference, of lag 1 where the series is not longer than a season."""
    lag = season if len(train) > season else 1
    return _mean_known(np.abs(train[lag:] - train[:-lag]))


def smape_per_series(actual: FloatArray, mean: FloatArray) -> FloatArray:
    """Symmetric mean absolute percentage errors, shape ``(N,)``."""
    size = np.abs(actual) + np.abs(mean)
    ratio = 200 * np.abs(actual - mean) / np.where(size > 0, size, np.nan)
    return np.array([_mean_known(row) for row in ratio])


def weighted_quantile_loss(actual: FloatArray, quantiles: FloatArray) -> float | None:
    """Mean weighted quantile loss over `LEVELS`; None where all that came is zero."""
    total = np.nansum(np.abs(actual))
    error = actual[:, None] - quantiles  # (N, 9, H)
    levels = np.array(LEVELS)[:, None]
    losses = 2 * np.nansum(np.maximum(levels * error, (levels - 1) * error), axis=(0, 2))
    return float((losses / total).mean()) if total > 0 else None


def _mean_known(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _mean(values: FloatArray) -> float | None:
    mean = _mean_known(values)
    return None if np.isnan(mean) else mean
