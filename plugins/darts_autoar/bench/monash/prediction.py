"""How a method forecasts the series of a data set: fitted and timed, and answered for where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from darts_autoar.bench.monash.scores import LEVELS
from darts_autoar.tasks import fill_gaps
from dasha.types import FloatArray


@dataclass(frozen=True)
class Setting:
    """What a method is told about the data set.

    Attributes:
        horizon: Steps to forecast.
        season: Steps in a season.
        shortest: Steps of the shortest training series.
        device: Where Auto-AR computes.
    """

    horizon: int
    season: int
    shortest: int
    device: str = "cpu"


@dataclass(frozen=True)
class Prediction:
    """Forecast of one series.

    Attributes:
        mean: Shape ``(H,)``.
        quantiles: Shape ``(9, H)`` for `LEVELS`; None where the method gives none.
        fit_seconds: Processor seconds of fitting; a global method's are divided evenly among the series.
        predict_seconds: Processor seconds of forecasting.
        wall_seconds: Seconds on the clock of both.
        error: Why the method failed and the seasonal naive forecast stands in; empty if it did not.
        detail: What was chosen in fitting; empty if nothing was.
    """

    mean: FloatArray
    quantiles: FloatArray | None
    fit_seconds: float
    predict_seconds: float
    wall_seconds: float
    error: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        label: Name in the table.
        describe: Settings in words and numbers, for the JSON file.
        local: ``(train, setting) -> (fit, predict)`` for one series; None for global methods.
        pooled: The same for a list of series; ``predict`` returns one pair for each.
        warm_up: Called once before any clock runs.
        needs: Optional package that is imported.
        packages: Those whose versions its figures depend on.
        is_ours: Whether our own engine forecasts.
        chosen: Says of a fitted model what was chosen.
    """

    label: str
    describe: Callable[[Setting], dict[str, Any]]
    local: Callable[[FloatArray, Setting], Steps] | None = None
    pooled: Callable[[Sequence[FloatArray], Setting], Steps] | None = None
    warm_up: Callable[[Setting], None] = lambda setting: None
    needs: str = ""
    packages: tuple[str, ...] = ()
    is_ours: bool = False
    chosen: Callable[[Any], str] = lambda model: ""


Steps = tuple[Callable[[], Any], Callable[[Any], Any]]
"""``fit() -> model`` and ``predict(model) -> (mean, quantiles)``."""


class Clock:
    """Processor and wall seconds since it was made or last read."""

    def __init__(self) -> None:
        self.read()

    def read(self) -> tuple[float, float]:
        """Seconds since the last reading, and start again."""
        now = time.process_time(), time.perf_counter()
        before, self._last = getattr(self, "_last", now), now
        return now[0] - before[0], now[1] - before[1]


def predict_one(method: Method, train: FloatArray, setting: Setting) -> Prediction:
    """Fit a local method on one series and forecast; a failure is answered by the seasonal naive forecast."""
    assert method.local is not None
    fit, predict = method.local(train, setting)
    clock, fit_seconds, wall = Clock(), 0.0, 0.0
    try:
        model = fit()
        fit_seconds, wall = clock.read()
        mean, quantiles = predict(model)
        problem = _problem(mean, quantiles, setting)
    except Exception as error:
        mean = quantiles = None
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    predict_seconds, rest = clock.read()
    if problem:
        mean, quantiles = seasonal_naive(train, setting)
    return Prediction(mean, quantiles, fit_seconds, predict_seconds, wall + rest, problem)


def predict_all(method: Method, train: Sequence[FloatArray], setting: Setting) -> list[Prediction]:
    """Fit a global method on all series and forecast each of them; see `predict_one`."""
    assert method.pooled is not None
    fit, predict = method.pooled(train, setting)
    clock, fit_seconds, wall = Clock(), 0.0, 0.0
    outcomes: Sequence[tuple[Any, Any]] = [(None, None)] * len(train)
    problem = detail = ""
    try:
        model = fit()
        fit_seconds, wall = clock.read()
        outcomes = predict(model)
        detail = method.chosen(model)
    except Exception as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    predict_seconds, rest = clock.read()
    shares = fit_seconds / len(train), predict_seconds / len(train), (wall + rest) / len(train)
    predictions = []
    for part, (mean, quantiles) in zip(train, outcomes, strict=True):
        reason = problem or _problem(mean, quantiles, setting)
        if reason:
            mean, quantiles = seasonal_naive(part, setting)
        predictions.append(Prediction(mean, quantiles, *shares, error=reason, detail=detail))
    return predictions


def _problem(mean: FloatArray, quantiles: FloatArray | None, setting: Setting) -> str:
    if mean.shape != (setting.horizon,) or (quantiles is not None and quantiles.shape != (len(LEVELS), len(mean))):
        return f"gave a forecast of shape {mean.shape}"
    if not np.isfinite(mean).all() or (quantiles is not None and not np.isfinite(quantiles).all()):
        return "gave a forecast that is not finite"
    return ""


def seasonal_naive(train: FloatArray, setting: Setting) -> tuple[FloatArray, FloatArray]:
    """The last season again, with Gaussian quantiles whose variance grows by the same amount every season.

    A series shorter than a season repeats its last value. Gaps are filled by straight lines.

    Returns:
        Mean ``(H,)`` and quantiles ``(9, H)``.
    """
    values = fill_gaps(train)
    season = setting.season if len(values) >= setting.season else 1
    steps = np.arange(setting.horizon)
    mean = values[len(values) - season + steps % season]
    differences = values[season:] - values[:-season]
    sigma = np.sqrt((differences**2).mean()) if differences.size else 0.0
    spread = sigma * np.sqrt(steps // season + 1)
    return mean, mean + ndtri(np.array(LEVELS))[:, None] * spread
