"""The shipped suite over every registered forecaster, and over forecasters that break one rule each."""

import dataclasses

import numpy as np
import pytest

import dasha
from dasha.autoar import AutoAR
from dasha.testing import check_forecaster

FORECASTERS = dasha.get_manager().forecasters


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_registered_forecasters_conform(name):
    check_forecaster(FORECASTERS[name])


def test_a_forecaster_without_training_conforms():
    check_forecaster(lambda: AutoAR(mode="zero-shot"))


def test_the_engine_is_registered():
    assert "autoar" in FORECASTERS


class FitReturnsNothing(AutoAR):
    def fit(self, series):
        super().fit(series)


class Transposes(AutoAR):
    def predict(self, horizon, context=None):
        forecast = super().predict(horizon, context)
        return dataclasses.replace(forecast, mean=forecast.mean.T) if not isinstance(forecast, list) else forecast


class WritesIntoTheSeries(AutoAR):
    def fit(self, series):
        result = super().fit(series)
        if not isinstance(series, list):
            series[0] = 0.0
        return result


class ForgetsTheList(AutoAR):
    def predict(self, horizon, context=None):
        forecast = super().predict(horizon, context)
        return forecast[0] if isinstance(forecast, list) else forecast


class IsRandom(AutoAR):
    def predict(self, horizon, context=None):
        forecast = super().predict(horizon, context)
        if isinstance(forecast, list):
            return forecast
        return dataclasses.replace(forecast, mean=forecast.mean + np.random.default_rng().standard_normal())


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (FitReturnsNothing, "fit must return the forecaster itself"),
        (Transposes, r"not \(horizon, channels\)"),
        (WritesIntoTheSeries, "fit changed the caller's array"),
        (ForgetsTheList, "predict must return a list"),
        (IsRandom, "two fits on the same data must forecast the same"),
    ],
)
def test_a_broken_rule_is_named(broken, reason):
    with pytest.raises(AssertionError, match=reason):
        check_forecaster(broken)
