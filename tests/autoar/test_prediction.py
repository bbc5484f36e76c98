"""Forecasts in the units of the series: scales, gaps, origins, unseen series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasha.autoar import AutoAR
from dasha.errors import InvalidArgumentError, InvalidSeriesError

from .brute import autoregressive, recursion


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([50 + 3 * autoregressive(rng, 300), 0.1 * autoregressive(rng, 300).cumsum() - 7])


def fitted(y: np.ndarray, *, order: int, lookback: int = 4) -> AutoAR:
    return AutoAR(lookback=lookback, diff_order=order, device="cpu").fit(y)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_forecast_is_the_recursion_on_standardised_data(y: np.ndarray, order: int) -> None:
    model = fitted(y, order=order)
    forecast = model.predict(12, y[:200])
    mean, std = y.mean(0), y.std(0)
    for channel in range(2):
        history = (y[:200, channel] - mean[channel]) / std[channel]
        path = recursion(history, model.coefficients_, model.intercept_, order, 12)
        np.testing.assert_allclose(forecast.mean[:, channel], mean[channel] + std[channel] * path, rtol=1e-11)


def test_residual_scale_is_that_of_each_channel(y: np.ndarray) -> None:
    model = fitted(y, order=1)
    standardised = (y - y.mean(0)) / y.std(0)
    steps = np.diff(standardised, axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(steps, 5, axis=0)[..., ::-1]  # (N, C, 5), newest first
    residuals = windows[..., 0] - model.intercept_ - windows[..., 1:] @ model.coefficients_
    count = residuals.size
    wanted = np.sqrt((residuals**2).mean(0) * count / (count - 5)) * y.std(0)
    np.testing.assert_allclose(model.predict(3).sigma, wanted, rtol=1e-11)


def test_intervals_cover(y: np.ndarray) -> None:
    """The 80 % band of well-specified forecasts holds 80 ± 4 % of what follows."""
    values = autoregressive(np.random.default_rng(1), 6000)[:, None]
    model = AutoAR(max_lookback=10, diff_order=0, device="cpu").fit(values[:3000])
    origins = np.arange(3000, 5990, 5)
    forecast = model.predict_origins(8, values, origins)
    actual = np.stack([values[end : end + 8] for end in origins])
    inside = (actual > forecast.quantile(0.1)) & (actual < forecast.quantile(0.9))
    assert inside.mean() == pytest.approx(0.8, abs=0.04)


def gappy(y: np.ndarray) -> np.ndarray:
    result = y.copy()
    result[[3, 4, 40, 199, 200]] = np.nan
    result[:17, 1] = np.nan
    result[100:130, 0] = np.nan
    return result


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("unseen", [False, True])
def test_origins_equal_prefixes(y: np.ndarray, order: int, gaps: bool, unseen: bool) -> None:
    model = fitted([y, y] if unseen else y, order=order)  # type: ignore[arg-type]
    series = gappy(y) if gaps else y
    origins = np.array([1, 2, 3, 5, 18, 41, 115, 200, 201, 300, 7])
    together = model.predict_origins(6, series, origins, unseen=unseen)
    assert together.mean.shape == (11, 6, 2)
    for n, end in enumerate(origins):
        alone = model.predict(6, series[:end])
        np.testing.assert_allclose(together.mean[n], alone.mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(together.sigma[n], alone.sigma, rtol=1e-9)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("unseen", [False, True])
def test_the_future_never_matters(y: np.ndarray, gaps: bool, unseen: bool) -> None:
    model, origins = fitted(y, order=1), [20, 150, 220]
    past = gappy(y) if gaps else y
    first = model.predict_origins(5, past, origins, unseen=unseen)
    for replacement in (1e6, np.nan):
        changed = past.copy()
        changed[220:] = replacement
        second = model.predict_origins(5, changed, origins, unseen=unseen)
        np.testing.assert_allclose(second.mean, first.mean, rtol=1e-9)
        np.testing.assert_allclose(second.sigma, first.sigma, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    factor=st.floats(1e-3, 1e3),
    offset=st.floats(-1e3, 1e3),
    order=st.integers(0, 2),
    missing=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 1000),
)
def test_unseen_series_are_equivariant(factor: float, offset: float, order: int, missing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = fitted(np.random.default_rng(0).normal(size=(200, 3)), order=order)
    y = np.where(rng.random((60, 1)) < missing, np.nan, rng.normal(size=(60, 1)))
    plain, moved = model.predict(7, y), model.predict(7, factor * y + offset)
    scale = factor * max(1.0, float(np.abs(plain.mean).max())) + abs(offset)
    np.testing.assert_allclose(moved.mean, factor * plain.mean + offset, rtol=0, atol=1e-9 * scale)
    np.testing.assert_allclose(moved.sigma, factor * plain.sigma, rtol=1e-6)


def test_fitting_is_equivariant_per_channel(y: np.ndarray) -> None:
    factor, offset = np.array([1e3, -0.2]), np.array([-5.0, 1e4])
    plain = AutoAR(max_lookback=20, device="cpu").fit(y)
    moved = AutoAR(max_lookback=20, device="cpu").fit(abs(factor) * y + offset)
    assert plain.lookback_ == moved.lookback_
    np.testing.assert_allclose(moved.predict(9).mean, abs(factor) * plain.predict(9).mean + offset, rtol=1e-8)
    np.testing.assert_allclose(moved.predict(9).sigma, abs(factor) * plain.predict(9).sigma, rtol=1e-8)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("context", ["long", "one row", "gap"])
def test_constant_series_stay_where_they_are(y: np.ndarray, order: int, unseen: bool, context: str) -> None:
    """Also when the other channels teach a drift."""
    drifting = y + 0.5 * np.arange(300)[:, None]
    train = np.column_stack([drifting, np.full(300, 7.0)])
    model = fitted(train, order=order)
    known = {"long": np.full((50, 3), 7.0), "one row": np.full((1, 3), 7.0), "gap": np.full((50, 3), 7.0)}[context]
    if context == "gap":
        known[[10, 48]] = np.nan
    forecast = model.predict_origins(20, known, [len(known)], unseen=unseen)
    np.testing.assert_allclose(forecast.mean[0, :, 2], 7.0, rtol=1e-12)
    assert forecast.sigma[0, 2] == 0.0
    if unseen:
        np.testing.assert_allclose(forecast.mean, 7.0, rtol=1e-12)


def test_a_constant_training_channel_follows_its_context(y: np.ndarray) -> None:
    model = fitted(np.column_stack([y[:, 0], np.full(300, 7.0)]), order=1)
    moved = model.predict(3, np.column_stack([y[:, 0], np.full(300, 9.0)]))
    np.testing.assert_allclose(moved.mean[:, 1], 9.0, rtol=1e-12)


def test_channels_do_not_see_each_other(y: np.ndarray) -> None:
    """Whatever is missing elsewhere."""
    model = fitted(y, order=1)
    context = np.column_stack([np.where(np.arange(30) < 10, np.nan, y[:30, 0]), y[:30, 1]])
    plain = model.predict(5, context)
    for other in (np.full(30, np.nan), np.where(np.arange(30) % 3 == 0, np.nan, 1.0)):
        forecast = model.predict(5, np.column_stack([context[:, 0], other]))
        np.testing.assert_allclose(forecast.mean[:, 0], plain.mean[:, 0], rtol=1e-12)


def test_gap_is_filled_by_one_step_predictions(y: np.ndarray) -> None:
    model = fitted(y, order=0)
    broken = y[:60].copy()
    broken[57:60] = np.nan
    np.testing.assert_allclose(model.predict(5, broken).mean, model.predict(8, y[:57]).mean[3:], rtol=1e-11)


def test_a_context_without_any_value_gives_missing_forecasts(y: np.ndarray) -> None:
    model = fitted(y, order=1)
    context = y[:40].copy()
    context[:, 1] = np.nan
    forecast = model.predict(4, context)
    assert np.isfinite(forecast.mean[:, 0]).all()
    assert np.isnan(forecast.mean[:, 1]).all()
    origins = model.predict_origins(4, np.where(np.arange(300)[:, None] < 9, np.nan, y), [5, 9, 10])
    assert np.isnan(origins.mean[:2]).all()
    assert np.isfinite(origins.mean[2]).all()


def test_short_contexts_hold_their_first_value(y: np.ndarray) -> None:
    model = fitted(y, order=1)
    held = np.concatenate([np.repeat(y[:1], 20, axis=0), y[:3]])
    np.testing.assert_allclose(model.predict(6, y[:3]).mean, model.predict(6, held).mean, rtol=1e-11)


def test_training_series_by_number(y: np.ndarray) -> None:
    other = 1000 * y[:150]
    model = AutoAR(lookback=3, diff_order=0, device="cpu").fit([y, other])
    own_end = model.predict(5)
    assert isinstance(own_end, list)
    for number, series in enumerate((y, other)):
        np.testing.assert_allclose(own_end[number].mean, model.predict(5, series, series=number).mean, rtol=1e-11)
    both = model.predict(5, [y, other], series=[0, 1])
    assert isinstance(both, list)
    np.testing.assert_allclose(both[1].mean, own_end[1].mean, rtol=1e-11)
    np.testing.assert_allclose(model.predict(5, other, series=np.int64(1)).mean, own_end[1].mean, rtol=1e-11)


def test_no_origins_are_no_forecasts(y: np.ndarray) -> None:
    for unseen in (False, True):
        for series in (y, gappy(y)):
            assert fitted(y, order=1).predict_origins(3, series, [], unseen=unseen).mean.shape == (0, 3, 2)


@pytest.mark.parametrize("number", [2, -1, True, "0", 0.0])
def test_unknown_training_series(y: np.ndarray, number: object) -> None:
    with pytest.raises(InvalidArgumentError, match="but the model was fitted on series 0 … 0"):
        fitted(y, order=0).predict(3, [y], series=[number])  # type: ignore[list-item]


def test_misuse_of_series(y: np.ndarray) -> None:
    model = fitted(y, order=0)
    with pytest.raises(InvalidArgumentError, match="series goes with context"):
        model.predict(3, series=0)
    with pytest.raises(InvalidArgumentError, match="2 numbers for 1 contexts"):
        model.predict(3, y, series=[0, 0])
    with pytest.raises(InvalidArgumentError, match="context has 1 channels, but training series 0 has 2"):
        model.predict(3, y[:, 0], series=0)


@pytest.mark.parametrize("origins", [[0], [301], [5, -1]])
def test_origins_outside(y: np.ndarray, origins: list[int]) -> None:
    with pytest.raises(InvalidArgumentError, match="but must lie in 1 … 300"):
        fitted(y, order=0).predict_origins(3, y, origins)


@pytest.mark.parametrize("origins", [[2.5], ["7"], [True]])
def test_origins_that_are_no_integers(y: np.ndarray, origins: list[object]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"origins have dtype .* integers"):
        fitted(y, order=0).predict_origins(3, y, origins)  # type: ignore[arg-type]


def test_infinite_context(y: np.ndarray) -> None:
    broken = y.copy()
    broken[4, 1] = -np.inf
    with pytest.raises(InvalidSeriesError, match="context is infinite at step 4 of channel 1"):
        fitted(y, order=0).predict(3, broken)


@pytest.mark.parametrize("options", [{"criterion": "bic"}, {"strategy": "direct"}, {"strategy": "auto"}])
@pytest.mark.parametrize("gap", [False, True])
def test_a_channel_that_was_constant_in_training_is_measured_by_its_past(options: dict[str, str], gap: bool) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(400, 2)).cumsum(0)
    y[:200, 1] = 5.0
    model = AutoAR(horizon=5, max_lookback=20, **options).fit(y[:200])
    if gap:
        y[300:302, 0] = np.nan
    found = model.predict_origins(5, y, [200, 290, 400], series=0)
    unseen = model.predict_origins(5, y, [200, 290, 400], unseen=True)
    np.testing.assert_array_equal(found.std[0, :, 1], 0.0)
    np.testing.assert_array_equal(found.mean[0, :, 1], 5.0)
    assert (found.std[1:, :, 1] > 0).all()
    np.testing.assert_allclose(found.std[..., 1], unseen.std[..., 1])
    still = np.column_stack([y[:, 0], np.full(400, 5.0)])
    same = model.predict_origins(5, still, [400], series=0)
    np.testing.assert_allclose(found.mean[2, :, 0], same.mean[0, :, 0], rtol=1e-12)
    np.testing.assert_allclose(found.std[2, :, 0], same.std[0, :, 0], rtol=1e-12)
