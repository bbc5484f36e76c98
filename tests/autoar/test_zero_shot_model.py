"""`AutoAR(mode="zero-shot")`: forecasts of any context without training, and from nothing but the context."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dasha.autoar import AutoAR, ZeroShotChoices, zero_shot_prediction
from dasha.autoar.seasonality import CALENDAR_PERIODS
from dasha.autoar.state import from_plain, to_plain
from dasha.autoar.zero_shot import zero_shot_forecast
from dasha.errors import InvalidArgumentError, InvalidSeriesError, NotFittedError, StateFileError
from dasha.types import GaussianForecast

from .brute import autoregressive


def model(**settings: Any) -> AutoAR:
    return AutoAR(**{"mode": "zero-shot", "max_lookback": 60, "device": "cpu"} | settings)


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    rng = np.random.default_rng(0)
    season = 4 * np.sin(2 * np.pi * np.arange(200) / 12)
    return np.column_stack([50 + season + autoregressive(rng, 200), 0.1 * autoregressive(rng, 200).cumsum() - 7])


def single(forecast: GaussianForecast | list[GaussianForecast]) -> GaussianForecast:
    assert isinstance(forecast, GaussianForecast)
    return forecast


def assert_equal(one: GaussianForecast, two: GaussianForecast, rtol: float = 1e-9) -> None:
    for name in ("mean", "sigma", "std"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=rtol, err_msg=name)
    paths = (forecast.sample(3, np.random.default_rng(0)) for forecast in (one, two))
    np.testing.assert_allclose(*paths, rtol=rtol)


class TestForecasts:
    def test_every_channel_is_a_window(self, y: np.ndarray) -> None:
        forecast = single(model().predict(9, y))
        wanted = zero_shot_forecast(torch.from_numpy(y[-60:].T.copy()), 9)
        np.testing.assert_array_equal(forecast.mean, wanted.mean.T)
        np.testing.assert_array_equal(forecast.sigma, wanted.sigma)
        np.testing.assert_allclose(forecast.std, wanted.std.T, rtol=1e-14)

    @pytest.mark.parametrize("order", [0, 1, 2])
    def test_a_differencing_order_alone(self, y: np.ndarray, order: int) -> None:
        forecast = single(model(diff_order=order).predict(5, y))
        wanted = zero_shot_forecast(torch.from_numpy(y[-60:].T.copy()), 5, diff_order=order)
        np.testing.assert_array_equal(forecast.mean, wanted.mean.T)

    def test_what_was_chosen_for_every_window(self, y: np.ndarray) -> None:
        fit = model().fit(y)
        choices = fit.zero_shot_choices()
        assert isinstance(choices, ZeroShotChoices)
        wanted = zero_shot_forecast(torch.from_numpy(y[-60:].T.copy()), 9)
        assert choices.diff_orders == (0, 1)
        for name in ("period", "weights", "lookbacks", "diff_order", "lookback"):
            np.testing.assert_array_equal(getattr(choices, name), getattr(wanted, name))
        yearly = model().zero_shot_choices(np.sin(2 * np.pi * np.arange(60) / 12))
        assert isinstance(yearly, ZeroShotChoices)
        assert yearly.period.tolist() == [12]
        alone, empty, short = model(diff_order=2).zero_shot_choices([y, np.full((9, 1), np.nan), y[:3]])
        assert (alone.diff_orders, alone.weights.tolist(), alone.diff_order.tolist()) == ((2,), [[1], [1]], [2, 2])
        assert (empty.period.tolist(), np.isnan(empty.weights).all()) == ([0], True)
        assert short.lookback.tolist() == [0, 0]

    def test_choices_of_what_does_not_choose(self, y: np.ndarray) -> None:
        with pytest.raises(NotFittedError, match="or pass a context"):
            model().zero_shot_choices()
        with pytest.raises(InvalidArgumentError, match=r"see lookback_, diff_order_ and selection_, or use mode="):
            AutoAR().zero_shot_choices(y)

    @pytest.mark.parametrize("elements", [1, 1 << 22])
    def test_origins_equal_prefixes(self, y: np.ndarray, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zero_shot_prediction, "_WINDOW_ELEMENTS", elements)
        gappy = y.copy()
        gappy[[3, 4, 100, 199]] = np.nan
        gappy[:9, 1] = np.nan
        origins = np.array([150, 1, 11, 60, 61, 200, 101, 13])
        together = model().predict_origins(6, gappy, origins)
        assert together.mean.shape == (8, 6, 2)
        assert np.isnan(together.mean[1, :, 1]).all()  # nothing known yet
        for n, end in enumerate(origins):
            assert_equal(together.origin(n), single(model().predict(6, gappy[:end])), rtol=1e-8)

    def test_a_list_of_contexts_of_any_size(self, y: np.ndarray) -> None:
        contexts = [y, y[:30, 0], np.column_stack([y, y])[:5], np.full((3, 1), 7.0)]
        forecasts = model().predict(4, contexts)
        assert isinstance(forecasts, list)
        for forecast, context in zip(forecasts, contexts, strict=True):
            assert_equal(forecast, single(model().predict(4, context)), rtol=1e-8)
        np.testing.assert_array_equal(forecasts[3].mean, np.full((4, 1), 7.0))
        assert not forecasts[3].std.any()

    def test_paths_are_correlated_as_each_window_says(self, y: np.ndarray) -> None:
        """20,000 paths, 5 % of the largest variance allowed."""
        forecast = model().predict_origins(6, y, [80, 200])
        paths = forecast.sample(20_000, np.random.default_rng(1))
        for n, end in enumerate((80, 200)):
            result = zero_shot_forecast(torch.from_numpy(y[end - 60 : end].T.copy()), 6)
            for channel in range(2):
                psi, response = result.psi[channel].numpy(), np.zeros((6, 6))
                for step in range(6):
                    response[step, : step + 1] = psi[step::-1]
                wanted = float(result.sigma[channel]) ** 2 * response @ response.T
                np.testing.assert_allclose(np.cov(paths[:, n, :, channel].T), wanted, atol=0.05 * wanted.max())

    def test_memory_is_bounded(self, y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes = []

        def spy(windows: torch.Tensor, horizon: int, **options: Any) -> Any:
            sizes.append(windows.shape[0] * max(windows.shape[1], horizon))
            return zero_shot_forecast(windows, horizon, **options)

        monkeypatch.setattr(zero_shot_prediction, "zero_shot_forecast", spy)
        monkeypatch.setattr(zero_shot_prediction, "_WINDOW_ELEMENTS", 3000)
        assert model().predict_origins(70, y, np.arange(101, 201)).mean.shape == (100, 70, 2)
        assert max(sizes) <= 3000
        assert len(sizes) == 5

    def test_no_origins(self, y: np.ndarray) -> None:
        forecast = model().predict_origins(3, y, [])
        assert forecast.mean.shape == forecast.std.shape == (0, 3, 2)

    def test_a_channel_without_values(self, y: np.ndarray) -> None:
        forecast = single(model().predict(3, np.column_stack([y[:, 0], np.full(200, np.nan)])))
        np.testing.assert_allclose(forecast.mean[:, 0], single(model().predict(3, y)).mean[:, 0], rtol=1e-9)
        assert np.isnan(forecast.mean[:, 1]).all()
        assert np.isnan(forecast.sample(2, np.random.default_rng(0))[..., 1]).all()


class TestNothingElseMatters:
    def test_what_follows_the_origin(self, y: np.ndarray) -> None:
        first = model().predict_origins(5, y, [70, 150])
        for replacement in (1e6, np.nan):
            changed = y.copy()
            changed[150:] = replacement
            second = model().predict_origins(5, changed, [70, 150])
            for name in ("mean", "sigma", "std"):
                np.testing.assert_array_equal(getattr(second, name), getattr(first, name))

    def test_what_lies_further_back(self, y: np.ndarray) -> None:
        changed = y.copy()
        changed[:140] = -1e6
        assert_equal(single(model().predict(5, changed)), single(model().predict(5, y)), rtol=0)
        assert not np.array_equal(
            single(model(max_lookback=61).predict(5, changed)).mean, single(model().predict(5, y)).mean
        )

    def test_what_was_fitted(self, y: np.ndarray) -> None:
        never = single(model().predict(5, y))
        others = [1e6 * np.random.default_rng(1).normal(size=(90, 2)), np.full((30, 2), 3.0)]
        for fitted in (model().fit(others[0]), model().fit(others), model().fit(y, validation=others[0])):
            assert_equal(single(fitted.predict(5, y)), never, rtol=0)
            origins = fitted.predict_origins(5, y, [100, 200], series=0)
            assert_equal(origins, model().predict_origins(5, y, [100, 200]), rtol=0)

    def test_other_channels_and_contexts(self, y: np.ndarray) -> None:
        alone = single(model().predict(5, y[:, 0])).mean[:, 0]
        beside = model().predict(5, [np.column_stack([y[:, 0], 1e9 * y[:, 1]]), 1e-9 * y[:50]])
        assert isinstance(beside, list)
        np.testing.assert_allclose(beside[0].mean[:, 0], alone, rtol=1e-9)

    def test_callers_arrays_stay_as_they_are(self, y: np.ndarray) -> None:
        before = y.copy()
        before.setflags(write=False)  # writing raises
        fitted = model().fit(before)
        fitted.predict(3, before)
        fitted.predict_origins(3, before, [50, 200])
        mutable = y.copy()
        recorded = model().fit(mutable)
        mutable[:] = 0
        assert_equal(single(recorded.predict(3)), single(fitted.predict(3)), rtol=0)


class TestRecordedSeries:
    def test_the_end_of_the_series_is_continued(self, y: np.ndarray) -> None:
        fitted = model().fit(y)
        assert_equal(single(fitted.predict(4)), single(model().predict(4, y)), rtol=0)
        assert fitted.recorded is not None
        np.testing.assert_array_equal(fitted.recorded.tails[0], y[-60:])
        assert model().recorded is None

    def test_validation_rows_are_the_end(self, y: np.ndarray) -> None:
        assert_equal(single(model().fit(y[:90], validation=y[90:]).predict(4)), single(model().predict(4, y)), rtol=0)

    def test_a_list_is_forecast_as_a_list(self, y: np.ndarray) -> None:
        forecasts = model().fit([y, y[:40, :1]]).predict(4)
        assert isinstance(forecasts, list)
        assert [forecast.mean.shape for forecast in forecasts] == [(4, 2), (4, 1)]

    def test_fit_again_forgets(self, y: np.ndarray) -> None:
        assert_equal(single(model().fit([y, y]).fit(y).predict(4)), single(model().predict(4, y)), rtol=0)

    def test_nothing_is_learned(self, y: np.ndarray) -> None:
        for one in (model(), model().fit(y)):
            for name in ("lookback_", "diff_order_", "coefficients_", "intercept_", "fitted"):
                with pytest.raises(NotFittedError, match=r"mode='zero-shot' gives .* exist with mode='trained' only"):
                    getattr(one, name)
            assert one.criterion_path_.shape == (0,)
            assert one.selection_ is None
            assert one.context_length_ == 60
            assert repr(one) == "AutoAR(max_lookback=60, device='cpu', mode='zero-shot')"


class TestRefuses:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("lookback", 5),
            ("criterion", "horizon_bic"),
            ("horizon", 24),
            ("validation_fraction", 0.5),
            ("strategy", "auto"),
            ("pooling", "channel"),
        ],
    )
    def test_arguments_of_training(self, name: str, value: object) -> None:
        with pytest.raises(InvalidArgumentError, match=f"{name} is {value!r}, but mode='zero-shot' learns nothing"):
            model(**{name: value})

    @pytest.mark.parametrize("mode", ["zero_shot", "", None])
    def test_unknown_modes(self, mode: object) -> None:
        with pytest.raises(InvalidArgumentError, match=r"mode is .*, but must be one of 'trained', 'zero-shot'"):
            model(mode=mode)

    def test_neither_context_nor_series(self) -> None:
        with pytest.raises(NotFittedError, match=r"call fit\(series\) first, or pass a context"):
            model().predict(3)

    def test_series_that_are_not_there(self, y: np.ndarray) -> None:
        with pytest.raises(NotFittedError, match="call fit"):
            model().predict(3, y, series=0)
        with pytest.raises(InvalidArgumentError, match="series is 1, but the model was fitted on series 0 … 0"):
            model().fit(y).predict_origins(3, y, [100], series=1)

    @pytest.mark.parametrize("horizon", [0, 1.5, True])
    def test_horizons(self, y: np.ndarray, horizon: Any) -> None:
        for call in (lambda: model().predict(horizon, y), lambda: model().predict_origins(horizon, y, [])):
            with pytest.raises(InvalidArgumentError, match="horizon is"):
                call()

    def test_contexts(self) -> None:
        with pytest.raises(InvalidSeriesError, match="context is infinite at step 1"):
            model().predict(3, np.array([1.0, np.inf]))
        with pytest.raises(InvalidSeriesError, match="series has dtype"):
            model().fit(np.array(["a"]))


class TestState:
    def test_round_trip(self, y: np.ndarray, tmp_path: Path) -> None:
        fitted = model(diff_order=1).fit([y, y[:40, :1]])
        fitted.save(tmp_path)
        loaded = AutoAR.load(tmp_path, device="cpu")
        assert repr(loaded) == repr(fitted)
        for ours, theirs in zip(loaded.predict(5), fitted.predict(5), strict=True):
            assert_equal(ours, theirs, rtol=0)
        assert_equal(single(loaded.predict(5, y)), single(fitted.predict(5, y)), rtol=0)

    def test_a_model_that_was_never_fitted(self, y: np.ndarray, tmp_path: Path) -> None:
        model().save(tmp_path)
        loaded = AutoAR.load(tmp_path, device="cpu")
        assert loaded.recorded is None
        assert_equal(single(loaded.predict(5, y)), single(model().predict(5, y)), rtol=0)

    def test_models_saved_before_there_were_modes(self, y: np.ndarray) -> None:
        trained = AutoAR(lookback=2, device="cpu").fit(y)
        values, arrays = to_plain(trained)
        del values["config"]["mode"]
        assert from_plain(values, arrays).config == trained.config

    def test_incomplete_state(self, y: np.ndarray) -> None:
        values, arrays = to_plain(model().fit(y))
        json.dumps(values)
        for name in arrays:
            with pytest.raises(StateFileError, match="incomplete or damaged"):
                from_plain(values, {key: array for key, array in arrays.items() if key != name})


@pytest.mark.gpu
def test_gpu_equals_cpu(y: np.ndarray) -> None:
    ours, theirs = (model(device=device).predict_origins(5, y, [9, 80, 200]) for device in ("cuda", "cpu"))
    assert_equal(ours, theirs, rtol=1e-7)


def test_the_documentation_lists_the_calendar_periods() -> None:
    """They are a prior of the method, which readers must be able to judge."""
    page = (Path(__file__).parents[2] / "docs" / "forecasting.md").read_text(encoding="utf-8")
    *first, last = (str(period) for period in CALENDAR_PERIODS)
    assert f"periods of {', '.join(first)} and {last} steps" in " ".join(page.split())
