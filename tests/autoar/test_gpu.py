"""The GPU gives what the CPU gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dasha.autoar import AutoAR

from .brute import autoregressive

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def series() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    first = np.column_stack([autoregressive(rng, 900) for _ in range(3)]).cumsum(0)
    first[[100, 101, 500], 1] = np.nan
    return [first, autoregressive(rng, 300)[:, None], np.full((40, 1), 2.0)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"criterion": "horizon_bic", "horizon": 24},
        {"criterion": "validation", "horizon": 24, "diff_order": 2},
        {"lookback": 40, "diff_order": 0},
    ],
)
def test_equal_the_cpu(series: list[np.ndarray], settings: dict[str, Any], tmp_path: Any) -> None:
    cpu = AutoAR(max_lookback=64, device="cpu", **settings).fit(series)
    gpu = AutoAR(max_lookback=64, device="cuda", **settings).fit(series)
    assert gpu.lookback_ == cpu.lookback_
    np.testing.assert_allclose(gpu.criterion_path_, cpu.criterion_path_, rtol=1e-9)
    np.testing.assert_allclose(gpu.coefficients_, cpu.coefficients_, atol=1e-8)
    for ours, theirs in zip(gpu.predict(30), cpu.predict(30), strict=True):
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(ours.sigma, theirs.sigma, rtol=1e-8)
    origins = np.arange(1, 900, 37)
    for unseen in (False, True):
        ours = gpu.predict_origins(10, series[0], origins, series=None if unseen else 0, unseen=unseen)
        theirs = cpu.predict_origins(10, series[0], origins, series=None if unseen else 0, unseen=unseen)
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-6, atol=1e-6)
    gpu.save(tmp_path)
    moved = AutoAR.load(tmp_path, device="cpu")  # fitted on one device, used on another
    for ours, theirs in zip(moved.predict(30), gpu.predict(30), strict=True):
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-9, atol=1e-9)
