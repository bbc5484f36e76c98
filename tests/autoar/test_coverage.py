"""Do the quantiles hold on real series that the model has not seen?"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dasha.autoar import AutoAR

datasets = pytest.importorskip("statsmodels.api", reason="the real series come with statsmodels").datasets


def coverage(values: np.ndarray, first: int, horizon: int) -> tuple[float, float]:
    """Share of the later values inside the 80 % interval, and below the median, over all origins."""
    model = AutoAR(strategy="auto", horizon=horizon, max_lookback=120).fit(values[:first])
    origins = np.arange(first, len(values) - horizon + 1)
    forecast = model.predict_origins(horizon, values, origins, series=0)
    actual = values[origins[:, None] + np.arange(horizon)]
    known = ~np.isnan(actual)
    inside = (actual >= forecast.quantile(0.1)) & (actual <= forecast.quantile(0.9))
    return float(inside[known].mean()), float((actual <= forecast.quantile(0.5))[known].mean())


def series(name: str) -> np.ndarray:
    frame = getattr(datasets, name).load_pandas().data
    return {
        "sunspots": lambda: frame[["SUNACTIVITY"]].to_numpy(),  # years
        "co2": lambda: frame[["co2"]].to_numpy(),  # weeks, with gaps
        "elnino": lambda: frame.iloc[:, 1:].to_numpy().reshape(-1, 1),  # months
    }[name]()


@pytest.mark.parametrize(("name", "first", "horizon"), [("sunspots", 200, 10), ("co2", 1500, 26), ("elnino", 500, 12)])
def test_quantiles_hold_on_real_series(name: str, first: int, horizon: int) -> None:
    inside, below = coverage(series(name), first, horizon)
    assert 0.7 <= inside <= 0.9
    assert 0.3 <= below <= 0.6


@pytest.mark.slow
def test_quantiles_hold_on_transformer_temperatures() -> None:
    folder = os.environ.get("DASHA_DATA")
    found = sorted(Path(folder).rglob("ETTh1.csv")) if folder else []
    if not found:
        pytest.skip("set DASHA_DATA to a folder that holds ETTh1.csv")
    values = pd.read_csv(found[0]).iloc[:11520, 1:].to_numpy(dtype=np.float64)
    inside, below = coverage(values, 8640, 96)
    assert 0.7 <= inside <= 0.9
    assert 0.4 <= below <= 0.6
