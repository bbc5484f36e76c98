"""AutoAREstimator with mode="zero-shot"."""

import json
import warnings

import numpy as np
import pytest
from gluonts.core.component import equals
from gluonts.dataset.split import split
from gluonts.ev.metrics import MSE
from gluonts.model import evaluate_model
from gluonts.model.predictor import ParallelizedPredictor, Predictor

from darts_autoar import AutoAREstimator
from dasha.autoar import AutoAR
from dasha.errors import InvalidSeriesError

from .conftest import cut, make_entry

STEPS = 6


def trained(data, validation=None, **kwargs):
    options = {"prediction_length": STEPS, "max_lookback": 60, "mode": "zero-shot", **kwargs}
    return AutoAREstimator(**options).train(data, validation)


def one_of(predictor, entry):
    return next(iter(predictor.predict([entry])))


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("lead_time", [0, 2])
def test_forecasts_are_those_of_the_engine(channels, lead_time):
    predictor = trained([make_entry(20, seed=8)], lead_time=lead_time)  # what it was trained on plays no part
    entry = make_entry(100, channels, seed=1)
    values = np.atleast_2d(entry["target"]).T
    expected = AutoAR(mode="zero-shot", max_lookback=60).predict(lead_time + STEPS, values)
    forecast = one_of(predictor, entry)
    shape = (STEPS,) if channels is None else (STEPS, channels)
    for got, want in (
        (forecast.mean, expected.mean),
        (forecast.std, expected.std),
        (forecast.quantile(0.9), expected.quantile(0.9)),
    ):
        np.testing.assert_allclose(got, want[lead_time:].reshape(shape), rtol=1e-12)
    assert forecast.start_date == entry["start"] + 100 + lead_time
    assert forecast.samples.shape == (100, *shape)
    np.testing.assert_allclose(forecast.to_sample_forecast(4000).samples.std(0), forecast.std, rtol=0.1)
    assert (predictor.context_length_, predictor.selection_) == (60, None)


def test_sums_of_channels_with_processes_of_their_own_are_exact():
    entry = make_entry(100, 3, seed=2)
    entry["target"][1] = np.cumsum(entry["target"][1] - 10)
    forecast = one_of(trained([entry]), entry)
    assert not np.allclose(forecast.std[:, 0] / forecast.std[0, 0], forecast.std[:, 1] / forecast.std[0, 1])
    total = forecast.copy_aggregate(np.sum)
    np.testing.assert_allclose(total.mean, forecast.mean.sum(1))
    np.testing.assert_allclose(total.std, np.sqrt((forecast.std**2).sum(1)))
    np.testing.assert_allclose(total.samples, forecast.samples.sum(2))
    np.testing.assert_allclose(total.to_sample_forecast(4000).samples.std(0), total.std, rtol=0.1)
    np.testing.assert_array_equal(forecast.copy_dim(1).samples, forecast.samples[..., 1])
    np.testing.assert_allclose(forecast.copy_dim(1).quantile(0.2), forecast.quantile(0.2)[:, 1])


def test_short_and_missing_series_need_no_warning():
    short = make_entry(1, item_id="short")
    missing = make_entry(30, item_id="missing")
    missing["target"][:] = np.nan
    empty = make_entry(0, item_id="empty")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor = trained([missing, short, empty])
        forecasts = [one_of(predictor, entry).mean for entry in (short, missing, empty, make_entry(5))]
    assert [np.isfinite(mean).all() for mean in forecasts] == [True, False, False, True]
    assert np.isnan(forecasts[1]).all()
    assert np.isnan(forecasts[2]).all()
    with pytest.raises(InvalidSeriesError, match="training_data is empty"):
        trained([])
    with pytest.raises(InvalidSeriesError, match="has frequency 'h', but freq is 'D'"):
        trained([short], freq="D")


def test_nothing_of_the_training_data_is_kept(tmp_path):
    entry = make_entry(100, seed=3)
    predictor, other = trained([entry], [make_entry(120, seed=3)]), trained([make_entry(30, seed=4, item_id="b")])
    assert equals(predictor, other)
    assert not equals(predictor, trained([entry], max_lookback=50))
    assert not equals(predictor, trained([entry], lead_time=1))
    predictor.serialize(tmp_path)
    again = Predictor.deserialize(tmp_path)
    assert equals(again, predictor)
    np.testing.assert_array_equal(one_of(again, entry).samples, one_of(predictor, entry).samples)
    stored = json.loads((tmp_path / "predictor.json").read_text())
    assert str(entry["target"][-1]) not in json.dumps(stored)


def test_inside_gluonts():
    data = [make_entry(90, seed=number, item_id=f"s{number}") for number in range(3)]
    train, template = split(data, offset=-STEPS)
    predictor = trained(list(train))
    test = template.generate_instances(STEPS)
    scores = evaluate_model(predictor, test_data=test, metrics=[MSE()], seasonality=1)
    squares = [
        np.square(forecast.mean - label["target"]).mean()
        for forecast, label in zip(predictor.predict(test.input), test.label, strict=True)
    ]
    assert float(np.ravel(scores)[0]) == pytest.approx(np.mean(squares))
    own = [forecast.mean for forecast in predictor.predict(data)]
    parallel = [forecast.mean for forecast in ParallelizedPredictor(predictor, num_workers=2).predict(data)]
    np.testing.assert_array_equal(np.sort(own, axis=0), np.sort(parallel, axis=0))
    # other rows than the last 60 play no part, nor does the name
    np.testing.assert_allclose(one_of(predictor, cut(data[0], 30)).mean, own[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lookback", 3), ("criterion", "bic"), ("validation_fraction", 0.3), ("strategy", "auto"), ("pooling", "pooled")],
)
def test_arguments_of_training_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} is {value!r}, but mode='zero-shot' learns nothing"):
        AutoAREstimator(prediction_length=STEPS, mode="zero-shot", **{name: value})


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'few-shot', but must be one of 'trained', 'zero-shot'"):
        AutoAREstimator(prediction_length=STEPS, mode="few-shot")
