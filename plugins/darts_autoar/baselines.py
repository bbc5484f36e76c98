"""The Darts models to compare with, by short name, each with the settings usual for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from darts_autoar.names import check_names

_ARIMA_EXACT_ROWS, _ARIMA_EXACT_SEASON = 150, 12


@dataclass(frozen=True)
class Setting:
    """What a model may know before it sees the series.

    Attributes:
        horizon: Steps to forecast.
        season_length: Steps in a season; 1 for none.
        rows: Rows before the first test window.
    """

    horizon: int
    season_length: int
    rows: int


@dataclass(frozen=True)
class Baseline:
    """One model to compare with.

    Attributes:
        label: Name in tables and figures.
        build: Makes the unfitted Darts model for one column.
        is_local: Darts fits it on the very series it forecasts; others are fitted once and applied to any history.
    """

    label: str
    build: Callable[[Setting], Any]
    is_local: bool = True


def _naive(setting: Setting) -> Any:
    from darts.models import NaiveSeasonal

    return NaiveSeasonal(K=setting.season_length)


def _drift(setting: Setting) -> Any:
    from darts.models import NaiveDrift

    return NaiveDrift()


def _mean(setting: Setting) -> Any:
    from darts.models import NaiveMean

    return NaiveMean()


def _linear(setting: Setting) -> Any:
    from darts.models import LinearRegressionModel

    # Two seasons, at least the horizon; no more than leaves two rows for each coefficient.
    wanted = max(2 * setting.season_length, setting.horizon)
    lags = max(1, min(wanted, (setting.rows - setting.horizon) // 3))
    return LinearRegressionModel(lags=lags, output_chunk_length=setting.horizon)


def _ets(setting: Setting) -> Any:
    from darts.models import AutoETS

    return AutoETS(season_length=setting.season_length)


def _exponential_smoothing(setting: Setting) -> Any:
    from darts.models import ExponentialSmoothing
    from darts.utils.utils import SeasonalityMode

    if setting.season_length == 1:
        return ExponentialSmoothing(seasonal=SeasonalityMode.NONE)
    return ExponentialSmoothing(seasonal=SeasonalityMode.ADDITIVE, seasonal_periods=setting.season_length)


def _theta(setting: Setting) -> Any:
    from darts.models import AutoTheta

    return AutoTheta(season_length=setting.season_length)


def _autoarima(setting: Setting) -> Any:
    from darts.models import AutoARIMA

    # The rule of R's auto.arima: on long series, candidates are compared by conditional sums of squares.
    approximate = setting.rows > _ARIMA_EXACT_ROWS or setting.season_length > _ARIMA_EXACT_SEASON
    return AutoARIMA(season_length=setting.season_length, approximation=approximate)


def _autoces(setting: Setting) -> Any:
    from darts.models import AutoCES

    return AutoCES(season_length=setting.season_length)


BASELINES = {
    "naive": Baseline("Seasonal naive", _naive),
    "drift": Baseline("Drift", _drift),
    "mean": Baseline("Mean", _mean),
    "linear": Baseline("Linear regression", _linear, is_local=False),
    "ets": Baseline("AutoETS", _ets),
    "expsmoothing": Baseline("Exponential smoothing", _exponential_smoothing),
    "theta": Baseline("AutoTheta", _theta),
    "autoarima": Baseline("AutoARIMA", _autoarima),
    "autoces": Baseline("AutoCES", _autoces),
}


def choose_baselines(names: Sequence[str]) -> list[Baseline]:
    """Return the models with these names, in this order.

    Raises:
        UnknownNameError: If there is no such model.
        InvalidArgumentError: If a name is repeated.
    """
    check_names("--against", "model", names, BASELINES)
    return [BASELINES[name] for name in names]
