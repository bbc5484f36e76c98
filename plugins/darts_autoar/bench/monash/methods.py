"""The methods of the Monash comparison: what each is told, and how it forecasts.

A local method gets one series, a global one all of them. Every method sees training values alone. Missing values reach
Auto-AR as such; for the others they are filled by straight lines between known values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from darts_autoar.bench.monash.prediction import Method, Setting, Steps
from darts_autoar.bench.monash.scores import LEVELS
from darts_autoar.tasks import fill_gaps
from dasha.autoar import AutoAR
from dasha.report.selection import describe_weights
from dasha.types import FloatArray

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


def auto_ar(name: str) -> Method:
    """Row of Auto-AR with the arguments of a preset."""
    preset = AUTO_AR[name]

    def arguments(setting: Setting) -> dict[str, Any]:
        known = {HORIZON: setting.horizon, SEASON: setting.season}
        return {key: known.get(value, value) if isinstance(value, str) else value for key, value in preset.items()} | {
            "device": setting.device
        }

    def pooled(train: Sequence[FloatArray], setting: Setting) -> Steps:
        def predict(model: AutoAR) -> list[tuple[FloatArray, FloatArray]]:
            forecasts = model.predict(setting.horizon)
            assert isinstance(forecasts, list)
            return [
                (forecast.mean[:, 0], np.stack([forecast.quantile(level)[:, 0] for level in LEVELS]))
                for forecast in forecasts
            ]

        return lambda: AutoAR(**arguments(setting)).fit(list(train)), predict

    def chosen(model: AutoAR) -> str:
        weighed = "" if model.selection_ is None else f": {describe_weights(model.selection_)}"
        return model.describe() + weighed

    return Method(
        f"Auto-AR, {name.removeprefix('autoar-')}",
        lambda setting: {"model": "dasha.autoar.AutoAR", **arguments(setting), "scope": "global over all series"},
        pooled=pooled,
        packages=("numpy", "scipy", "torch"),
        is_ours=True,
        chosen=chosen,
    )


def _statsforecast(label: str, make: Callable[[Setting, int], tuple[Any, dict[str, Any]]]) -> Method:
    """Row of a statsforecast model; ``make(setting, rows)`` gives its class and arguments."""

    def local(train: FloatArray, setting: Setting) -> Steps:
        values = fill_gaps(train)
        model_class, arguments = make(setting, len(values))
        # Intervals 20, 40, 60 and 80 % wide end at the levels .4/.6, .3/.7, .2/.8 and .1/.9.
        columns = [f"lo-{width}" for width in (80, 60, 40, 20)] + ["mean"] + [f"hi-{w}" for w in (20, 40, 60, 80)]

        def predict(model: Any) -> tuple[FloatArray, FloatArray]:
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

    packages = ("numpy", "scipy", "statsforecast")
    return Method(label, describe, local=local, warm_up=warm_up, needs="statsforecast", packages=packages)


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

    def pooled(train: Sequence[FloatArray], setting: Setting) -> Steps:
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

        def predict(fitted: Any) -> list[tuple[FloatArray, None]]:
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

    return Method(
        "Linear regression", describe, pooled=pooled, warm_up=warm_up, needs="darts", packages=("numpy", "darts")
    )


METHODS: dict[str, Method] = {
    **{name: auto_ar(name) for name in AUTO_AR},
    "naive": _statsforecast("Seasonal naive", _seasonal_naive),
    "linear": _linear_regression(),
    "ets": _statsforecast("AutoETS", _ets),
    "theta": _statsforecast("AutoTheta", _theta),
    "autoarima": _statsforecast("AutoARIMA", _arima),
}
"""Every method, the slowest last."""
