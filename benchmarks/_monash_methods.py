"""The methods of the Monash comparison: what each is told, and how it forecasts.

A local method gets one series, a global one all of them. Every method sees training values alone. Missing values reach
Auto-AR as such; for the others they are filled by straight lines between known values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from _monash_scores import LEVELS
from scipy.special import ndtri

from dasha.autoar import AutoAR

HORIZON, SEASON = "<horizon>", "<season>"
"""Values of a preset that stand for those of the data set."""

AUTO_AR: dict[str, dict[str, Any]] = {
    "autoar-pooled": {"criterion": "bic"},
    "autoar-auto": {"strategy": "auto", "horizon": HORIZON},
}
"""Rows of Auto-AR: name of the row, and arguments of `dasha.autoar.AutoAR`."""

# Seasons that lags should span, where the series are long enough; those of the archive up to a week.
_LONG_SEASONS = {144: (144, 1008), 96: (96, 672), 48: (48, 336), 24: (24, 168)}
_ARIMA_EXACT_ROWS, _ARIMA_EXACT_SEASON = 150, 12


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
    """

    mean: np.ndarray
    quantiles: np.ndarray | None
    fit_seconds: float
    predict_seconds: float
    wall_seconds: float
    error: str = ""


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        label: Name in the table.
        describe: Settings in words and numbers, for the JSON file.
        local: ``(train, setting) -> (fit, predict)`` for one series; None for global methods.
        pooled: The same for a list of series; ``predict`` returns one pair for each.
        warm_up: Called once before any clock runs.
    """

    label: str
    describe: Callable[[Setting], dict[str, Any]]
    local: Callable[[np.ndarray, Setting], Steps] | None = None
    pooled: Callable[[Sequence[np.ndarray], Setting], Steps] | None = None
    warm_up: Callable[[Setting], None] = lambda setting: None


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


def predict_one(method: Method, train: np.ndarray, setting: Setting) -> Prediction:
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


def predict_all(method: Method, train: Sequence[np.ndarray], setting: Setting) -> list[Prediction]:
    """Fit a global method on all series and forecast each of them; see `predict_one`."""
    assert method.pooled is not None
    fit, predict = method.pooled(train, setting)
    clock, fit_seconds, wall = Clock(), 0.0, 0.0
    outcomes: Sequence[tuple[Any, Any]] = [(None, None)] * len(train)
    problem = ""
    try:
        model = fit()
        fit_seconds, wall = clock.read()
        outcomes = predict(model)
    except Exception as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    predict_seconds, rest = clock.read()
    seconds = [value / len(train) for value in (fit_seconds, predict_seconds, wall + rest)]
    predictions = []
    for part, (mean, quantiles) in zip(train, outcomes, strict=True):
        reason = problem or _problem(mean, quantiles, setting)
        values = seasonal_naive(part, setting) if reason else (mean, quantiles)
        predictions.append(Prediction(*values, *seconds, error=reason))
    return predictions


def _problem(mean: np.ndarray, quantiles: np.ndarray | None, setting: Setting) -> str:
    if mean.shape != (setting.horizon,) or (quantiles is not None and quantiles.shape != (len(LEVELS), len(mean))):
        return f"gave a forecast of shape {mean.shape}"
    if not np.isfinite(mean).all() or (quantiles is not None and not np.isfinite(quantiles).all()):
        return "gave a forecast that is not finite"
    return ""


def seasonal_naive(train: np.ndarray, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
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


def fill_gaps(values: np.ndarray) -> np.ndarray:
    """Missing values ``(T,)`` on straight lines between known ones, at the ends the nearest known value."""
    known = ~np.isnan(values)
    if known.all() or not known.any():
        return values
    positions = np.arange(len(values))
    return np.interp(positions, positions[known], values[known])


def auto_ar(name: str) -> Method:
    """Row of Auto-AR with the arguments of a preset."""
    preset = AUTO_AR[name]

    def arguments(setting: Setting) -> dict[str, Any]:
        known = {HORIZON: setting.horizon, SEASON: setting.season}
        return {key: known.get(value, value) if isinstance(value, str) else value for key, value in preset.items()} | {
            "device": setting.device
        }

    def pooled(train: Sequence[np.ndarray], setting: Setting) -> Steps:
        def predict(model: AutoAR) -> list[tuple[np.ndarray, np.ndarray]]:
            forecasts = model.predict(setting.horizon)
            assert isinstance(forecasts, list)
            return [
                (forecast.mean[:, 0], np.stack([forecast.quantile(level)[:, 0] for level in LEVELS]))
                for forecast in forecasts
            ]

        return lambda: AutoAR(**arguments(setting)).fit(list(train)), predict

    return Method(
        f"Auto-AR, {name.removeprefix('autoar-')}",
        lambda setting: {"model": "dasha.autoar.AutoAR", **arguments(setting), "scope": "global over all series"},
        pooled=pooled,
    )


def _statsforecast(label: str, make: Callable[[Setting, int], tuple[Any, dict[str, Any]]]) -> Method:
    """A statsforecast model; ``make(setting, rows)`` gives its class and arguments."""

    def local(train: np.ndarray, setting: Setting) -> Steps:
        values = fill_gaps(train)
        model_class, arguments = make(setting, len(values))
        # Intervals 20, 40, 60 and 80 % wide end at the levels .4/.6, .3/.7, .2/.8 and .1/.9.
        columns = [f"lo-{width}" for width in (80, 60, 40, 20)] + ["mean"] + [f"hi-{w}" for w in (20, 40, 60, 80)]

        def predict(model: Any) -> tuple[np.ndarray, np.ndarray]:
            result = model.predict(setting.horizon, level=[20, 40, 60, 80])
            return np.asarray(result["mean"]), np.stack([np.asarray(result[column]) for column in columns])

        return lambda: model_class(**arguments).fit(values), predict

    def describe(setting: Setting) -> dict[str, Any]:
        model_class, arguments = make(setting, setting.shortest)
        settings = {"model": f"statsforecast.models.{model_class.__name__}", **arguments}
        if "approximation" in settings:
            settings["approximation"] = (
                f"per series: True where the training part has more than {_ARIMA_EXACT_ROWS} steps or the season more "
                f"than {_ARIMA_EXACT_SEASON} (the rule of R's auto.arima), else False"
            )
        return settings | {"scope": "local, one model per series", "quantiles": "of its own intervals; .5 is the mean"}

    def warm_up(setting: Setting) -> None:
        """Compile and load what the first series should not pay for."""
        rows = 4 * setting.season + 20
        steps = np.arange(rows)
        series = 50 + 10 * np.sin(2 * np.pi * steps / setting.season) + np.random.default_rng(0).normal(size=rows)
        model_class, arguments = make(setting, rows)
        simple = {"stepwise": True, "max_p": 1, "max_q": 1, "max_P": 0, "max_Q": 0} if label == "AutoARIMA" else {}
        model_class(**{**arguments, **simple}).fit(series).predict(setting.horizon, level=[20, 40, 60, 80])

    return Method(label, describe, local=local, warm_up=warm_up)


def _seasonal_naive(setting: Setting, rows: int) -> tuple[Any, dict[str, Any]]:
    from statsforecast.models import SeasonalNaive

    return SeasonalNaive, {"season_length": setting.season}


def _ets(setting: Setting, rows: int) -> tuple[Any, dict[str, Any]]:
    from statsforecast.models import AutoETS

    return AutoETS, {"season_length": setting.season}


def _theta(setting: Setting, rows: int) -> tuple[Any, dict[str, Any]]:
    from statsforecast.models import AutoTheta

    return AutoTheta, {"season_length": setting.season}


def _arima(setting: Setting, rows: int) -> tuple[Any, dict[str, Any]]:
    from statsforecast.models import AutoARIMA

    approximate = rows > _ARIMA_EXACT_ROWS or setting.season > _ARIMA_EXACT_SEASON
    return AutoARIMA, {"season_length": setting.season, "approximation": approximate}


def linear_lags(setting: Setting) -> int:
    """1.25 times the horizon or the longest season that the shortest series holds three times, as in the archive.

    Never more than leaves the shortest series one training window.
    """
    seasons = [s for s in _LONG_SEASONS.get(setting.season, (setting.season,)) if 3 * s <= setting.shortest]
    wanted = round(1.25 * max(setting.horizon, *seasons, 1))
    return max(1, min(wanted, setting.shortest - setting.horizon))


def _linear_regression() -> Method:
    def describe(setting: Setting) -> dict[str, Any]:
        return {
            "model": "darts.models.LinearRegressionModel",
            "lags": linear_lags(setting),
            "output_chunk_length": setting.horizon,
            "scope": "global over all series, each standardised by its training part",
            "quantiles": "none",
        }

    def pooled(train: Sequence[np.ndarray], setting: Setting) -> Steps:
        from darts import TimeSeries
        from darts.models import LinearRegressionModel

        def fit() -> tuple[Any, list[Any], list[tuple[float, float]]]:
            filled = [fill_gaps(part) for part in train]
            units = [(part.mean(), part.std() or 1.0) for part in filled]
            series = [
                TimeSeries.from_values((part - mean) / std) for part, (mean, std) in zip(filled, units, strict=True)
            ]
            model = LinearRegressionModel(lags=linear_lags(setting), output_chunk_length=setting.horizon)
            return model.fit(series), series, units

        def predict(fitted: Any) -> list[tuple[np.ndarray, None]]:
            model, series, units = fitted
            forecasts = model.predict(setting.horizon, series=series)
            return [
                (forecast.values()[:, 0] * std + mean, None)
                for forecast, (mean, std) in zip(forecasts, units, strict=True)
            ]

        return fit, predict

    def warm_up(setting: Setting) -> None:
        """Import what the clock should not see."""
        small = Setting(2, 1, 20)
        fit, predict = pooled([np.arange(20.0), np.arange(20.0) % 3], small)
        predict(fit())

    return Method("Linear regression", describe, pooled=pooled, warm_up=warm_up)


METHODS: dict[str, Method] = {
    **{name: auto_ar(name) for name in AUTO_AR},
    "naive": _statsforecast("Seasonal naive", _seasonal_naive),
    "linear": _linear_regression(),
    "ets": _statsforecast("AutoETS", _ets),
    "theta": _statsforecast("AutoTheta", _theta),
    "autoarima": _statsforecast("AutoARIMA", _arima),
}
"""Every method, the slowest last."""
