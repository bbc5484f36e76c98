"""AutoARModel with mode="zero-shot"."""

import copy

import numpy as np
import pytest
from matplotlib.figure import Figure

from darts_autoar import AutoARModel
from dasha.autoar import AutoAR
from dasha.errors import NotFittedError

from .conftest import make_series
from .test_darts_model import assert_same_forecasts


def zero_shot(series, **kwargs):
    options = {"output_chunk_length": 4, "max_lookback": 60, "random_state": 1, **kwargs}
    return AutoARModel(mode="zero-shot", **options).fit(series)


@pytest.mark.parametrize("diff_order", ["kpss", 1])
def test_forecasts_are_those_of_the_engine(diff_order, multivariate):
    model = zero_shot(make_series(50, 3, seed=9), diff_order=diff_order)
    expected = AutoAR(mode="zero-shot", max_lookback=60, diff_order=diff_order).predict(9, multivariate.values())
    forecast = model.predict(9, multivariate)
    np.testing.assert_array_equal(forecast.values(), expected.mean)
    assert forecast.start_time() == multivariate.end_time() + multivariate.freq
    assert model.output_chunk_length == 4
    assert model.context_length_ == 60
    parameters = model.predict(4, multivariate, predict_likelihood_parameters=True).values().reshape(4, 3, 2)
    np.testing.assert_allclose(parameters, np.stack([expected.mean, expected.std], axis=-1)[:4])
    quantiles = model.predict_quantiles(9, (0.1, 0.5), multivariate).values().reshape(9, 3, 2)
    np.testing.assert_allclose(quantiles[..., 0], expected.quantile(0.1))
    np.testing.assert_array_equal(quantiles[..., 1], expected.mean)
    paths = model.predict(9, multivariate, num_samples=2000, random_state=3).all_values()
    assert paths.shape == (9, 3, 2000)
    np.testing.assert_allclose(paths.std(-1), expected.std, rtol=0.1)


def test_what_was_fitted_plays_no_part(univariate):
    models = [zero_shot(make_series(length, seed=length, scale=1e3)) for length in (1, 90)]
    forecasts = [model.predict(6, univariate) for model in [*models, zero_shot(univariate)]]
    assert_same_forecasts(forecasts[:1] * 2, forecasts[1:])
    both = zero_shot([univariate, make_series(70, seed=2)]).predict(6, [univariate, univariate[-60:]])
    assert_same_forecasts(both, forecasts[:2])


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_few_steps_are_enough(length, univariate):
    model = zero_shot(univariate[:length])
    assert model.min_train_series_length == 5  # what Darts retrains on; `fit` and `predict` ask for less
    assert model.extreme_lags[:2] == (-1, 3)
    assert np.isfinite(model.predict(7).values()).all()
    assert np.isfinite(model.predict(7, univariate[50 : 50 + length]).values()).all()
    with pytest.raises(ValueError, match="has no steps, but a forecast needs at least one"):
        model.predict(7, univariate[:0])
    with pytest.raises(ValueError, match="has 3 components, but the model was fitted on 1"):
        model.predict(7, make_series(20, 3))


@pytest.mark.parametrize(
    "options",
    [
        {"forecast_horizon": 4, "stride": 7},
        {"forecast_horizon": 6, "last_points_only": False, "stride": 9, "overlap_end": True},
        {"forecast_horizon": 4, "predict_likelihood_parameters": True, "start": 0.8},
    ],
)
@pytest.mark.parametrize("kind", ["seen", "list", "gaps"])
def test_fast_path_equals_slow_path(options, kind, multivariate):
    model, series = zero_shot(multivariate[:90]), multivariate[:110]
    if kind == "list":
        series = [series, make_series(50, 3, seed=5)]
    elif kind == "gaps":
        values = series.values()
        values[[0, 1, 60, 61, 99], [0, 1, 1, 2, 0]] = np.nan
        series = series.with_values(values)
    fast, slow = (
        model.historical_forecasts(series, retrain=False, enable_optimization=on, show_warnings=False, **options)
        for on in (True, False)
    )
    assert_same_forecasts(fast, slow)


def test_historical_forecasts_begin_after_the_first_step(univariate):
    model = zero_shot(univariate)
    forecasts = model.historical_forecasts(univariate[:12], retrain=False, forecast_horizon=1)
    assert forecasts.start_time() == univariate.time_index[1]
    retrained = model.historical_forecasts(univariate[:12], retrain=True, forecast_horizon=1)
    assert_same_forecasts(retrained, forecasts[-len(retrained) :])
    many = model.historical_forecasts(univariate[:30], retrain=False, forecast_horizon=2, num_samples=20)
    assert many.n_samples == 20


@pytest.mark.parametrize("clean", [False, True])
def test_save_load_clone_and_copy(clean, univariate, tmp_path):
    model = zero_shot(univariate)
    model.save(str(tmp_path / "model.pkl"), clean=clean)
    loaded = AutoARModel.load(str(tmp_path / "model.pkl"))
    for other in (loaded, copy.deepcopy(model), model.untrained_model().fit(univariate)):
        assert_same_forecasts(other.predict(5, univariate), model.predict(5, univariate))
        assert (other.output_chunk_length, other.engine.config) == (4, model.engine.config)
    np.testing.assert_array_equal(
        loaded.predict(5, univariate, num_samples=3).all_values(),
        model.predict(5, univariate, num_samples=3).all_values(),
    )
    if clean:
        assert univariate.values()[-60:].tobytes() not in (tmp_path / "model.pkl").read_bytes()
    else:
        assert_same_forecasts(loaded.predict(5), model.predict(5))


def test_inside_conformal_and_ensemble_models(univariate):
    from darts.models import ConformalNaiveModel, NaiveEnsembleModel

    conformal = ConformalNaiveModel(zero_shot(univariate), quantiles=[0.1, 0.5, 0.9], cal_length=20)
    assert np.isfinite(conformal.predict(3, univariate, predict_likelihood_parameters=True).values()).all()
    members = [AutoARModel(4, mode="zero-shot"), AutoARModel(4, max_lookback=10)]
    assert np.isfinite(NaiveEnsembleModel(members).fit(univariate).predict(3).values()).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lookback", 3),
        ("criterion", "bic"),
        ("criterion", "validation"),
        ("validation_fraction", 0.3),
        ("strategy", "direct"),
        ("pooling", "channel"),
    ],
)
def test_arguments_of_training_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} is {value!r}, but mode='zero-shot' learns nothing"):
        AutoARModel(4, mode="zero-shot", **{name: value})


def test_other_refusals(univariate):
    with pytest.raises(ValueError, match="mode is 'few-shot', but must be one of 'trained', 'zero-shot'"):
        AutoARModel(mode="few-shot")
    with pytest.raises(ValueError, match="`preset='paper'` means `mode='trained'`, but `mode='zero-shot'` was given"):
        AutoARModel(mode="zero-shot", preset="paper")
    with pytest.raises(ValueError, match="output_chunk_length is 0, but must be an integer of at least 1"):
        AutoARModel(0, mode="zero-shot")
    model = zero_shot(univariate)
    assert repr(model).endswith("zero-shot: nothing is learned from training data")
    assert model.selection_ is None
    for name in ("lookback_", "diff_order_", "coefficients_", "intercept_"):
        with pytest.raises(NotFittedError, match="exist with mode='trained' only"):
            getattr(model, name)
    axes = Figure().subplots()
    for draw, reason in (
        (model.plot_criterion, "no criterion to plot"),
        (model.plot_selection, "no selection to plot"),
    ):
        with pytest.raises(ValueError, match=rf"{reason}: mode='zero-shot'"):
            draw(axes)
