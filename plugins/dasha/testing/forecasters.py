"""What every registered forecaster must do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dasha.errors import DashaError
from dasha.types import FloatArray, Forecast, Forecaster

_HORIZON = 7


def check_forecaster(factory: Callable[[], Forecaster]) -> None:
    """Run the suite on a forecaster factory.

    Args:
        factory: Called without arguments for every check; returns an unfitted forecaster.

    Raises:
        AssertionError: With the rule that is broken.
    """
    for check in (
        _leaves_its_input_alone,  # first: the others reuse one series
        _fits_and_has_shapes,
        _takes_several_series,
        _forecasts_a_context,
        _is_a_distribution,
        _refuses_what_it_cannot_do,
    ):
        check(factory)


def _series(length: int = 120, channels: int = 2) -> FloatArray:
    rng = np.random.default_rng(length)
    time = np.arange(length)[:, None]
    cycle = np.sin(2 * np.pi * time / 12 + np.arange(channels))
    return np.asarray(10 + cycle + 0.1 * rng.standard_normal((length, channels)))


def _single(result: object) -> Forecast:
    assert isinstance(result, Forecast), f"predict returned {type(result).__name__}, not a Forecast"
    return result


def _fits_and_has_shapes(factory: Callable[[], Forecaster]) -> None:
    for y, channels in ((_series(), 2), (_series(channels=1), 1), (_series()[:, 0], 1)):
        forecaster = factory()
        assert forecaster.fit(y) is forecaster, "fit must return the forecaster itself"
        shape = _single(forecaster.predict(_HORIZON)).mean.shape
        assert shape == (_HORIZON, channels), f"mean of {channels} channels has shape {shape}, not (horizon, channels)"


def _takes_several_series(factory: Callable[[], Forecaster]) -> None:
    forecasts = factory().fit([_series(120), _series(90)]).predict(_HORIZON)
    assert isinstance(forecasts, list), "fitted on a list of two series, predict must return a list of two forecasts"
    assert [forecast.mean.shape for forecast in forecasts] == [(_HORIZON, 2)] * 2
    assert isinstance(factory().fit([_series()]).predict(_HORIZON), list), "a list of one series is a list too"


def _forecasts_a_context(factory: Callable[[], Forecaster]) -> None:
    y = _series()
    first, second = (_single(factory().fit(y).predict(_HORIZON, context=y[:100])).mean for _ in range(2))
    assert np.array_equal(first, second), "two fits on the same data must forecast the same"
    assert np.isfinite(first).all(), "forecasts of complete data must be finite"


def _is_a_distribution(factory: Callable[[], Forecaster]) -> None:
    forecast = _single(factory().fit(_series()).predict(_HORIZON))
    quantiles = np.stack([forecast.quantile(level) for level in (0.1, 0.5, 0.9)])
    assert quantiles.shape == (3, _HORIZON, 2), "a quantile has the shape of the mean"
    assert (np.diff(quantiles, axis=0) >= 0).all(), "quantiles must not cross"
    first, second = (forecast.sample(5, np.random.default_rng(1)) for _ in range(2))
    assert first.shape == (5, _HORIZON, 2), "samples have shape (count, horizon, channels)"
    assert np.array_equal(first, second), "samples must follow from the generator alone"


def _leaves_its_input_alone(factory: Callable[[], Forecaster]) -> None:
    y, context = _series(), _series(100)
    before = y.copy(), context.copy()
    forecaster = factory()
    forecaster.fit(y)
    forecaster.predict(_HORIZON, context=context)
    assert np.array_equal(y, before[0]), "fit changed the caller's array"
    assert np.array_equal(context, before[1]), "predict changed the caller's array"


def _refuses_what_it_cannot_do(factory: Callable[[], Forecaster]) -> None:
    for call, reason in (
        (lambda: factory().predict(_HORIZON), "predict before fit"),
        (lambda: factory().fit(_series()).predict(0), "a horizon of 0"),
        (lambda: factory().fit(np.full(60, np.inf)), "infinite values"),
    ):
        try:
            call()
        except (DashaError, ValueError):
            continue
        raise AssertionError(f"{reason} must raise a DashaError or ValueError")
