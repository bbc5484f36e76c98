"""Every lookback from one factor equals separate least squares; criteria equal their definitions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.ar_model import AutoReg

from dasha.autoar.differencing import level_coefficients
from dasha.autoar.forecast import forecast_maps
from dasha.autoar.moments import WindowMoments, window_moments
from dasha.autoar.selection import (
    NestedRegression,
    horizon_bic,
    horizon_errors,
    information_criterion,
    map_errors,
    nested_regression,
)
from dasha.errors import InvalidArgumentError

from .brute import Channels, autoregressive, block, design, explicit_windows, recursion

NAMES = ("bic", "aic", "hqic")


def regression_of(channels: Channels, max_lookback: int) -> NestedRegression:
    return nested_regression(window_moments([block(channels)], max_lookback + 1))


def standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def assert_least_squares(channels: Channels, max_lookback: int, *, coefficient_tolerance: float) -> None:
    """RSS within 1e-13 of the total, solutions as good as lstsq, fitted values within 1e-7 standard deviations."""
    regression = regression_of(channels, max_lookback)
    assert regression.jitter == 0
    X, target = design(channels, max_lookback)
    assert regression.count == len(target)
    intercepts, slopes = regression.all_coefficients()
    for lookback in range(max_lookback + 1):
        wanted = scipy.linalg.lstsq(X[:, : lookback + 1], target)[0]
        fitted = X[:, : lookback + 1] @ wanted
        rss = float(((target - fitted) ** 2).sum())
        intercept, coefficients = regression.coefficients(lookback)
        ours = np.r_[float(intercept), coefficients.numpy()]
        our_fitted = X[:, : lookback + 1] @ ours
        assert float(regression.rss[lookback]) == pytest.approx(rss, rel=1e-11, abs=1e-13 * (target @ target))
        assert ((target - our_fitted) ** 2).sum() == pytest.approx(rss, rel=1e-5)
        np.testing.assert_allclose(our_fitted, fitted, atol=1e-7)
        np.testing.assert_allclose(ours, wanted, atol=coefficient_tolerance)
        together = np.r_[float(intercepts[lookback]), slopes[lookback].numpy()]
        np.testing.assert_allclose(together[: lookback + 1], ours, rtol=1e-8, atol=coefficient_tolerance)
        assert not together[lookback + 1 :].any()


def test_every_lookback_equals_lstsq() -> None:
    rng = np.random.default_rng(0)
    channels = [standardised(autoregressive(rng, n)) for n in (300, 250, 60)]
    channels[0][[50, 51, 120]] = np.nan
    assert_least_squares(channels, 25, coefficient_tolerance=1e-11)


def test_as_many_unknowns_as_fit() -> None:
    assert_least_squares([np.random.default_rng(1).normal(size=24)], 11, coefficient_tolerance=1e-8)


TIME = np.arange(1500)
# Condition numbers of the design matrix from 1e2 to 1e7; normal equations square them, so that coefficients keep
# about 16 - 2·log10(condition) digits while fitted values keep nearly all.
COLLINEAR = {
    "random walk": (lambda r: r.normal(size=1500).cumsum(), 1e-10),
    "twice integrated noise": (lambda r: r.normal(size=1500).cumsum().cumsum(), 1e-4),
    "waves with little noise": (lambda r: np.sin(TIME / 7) + np.sin(TIME / 23 + 1) + 1e-6 * r.normal(size=1500), 1e-2),
    "trend with little noise": (lambda r: 1e-3 * TIME + 1e-4 * r.normal(size=1500), 1e-3),
    "far from zero": (lambda r: r.normal(size=1500) + 1e6, 1e-10),
}


@pytest.mark.parametrize("name", COLLINEAR)
def test_smooth_series(name: str) -> None:
    make, tolerance = COLLINEAR[name]
    values = standardised(make(np.random.default_rng(1)))
    assert_least_squares([values], 30, coefficient_tolerance=tolerance)


@pytest.mark.parametrize(
    "values", [standardised(1.0 * TIME), standardised(np.sin(TIME / 7)), TIME % 2 - 0.5], ids=["line", "wave", "zigzag"]
)
def test_exact_collinearity_is_jittered_and_reported(values: np.ndarray) -> None:
    regression = regression_of([values], 20)
    assert 0 < regression.jitter <= 1e-12
    X, target = design([values], 20)
    for lookback in (2, 3, 20):
        intercept, coefficients = regression.coefficients(lookback)
        fitted = X[:, : lookback + 1] @ np.r_[float(intercept), coefficients.numpy()]
        np.testing.assert_allclose(fitted, target, atol=1e-6)


def test_rss_never_grows_with_the_lookback() -> None:
    rss = regression_of([np.random.default_rng(2).normal(size=500).cumsum()], 40).rss
    assert bool((rss.diff() <= 0).all())


def test_no_window_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="no gap-free window of 5 values"):
        nested_regression(WindowMoments.zeros(5))


def test_moments_that_are_not_finite_are_an_error() -> None:
    moments = WindowMoments.zeros(3)
    broken = WindowMoments(9, moments.total, moments.gram + torch.inf)
    with pytest.raises(InvalidArgumentError, match="moments are not finite"):
        nested_regression(broken)


def test_equal_statsmodels_autoreg() -> None:
    """Coefficients and RSS; criteria up to one constant (they count the variance as a parameter)."""
    y = autoregressive(np.random.default_rng(3), 400)
    largest = 12
    regression = regression_of([y], largest)
    reference = [AutoReg(y, lags=p, hold_back=largest).fit() for p in range(largest + 1)]
    for lookback, model in enumerate(reference):
        intercept, coefficients = regression.coefficients(lookback)
        np.testing.assert_allclose(np.r_[float(intercept), coefficients.numpy()], model.params, atol=1e-10)
        assert float(regression.rss[lookback]) == pytest.approx(float(model.resid @ model.resid), rel=1e-11)
    for name in NAMES:
        ours = information_criterion(name, regression.rss, regression.count).numpy()
        theirs = np.array([getattr(model, name) for model in reference])
        np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_perfect_fits_choose_the_shortest(name: str) -> None:
    rss = torch.tensor([100.0, 1e-20, 1e-28, 0.0], dtype=torch.float64)
    assert int(information_criterion(name, rss, 50).argmin()) == 1


def explicit_errors(channels: Channels, regression: NestedRegression, order: int, horizon: int) -> np.ndarray:
    """Mean squared error per lookback and step, window by window."""
    context = max(1, regression.max_lookback + order)
    windows = explicit_windows(channels, context + horizon)[:, ::-1]
    result = np.empty((regression.max_lookback + 1, horizon))
    for lookback in range(regression.max_lookback + 1):
        intercept, coefficients = regression.coefficients(lookback)
        forecasts = [
            recursion(window[:context], coefficients.numpy(), float(intercept), order, horizon) for window in windows
        ]
        result[lookback] = ((windows[:, context:] - forecasts) ** 2).mean(0)
    return result


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("horizon", [1, 6])
@pytest.mark.parametrize("elements", [1 << 23, 1])
def test_horizon_errors_equal_explicit_forecasts(
    order: int, horizon: int, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasha.autoar.selection._MAP_ELEMENTS", elements)  # small: one lookback at a time
    rng = np.random.default_rng(4)
    channels = [standardised(autoregressive(rng, n).cumsum()) for n in (90, 70)]
    channels[1][20] = np.nan
    largest = 5
    regression = regression_of([np.diff(channel, n=order) for channel in channels], largest)
    windows = window_moments([block(channels)], max(1, largest + order) + horizon)
    errors = horizon_errors(regression, windows, diff_order=order, horizon=horizon).numpy()
    wanted = explicit_errors(channels, regression, order, horizon)
    np.testing.assert_allclose(errors, wanted, rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(lookback=st.integers(1, 6), spare=st.integers(0, 3), horizon=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_errors_of_any_linear_map(lookback: int, spare: int, horizon: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=50)
    length = lookback + spare + horizon
    weights, bias = rng.normal(size=(2, horizon, lookback)), rng.normal(size=(2, horizon))
    errors = map_errors(torch.from_numpy(weights), torch.from_numpy(bias), window_moments([block([y])], length))
    windows = explicit_windows([y], length)
    future, past = windows[:, :horizon][:, ::-1], windows[:, horizon : horizon + lookback]
    wanted = ((future - past @ weights.transpose(0, 2, 1) - bias[:, None]) ** 2).mean(1)
    np.testing.assert_allclose(errors.numpy(), wanted, rtol=1e-9)


def test_lookback_zero_has_a_map_of_its_intercept() -> None:
    regression = regression_of([np.random.default_rng(5).normal(size=30)], 0)
    levels = level_coefficients(regression.all_coefficients()[1], 0)
    weights, bias, _ = forecast_maps(levels, regression.all_coefficients()[0], 3)
    assert not weights.any()
    np.testing.assert_allclose(bias.numpy(), float(regression.coefficients(0)[0]) * np.ones((1, 3)))


def test_horizon_bic_formula() -> None:
    mse, count = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64), 1000
    wanted = np.log([2.0, 1.0, 0.5]) + np.array([1, 2, 3]) * np.log(1000) / 1000
    np.testing.assert_allclose(horizon_bic(mse, count).numpy(), wanted, rtol=1e-15)


def test_one_step_horizon_bic_is_bic_over_the_count() -> None:
    regression = regression_of([autoregressive(np.random.default_rng(6), 300)], 20)
    bic = information_criterion("bic", regression.rss, regression.count) / regression.count
    ours = horizon_bic(regression.rss / regression.count, regression.count)
    np.testing.assert_allclose(ours.numpy(), bic.numpy(), atol=1e-12)


def test_well_conditioned_series_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regression_of([np.random.default_rng(7).normal(size=300)], 50)
