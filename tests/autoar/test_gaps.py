"""Short gaps are bridged before anything is estimated; long ones cut a series, and say so where it matters."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasha.autoar import AutoAR
from dasha.autoar.array_data import ArrayData
from dasha.autoar.config import AutoARConfig
from dasha.autoar.gaps import LONGEST_BRIDGE, bridge, bridged
from dasha.errors import DashaWarning

from .brute import autoregressive
from .brute import bridge as bridged_slowly


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=12), seed=st.integers(0, 2**32 - 1))
def test_bridges_equal_those_made_one_by_one(pieces: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [part for count, gap in pieces for part in (1e3 + rng.normal(size=count), np.full(gap, np.nan))]
    values = np.concatenate([np.empty(0), *parts])
    before = values.copy()
    np.testing.assert_allclose(bridged(values), bridged_slowly(values), rtol=1e-14)
    np.testing.assert_array_equal(values, before)


def test_a_single_bridge() -> None:
    np.testing.assert_allclose(bridge(1.0, 5.0, 3), [2.0, 3.0, 4.0])
    assert np.isnan(bridge(1.0, 5.0, LONGEST_BRIDGE + 1)).all()


def season(seed: int, steps: int) -> np.ndarray:
    return autoregressive(np.random.default_rng(seed), steps) + 8 * np.sin(np.arange(steps) * np.pi / 12)


@pytest.mark.parametrize("options", [{"criterion": "horizon_bic"}, {"strategy": "auto"}, {"strategy": "direct"}])
def test_scattered_gaps_hardly_change_a_fit(options: dict[str, str]) -> None:
    y = season(0, 1500)
    rng = np.random.default_rng(1)
    with_gaps = np.where(rng.random(1200) < 0.05, np.nan, y[:1200])
    origins = range(1200, 1476)
    target = np.lib.stride_tricks.sliding_window_view(y, 24)[origins]
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", DashaWarning)
        for train in (y[:1200], with_gaps):
            model = AutoAR(horizon=24, max_lookback=96, **options).fit(train)
            errors.append(float(((model.predict_origins(24, y, origins).mean[..., 0] - target) ** 2).mean()))
            if "strategy" not in options:
                assert model.lookback_ > 20
    assert errors[1] < 1.1 * errors[0]


def test_a_context_is_filled_from_the_past_alone() -> None:
    y = season(2, 600)
    y[590:593] = np.nan
    model = AutoAR(max_lookback=48, criterion="bic").fit(y)
    changed = y.copy()
    changed[593:] += 5.0
    before, after = (model.predict_origins(6, series, [593]).mean for series in (y, changed))
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(model.predict(6).mean, model.predict(6, y).mean, rtol=1e-12)


def test_no_bridge_leads_from_training_to_validation_rows_while_choosing() -> None:
    y = season(3, 400)[:, None]
    y[296:303] = np.nan
    config = AutoARConfig(criterion="validation", horizon=12, max_lookback=24)
    y[[302], 0] = season(3, 400)[302]
    data = ArrayData.of(config, [y[:300]], [y[300:]])
    assert np.isnan(data.fitting.panel.channels[0][296:]).all()
    assert not np.isnan(data.everything.panel.channels[0]).any()


def test_long_gaps_that_leave_few_lookbacks_are_told() -> None:
    y = season(4, 1200)
    y[np.arange(1200) % 40 < LONGEST_BRIDGE + 1] = np.nan
    with pytest.warns(DashaWarning, match=r"gaps of more than 6 steps leave stretches of at most 33 steps, so that"):
        model = AutoAR(max_lookback=96, criterion="bic").fit(y)
    assert len(model.criterion_path_) <= 33
