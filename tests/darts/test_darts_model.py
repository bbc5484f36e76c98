"""AutoARModel as a Darts user meets it."""

import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from darts import TimeSeries, concatenate
from darts.dataprocessing.transformers import Scaler
from darts.metrics import mae, mse
from matplotlib.figure import Figure

from darts_autoar import AutoARModel
from dasha.autoar import AutoAR

from .conftest import make_series

# Cheap settings: the search itself is tested on the engine.
SMALL = {"max_lookback": 30, "criterion": "bic"}


def fitted(series, **kwargs):
    return AutoARModel(**{"output_chunk_length": 6, "random_state": 1, **SMALL, **kwargs}).fit(series)


class TestPredict:
    def test_single_series_equals_the_engine(self, multivariate):
        model = fitted(multivariate)
        engine = AutoAR(**SMALL, horizon=6).fit(multivariate.values())
        forecast = model.predict(9)
        np.testing.assert_array_equal(forecast.values(), engine.predict(9).mean)
        assert list(forecast.components) == list(multivariate.components)
        assert forecast.start_time() == multivariate.end_time() + multivariate.freq
        assert (model.lookback_, model.diff_order_) == (engine.lookback_, engine.diff_order_)
        np.testing.assert_array_equal(model.criterion_path_, engine.criterion_path_)
        np.testing.assert_array_equal(model.coefficients_, engine.coefficients_)

    def test_forecast_is_better_than_the_mean_and_the_last_cycle(self, univariate):
        train, test = univariate[:-24], univariate[-24:]
        forecast = fitted(train).predict(24)
        last_cycle = np.tile(train.values()[-12:], (2, 1))
        assert mse(test, forecast) < 0.5 * float(np.var(test.values()))
        assert mae(test, forecast) < np.abs(test.values() - last_cycle).mean()

    @pytest.mark.parametrize(("strategy", "pooling"), [("direct", None), ("average", "both"), ("auto", None)])
    def test_strategies_are_those_of_the_engine(self, strategy, pooling, multivariate):
        train = [multivariate[:150], make_series(120, 3, seed=7)]
        later = [multivariate[150:180], make_series(150, 3, seed=7)]
        model = AutoARModel(6, max_lookback=20, strategy=strategy, pooling=pooling).fit(train, val_series=later)
        engine = AutoAR(max_lookback=20, strategy=strategy, pooling=pooling, horizon=6, criterion="horizon_bic")
        rows = [later[0].values(), later[1].values()[120:]]
        engine.fit([one.values() for one in train], validation=rows)
        np.testing.assert_array_equal(model.selection_.weights, engine.selection_.weights)
        context = multivariate[:190]
        expected = engine.predict(9, context.values(), series=0)
        np.testing.assert_allclose(model.predict(9, context).values(), expected.mean, rtol=1e-12)
        assert model.context_length_ == engine.context_length_ == -model.extreme_lags[0]
        with pytest.raises(ValueError, match=rf"has 3 steps, but the model looks back \d+ \(strategy '{strategy}' of"):
            model.predict(2, context[:3])

    def test_list_of_series_and_unseen_series(self, univariate):
        train = [univariate, make_series(150, seed=3), make_series(80, seed=4)]
        model = fitted(train)
        unseen = make_series(90, seed=9)
        forecasts = model.predict(5, [*train, unseen])
        assert [f.start_time() for f in forecasts] == [s.end_time() + s.freq for s in [*train, unseen]]
        assert isinstance(model.predict(5, unseen), TimeSeries)
        np.testing.assert_array_equal(model.predict(5, unseen).values(), forecasts[3].values())
        # its own values give the units of an unseen series
        moved = model.predict(5, unseen * 1000 - 7).values()
        np.testing.assert_allclose(moved, forecasts[3].values() * 1000 - 7, rtol=1e-9)
        with pytest.raises(ValueError, match="Input `series` must be provided"):
            model.predict(5)

    def test_continuation_of_a_training_series_uses_its_statistics(self, univariate):
        train = univariate[:120]
        model = fitted(train)
        expected = model.engine.predict(5, univariate.values()).mean
        np.testing.assert_array_equal(model.predict(5, univariate).values(), expected)
        # cut inside the training rows, but still holding their end
        window = univariate[119 - model.engine.context_length_ + 1 :]
        np.testing.assert_allclose(model.predict(5, window).values(), expected, rtol=1e-12)
        # same name and times, other values: not the same series
        other = univariate * 100
        np.testing.assert_allclose(
            model.predict(5, other).values(),
            model.engine.predict_origins(5, other.values(), [200], unseen=True).mean[0],
            rtol=1e-12,
        )

    def test_series_that_end_alike_are_told_apart(self):
        rng = np.random.default_rng(0)
        small, large = rng.poisson(5, 200) * 1.0, rng.poisson(500, 200) * 1.0
        small[-20:] = large[-20:] = 0.0
        times = pd.date_range("2020-01-01", periods=200, freq="D")
        train = [TimeSeries.from_times_and_values(times, values) for values in (small, large)]
        model = AutoARModel(7, diff_order=0, lookback=25).fit(train)
        for forecast, expected in zip(model.predict(7, train), model.engine.predict(7), strict=True):
            np.testing.assert_allclose(forecast.values(), expected.mean, rtol=1e-9)
        other = TimeSeries.from_times_and_values(times, large * 1000)
        unseen = model.engine.predict_origins(7, large * 1000, [200], unseen=True)
        np.testing.assert_allclose(model.predict(7, other).values(), unseen.mean[0], rtol=1e-12)

    @pytest.mark.parametrize("freq", ["h", "MS", "W-SUN", "B", None])
    def test_frequencies(self, freq):
        series = make_series(90, freq=freq)
        forecast = fitted(series).predict(4)
        assert forecast.freq == series.freq
        assert len(forecast) == 4

    def test_float32_stays_float32(self, univariate):
        forecast = fitted(univariate.astype(np.float32)).predict(3)
        assert forecast.dtype == np.float32

    def test_missing_values(self, univariate):
        values = univariate.values()
        values[50:55] = np.nan
        values[-2:] = np.nan
        holed = univariate.with_values(values)
        forecast = fitted(holed).predict(4)
        assert np.isfinite(forecast.values()).all()

    def test_static_covariates_hierarchy_and_metadata_are_carried(self):
        series = make_series(100, 3, names=["total", "a", "b"])
        series = series.with_static_covariates(pd.DataFrame({"place": [1.0, 2.0, 3.0]})).with_hierarchy(
            {"a": ["total"], "b": ["total"]}
        )
        series = series.with_metadata({"unit": "kW"})
        model = fitted(series)
        forecast = model.predict(3)
        assert forecast.hierarchy == series.hierarchy
        pd.testing.assert_frame_equal(forecast.static_covariates, series.static_covariates)
        assert forecast.metadata == {"unit": "kW"}
        fast = model.historical_forecasts(series, retrain=False, start=0.8, last_points_only=False)[0]
        slow = model.historical_forecasts(
            series, retrain=False, start=0.8, last_points_only=False, enable_optimization=False
        )[0]
        assert fast.hierarchy == slow.hierarchy == series.hierarchy
        pd.testing.assert_frame_equal(fast.static_covariates, slow.static_covariates)

    def test_short_training_series_are_forecast_too(self, univariate, tmp_path):
        short = make_series(14, seed=5, start="2021-03-01")
        model = fitted([univariate, short], lookback=20, diff_order=0)
        expected = AutoAR(lookback=20, diff_order=0).fit([univariate.values(), short.values()]).predict(6)
        for one, own in zip(model.predict(6, [univariate, short]), expected, strict=True):
            np.testing.assert_allclose(one.values(), own.mean, rtol=1e-10)
        model.save(tmp_path / "model.pkl")
        loaded = AutoARModel.load(tmp_path / "model.pkl")
        assert loaded.predict_quantiles(6, [0.5], series=short).n_timesteps == 6
        for other in (short[:-1], short * 2, short[-5:], univariate[-5:], univariate[-19:]):
            with pytest.raises(ValueError, match=rf"has {len(other)} steps, but the model looks back 20"):
                model.predict(6, other)
        with pytest.raises(ValueError, match="has 14 steps, but the model looks back 20"):
            model.historical_forecasts(short, retrain=False)


class TestDistribution:
    @pytest.mark.parametrize("strategy", ["recursive", "auto"])
    def test_samples_agree_with_the_parameters(self, strategy, multivariate):
        model = fitted(multivariate, strategy=strategy)
        samples = model.predict(6, num_samples=4000)
        parameters = model.predict(6, predict_likelihood_parameters=True)
        assert list(parameters.components) == ["c0_mu", "c0_sigma", "c1_mu", "c1_sigma", "c2_mu", "c2_sigma"]
        mean, sigma = parameters.values()[:, ::2], parameters.values()[:, 1::2]
        drawn = samples.all_values()
        assert drawn.shape == (6, 3, 4000)
        np.testing.assert_allclose(drawn.mean(-1), mean, atol=5 * sigma.max() / np.sqrt(4000))
        np.testing.assert_allclose(drawn.std(-1), sigma, rtol=0.08)
        # steps share innovations
        assert np.corrcoef(drawn[4, 0], drawn[5, 0])[0, 1] > 0.3

    def test_exact_quantiles(self, univariate):
        model = fitted(univariate)
        quantiles = model.predict_quantiles(6, [0.1, 0.5, 0.9])
        assert list(quantiles.components) == ["c0_q0.100", "c0_q0.500", "c0_q0.900"]
        np.testing.assert_allclose(quantiles["c0_q0.500"].values(), model.predict(6).values(), rtol=1e-12)
        assert model.predict_quantiles(6, 0.5) == model.predict_quantiles(6, np.array([0.5])) == quantiles["c0_q0.500"]
        sampled = model.predict(6, num_samples=6000).quantile([0.1, 0.9]).values()
        np.testing.assert_allclose(quantiles.values()[:, [0, 2]], sampled, atol=0.06)

    def test_parameters_are_refused_beyond_the_output_chunk(self, univariate):
        with pytest.raises(ValueError, match="output_chunk_length"):
            fitted(univariate).predict(7, predict_likelihood_parameters=True)

    def test_determinism(self, univariate):
        first, second = fitted(univariate, random_state=42), fitted(univariate, random_state=42)
        one, two = first.predict(4, num_samples=3).all_values(), second.predict(4, num_samples=3).all_values()
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(first.predict(4, num_samples=3).all_values(), one)
        again = [model.predict(4, num_samples=3, random_state=7).all_values() for model in (first, fitted(univariate))]
        np.testing.assert_array_equal(*again)

    def test_predict_leaves_numpys_global_state_alone(self, univariate):
        model = fitted(univariate)
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        model.predict(4, num_samples=5)
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Of every kind of forecast that the fast path makes, one: all windows, the last points, parameters, beyond the chunk.
OF_STRATEGIES = [
    {"stride": 7, "forecast_horizon": 6},
    {"last_points_only": False, "forecast_horizon": 15, "stride": 11, "overlap_end": True, "start": 0.5},
    {"last_points_only": False, "forecast_horizon": 4, "stride": 9, "predict_likelihood_parameters": True},
]
HISTORICAL = [
    {},
    {"start": 0.6},
    {"start": 150, "start_format": "position"},
    {"start": -20, "start_format": "position", "stride": 3},
    {"start": 100, "start_format": "position", "stride": 5, "forecast_horizon": 6},
    {"forecast_horizon": 17},
    {"overlap_end": True, "forecast_horizon": 4},
    {"last_points_only": False, "forecast_horizon": 3, "stride": 2},
    {"last_points_only": False, "forecast_horizon": 9, "overlap_end": True, "start": 0.7},
    {"start": 0.9, "predict_likelihood_parameters": True, "forecast_horizon": 4},
    {"start": 0.9, "predict_likelihood_parameters": True, "forecast_horizon": 4, "last_points_only": False},
]


def assert_same_forecasts(left, right):
    left, right = ([item] if isinstance(item, TimeSeries) else item for item in (left, right))
    assert len(left) == len(right)
    for one, two in zip(left, right, strict=True):
        if isinstance(one, list):
            assert_same_forecasts(one, two)
            continue
        assert one.time_index.equals(two.time_index)
        assert list(one.components) == list(two.components)
        np.testing.assert_allclose(one.all_values(), two.all_values(), rtol=1e-9, atol=1e-9)


class TestHistoricalForecasts:
    @pytest.mark.parametrize("options", HISTORICAL)
    @pytest.mark.parametrize("kind", ["seen", "unseen", "list", "gaps", "range", "overlapping"])
    def test_fast_path_equals_slow_path(self, options, kind, univariate, multivariate):
        if kind == "list":
            model, series = fitted([univariate, make_series(160, seed=5)]), [univariate, make_series(190, seed=6)]
        elif kind == "overlapping":
            series = univariate + TimeSeries.from_times_and_values(univariate.time_index, np.arange(200) / 20)
            model = fitted([series[:120], series[40:170], series[:150]], diff_order=0)
        elif kind == "range":
            series = make_series(freq=None)
            model = fitted(series[:150])
        elif kind == "gaps":
            values = univariate.values()
            values[[3, 60, 61, 130, 185]] = np.nan
            series = univariate.with_values(values)
            model = fitted(series[:150], diff_order=1)
        else:
            series = multivariate
            model = fitted(multivariate[:150] if kind == "seen" else make_series(components=3, seed=8))
        fast, slow = (
            model.historical_forecasts(series, retrain=False, enable_optimization=on, show_warnings=False, **options)
            for on in (True, False)
        )
        assert_same_forecasts(fast, slow)

    @pytest.mark.parametrize("options", OF_STRATEGIES)
    @pytest.mark.parametrize("kind", ["seen", "unseen", "list", "gaps"])
    def test_fast_path_equals_slow_path_with_weighed_candidates(self, options, kind, univariate, multivariate):
        strategy = {"strategy": "auto", "max_lookback": 15}
        if kind == "list":
            model = fitted([univariate[:150], make_series(160, seed=5)], **strategy)
            series = [univariate, make_series(190, seed=6)]
        elif kind == "gaps":
            values = multivariate.values()
            values[[3, 60, 61, 130, 185], [0, 1, 1, 2, 0]] = np.nan
            series = multivariate.with_values(values)
            model = fitted(series[:150], **strategy)
        else:
            series = multivariate
            model = fitted(multivariate[:150] if kind == "seen" else make_series(components=3, seed=8), **strategy)
        fast, slow = (
            model.historical_forecasts(series, retrain=False, enable_optimization=on, show_warnings=False, **options)
            for on in (True, False)
        )
        assert_same_forecasts(fast, slow)

    def test_start_at_a_time_and_at_the_end(self, univariate):
        model = fitted(univariate[:150])
        for start in (univariate.time_index[160], "end"):
            options = {"start": start, "overlap_end": start == "end", "last_points_only": False, "forecast_horizon": 4}
            fast, slow = (
                model.historical_forecasts(univariate, retrain=False, enable_optimization=on, **options)
                for on in (True, False)
            )
            assert_same_forecasts(fast, slow)

    def test_future_values_change_nothing(self, univariate):
        model = fitted(univariate[:120])
        values = univariate.values()
        values[170:] = 1e6
        changed = univariate.with_values(values)
        options = {"retrain": False, "start": 130, "start_format": "position", "forecast_horizon": 1}
        before, after = (model.historical_forecasts(one, **options)[:40] for one in (univariate, changed))
        np.testing.assert_array_equal(before.values(), after.values())

    def test_samples(self, univariate):
        model = fitted(univariate[:150])
        forecasts = model.historical_forecasts(univariate, retrain=False, start=0.8, num_samples=50, forecast_horizon=3)
        assert forecasts.n_samples == 50

    @pytest.mark.parametrize("retrain", [True, 7])
    def test_retraining(self, univariate, retrain):
        options = {"start": 180, "start_format": "position", "retrain": retrain, "forecast_horizon": 2}
        model = AutoARModel(output_chunk_length=2, **SMALL)
        forecasts = model.historical_forecasts(univariate, **options)
        by_hand = AutoARModel(output_chunk_length=2, **SMALL).fit(univariate[:180]).predict(2)
        np.testing.assert_allclose(forecasts.values()[0], by_hand.values()[-1], rtol=1e-12)
        # a fitted model with a long lookback refits on short windows too
        again = fitted(univariate, lookback=None).historical_forecasts(univariate, train_length=40, **options)
        assert np.isfinite(again.values()).all()

    def test_retraining_from_the_very_start(self):
        forecasts = AutoARModel(output_chunk_length=2, **SMALL).historical_forecasts(make_series(40), retrain=True)
        assert np.isfinite(forecasts.values()).all()

    @pytest.mark.parametrize("lookback", [None, 0, 9])
    @pytest.mark.parametrize("strategy", ["direct", "auto"])
    def test_a_strategy_can_be_retrained_from_the_very_start(self, strategy, lookback):
        for seed in range(3):
            steps = np.random.default_rng(seed).standard_normal(48).cumsum()
            model = AutoARModel(3, strategy=strategy, lookback=lookback)
            series = TimeSeries.from_values(steps)
            forecasts = model.historical_forecasts(series, retrain=True, stride=9, forecast_horizon=3)
            assert np.isfinite(forecasts.values()).all()
            # the steps that it asks for do not depend on what an earlier fit chose
            assert (
                model.fit(series).min_train_series_length
                == AutoARModel(3, strategy=strategy, lookback=lookback).min_train_series_length
            )

    def test_validation_length_is_passed_to_fit(self, univariate):
        model = AutoARModel(output_chunk_length=2, max_lookback=20, criterion="validation")
        options = {"start": 190, "start_format": "position", "val_length": 40, "forecast_horizon": 2}
        forecasts = model.historical_forecasts(univariate, retrain=True, **options)
        by_hand = AutoARModel(output_chunk_length=2, max_lookback=20, criterion="validation")
        by_hand.fit(univariate[:150], val_series=univariate[100:190])
        np.testing.assert_allclose(forecasts.values()[0], by_hand.predict(2, univariate[:190]).values()[-1], rtol=1e-9)

    def test_transformers(self, univariate):
        scaler = Scaler().fit(univariate[:150])
        model = fitted(scaler.transform(univariate[:150]))
        options = {"retrain": False, "start": 0.8, "data_transformers": {"series": scaler}}
        fast, slow = (model.historical_forecasts(univariate, enable_optimization=on, **options) for on in (True, False))
        assert_same_forecasts(fast, slow)


class TestEvaluationTools:
    def test_backtest_and_residuals(self, univariate):
        model = fitted(univariate[:150])
        options = {"retrain": False, "start": 150, "start_format": "position", "forecast_horizon": 6}
        score = model.backtest(univariate, metric=mae, **options)
        origins = range(150, 195)
        by_hand = np.mean([mae(univariate[t : t + 6], model.predict(6, univariate[:t])) for t in origins])
        assert score == pytest.approx(by_hand, rel=1e-9)
        residuals = model.residuals(univariate, retrain=False, start=150, start_format="position", forecast_horizon=1)
        forecasts = model.historical_forecasts(univariate, retrain=False, start=150, start_format="position")
        np.testing.assert_allclose(residuals.values(), (univariate[150:] - forecasts).values(), rtol=1e-9, atol=1e-12)

    def test_gridsearch(self, univariate):
        grid = {"output_chunk_length": [6], "max_lookback": [2, 30], "criterion": ["bic"]}
        model, parameters, score = AutoARModel.gridsearch(grid, univariate, forecast_horizon=6, start=0.8, stride=6)
        assert parameters["max_lookback"] == 30
        assert np.isfinite(score)
        assert isinstance(model, AutoARModel)
        _, parameters, _ = AutoARModel.gridsearch(grid, univariate[:150], val_series=univariate[150:])
        assert set(parameters) == set(grid)

    def test_conformal_models(self, univariate):
        from darts.models import ConformalNaiveModel, ConformalQRModel

        train, test = univariate[:150], univariate[150:]
        for wrapper in (ConformalNaiveModel, ConformalQRModel):
            model = wrapper(fitted(train), quantiles=[0.1, 0.5, 0.9], cal_length=40)
            forecast = model.predict(4, univariate, predict_likelihood_parameters=True)
            assert list(forecast.components) == ["c0_q0.100", "c0_q0.500", "c0_q0.900"]
            assert (np.diff(forecast.values(), axis=1) >= 0).all()
            error = model.backtest(univariate, start=190, start_format="position", metric=mae)
            assert error < float(np.std(test.values()))

    def test_ensembles(self, univariate):
        from darts.models import LinearRegressionModel, NaiveEnsembleModel, RegressionEnsembleModel

        naive = NaiveEnsembleModel([AutoARModel(6, **SMALL), LinearRegressionModel(lags=12, output_chunk_length=6)])
        forecast = naive.fit(univariate[:150]).predict(6)
        parts = [model.predict(6).values() for model in naive.forecasting_models]
        np.testing.assert_allclose(forecast.values(), np.mean(parts, axis=0), rtol=1e-9)
        for pretrained in (False, True):
            members = [fitted(univariate[:150]), fitted(univariate[:150], lookback=3)]
            if not pretrained:
                members = [member.untrained_model() for member in members]
            model = RegressionEnsembleModel(
                members, regression_train_n_points=24, train_forecasting_models=not pretrained
            )
            assert np.isfinite(model.fit(univariate[:150]).predict(6).values()).all()

    def test_anomaly_model(self, univariate):
        from darts.ad import ForecastingAnomalyModel, NormScorer

        values = univariate.values()
        values[180] += 20
        detector = ForecastingAnomalyModel(model=fitted(univariate[:150]), scorer=NormScorer())
        scores = detector.score(univariate.with_values(values), start=0.8)
        assert scores.time_index[int(scores.values().argmax())] == univariate.time_index[180]


class TestStorage:
    @pytest.mark.parametrize("strategy", ["recursive", "auto"])
    def test_save_and_load(self, strategy, tmp_path, univariate):
        model = fitted(univariate, strategy=strategy)
        expected = model.predict(5).values()
        model.save(str(tmp_path / "model.pkl"))
        loaded = AutoARModel.load(str(tmp_path / "model.pkl"))
        np.testing.assert_array_equal(loaded.predict(5).values(), expected)
        assert loaded.lookback_ == model.lookback_
        np.testing.assert_array_equal(
            loaded.predict(5, num_samples=4).all_values(), model.predict(5, num_samples=4).all_values()
        )

    def test_clean_model_needs_the_series_and_recognises_it(self, tmp_path, univariate):
        model = fitted(univariate)
        model.save(str(tmp_path / "model.pkl"), clean=True)
        loaded = AutoARModel.load(str(tmp_path / "model.pkl"))
        assert loaded.training_series is None
        with pytest.raises(ValueError, match="loading a model saved with `clean=True`"):
            loaded.predict(5)
        np.testing.assert_array_equal(loaded.predict(5, univariate).values(), model.predict(5).values())
        assert univariate.values().tobytes() not in (tmp_path / "model.pkl").read_bytes()

    def test_unfitted_model_and_ensemble_load(self, tmp_path, univariate):
        from darts.models import NaiveEnsembleModel

        AutoARModel(4, lookback=3).save(str(tmp_path / "unfitted.pkl"))
        assert AutoARModel.load(str(tmp_path / "unfitted.pkl")).fit(univariate).lookback_ == 3
        ensemble = NaiveEnsembleModel([AutoARModel(6, **SMALL), AutoARModel(6, lookback=2)]).fit(univariate)
        ensemble.save(str(tmp_path / "ensemble.pkl"))
        loaded = NaiveEnsembleModel.load(str(tmp_path / "ensemble.pkl"))
        np.testing.assert_array_equal(loaded.predict(3).values(), ensemble.predict(3).values())

    def test_untrained_model_and_deepcopy(self, univariate):
        model = fitted(univariate, lookback=4)
        fresh = model.untrained_model()
        assert fresh.model_params == model.model_params
        assert not fresh._fit_called
        np.testing.assert_array_equal(copy.deepcopy(model).predict(3).values(), model.predict(3).values())


class TestUpdate:
    @pytest.mark.parametrize("freq", ["h", None])
    def test_update_is_a_fit_on_everything(self, freq, tmp_path):
        series = make_series(220, 2, freq=freq)
        model = AutoARModel(6, **SMALL).fit(series[:150], keep_summaries=True)
        model.update(series[140:180])  # ten steps are known already
        model.save(tmp_path / "model.pkl")
        model = AutoARModel.load(tmp_path / "model.pkl").update(series[180:])
        whole = AutoARModel(6, **SMALL).fit(series)
        assert (model.lookback_, model.diff_order_) == (whole.lookback_, whole.diff_order_)
        np.testing.assert_allclose(model.coefficients_, whole.coefficients_, rtol=1e-10, atol=1e-10)
        assert model.predict(9).start_time() == series.end_time() + series.freq
        np.testing.assert_allclose(model.predict(9).values(), whole.predict(9).values(), rtol=1e-9)
        # The continued series is recognised, and takes the units of everything, not those of its own past.
        np.testing.assert_allclose(model.predict(9, series[-60:]).values(), whole.predict(9).values(), rtol=1e-9)

    def test_several_series_and_missing_steps(self):
        first, second = make_series(200, seed=3), make_series(120, seed=4, start="2021-05-01", dtype="float32")
        model = AutoARModel(6, **SMALL).fit([first[:150], second[:90]], keep_summaries=True)
        model.update([first[155:], second[90:]])
        values = first.values(copy=True)
        values[150:155] = np.nan
        gappy = first.with_values(values)
        whole = AutoARModel(6, **SMALL).fit([gappy, second])
        np.testing.assert_allclose(model.coefficients_, whole.coefficients_, rtol=1e-10, atol=1e-10)
        for one in (first, second):
            np.testing.assert_allclose(model.predict(4, one).values(), whole.predict(4, one).values(), rtol=1e-5)

    def test_a_series_that_has_ended_is_passed_over(self):
        first, ended = make_series(200, seed=3), make_series(120, seed=4)
        model = AutoARModel(6, **SMALL).fit([first[:150], ended], keep_summaries=True)
        model.update([first[150:], ended[:100]])
        whole = AutoARModel(6, **SMALL).fit([first, ended])
        np.testing.assert_allclose(model.coefficients_, whole.coefficients_, rtol=1e-10, atol=1e-10)
        for one in (first, ended):  # both are still recognised
            np.testing.assert_allclose(model.predict(4, one).values(), whole.predict(4, one).values(), rtol=1e-7)
        with pytest.raises(ValueError, match=r"must reach beyond the training series.*; of several, at least one must"):
            model.update([first, ended])

    def test_missing_steps_are_part_of_the_series_that_is_kept(self, univariate):
        model = AutoARModel(6, **SMALL).fit(univariate[:150].astype("float32"), keep_summaries=True)
        model.update(univariate[155:])
        kept = model.training_series
        assert (len(kept), kept.end_time(), kept.dtype) == (200, univariate.end_time(), np.float32)
        assert np.isnan(kept.values()[150:155]).all()
        assert len(model.predict(3)) == 3

    def test_what_cannot_be_updated(self, univariate):
        head, tail = univariate[:150], univariate[150:]
        with pytest.raises(ValueError, match="not fitted yet"):
            AutoARModel(6, **SMALL).update(tail)
        with pytest.raises(ValueError, match="kept no summaries"):
            fitted(head).update(tail)
        model = AutoARModel(6, **SMALL)
        with pytest.raises(ValueError, match="`keep_summaries` goes without `val_series`"):
            model.fit(head, val_series=tail, keep_summaries=True)
        with pytest.raises(ValueError, match="strategy='auto'"):
            AutoARModel(6, strategy="auto").fit(head, keep_summaries=True)
        with pytest.raises(ValueError, match="mode='zero-shot' learns nothing"):
            AutoARModel(6, mode="zero-shot").fit(head, keep_summaries=True)
        with pytest.raises(ValueError, match="mode='zero-shot' learns nothing"):
            AutoARModel(6, mode="zero-shot").fit(head).update(tail)
        model.fit(head, keep_summaries=True)
        before = model.predict(6)
        with pytest.raises(ValueError, match="`series` has 2 series"):
            model.update([tail, tail])
        with pytest.raises(ValueError, match=r"`series` ends at .*, but must reach beyond"):
            model.update(univariate[:100])
        with pytest.raises(ValueError, match="`series` has frequency D"):
            model.update(make_series(100, freq="D", start="2021-01-01"))
        with pytest.raises(ValueError, match="2 components"):
            model.update(make_series(200, 2))
        with pytest.raises(ValueError, match="empty list"):
            model.update([])
        assert model.predict(6) == before


class TestRefusals:
    def test_covariates(self, univariate):
        for name in ("past_covariates", "future_covariates"):
            with pytest.raises(ValueError, match=f"`{name}`"):
                AutoARModel(**SMALL).fit(univariate, **{name: univariate})
            with pytest.raises(ValueError, match=f"`{name}`"):
                fitted(univariate).predict(2, **{name: univariate})
            with pytest.raises(ValueError, match=f"`{name}`"):
                fitted(univariate).historical_forecasts(univariate, retrain=False, **{name: univariate})
        with pytest.raises(ValueError, match="add_encoders"):
            AutoARModel(add_encoders={"cyclic": {"past": ["hour"]}})
        model = AutoARModel()
        assert not model.supports_past_covariates
        assert not model.supports_future_covariates
        assert not model.supports_sample_weight

    def test_sample_weight(self, univariate):
        with pytest.raises(ValueError, match="sample_weight"):
            AutoARModel(**SMALL).historical_forecasts(univariate, sample_weight="linear", start=0.9)

    def test_components_and_length(self, univariate, multivariate):
        for call in (lambda: AutoARModel().fit([]), lambda: fitted(univariate).predict(2, [])):
            with pytest.raises(ValueError, match="`series` is an empty list"):
                call()
        for levels in ([], [0.5, 1.5], 1.0, "0.5", [None], [float("nan")]):
            with pytest.raises(ValueError, match="`quantiles` are"):
                fitted(univariate).predict_quantiles(2, levels)
        with pytest.raises(ValueError, match="same number of components"):
            AutoARModel(**SMALL).fit([univariate, multivariate])
        with pytest.raises(ValueError, match="has 3 components, but the model was fitted on 1"):
            fitted(univariate).predict(2, multivariate)
        with pytest.raises(ValueError, match="index 1 has 3 steps, but the model looks back 10"):
            fitted(univariate, lookback=10, diff_order=0).predict(2, [univariate, univariate[:3]])
        with pytest.raises(ValueError, match="leaves 6 observations for 41 coefficients"):
            AutoARModel(lookback=40, diff_order=0).fit(univariate[:46])

    @pytest.mark.parametrize("value", [0, -1, 2.5, True, None])
    def test_numbers_are_refused_under_the_names_that_were_given(self, value, univariate):
        model = fitted(univariate)

        def message(name):
            return rf"^{name} is {value!r}, but must be an integer of at least 1$"

        with pytest.raises(ValueError, match=message("output_chunk_length")):
            AutoARModel(output_chunk_length=value)
        for call in (model.predict, model.predict_quantiles):
            with pytest.raises(ValueError, match=message("n")):
                call(value)
        with pytest.raises(ValueError, match=message("num_samples")):
            model.predict(3, num_samples=value)
        with pytest.raises(ValueError, match=message("num_samples")):
            model.historical_forecasts(univariate, retrain=False, start=0.9, num_samples=value)

    def test_probabilistic_series_and_unfitted_model(self, univariate):
        samples = concatenate([univariate, univariate + 1], axis="sample")
        with pytest.raises((ValueError, AssertionError), match="deterministic"):
            AutoARModel(**SMALL).fit(samples)
        with pytest.raises(ValueError, match="Input `series` must be provided"):
            AutoARModel().predict(3)
        with pytest.raises(ValueError, match="must be fit"):
            AutoARModel().predict(3, univariate)

    def test_presets(self, univariate):
        paper, default = AutoARModel(4, preset="paper"), AutoARModel(4)
        assert paper.engine.config == default.engine.config
        assert (paper.engine.config.criterion, paper.engine.config.max_lookback) == ("horizon_bic", 512)
        with pytest.raises(ValueError, match="`preset='paper'` means `criterion='horizon_bic'`"):
            AutoARModel(preset="paper", criterion="aic")
        with pytest.raises(ValueError, match="`preset='paper'` means `strategy='recursive'`"):
            AutoARModel(preset="paper", strategy="auto")
        with pytest.raises(ValueError, match="`preset='paper'` means `pooling=None`"):
            AutoARModel(preset="paper", pooling="channel")
        with pytest.raises(ValueError, match="`preset` is 'best'"):
            AutoARModel(preset="best")

    def test_bad_arguments_are_value_errors(self):
        for arguments in (
            {"criterion": "mdl"},
            {"diff_order": 3},
            {"output_chunk_length": 0},
            {"device": "tpu"},
            {"strategy": "best"},
        ):
            with pytest.raises(ValueError, match=r"but must be"):
                AutoARModel(**arguments)

    def test_validation_series(self, univariate):
        model = AutoARModel(2, max_lookback=20, criterion="validation")
        with pytest.raises(ValueError, match="must reach beyond the training series"):
            model.fit(univariate[:150], val_series=univariate[:100])
        with pytest.raises(ValueError, match="frequency"):
            model.fit(univariate[:150], val_series=make_series(100, freq="D", start="2021-01-01"))
        with pytest.raises(ValueError, match="`val_series` has 1 series"):
            model.fit([univariate, univariate], val_series=[univariate])

    @pytest.mark.parametrize(
        ("strategy", "criterion"), [("recursive", "validation"), ("recursive", "bic"), ("auto", "horizon_bic")]
    )
    def test_a_validation_series_that_has_ended(self, strategy, criterion):
        first, ended = make_series(200, seed=3), make_series(120, seed=4)
        options = {"strategy": strategy, "criterion": criterion}
        model = AutoARModel(6, max_lookback=20, **options).fit([first[:150], ended], val_series=[first[150:], ended])
        engine = AutoAR(max_lookback=20, horizon=6, **options)
        rows = [first.values()[:150], ended.values()], [first.values()[150:], np.empty((0, 1))]
        expected = engine.fit(rows[0], validation=rows[1]).predict(6)
        for one, wanted in zip((first, ended), expected, strict=True):
            np.testing.assert_allclose(model.predict(6, one).values(), wanted.mean)

    def test_a_validation_series_shorter_than_the_horizon(self, univariate):
        model = AutoARModel(12, strategy="auto", max_lookback=20)
        message = "`val_series` reaches 5 steps at most past .* `output_chunk_length=12` needs at least 12; pass more"
        with pytest.raises(ValueError, match=message):
            model.fit(univariate[:150], val_series=univariate[140:155])
        model.fit(univariate[:150], val_series=univariate[140:162])

    def test_a_gap_before_the_validation_series_is_missing_data(self, univariate):
        model = AutoARModel(2, max_lookback=20, criterion="validation")
        model.fit(univariate[:100], val_series=univariate[104:])
        engine = AutoAR(max_lookback=20, criterion="validation", horizon=2)
        later = univariate.values()[100:]
        later[:4] = np.nan
        engine.fit(univariate.values()[:100], validation=later)
        np.testing.assert_array_equal(model.coefficients_, engine.coefficients_)


class TestPresentation:
    def test_descriptions(self, univariate):
        assert str(AutoARModel(6)) == "AutoARModel(output_chunk_length=6)"
        model = fitted(univariate, lookback=4, diff_order=1)
        assert repr(model).endswith("lookback 4, differencing 1")

    def test_plots(self, univariate):
        model = fitted(univariate)
        criterion, coefficients = Figure().subplots(1, 2)
        assert model.plot_criterion(criterion) is criterion
        np.testing.assert_array_equal(criterion.lines[0].get_ydata(), model.criterion_path_)
        assert criterion.lines[1].get_xdata()[0] == model.lookback_
        assert model.plot_coefficients(coefficients) is coefficients
        assert len(coefficients.collections[0].get_segments()) == model.lookback_
        with pytest.raises(ValueError, match="the lookback was given"):
            fitted(univariate, lookback=3).plot_criterion()

    def test_of_a_strategy(self, multivariate):
        model = AutoARModel(6, strategy="auto", max_lookback=20)
        assert str(model) == "AutoARModel(output_chunk_length=6, max_lookback=20, strategy=auto)"
        model.fit(multivariate)
        selection = model.selection_
        assert repr(model).endswith(
            f": strategy 'auto' of {len(selection.names)} candidates, context {model.context_length_}"
        )
        axes = Figure().subplots()
        assert model.plot_selection(axes) is axes
        order = np.argsort(selection.errors)
        assert [label.get_text() for label in axes.get_yticklabels()] == [selection.names[i] for i in order]
        lengths = np.array([bar.get_width() for bar in axes.patches])
        longest = min(selection.errors.max(), 3 * np.median([*selection.errors, selection.error]))
        np.testing.assert_allclose(lengths, np.minimum(selection.errors[order], longest))
        assert axes.lines[0].get_xdata()[0] == selection.error
        written = [text.get_text() for text in axes.texts]
        assert f"{100 * selection.weights.mean(0)[order[0]]:.0f} %" in written
        assert f"{selection.errors[order[-1]]:#.3g}" in written
        assert "over 6 steps on validation rows" in axes.get_title(loc="left")
        assert axes.get_xlabel().endswith("mean over 3 channels")
        assert model.plot_criterion(Figure().subplots()).get_ylabel() == "bic"
        with pytest.raises(ValueError, match="no selection to plot: strategy='recursive' with pooling='pooled'"):
            fitted(multivariate).plot_selection()

    @pytest.mark.parametrize("first", ["darts_autoar", "darts.models"])
    def test_import_from_darts(self, first):
        code = (
            f"import {first}, darts_autoar\n"
            "from darts.models import AutoARModel\n"
            "assert AutoARModel is darts_autoar.AutoARModel"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_importing_the_package_does_not_import_darts(self):
        code = "import sys, darts_autoar.plugin\nassert not {'darts', 'torch', 'pandas'} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)
