"""The forecast object against the closed forms of the linear process it stands for."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from gluonts.model.forecast import SampleForecast
from scipy.stats import norm

from darts_autoar.gluonts_forecast import AutoARForecast
from dasha.types import GaussianForecast

LEAD, STEPS, CHANNELS = 2, 5, 3
PSI = 0.8 ** np.arange(LEAD + STEPS)
JOINT = GaussianForecast.of_innovations(
    np.arange((LEAD + STEPS) * CHANNELS, dtype=float).reshape(-1, 3), np.array([1.0, 2.0, 0.5]), PSI
)
STD = np.sqrt(np.cumsum(PSI**2))[LEAD:, None] * JOINT.sigma
START = pd.Period("2020-01-03", freq="D")


def forecast(**kwargs):
    return AutoARForecast(JOINT, START, **{"lead_time": LEAD, "item_id": "a", "info": {"k": 1}, **kwargs})


def covariance(sigma=1.0):
    lag = np.subtract.outer(np.arange(LEAD + STEPS), np.arange(LEAD + STEPS))
    response = np.where(lag >= 0, 0.8 ** lag.clip(min=0), 0.0)
    return (sigma**2 * response @ response.T)[LEAD:, LEAD:]


def test_mean_and_quantiles_are_exact_and_leave_out_the_lead_time():
    one = forecast()
    np.testing.assert_array_equal(one.mean, JOINT.mean[LEAD:])
    np.testing.assert_allclose(one.std, STD)
    for level in (0.9, "0.9", "p90", np.float32(0.9)):
        np.testing.assert_allclose(one.quantile(level), JOINT.mean[LEAD:] + norm.ppf(0.9) * STD, rtol=1e-6)
    np.testing.assert_array_equal(one["mean"], one.mean)
    np.testing.assert_allclose(one["median"], one.mean)
    assert one.index.equals(pd.period_range("2020-01-03", periods=STEPS, freq="D"))
    assert (one.prediction_length, one.dim(), one.freq.freqstr) == (STEPS, CHANNELS, "D")
    assert repr(one).startswith("AutoARForecast(item_id='a', start_date=2020-01-03, prediction_length=5, dim=3")
    with pytest.raises(ValueError, match=r"quantile level is 1.0, but must lie strictly between 0 and 1"):
        one.quantile(1.0)


def test_univariate_arrays_have_no_channel_axis():
    one = AutoARForecast(
        GaussianForecast.of_innovations(JOINT.mean[:, :1], JOINT.sigma[:1], PSI), START, weights=np.ones(1)
    )
    assert one.mean.shape == one.quantile(0.1).shape == (LEAD + STEPS,)
    assert one.samples.shape == (100, LEAD + STEPS)
    assert one.dim() == 1
    assert one.copy_dim(0) is one
    assert one.copy_aggregate(np.sum) is one
    assert isinstance(one.mean_ts, pd.Series)


def test_paths_are_correlated_over_the_steps_as_the_process_says():
    paths = forecast(num_samples=40_000).samples
    for channel, sigma in enumerate(JOINT.sigma):
        found = np.cov(paths[:, :, channel].T)
        np.testing.assert_allclose(found, covariance(sigma), atol=0.04 * sigma**2 * covariance().max())
        np.testing.assert_allclose(paths[:, :, channel].mean(0), JOINT.mean[LEAD:, channel], atol=0.04 * sigma)


def test_paths_depend_on_the_seed_alone():
    np.testing.assert_array_equal(forecast(seed=(3, 4)).samples, forecast(seed=(3, 4)).samples)
    assert not np.array_equal(forecast(seed=(3, 4)).samples, forecast(seed=(3, 5)).samples)
    drawn = forecast(num_samples=7).to_sample_forecast(7)
    assert isinstance(drawn, SampleForecast)
    np.testing.assert_array_equal(drawn.samples, forecast(num_samples=7).samples)
    assert (drawn.item_id, drawn.info, drawn.start_date) == ("a", {"k": 1}, START)
    assert forecast().to_sample_forecast().samples.shape == (200, STEPS, CHANNELS)


def test_a_copied_channel_is_that_channel_paths_included():
    for channel in range(CHANNELS):
        copy = forecast().copy_dim(channel)
        np.testing.assert_array_equal(copy.mean, JOINT.mean[LEAD:, channel])
        np.testing.assert_allclose(copy.quantile(0.2), forecast().quantile(0.2)[:, channel])
        np.testing.assert_array_equal(copy.samples, forecast().samples[:, :, channel])
        assert (copy.dim(), copy.item_id, copy.info, copy.start_date) == (1, "a", {"k": 1}, START)
    with pytest.raises(ValueError, match=r"dim is 3, but must be one of the channels 0 … 2"):
        forecast().copy_dim(3)


def test_a_missing_channel_does_not_spoil_the_others():
    mean = JOINT.mean.copy()
    mean[:, 1] = np.nan
    one = AutoARForecast(GaussianForecast.of_innovations(mean, np.array([1.0, np.nan, 2.0]), PSI), START)
    assert np.isfinite(one.copy_dim(2).quantile(0.9)).all()
    assert np.isfinite(one.copy_dim(2).samples).all()
    assert np.isnan(one.copy_dim(1).mean).all()


@pytest.mark.parametrize(("function", "weights"), [(np.sum, [1, 1, 1]), (np.mean, [1 / 3] * 3)])
def test_linear_aggregates_are_exact(function, weights):
    one = forecast().copy_aggregate(function)
    np.testing.assert_allclose(one.mean, function(JOINT.mean[LEAD:], axis=1))
    np.testing.assert_allclose(one.std, np.sqrt((STD**2) @ np.square(weights)))
    np.testing.assert_allclose(one.samples, function(forecast().samples, axis=2))


@pytest.mark.parametrize("function", [np.max, np.median, lambda values, axis: values.sum(axis) + 1])
def test_other_aggregates_are_aggregated_paths(function):
    one = forecast().copy_aggregate(function)
    assert isinstance(one, SampleForecast)
    np.testing.assert_array_equal(one.samples, function(forecast().samples, axis=2))


def test_pickles():
    for one in (forecast(), forecast().copy_dim(1), forecast().copy_aggregate(np.sum)):
        again = pickle.loads(pickle.dumps(one))
        np.testing.assert_array_equal(again.quantile(0.7), one.quantile(0.7))
        np.testing.assert_array_equal(again.samples, one.samples)


def test_series_with_times():
    assert list(forecast().mean_ts.columns) == [0, 1, 2]
    assert forecast().mean_ts.index.equals(forecast().index)
    assert forecast().copy_dim(0).quantile_ts("p10").index.equals(forecast().index)


def test_plot_draws_every_channel_once():
    figure, ax = plt.subplots()
    forecast().plot(ax=ax, name="load", intervals=(0.8,))
    assert [line.get_label() for line in ax.lines] == ["load 0", "load 1", "load 2"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), JOINT.mean[LEAD:, 1])
    assert len(ax.collections) == 3
    plt.close(figure)
