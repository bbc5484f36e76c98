"""KPSS equals statsmodels channel by channel; differencing folds into level coefficients."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from statsmodels.tsa.stattools import kpss

from dasha.autoar.differencing import _detrended, difference, kpss_order, kpss_statistic, level_coefficients
from dasha.autoar.pooling import summaries_kpss_order
from dasha.autoar.summary import summarise_many

Maker = Callable[[np.random.Generator, int], np.ndarray]

SERIES: dict[str, Maker] = {
    "white noise": lambda r, n: r.normal(size=n),
    "random walk": lambda r, n: r.normal(size=n).cumsum(),
    "integrated random walk": lambda r, n: r.normal(size=n).cumsum().cumsum(),
    "waves": lambda r, n: np.sin(np.arange(n) / 9) + 1e-3 * r.normal(size=n),
    "over-differenced": lambda r, n: np.diff(r.normal(size=n + 2), n=2),
    "trend and noise": lambda r, n: 0.1 * np.arange(n) + r.normal(size=n),
    "two values": lambda r, n: (r.random(n) < 0.3).astype(float),
    "zigzag": lambda r, n: np.arange(n) % 2 + 0.0,
}


def statsmodels_kpss(values: np.ndarray) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # outside the table of p-values; coming changes of the return type
        statistic, p_value = kpss(values, regression="ct", nlags="auto")[:2]
    return statistic, p_value


def statsmodels_order(channels: list[np.ndarray]) -> int:
    for order in (0, 1):
        if all(statsmodels_kpss(np.diff(channel, n=order))[1] >= 0.05 for channel in channels):
            return order
    return 2


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("steps", [12, 13, 30, 101, 1000])
def test_statistic_equals_statsmodels(name: str, steps: int) -> None:
    values = SERIES[name](np.random.default_rng(steps), steps)
    # statsmodels removes the trend by a pseudo-inverse, which costs it some digits
    assert kpss_statistic(_detrended(values)) == pytest.approx(statsmodels_kpss(values)[0], rel=1e-7)


@pytest.mark.parametrize("seed", range(30))
def test_order_equals_the_rule_with_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    makers = rng.choice(list(SERIES)[:6], size=rng.integers(1, 4))
    channels = [SERIES[name](rng, 80) for name in makers]
    assert kpss_order(channels) == statsmodels_order(channels)


def test_every_order_occurs() -> None:
    rng = np.random.default_rng(0)
    noise, walk = rng.normal(size=400), rng.normal(size=400).cumsum()
    assert kpss_order([noise]) == 0
    assert kpss_order([walk]) == 1
    assert kpss_order([noise, walk]) == 1  # one rejecting channel is enough
    assert kpss_order([noise.cumsum().cumsum().cumsum()]) == 2  # the cap
    assert kpss_order([walk], max_order=0) == 0


def test_one_rejecting_channel_of_twenty_is_tolerated() -> None:
    walk, line = np.random.default_rng(0).normal(size=400).cumsum(), np.arange(400.0)
    for walks, channels, order in ((1, 19, 1), (1, 20, 0), (2, 39, 1), (2, 40, 0)):
        quiet = [line] * (channels - walks)
        assert kpss_order([walk] * walks + quiet) == order
        assert summaries_kpss_order(summarise_many([walk] * walks + quiet, 5)) == order


@pytest.mark.parametrize(
    "values",
    [
        np.full(50, 3.0),
        np.arange(50.0),
        1e9 - 0.3 * np.arange(50.0),
        np.random.default_rng(0).normal(size=11).cumsum(),  # shorter than 12
        np.empty(0),
        np.full(30, np.nan),
    ],
    ids=["constant", "line", "line far away", "short", "empty", "missing"],
)
def test_channels_that_never_ask_for_differencing(values: np.ndarray) -> None:
    assert kpss_order([values]) == 0


def test_longest_gap_free_stretch_is_tested() -> None:
    rng = np.random.default_rng(0)
    walk, noise = rng.normal(size=300).cumsum(), rng.normal(size=200)
    assert kpss_order([np.concatenate([noise, [np.nan], walk, [np.nan], noise])]) == 1
    assert kpss_order([np.concatenate([walk, [np.nan], rng.normal(size=400)])]) == 0


def test_no_warning_and_no_filter_changed() -> None:
    filters = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kpss_order([np.random.default_rng(0).normal(size=100).cumsum()])
    assert warnings.filters == filters


def test_difference_spreads_missing_values() -> None:
    y = torch.tensor([[1.0, 2.0, 4.0, torch.nan, 11.0, 16.0]], dtype=torch.float64)
    assert difference(y, 0) is y
    assert difference(y, 1).nan_to_num(-1.0).tolist() == [[1.0, 2.0, -1.0, -1.0, 5.0]]
    assert difference(y, 2).shape == (1, 4)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("lookback", [0, 1, 4])
def test_level_coefficients_multiply_the_lag_polynomials(order: int, lookback: int) -> None:
    coefficients = np.random.default_rng(5).normal(size=(3, lookback))
    levels = level_coefficients(torch.from_numpy(coefficients), order).numpy()
    for phi, got in zip(coefficients, levels, strict=True):
        polynomial = np.r_[1.0, -phi]
        for _ in range(order):
            polynomial = np.convolve(polynomial, [1.0, -1.0])
        wanted = -polynomial[1:] if len(polynomial) > 1 else np.zeros(1)
        np.testing.assert_allclose(got, wanted, atol=1e-14)
