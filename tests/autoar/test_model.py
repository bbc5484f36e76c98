"""The whole procedure: what it chooses, what it accepts, what it refuses, what it leaves alone."""

from __future__ import annotations

import random
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dasha.autoar import AutoAR
from dasha.errors import DashaWarning, InvalidArgumentError, InvalidSeriesError, NotFittedError, SeriesTooShortError

from .brute import autoregressive, bridge, design, explicit_windows, recursion

CRITERIA = ("bic", "aic", "hqic", "horizon_bic", "validation")


def model(**settings: Any) -> AutoAR:
    return AutoAR(**{"max_lookback": 12, "diff_order": 0, "device": "cpu"} | settings)


@pytest.fixture
def y() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([50 + 3 * autoregressive(rng, 240), autoregressive(rng, 240) - 7])


def standardise(y: np.ndarray, train: np.ndarray) -> list[np.ndarray]:
    return list(((y - np.nanmean(train, 0)) / np.nanstd(train, 0)).T)


class TestProcedure:
    @pytest.mark.parametrize("criterion", CRITERIA)
    @pytest.mark.parametrize("order", [0, 1, 2])
    def test_final_fit_is_least_squares_on_all_rows(self, y: np.ndarray, criterion: str, order: int) -> None:
        train, validation = y[:180], y[180:]
        fit = model(criterion=criterion, horizon=4, diff_order=order).fit(train, validation=validation)
        channels = [np.diff(channel, n=order) for channel in standardise(y, train)]
        X, target = design(channels, fit.lookback_)
        wanted = np.linalg.lstsq(X, target, rcond=None)[0]
        np.testing.assert_allclose(np.r_[fit.intercept_, fit.coefficients_], wanted, atol=1e-10)
        assert fit.fitted.count == len(target)
        assert fit.lookback_ == np.argmin(fit.criterion_path_)
        assert fit.criterion_path_.shape == (13 - order,)
        assert fit.diff_order_ == order
        assert fit.context_length_ == max(1, fit.lookback_ + order)

    def test_information_criteria_score_the_common_sample(self, y: np.ndarray) -> None:
        X, target = design(standardise(y, y), 12)
        n = len(target)
        rss = [np.linalg.lstsq(X[:, : p + 1], target, rcond=None)[1][0] for p in range(13)]
        penalties = {"bic": np.log(n), "aic": 2.0, "hqic": 2 * np.log(np.log(n))}
        for name, penalty in penalties.items():
            wanted = n * np.log(np.array(rss) / n) + penalty * np.arange(1, 14)
            np.testing.assert_allclose(model(criterion=name).fit(y).criterion_path_, wanted, rtol=1e-10)

    @pytest.mark.parametrize("order", [0, 1, 2])
    @pytest.mark.parametrize("given", [True, False])
    def test_validation_is_the_held_out_error(self, y: np.ndarray, order: int, given: bool) -> None:
        horizon, cut = 5, 180  # a fraction of 0.25 of 240 rows
        fit = model(criterion="validation", horizon=horizon, diff_order=order, validation_fraction=0.25)
        fit.fit(y[:cut], validation=y[cut:]) if given else fit.fit(y)
        # Without a validation set the units come from the whole series: only the coefficients are held back.
        channels = standardise(y, y[:cut] if given else y)
        largest = 12 - order
        windows = [
            explicit_windows([channel[cut - 12 :]], 12 + horizon)[:, ::-1] for channel in channels
        ]  # every future lies in the held-out part
        path = []
        for lookback in range(largest + 1):
            X, target = design([np.diff(channel[:cut], n=order) for channel in channels], largest)
            solution = np.linalg.lstsq(X[:, : lookback + 1], target, rcond=None)[0]
            errors = [
                (w[12:] - recursion(w[:12], solution[1:], solution[0], order, horizon)) ** 2
                for w in np.concatenate(windows)
            ]
            path.append(np.mean(errors))
        np.testing.assert_allclose(fit.criterion_path_, path, rtol=1e-9)

    @pytest.mark.parametrize("order", [0, 1])
    def test_horizon_bic_is_the_formula_on_explicit_windows(self, y: np.ndarray, order: int) -> None:
        horizon = 6
        fit = model(criterion="horizon_bic", horizon=horizon, diff_order=order).fit(y)
        channels, largest = standardise(y, y), 12 - order
        windows = explicit_windows(channels, 12 + horizon)[:, ::-1]
        X, target = design([np.diff(channel, n=order) for channel in channels], largest)
        count = len(windows) * horizon
        for lookback in range(largest + 1):
            solution = np.linalg.lstsq(X[:, : lookback + 1], target, rcond=None)[0]
            errors = [(w[12:] - recursion(w[:12], solution[1:], solution[0], order, horizon)) ** 2 for w in windows]
            wanted = np.log(np.mean(errors)) + (lookback + 1) * np.log(count) / count
            assert fit.criterion_path_[lookback] == pytest.approx(wanted, rel=1e-9)

    @pytest.mark.parametrize("order", [0, 1])
    def test_horizon_bic_for_one_step_picks_what_bic_picks(self, order: int) -> None:
        for seed in range(8):
            y = autoregressive(np.random.default_rng(seed), 150)
            by_bic = model(diff_order=order).fit(y).criterion_path_
            by_horizon = model(diff_order=order, criterion="horizon_bic", horizon=1).fit(y).criterion_path_
            assert np.argmin(by_bic) == np.argmin(by_horizon)

    def test_finds_the_order_of_a_known_process(self) -> None:
        y = autoregressive(np.random.default_rng(1), 4000)
        fit = model(diff_order="kpss").fit(y)
        assert (fit.lookback_, fit.diff_order_) == (3, 0)
        np.testing.assert_allclose(fit.coefficients_, [0.6, -0.2, 0.3], atol=0.05)
        walk = model(diff_order="kpss").fit(y.cumsum())
        assert (walk.lookback_, walk.diff_order_) == (3, 1)

    def test_fixed_lookback(self, y: np.ndarray) -> None:
        fit = model(lookback=20).fit(y)
        assert fit.lookback_ == 20
        assert fit.criterion_path_.size == 0
        assert model(lookback=0).fit(y).coefficients_.shape == (0,)

    def test_a_search_reaches_back_max_lookback_steps_at_most_and_a_fixed_lookback_as_far_as_it_says(
        self, y: np.ndarray
    ) -> None:
        smooth = y.cumsum(0).cumsum(0)
        assert model(diff_order="kpss").fit(smooth).diff_order_ == 2
        assert model(diff_order="kpss").fit(smooth).context_length_ <= 12
        assert model(lookback=12, diff_order="kpss").fit(smooth).context_length_ == 14
        narrow = model(max_lookback=1, diff_order="kpss").fit(smooth)
        assert (narrow.lookback_, narrow.diff_order_, narrow.context_length_) == (0, 1, 1)

    def test_units_come_from_training_rows_alone(self, y: np.ndarray) -> None:
        fit = model().fit(y[:100], validation=1e3 * y[100:])
        np.testing.assert_allclose(fit.fitted.scales[0].mean, y[:100].mean(0), rtol=1e-13)
        np.testing.assert_allclose(fit.fitted.scales[0].std, y[:100].std(0), rtol=1e-13)

    def test_one_panel_however_it_is_cut_into_series(self, y: np.ndarray) -> None:
        """Channels of one series or series of one channel: the same pooled regression."""
        whole = model().fit(y)
        parts = model().fit([y[:, 0], y[:, 1]])
        np.testing.assert_allclose(whole.criterion_path_, parts.criterion_path_, rtol=1e-12)
        forecasts = parts.predict(4)
        assert isinstance(forecasts, list)
        for channel, forecast in enumerate(forecasts):
            np.testing.assert_allclose(forecast.mean[:, 0], whole.predict(4).mean[:, channel], rtol=1e-10)

    @pytest.mark.parametrize("elements", [1, 500])
    def test_partitions_do_not_matter(self, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
        rng = np.random.default_rng(2)
        series = [autoregressive(rng, n)[:, None] for n in (200, 90, 30, 150)]
        series[3][40:45] = np.nan
        plain = model(criterion="horizon_bic", horizon=3, diff_order=1).fit(series)
        for module in ("moments", "panel"):
            monkeypatch.setattr(f"dasha.autoar.{module}._BLOCK_ELEMENTS", elements)
        monkeypatch.setattr("dasha.autoar.selection._MAP_ELEMENTS", elements)
        monkeypatch.setattr("dasha.autoar.forecast._WINDOW_ELEMENTS", elements)
        cut = model(criterion="horizon_bic", horizon=3, diff_order=1).fit(series)
        np.testing.assert_allclose(cut.criterion_path_, plain.criterion_path_, rtol=1e-10)
        for a, b in zip(cut.predict(5), plain.predict(5), strict=True):
            np.testing.assert_allclose(a.mean, b.mean, rtol=1e-9)
            np.testing.assert_allclose(a.sigma, b.sigma, rtol=1e-9)

    def test_gap_free_stretches_are_separate_windows(self, y: np.ndarray) -> None:
        broken = y.copy()
        broken[[30, 31, 140]] = np.nan
        broken[:11, 1] = np.nan
        broken[60:67] = np.nan
        filled = np.stack([bridge(channel) for channel in broken.T], 1)
        assert np.isnan(filled).sum() == 11 + 14
        X, target = design(standardise(filled, filled), 12)
        rss = np.linalg.lstsq(X, target, rcond=None)[1][0]
        path = model().fit(broken).criterion_path_
        n = len(target)
        assert path[-1] == pytest.approx(n * np.log(rss / n) + 13 * np.log(n), rel=1e-10)

    @pytest.mark.parametrize("kind", ["line", "parabola", "wave"])
    def test_noise_free_series_are_continued(self, kind: str) -> None:
        time = np.arange(330.0)
        y = {"line": 3 * time - 5, "parabola": time**2, "wave": np.sin(time / 5)}[kind]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DashaWarning)  # collinear to rounding
            forecast = model(diff_order="kpss").fit(y[:300]).predict(30)
        np.testing.assert_allclose(forecast.mean[:, 0], y[300:], atol=1e-3 * np.ptp(y))

    def test_collinear_lags_are_reported_once(self) -> None:
        with pytest.warns(DashaWarning, match="collinear to rounding; solved with a relative jitter of 1e-1") as caught:
            fit = model(lookback=8, diff_order=0).fit(np.sin(np.arange(300) / 5))
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert 0 < fit.fitted.jitter < 1e-9


class TestAccepts:
    @pytest.mark.parametrize(
        "convert",
        [
            lambda y: y.astype(np.float32).astype(np.float64),
            lambda y: y.astype(np.float32),
            lambda y: y[:, 0],
            lambda y: np.asfortranarray(y),
            lambda y: y[::-1][::-1],
            lambda y: np.round(100 * y).astype(np.int32),
            lambda y: np.round(y + 100).astype(np.uint8),
            lambda y: y > y.mean(0),
            lambda y: pd.DataFrame(y),
            lambda y: pd.Series(y[:, 0]),
            lambda y: pd.DataFrame({"a": np.round(y[:, 0])}).astype("Int64"),
            lambda y: y.astype(object),
            lambda y: [y.tolist()],
            lambda y: torch.from_numpy(y),
            lambda y: torch.from_numpy(y).float().requires_grad_(),
            lambda y: torch.from_numpy(y).bfloat16(),
            lambda y: (y,),
        ],
    )
    def test_array_likes(self, y: np.ndarray, convert: Any) -> None:
        values = convert(y)
        plain = values[0] if isinstance(values, list | tuple) else values
        if isinstance(plain, torch.Tensor):
            plain = plain.detach().double().numpy()
        expected = model().fit(np.asarray(plain, dtype=np.float64))
        got = model().fit(values)
        np.testing.assert_array_equal(got.criterion_path_, expected.criterion_path_)
        forecast = got.predict(3)
        if isinstance(values, list | tuple):  # a list in, a list out
            (forecast,) = forecast
        np.testing.assert_array_equal(forecast.mean, expected.predict(3).mean)

    def test_missing_values_of_pandas(self) -> None:
        values = pd.DataFrame({"a": pd.array([*np.random.default_rng(0).integers(0, 9, 60), None] * 3, dtype="Int64")})
        expected = model().fit(values.astype("float64").to_numpy(na_value=np.nan))
        np.testing.assert_array_equal(model().fit(values).criterion_path_, expected.criterion_path_)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, object])
    def test_what_a_mask_hides_is_missing(self, dtype: type) -> None:
        rng = np.random.default_rng(0)
        values, mask = rng.integers(0, 9, (120, 2)), rng.random((120, 2)) < 0.1
        values[mask] = 10**6
        masked, plain = np.ma.array(values, mask=mask, dtype=dtype), np.where(mask, np.nan, values)
        for settings in ({}, {"mode": "zero-shot"}):
            ours, expected = model(**settings).fit(masked), model(**settings).fit(plain)
            np.testing.assert_array_equal(ours.predict(3).mean, expected.predict(3).mean)
            pairs = zip(
                ours.predict(3, [masked, masked[:90, 0]]), expected.predict(3, [plain, plain[:90, 0]]), strict=True
            )
            for one, other in pairs:
                np.testing.assert_array_equal(one.mean, other.mean)
            np.testing.assert_array_equal(
                ours.predict_origins(3, masked, [60, 120]).mean, expected.predict_origins(3, plain, [60, 120]).mean
            )

    def test_unequal_lengths_and_channel_counts(self, y: np.ndarray) -> None:
        series = [y, y[:70, 0], np.repeat(y[:120], 2, axis=1) + 1e-3 * np.arange(4), y[:3]]
        forecasts = model().fit(series).predict(5)
        assert [forecast.mean.shape for forecast in forecasts] == [(5, 2), (5, 1), (5, 4), (5, 2)]
        assert all(np.isfinite(forecast.mean).all() for forecast in forecasts)

    @pytest.mark.parametrize("steps", range(4, 30))
    @pytest.mark.parametrize("order", [0, "kpss"])
    def test_short_series(self, steps: int, order: int | str) -> None:
        fit = model(diff_order=order, max_lookback=512).fit(np.random.default_rng(steps).normal(size=steps))
        assert np.isfinite(fit.predict(40).mean).all()
        assert len(fit.criterion_path_) < steps

    @pytest.mark.parametrize("criterion", CRITERIA)
    def test_constant_series(self, criterion: str) -> None:
        fit = model(criterion=criterion, diff_order="kpss", horizon=3).fit(np.full((30, 2), [3, -4]))
        forecast = fit.predict(4)
        np.testing.assert_array_equal(forecast.mean, np.full((4, 2), [3, -4]))
        assert not forecast.sigma.any()

    def test_single_value(self) -> None:
        np.testing.assert_array_equal(model().fit(np.array([5])).predict(2).mean, [[5], [5]])

    def test_a_constant_channel_changes_nothing_for_the_others(self, y: np.ndarray) -> None:
        alone, beside = model().fit(y), model().fit(np.column_stack([y, np.full(len(y), 7)]))
        np.testing.assert_allclose(beside.criterion_path_, alone.criterion_path_, rtol=1e-12)
        np.testing.assert_allclose(beside.predict(5).mean[:, :2], alone.predict(5).mean, rtol=1e-12)
        np.testing.assert_array_equal(beside.predict(5).mean[:, 2], np.full(5, 7.0))

    def test_a_channel_without_values_warns(self, y: np.ndarray) -> None:
        with pytest.warns(DashaWarning, match=r"1 of 3 channels hold no value at all \(the first is number 2\)"):
            fit = model().fit(np.column_stack([y, np.full(len(y), np.nan)]))
        np.testing.assert_allclose(fit.predict(3).mean[:, :2], model().fit(y).predict(3).mean, rtol=1e-12)
        assert np.isnan(fit.predict(3).mean[:, 2]).all()

    def test_leading_and_trailing_gaps(self, y: np.ndarray) -> None:
        broken = y.copy()
        broken[:60, 0] = np.nan
        broken[-4:] = np.nan
        forecast = model().fit(broken).predict(6)
        longer = model().fit(broken)
        np.testing.assert_allclose(forecast.mean, longer.predict(10, broken[:-4]).mean[4:], rtol=1e-10)

    @pytest.mark.parametrize("factor", [1e-140, 1e140])
    def test_extreme_units(self, y: np.ndarray, factor: float) -> None:
        scaled = model().fit(factor * y).predict(5)
        np.testing.assert_allclose(scaled.mean / factor, model().fit(y).predict(5).mean, rtol=1e-9)

    def test_numpy_settings(self, y: np.ndarray) -> None:
        fit = model(max_lookback=np.int64(5), diff_order=np.int8(1), horizon=np.int32(2)).fit(y)
        assert fit.predict(np.int64(3)).mean.shape == (3, 2)
        assert type(fit.config.diff_order) is int


class TestRefuses:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"criterion": "mse"}, "criterion is 'mse', but must be one of 'bic', 'aic'"),
            ({"criterion": None}, "criterion is None"),
            ({"diff_order": 3}, "diff_order is 3, but must be 'kpss', 0, 1 or 2"),
            ({"diff_order": -1}, "diff_order is -1"),
            ({"diff_order": "adf"}, "diff_order is 'adf'"),
            ({"diff_order": True}, "diff_order is True"),
            ({"diff_order": 1.0}, "diff_order is 1.0"),
            ({"max_lookback": 0}, "max_lookback is 0, but must be an integer of at least 1"),
            ({"max_lookback": 2.5}, "max_lookback is 2.5"),
            ({"lookback": -1}, "lookback is -1, but must be an integer of at least 0"),
            ({"lookback": True}, "lookback is True"),
            ({"max_lookback": 1, "diff_order": 2}, "diff_order is 2, but must be at most max_lookback=1; raise"),
            ({"horizon": 0}, "horizon is 0"),
            ({"validation_fraction": 0.0}, "validation_fraction is 0.0, but must lie strictly between 0 and 1"),
            ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
            ({"validation_fraction": "half"}, "validation_fraction is 'half'"),
            ({"device": "tpu"}, "device is 'tpu', but must be 'auto', 'cpu', 'cuda'"),
            ({"device": "mps"}, "float64 is needed"),
            ({"device": "cuda:99"}, "device is 'cuda:99', but .* CUDA devices are visible"),
        ],
    )
    def test_settings(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidArgumentError, match=message):
            model(**settings)

    @pytest.mark.parametrize(
        ("series", "message"),
        [
            (np.array(["a", "b"]), "series has dtype <U1, but must hold real numbers"),
            (np.array(["a", 1.0], dtype=object), "series has dtype object"),
            (np.arange(9.0) + 1j, "series has dtype complex128"),
            (np.arange(9).astype("datetime64[s]"), "series has dtype datetime64"),
            ("text", "must hold real numbers"),
            ({"a": [1.0]}, "must hold real numbers"),
            (3.0, r"series has shape \(\), but must be \(T,\) or \(T, C\)"),
            (None, r"series has shape \(\)"),
            (np.zeros((2, 3, 4)), r"series has shape \(2, 3, 4\)"),
            (np.empty(0), r"series has shape \(0,\)"),
            (np.empty((5, 0)), r"series has shape \(5, 0\)"),
            ([], "series is an empty list"),
            ([1.0, 2.0, 3.0], "series is a list of numbers, but must be a list of series"),
            ([np.zeros(4), np.zeros((1, 1, 1))], r"series\[1\] has shape \(1, 1, 1\)"),
            (np.array([1.0, np.inf, 2.0]), r"series is infinite at step 1 of channel 0 \(1 infinite values"),
            (np.full((9, 2), np.nan), "series hold no value at all"),
            (1e200 * np.arange(9.0), "channel 0 of series holds .* variance is not a positive finite number; rescale"),
            ([np.arange(9.0), 1e200 * np.arange(9.0)], r"channel 0 of series\[1\] holds values from 0 to 8e\+200"),
            ([np.eye(9), np.array([[1e200, 1.0], [2.0, 3.0]]).T], r"channel 0 of series\[1\] holds values"),
            (1e-200 * np.arange(9.0), "whose variance is not a positive finite number; rescale"),
        ],
    )
    def test_series(self, series: Any, message: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(InvalidSeriesError, match=message):
                model().fit(series)

    @pytest.mark.parametrize(
        ("steps", "settings", "message"),
        [
            (
                3,
                {},
                "has 3 steps, but diff_order=0 and criterion='bic' with horizon=1 need at least 4",
            ),
            (5, {"diff_order": 2}, "has 5 steps, but diff_order=2 and criterion='bic' with horizon=1 need at least 6"),
            (40, {"lookback": 39}, "lookback=39 with diff_order=0 leaves 1 observations for 40 coefficients"),
            (40, {"lookback": 500}, "leaves 0 observations for 501 coefficients"),
            (
                40,
                {"criterion": "horizon_bic", "horizon": 50},
                "has 40 steps, but diff_order=0 and criterion='horizon_bic' with horizon=50 need at least 51",
            ),
            (40, {"criterion": "validation", "horizon": 30}, "finds no gap-free window to score"),
        ],
    )
    def test_too_short(self, steps: int, settings: dict[str, Any], message: str) -> None:
        values = np.random.default_rng(0).normal(size=steps)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(SeriesTooShortError, match=message):
                model(**settings).fit(values)

    @pytest.mark.parametrize(
        ("steps", "settings", "ways"),
        [
            (3, {"diff_order": 0}, "; supply more history"),
            (5, {"diff_order": 2}, "; supply more history or lower diff_order to 1"),
            (
                5,
                {"diff_order": 2, "max_lookback": 2, "criterion": "horizon_bic"},
                "more history or lower diff_order to 1",
            ),
            (
                40,
                {"criterion": "horizon_bic", "horizon": 50, "diff_order": 1},
                "; supply more history, lower horizon to 39 or use criterion='bic'",
            ),
            (
                40,
                {"criterion": "horizon_bic", "horizon": 39, "diff_order": 2},
                "history, lower diff_order to 1, lower horizon to 38 or use criterion='bic'",
            ),
            (40, {"criterion": "validation", "horizon": 30}, "; shorten horizon, use criterion='bic' or hold out more"),
        ],
    )
    def test_ways_out_are_those_that_lead_somewhere(self, steps: int, settings: dict[str, Any], ways: str) -> None:
        values = np.random.default_rng(0).normal(size=steps)
        with pytest.raises(SeriesTooShortError, match=f"{re.escape(ways)}( rows without gaps)?$"):
            model(**settings).fit(values)
        other = {
            "diff_order": re.search("lower diff_order to ([0-9]+)", ways),
            "horizon": re.search("lower horizon to ([0-9]+)", ways),
        }
        for name, found in other.items():
            if found is not None:
                model(**{**settings, name: int(found[1])}).fit(values)

    def test_scattered_values(self) -> None:
        values = np.full(50, np.nan)
        values[[3, 20, 40]] = [1.0, 2.0, 4.0]
        with pytest.raises(SeriesTooShortError, match="longest gap-free stretch to fit on has 1 steps"):
            model().fit(values)

    def test_validation_that_does_not_continue(self, y: np.ndarray) -> None:
        with pytest.raises(InvalidSeriesError, match=r"validation has series of \[1\] channels, but series has \[2\]"):
            model().fit(y, validation=y[:, :1])
        with pytest.raises(InvalidSeriesError, match=r"series of \[2, 2\] channels"):
            model().fit(y, validation=[y, y])
        with pytest.raises(InvalidSeriesError, match=r"validation\[0\] has shape \(0, 2\), .* at least one step"):
            model().fit([y, y], validation=[np.empty((0, 2))] * 2)

    def test_validation_that_is_shorter_than_the_horizon(self, y: np.ndarray) -> None:
        with pytest.raises(SeriesTooShortError, match="score; shorten horizon to 4, use criterion='bic' or hold out"):
            model(criterion="validation", horizon=10).fit(y, validation=y[:4])
        model(criterion="validation", horizon=4).fit(y, validation=y[:4])

    @pytest.mark.parametrize("rows", [4, 40])
    def test_validation_without_a_window(self, y: np.ndarray, rows: int) -> None:
        validation = y[:rows] if rows < 10 else np.full((rows, 2), np.nan)
        with pytest.raises(SeriesTooShortError, match="finds no gap-free window to score"):
            model(criterion="validation", horizon=10).fit(y, validation=validation)

    @pytest.mark.parametrize("horizon", [0, -1, True, 1.5, "3", None])
    def test_horizons(self, y: np.ndarray, horizon: Any) -> None:
        with pytest.raises(InvalidArgumentError, match=r"horizon is .*, but must be an integer of at least 1"):
            model().fit(y).predict(horizon)

    def test_forecast_before_fit(self) -> None:
        with pytest.raises(NotFittedError, match="call fit"):
            model().predict(3)
        with pytest.raises(NotFittedError, match="call fit"):
            _ = model().lookback_


class TestLeavesAlone:
    def test_arrays_of_the_caller(self, y: np.ndarray) -> None:
        y[[3, 70]] = np.nan
        before = y.copy()
        y.setflags(write=False)  # writing raises
        fit = model(criterion="validation", horizon=3).fit(y, validation=y)
        fit.predict(3, y)
        fit.predict_origins(3, y, [50, 100], unseen=True)
        np.testing.assert_array_equal(y, before)

    def test_results_share_no_memory_with_the_input(self, y: np.ndarray) -> None:
        fit = model().fit(y)
        first = fit.predict(3).mean
        y[:] = 0
        np.testing.assert_array_equal(fit.predict(3).mean, first)

    def test_random_state_warnings_threads_and_default_dtype(self, y: np.ndarray) -> None:
        np.random.seed(1)  # noqa: NPY002 — the global state is what must not move
        torch.manual_seed(1)
        random.seed(1)

        def state() -> tuple[Any, ...]:
            numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002
            torch_state = torch.get_rng_state().tolist()
            return numpy_state, torch_state, random.getstate(), torch.get_num_threads(), torch.get_default_dtype()

        before, filters, errors = state(), list(warnings.filters), np.geterr()
        fit = model(diff_order="kpss", criterion="horizon_bic", horizon=3).fit(y)
        fit.predict(3).sample(4, np.random.default_rng(0))
        assert state() == before
        assert warnings.filters == filters
        assert np.geterr() == errors

    def test_fit_again_forgets(self, y: np.ndarray) -> None:
        again = model().fit(1000 + y[:100].cumsum(0)).fit(y)
        np.testing.assert_array_equal(again.predict(5).mean, model().fit(y).predict(5).mean)

    def test_quiet(self, y: np.ndarray) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model(diff_order="kpss").fit(y).predict(3)


def test_repr(y: np.ndarray) -> None:
    assert repr(AutoAR()) == "AutoAR()"
    assert repr(AutoAR(lookback=3)) == "AutoAR(lookback=3)"
    assert (
        repr(AutoAR(lookback=3, diff_order=1).fit(y)) == "AutoAR(lookback=3, diff_order=1): lookback 3, differencing 1"
    )


def test_repr_of_a_strategy_names_what_forecasts_not_what_fills_gaps(y: np.ndarray) -> None:
    fitted = AutoAR(strategy="direct", max_lookback=9, diff_order=1, horizon=4).fit(y)
    assert repr(fitted).endswith("strategy='direct'): strategy 'direct' of 3 candidates, context 9")
    assert AutoAR(mode="zero-shot").describe() == "zero-shot: nothing is learned from training data"
    with pytest.raises(NotFittedError):
        AutoAR().describe()
