"""Moments by displacement equal those of explicit windows, however the data is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dasha.autoar import moments as engine
from dasha.autoar.moments import WindowMoments, window_moments
from dasha.errors import InvalidArgumentError

from .brute import Channels, block, explicit_windows


def assert_explicit(moments: WindowMoments, channels: Channels, length: int) -> None:
    """Entries within 1e-13 of the largest entry, counts exactly."""
    windows = explicit_windows(channels, length)
    scale = max(1.0, sum(float(np.nansum(channel**2)) for channel in channels))
    assert moments.count == len(windows)
    assert moments.length == length
    np.testing.assert_allclose(moments.total.numpy(), windows.sum(0), rtol=0, atol=1e-13 * scale)
    np.testing.assert_allclose(moments.gram.numpy(), windows.T @ windows, rtol=0, atol=1e-13 * scale)


def with_gaps(values: np.ndarray, *gaps: int | slice) -> np.ndarray:
    values = values.copy()
    for gap in gaps:
        values[gap] = np.nan
    return values


CASES = {
    "one channel": lambda r: [r.normal(size=60)],
    "three channels": lambda r: list(r.normal(size=(3, 60))),
    "gap inside": lambda r: [with_gaps(r.normal(size=60), 30), r.normal(size=60)],
    "gaps at both ends": lambda r: [with_gaps(r.normal(size=60), slice(0, 4), slice(55, 60))],
    "neighbouring gaps": lambda r: [with_gaps(r.normal(size=60), 20, 22, 31, slice(40, 50))],
    "stretches of just the length": lambda r: [with_gaps(r.normal(size=19), 5, 11, 13)],
    "nothing but gaps": lambda r: [np.full(60, np.nan), r.normal(size=60)],
    "padded at the end": lambda r: [r.normal(size=60), r.normal(size=33), r.normal(size=4)],
    "exactly one window": lambda r: [r.normal(size=5)],
    "too short": lambda r: [r.normal(size=4)],
    "a level far from zero": lambda r: [100 + r.normal(size=60)],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("elements", [1 << 21, 64, 1])
def test_equal_explicit_windows(case: str, length: int, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BLOCK_ELEMENTS", elements)  # small: many partitions of time and of channels
    channels = CASES[case](np.random.default_rng(0))
    assert_explicit(window_moments([block(channels)], length), channels, length)


@pytest.mark.parametrize("length", [1, 2, 7, 63, 64, 65, 127])
def test_every_length_around_a_power_of_two(length: int) -> None:
    channels = list(np.random.default_rng(1).normal(size=(2, 150)))
    assert_explicit(window_moments([block(channels)], length), channels, length)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    length=st.integers(1, 12),
    missing=st.floats(0.0, 0.4),
    elements=st.sampled_from([1, 100, 1 << 21]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_pattern_of_gaps(lengths: list[int], length: int, missing: float, elements: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    channels = [np.where(rng.random(n) < missing, np.nan, rng.normal(size=n)) for n in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_BLOCK_ELEMENTS", elements)
        moments = window_moments([block(channels)], length)
    assert_explicit(moments, channels, length)


def test_blocks_add_up() -> None:
    rng = np.random.default_rng(2)
    first, second = list(rng.normal(size=(2, 50))), [with_gaps(rng.normal(size=80), 7, 40)]
    together = window_moments([block(first), block(second)], 6)
    added = window_moments([block(first)], 6) + window_moments([block(second)], 6)
    assert_explicit(together, first + second, 6)
    assert_explicit(added, first + second, 6)


def test_partitions_of_time_that_overlap_by_a_window_less_one_add_up() -> None:
    values = with_gaps(np.random.default_rng(3).normal(size=100), 33)
    length, cuts = 8, [0, 20, 21, 60, 93]  # windows start in [cut, next cut)
    parts = [values[a : b + length - 1] for a, b in zip(cuts, [*cuts[1:], 93], strict=True)]
    total = WindowMoments.zeros(length)
    for part in parts:
        total = total + window_moments([block([part])], length)
    assert_explicit(total, [values], length)


def test_no_blocks_are_no_windows() -> None:
    moments = window_moments([], 3)
    assert moments.count == 0
    assert moments.gram.shape == (3, 3)
    assert not moments.gram.any()


def test_moments_of_other_lengths_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="windows of 3 and of 4 values cannot be added"):
        WindowMoments.zeros(3) + WindowMoments.zeros(4)


def test_the_input_is_left_alone() -> None:
    values = block([with_gaps(np.random.default_rng(4).normal(size=40), 3)])
    before = values.clone()
    window_moments([values], 5)
    assert torch.equal(values.nan_to_num(9e9), before.nan_to_num(9e9))
