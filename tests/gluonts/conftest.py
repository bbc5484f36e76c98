"""Data sets for the GluonTS tests."""

import numpy as np
import pandas as pd
import pytest


def make_entry(length=200, channels=None, *, seed=0, item_id="a", freq="h", start="2020-01-01", **fields):
    """Entry with a cycle of 12 steps plus noise; without channels the target is one-dimensional."""
    rng = np.random.default_rng(seed)
    shape = (length,) if channels is None else (channels, length)
    cycle = np.sin(2 * np.pi * np.arange(length) / 12) * (
        1.0 if channels is None else np.arange(1, channels + 1)[:, None]
    )
    entry = {"start": pd.Period(start, freq=freq), "target": 10 + cycle + 0.3 * rng.standard_normal(shape), **fields}
    return entry if item_id is None else {**entry, "item_id": item_id}


def cut(entry, start=None, stop=None):
    """Rows ``start:stop`` of an entry, at their own times."""
    return {**entry, "start": entry["start"] + (start or 0), "target": entry["target"][..., start:stop]}


@pytest.fixture(scope="module")
def univariate():
    return [make_entry(150 + 20 * number, seed=number, item_id=f"s{number}") for number in range(4)]


@pytest.fixture(scope="module")
def multivariate():
    return [make_entry(160 + 20 * number, 3, seed=number, item_id=f"m{number}") for number in range(2)]
