"""Series for the Darts tests."""

import numpy as np
import pandas as pd
import pytest
from darts import TimeSeries


def make_series(
    length=200, components=1, *, seed=0, freq="h", start="2020-01-01", scale=1.0, names=None, dtype="float64"
):
    """Daily cycle plus an auto-regressive component."""
    rng = np.random.default_rng(seed)
    noise = np.zeros((length, components))
    for step in range(1, length):
        noise[step] = 0.7 * noise[step - 1] + 0.3 * rng.standard_normal(components)
    cycle = np.sin(2 * np.pi * np.arange(length) / 12)[:, None] * rng.uniform(0.5, 2.0, components)
    values = scale * (5.0 + cycle + noise)
    times = pd.RangeIndex(length) if freq is None else pd.date_range(start, periods=length, freq=freq)
    values = values.astype(dtype)
    return TimeSeries.from_times_and_values(times, values, columns=names or [f"c{i}" for i in range(components)])


@pytest.fixture(scope="module")
def univariate():
    return make_series()


@pytest.fixture(scope="module")
def multivariate():
    return make_series(components=3, seed=1)
