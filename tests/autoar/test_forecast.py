"""The forecast map equals the step-by-step recursion; gaps are filled in time order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dasha.autoar import forecast as engine
from dasha.autoar.differencing import level_coefficients
from dasha.autoar.forecast import ForecastMap, apply_map, fill_missing, forecast_map

from .brute import recursion


def map_of(coefficients: np.ndarray, intercept: float, order: int, horizon: int) -> ForecastMap:
    levels = level_coefficients(torch.from_numpy(coefficients), order)
    return forecast_map(levels, torch.tensor(intercept, dtype=torch.float64), horizon)


def stable(rng: np.random.Generator, lookback: int) -> np.ndarray:
    return rng.normal(size=lookback) / max(1, lookback)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("lookback", [0, 1, 2, 7])
@pytest.mark.parametrize("horizon", [1, 2, 30])
def test_map_equals_recursion(order: int, lookback: int, horizon: int) -> None:
    rng = np.random.default_rng(lookback)
    coefficients, history = stable(rng, lookback), rng.normal(size=20)
    forecasts = map_of(coefficients, 0.3, order, horizon)
    assert forecasts.context == max(1, lookback + order)
    past = torch.from_numpy(history[::-1][: forecasts.context].copy())
    wanted = recursion(history, coefficients, 0.3, order, horizon)
    np.testing.assert_allclose((forecasts.weights @ past + forecasts.bias).numpy(), wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_psi_is_the_response_to_one_innovation(order: int) -> None:
    coefficients = np.array([0.5, -0.3, 0.1])
    psi = map_of(coefficients, 0.7, order, 12).psi.numpy()
    quiet = np.zeros(10)
    shocked = np.r_[quiet, 1.0]
    after = recursion(shocked, coefficients, 0.0, order, 11)
    np.testing.assert_allclose(psi, np.r_[1.0, after], atol=1e-13)


def test_closed_form_variances() -> None:
    steps = np.arange(1, 13)
    ar1 = map_of(np.array([0.8]), 0.0, 0, 12).variances().numpy()
    np.testing.assert_allclose(ar1, (1 - 0.64**steps) / (1 - 0.64), rtol=1e-13)
    walk = map_of(np.empty(0), 0.0, 1, 12).variances().numpy()
    np.testing.assert_allclose(walk, steps, rtol=1e-13)
    integrated = map_of(np.empty(0), 0.0, 2, 12).variances().numpy()
    np.testing.assert_allclose(integrated, steps * (steps + 1) * (2 * steps + 1) / 6, rtol=1e-13)
    noise = map_of(np.empty(0), 0.0, 0, 12).variances().numpy()
    np.testing.assert_allclose(noise, np.ones(12), rtol=1e-13)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_variances_equal_monte_carlo(order: int) -> None:
    """40,000 simulated futures; the standard error of a variance is 0.7 %, four of them are allowed."""
    rng = np.random.default_rng(0)
    coefficients, horizon, paths = np.array([0.6, -0.2]), 8, 40_000
    values = np.zeros((paths, horizon + 2))
    for step in range(2, horizon + 2):
        values[:, step] = values[:, step - 2 : step] @ coefficients[::-1] + rng.standard_normal(paths)
    simulated = values[:, 2:]
    for _ in range(order):
        simulated = simulated.cumsum(1)
    np.testing.assert_allclose(map_of(coefficients, 0.0, order, horizon).variances(), simulated.var(0), rtol=0.028)


@pytest.mark.parametrize("elements", [1 << 23, 1])
def test_apply_map_takes_every_window(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_WINDOW_ELEMENTS", elements)
    rng = np.random.default_rng(1)
    y, weights, ends = rng.normal(size=(3, 20)), rng.normal(size=(4, 5)), np.array([20, 5, 9, 9])
    result = apply_map(torch.from_numpy(y), torch.from_numpy(ends), torch.from_numpy(weights)).numpy()
    for n, end in enumerate(ends):
        np.testing.assert_allclose(result[n], weights @ y[:, end - 5 : end][:, ::-1].T, rtol=1e-13)


def fill_one(values: np.ndarray, coefficients: np.ndarray, intercept: float) -> np.ndarray:
    """`fill_missing` of one channel, value by value."""
    known = np.flatnonzero(~np.isnan(values))
    if known.size == 0:
        return values
    filled = values.copy()
    filled[: known[0]] = values[known[0]]
    for t in np.flatnonzero(np.isnan(filled)):
        past = [filled[max(t - 1 - i, 0)] for i in range(len(coefficients))]
        filled[t] = intercept + coefficients @ past
    return filled


@settings(max_examples=50, deadline=None)
@given(steps=st.integers(1, 25), lookback=st.integers(1, 6), missing=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_fill_missing_goes_value_by_value(steps: int, lookback: int, missing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coefficients = stable(rng, lookback)
    y = np.where(rng.random((3, steps)) < missing, np.nan, rng.normal(size=(3, steps)))
    before = y.copy()
    filled = fill_missing(
        torch.from_numpy(y), torch.from_numpy(coefficients), torch.tensor(0.2, dtype=torch.float64)
    ).numpy()
    np.testing.assert_array_equal(y, before)
    for channel, got in zip(y, filled, strict=True):
        np.testing.assert_allclose(got, fill_one(channel, coefficients, 0.2), rtol=1e-9, atol=1e-11)


def test_nothing_missing_is_returned_as_it_is() -> None:
    y = torch.ones(2, 5, dtype=torch.float64)
    assert fill_missing(y, torch.ones(1, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)) is y
