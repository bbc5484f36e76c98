"""A channel summary gives what the rows give, however the rows are cut and merged."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial, reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from dasha.autoar import summary
from dasha.autoar.differencing import _detrended, kpss_order, kpss_statistic
from dasha.autoar.moments import window_moments
from dasha.autoar.panel import Panel, gap_free_lengths
from dasha.autoar.pooling import channel_scales, pooled_window_moments, summaries_kpss_order
from dasha.autoar.stretch import kpss_statistic as summed_kpss_statistic
from dasha.autoar.summary import ChannelSummary, merge
from dasha.autoar.summary_arrays import from_arrays, to_arrays
from dasha.errors import InvalidArgumentError, InvalidSeriesError, StateFileError

from .brute import autoregressive, bridge, explicit_windows

Maker = Callable[[np.random.Generator, int], np.ndarray]

SERIES: dict[str, Maker] = {
    "noise": lambda r, n: r.normal(size=n),
    "far from zero": lambda r, n: 1e4 + r.normal(size=n),
    "very far from zero": lambda r, n: -1e8 + r.normal(size=n),
    "tiny": lambda r, n: 1e-9 * r.normal(size=n),
    "random walk": lambda r, n: r.normal(size=n).cumsum(),
    "integrated random walk": lambda r, n: r.normal(size=n).cumsum().cumsum(),
    "auto-regression": lambda r, n: autoregressive(r, n, (0.6, 0.2, 0.15)),
    "steep trend": lambda r, n: 1e4 * np.arange(n) / n + r.normal(size=n),
    "steep trend far away": lambda r, n: 1e6 - 1e5 * np.arange(n) / n + r.normal(size=n),
    "outlier at the start": lambda r, n: np.r_[1e5, r.normal(size=n - 1)],
    "waves": lambda r, n: np.sin(np.arange(n) / 9) + 1e-3 * r.normal(size=n),
    "whole numbers": lambda r, n: r.integers(0, 4, size=n).astype(float),
}


# With the fewest lags, 128, a stretch of more than 640 rows is held as sums.
gap = partial(summary.gap, kpss_lags=0)
summarise = partial(summary.summarise, kpss_lags=0)
summarise_many = partial(summary.summarise_many, kpss_lags=0)


def cut(values: np.ndarray, where: list[int], max_length: int, kpss_lags: int = 0) -> list[ChannelSummary]:
    return summarise_many(np.split(values, sorted(where)), max_length, kpss_lags=kpss_lags)


def tree(pieces: list[ChannelSummary], rng: np.random.Generator) -> ChannelSummary:
    """Merge neighbours in a random order."""
    pieces = list(pieces)
    while len(pieces) > 1:
        at = int(rng.integers(len(pieces) - 1))
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return pieces[0]


def assert_moments(one: ChannelSummary, values: np.ndarray, lengths: list[int]) -> None:
    """Moments of windows within 1e-10 of their largest entry, for every differencing order."""
    values = bridge(values)
    observed = values[~np.isnan(values)]
    mean, std = (observed.mean(), observed.std() or 1.0) if observed.size else (0.0, 1.0)
    for order in (0, 1, 2):
        standardised = np.diff(values, n=order) / std if order else (values - mean) / std
        for length in lengths:
            windows = explicit_windows([standardised], length)
            scale = max(1e-300, float((windows**2).sum(0).max(initial=0.0)))
            moments = pooled_window_moments([one], length, diff_order=order, mean=np.array([mean]), std=np.array([std]))
            assert moments.count == len(windows)
            # Differences can be much smaller than the rounding of the standardised levels.
            rounding = 1e-15 * np.abs(observed).max(initial=0.0) / std
            atol = 1e-10 * scale + rounding * np.sqrt(scale * len(windows)) + rounding**2 * len(windows)
            np.testing.assert_allclose(moments.gram.numpy(), windows.T @ windows, rtol=0, atol=atol)
            atol = 1e-10 * np.sqrt(scale * len(windows)) + rounding * len(windows)
            np.testing.assert_allclose(moments.total.numpy(), windows.sum(0), rtol=0, atol=atol)


def assert_rows(one: ChannelSummary, values: np.ndarray) -> None:
    """Everything that a summary says of its rows."""
    filled = bridge(values)
    observed = filled[~np.isnan(filled)]
    assert one.rows == len(values)
    assert one.count == (~np.isnan(values)).sum()
    np.testing.assert_array_equal(one.lengths, gap_free_lengths(filled))
    if observed.size:
        assert (one.low, one.high) == (observed.min(), observed.max())
        assert (one.first, one.last) == (observed[0], observed[-1])
        assert one.varies == (observed.max() > observed.min())
        spread = max(observed.std(), np.finfo(float).tiny)
        assert one.mean == pytest.approx(observed.mean(), rel=1e-14, abs=1e-10 * spread)
        assert one.std == pytest.approx(observed.std() if one.varies else 0.0, rel=1e-10)
    else:
        assert np.isnan([one.mean, one.first, one.last]).all()
        assert one.std == 0.0
    np.testing.assert_array_equal(
        one.last_values(one.max_length + 1), values[max(0, len(values) - one.max_length - 1) :]
    )


PIECES = st.lists(
    st.tuples(
        st.sampled_from(["noise", "constant", "trend", "zero", "missing", "holes"]),
        st.sampled_from([0, 1, 2, 3, 5, 8, 13, 40, 41, 60, 150]),
        st.sampled_from([0.0, 1.0, -1e4, 1e8]),
    ),
    max_size=6,
)


def built(pieces: list[tuple[str, int, float]], rng: np.random.Generator) -> np.ndarray:
    arrays = [np.empty(0)]
    for kind, count, offset in pieces:
        values = rng.normal(size=count)
        if kind == "constant":
            values = np.full(count, 0.1)
        elif kind == "trend":
            values = 0.3 * np.arange(count)
        elif kind == "zero":
            values, offset = np.zeros(count), 0.0
        elif kind == "missing":
            values = np.full(count, np.nan)
        elif kind == "holes":
            values[rng.random(count) < 0.1] = np.nan
        arrays.append(offset + values)
    return np.concatenate(arrays)


@settings(max_examples=60, deadline=None)
@given(
    pieces=PIECES,
    cuts=st.lists(st.floats(0, 1), max_size=8),
    max_length=st.integers(1, 12),
    min_lags=st.sampled_from([1, 4, 128]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_cut_and_any_order_of_merging(
    pieces: list[tuple[str, int, float]], cuts: list[float], max_length: int, min_lags: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = built(pieces, rng)
    where = [round(share * len(values)) for share in cuts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "_MIN_LAGS", min_lags)  # few: sums instead of values from 5 rows on
        parted = cut(values, where, max_length)
        whole, fold, any_order = summarise(values, max_length), reduce(merge, parted), tree(parted, rng)
        for one in (whole, fold, any_order, from_arrays(load(save(to_arrays(fold))))):
            assert_rows(one, values)
            assert_moments(one, values, sorted({1, max_length // 2 + 1, max_length}))
            assert [part.lags for part in one.long] == [part.lags for part in whole.long]
            np.testing.assert_array_equal(one.positions, whole.positions)
            np.testing.assert_array_equal(one.gaps, whole.gaps)
            np.testing.assert_allclose(one.values, whole.values, rtol=1e-14)
            np.testing.assert_array_equal(one.bridged, whole.bridged)


@pytest.mark.parametrize("name", SERIES)
def test_single_rows_add_up(name: str) -> None:
    values = SERIES[name](np.random.default_rng(0), 900)
    values[[3, 700, 701]] = np.nan
    one = reduce(merge, cut(values, list(range(900)), 7))
    assert len(one.long) == 1
    assert_rows(one, values)
    assert_moments(one, values, [1, 7])


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_kpss_equals_that_of_the_rows(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = SERIES[name](rng, 4000)
    one = tree(cut(values, rng.integers(0, 4000, size=12).tolist(), 20, kpss_lags=700), rng)
    for order in (0, 1, 2):
        expected = kpss_statistic(_detrended(np.diff(values, n=order)))
        # Where a mean or a trend is large, its rounding costs the statistic of the rows some digits.
        rel = {"very far from zero": 1e-6, "steep trend far away": 1e-8}.get(name, 1e-9)
        if expected < 700 / 8000:  # over-differenced: the rule asks for more lags than are kept
            assert summed_kpss_statistic(one.long[0], order) == pytest.approx(expected, rel=rel)
    assert summaries_kpss_order([one]) == kpss_order([values])


@pytest.mark.parametrize("name", ["far from zero", "steep trend", "steep trend far away"])
def test_kpss_keeps_the_digits(name: str) -> None:
    values = SERIES[name](np.random.default_rng(2), 3000)
    exact = values.astype(np.longdouble)
    time = np.arange(3000, dtype=np.longdouble) - np.longdouble(2999) / 2
    exact -= exact.mean()
    exact -= time * (time * exact).sum() / (time**2).sum()
    summed = reduce(merge, cut(values, list(range(0, 3000, 37)), 20)).long[0]
    rows = _statistic_of_level(exact)
    if np.finfo(np.longdouble).eps < 1e-18:
        assert summed_kpss_statistic(summed, 0) == pytest.approx(rows, rel=1e-11)


def _statistic_of_level(residuals: np.ndarray) -> float:
    steps = len(residuals)
    products = np.array([(residuals[: steps - lag] * residuals[lag:]).sum() for lag in range(100)])
    lag = np.arange(100)
    few = slice(1, int(steps ** (2 / 9)) + 1)
    slope = 2 * (lag[few] * products[few]).sum() / (products[0] + 2 * products[few].sum())
    lags = int(1.1447 * float(slope**2 * steps) ** (1 / 3))
    assert lags < 100
    weights = 1 - lag[1 : lags + 1] / np.longdouble(lags + 1)
    variance = products[0] + 2 * (weights * products[1 : lags + 1]).sum()
    return float((residuals.cumsum() ** 2).sum() / (steps * variance))


@pytest.mark.parametrize("order", [1, 2])
def test_kpss_with_more_lags_than_are_kept_is_near_and_decides_alike(order: int) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=20_000)
    one = summarise(values, 20)
    rows = kpss_statistic(_detrended(np.diff(values, n=order)))
    assert rows < 0.02
    assert 0.4 < summed_kpss_statistic(one.long[0], order) / rows < 2.5


def test_kpss_with_every_lag_is_one_half() -> None:
    for seed in range(200):
        values = np.diff(np.random.default_rng(seed).normal(size=1000), n=2)
        rows = kpss_statistic(_detrended(values))
        if rows == pytest.approx(0.5, rel=1e-9):
            assert summed_kpss_statistic(summarise(values, 2).long[0], 0) == pytest.approx(0.5, rel=1e-12)
            return
    pytest.fail("no series asked for every lag")


@pytest.mark.parametrize(
    "values",
    [
        np.full(900, 3.0),
        np.arange(900.0),
        1e9 - 0.3 * np.arange(900.0),
        np.r_[np.full(30, np.nan), 0.1 * np.arange(900.0)],
        np.empty(0),
        np.full(900, np.nan),
        np.random.default_rng(0).normal(size=11).cumsum(),
    ],
    ids=["constant", "line", "line far away", "line after a gap", "empty", "missing", "short"],
)
def test_channels_that_never_ask_for_differencing(values: np.ndarray) -> None:
    one = reduce(merge, cut(values, list(range(0, len(values), 50)), 5))
    assert summaries_kpss_order([one]) == kpss_order([values]) == 0


def test_kpss_of_the_longest_stretch_wherever_it_is() -> None:
    rng = np.random.default_rng(0)
    walk, noise = rng.normal(size=3000).cumsum(), rng.normal(size=2900)
    hole = [np.nan] * 7
    orders = set()
    for values in (np.r_[noise, hole, walk, hole, noise], np.r_[walk, hole, noise], np.r_[walk, hole, noise, noise]):
        for where in ([], [10, 2899, 2900, 2901, 3000], list(range(0, len(values), 111))):
            one = tree(cut(values, where, 5), rng)
            assert summaries_kpss_order([one]) == kpss_order([values])
        orders.add(kpss_order([values]))
    assert orders == {0, 1}


def test_order_of_many_channels_is_the_largest() -> None:
    rng = np.random.default_rng(1)
    channels = [rng.normal(size=900), rng.normal(size=400).cumsum(), rng.normal(size=900).cumsum().cumsum()]
    summaries = summarise_many(channels, 5)
    assert summaries_kpss_order(summaries[:1]) == kpss_order(channels[:1]) == 0
    assert summaries_kpss_order(summaries[:2]) == kpss_order(channels[:2]) == 1
    assert summaries_kpss_order(summaries) == kpss_order(channels) == 2
    assert summaries_kpss_order(summaries, max_order=1) == 1


def test_every_channel_is_tested_at_every_order() -> None:
    rng = np.random.default_rng(0)
    orders = []
    for _ in range(150):
        # Differences of a short stationary channel sometimes reject where its levels do not.
        channels = [rng.normal(size=14), rng.normal(size=30).cumsum()]
        orders.append(kpss_order(channels))
        assert summaries_kpss_order(summarise_many(channels, 5)) == orders[-1]
    assert set(orders) == {0, 1, 2}


@pytest.mark.parametrize("order", [0, 1, 2])
def test_pooled_moments_equal_those_of_the_rows(order: int) -> None:
    rng = np.random.default_rng(0)
    channels = [maker(rng, steps) for maker in SERIES.values() for steps in (30, 400, 1500)]
    for channel in channels[::2]:
        channel[rng.integers(0, len(channel), size=4)] = np.nan
    summaries = summarise_many(channels, 20)
    assert {len(one.long) > 0 for one in summaries} == {True, False}
    panel = Panel.of([channel[:, None] for channel in channels]).bridged()
    mean, std = channel_scales(summaries, [""] * len(summaries))
    for found, expected in zip((mean, std), panel.moments(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    blocks = [block.diff(n=order) for _, block in panel.blocks(range(len(channels)), mean, std, torch.device("cpu"))]
    for length in (1, 2, 13, 20):
        rows = window_moments(blocks, length)
        sums = pooled_window_moments(summaries, length, diff_order=order, mean=mean, std=std)
        assert sums.count == rows.count
        np.testing.assert_allclose(sums.gram, rows.gram, rtol=0, atol=1e-10 * float(rows.gram.abs().max()))
        np.testing.assert_allclose(sums.total, rows.total, rtol=0, atol=1e-10 * float(rows.gram.abs().max()))


def test_tail_followed_by_new_rows_gives_windows_with_their_context_in_old_rows() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=2000).cumsum(), rng.normal(size=300)
    old[-7] = np.nan
    scored = summarise(old, 16).tail(12) + summarise(new, 16)
    assert_moments(scored, np.r_[old[-12:], new], [16])
    old[-12:] = np.nan
    assert_moments(summarise(old, 16).tail(12) + summarise(new, 16), np.r_[old[-12:], new], [16])


def test_last_values_across_gaps() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    values[[100, 1990, 1997]] = np.nan
    values[1980:1987] = np.nan
    one = summarise(values, 5)
    np.testing.assert_array_equal(one.last_values(9), values[-9:])
    np.testing.assert_array_equal(one.last_values(0), [])
    np.testing.assert_array_equal((one + gap(3, 5)).last_values(5), [*values[-2:], np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(summarise(values[:50], 5).last_values(99), values[:50])
    assert (one.kept_rows, (one + gap(3, 5)).kept_rows, summarise(values[:50], 5).kept_rows) == (149, 152, 50)
    np.testing.assert_array_equal(one.last_values(149), values[-149:])
    with pytest.raises(InvalidArgumentError, match=r"the last 500 rows were asked for, but only 149 are kept"):
        one.last_values(500)


def test_gaps_are_counted_and_empty_summaries_are_neutral() -> None:
    one = summarise([1.0, 2.0], 3)
    empty = gap(0, 3)
    assert (one + empty).rows == (empty + one).rows == 2
    assert (gap(2, 3) + one + gap(3, 3) + gap(4, 3) + one).gaps.tolist() == [2, 7, 0]
    short = gap(2, 3) + one + gap(2, 3) + gap(4, 3) + one
    assert (short.gaps.tolist(), short.lengths.tolist()) == ([2, 0], [10])
    np.testing.assert_array_equal(short.last_values(10), [1, 2, *[np.nan] * 6, 1, 2])
    assert (gap(2, 3) + gap(1, 3)).rows == 3
    assert empty.count == 0
    assert pooled_window_moments([empty], 2, diff_order=1, mean=np.zeros(1), std=np.ones(1)).count == 0


def test_memory_is_bounded_by_the_lags_and_by_the_rows() -> None:
    rng = np.random.default_rng(0)
    sizes = []
    for steps in (600, 10_000, 100_000):
        one = reduce(merge, (summarise(rng.normal(size=1000), 10) for _ in range(steps // 1000 or 1)))
        sizes.append(sum(array.nbytes for array in to_arrays(one).values()))
    assert sizes[1] == sizes[2] < 8 * 128 * 6
    holes = np.where(rng.random(50_000) < 0.01, np.nan, rng.normal(size=50_000))
    with_holes = reduce(merge, (summarise(piece, 10) for piece in np.split(holes, 50)))
    assert sum(array.nbytes for array in to_arrays(with_holes).values()) < 1.1 * sizes[1]
    holes[::40] = np.nan
    holes = np.insert(holes, np.repeat(np.arange(0, 50_000, 400), 7), np.nan)
    assert sum(array.nbytes for array in to_arrays(summarise(holes, 10)).values()) < 0.9 * holes.nbytes


def test_a_summary_keeps_no_hold_of_the_rows() -> None:
    values = np.random.default_rng(0).normal(size=300)
    before = values.copy()
    one = summarise(values, 5)
    values[:] = 0.0
    np.testing.assert_array_equal(one.last_values(300), before)
    assert not np.shares_memory(one.values, values)


def test_blocks_of_a_memory_map(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "_BLOCK_ROWS", 64)
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    np.save(tmp_path / "rows.npy", values)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert_moments(summarise(mapped, 5), values.astype(np.float64), [5])


def test_what_a_mask_hides_is_missing() -> None:
    values = np.random.default_rng(0).normal(size=300)
    hidden = np.ma.array(values, mask=np.arange(300) % 90 < 10)
    assert_rows(summarise(hidden, 5), hidden.filled(np.nan))


def test_arrays_and_pickle_bring_the_same_back() -> None:
    values = np.random.default_rng(0).normal(size=3000)
    values[[50, 1500]] = np.nan
    one = summarise(values, 5, kpss_lags=150)
    for other in (from_arrays(to_arrays(one)), pickle.loads(pickle.dumps(one))):
        for name, array in to_arrays(one).items():
            np.testing.assert_array_equal(to_arrays(other)[name], array)
        assert_rows(other + summarise([1.0], 5, kpss_lags=150), np.r_[values, 1.0])


@pytest.mark.parametrize("name", ["lengths", "values", "long.products", "long.numbers", "long.lags"])
def test_damaged_arrays_are_refused(name: str) -> None:
    arrays = to_arrays(summarise(np.random.default_rng(0).normal(size=1000), 5) + gap(7, 5) + summarise([1.0], 5))
    with pytest.raises(StateFileError, match="the summary is incomplete"):
        from_arrays({key: array for key, array in arrays.items() if key != name})
    with pytest.raises(StateFileError, match="make it again"):
        from_arrays({**arrays, name: arrays[name][:-1]})


def test_values_that_cannot_be_summed_up() -> None:
    with pytest.raises(InvalidSeriesError, match=r"shape \(2, 2\).*must be real numbers of shape \(T,\)"):
        summarise(np.ones((2, 2)), 3)
    with pytest.raises(InvalidSeriesError, match="must be real numbers"):
        summarise(["a"], 3)
    with pytest.raises(InvalidSeriesError, match="infinite at step 2"):
        summarise([1.0, np.nan, np.inf], 3)
    with pytest.raises(InvalidSeriesError, match="from -1e\\+200 to 1e\\+200, whose variance is not a finite number"):
        summarise(np.tile([1e200, -1e200], 500), 3)
    with pytest.raises(InvalidSeriesError, match=r"channel 1 of series 'a' holds values .* not a positive finite"):
        channel_scales(summarise_many([[1.0, 2.0], [1e200, -1e200]], 3), ["series 'a'"] * 2)
    with pytest.raises(InvalidSeriesError, match=r"channel 0 of series 'b' holds values .* not a positive finite"):
        channel_scales(summarise_many([[1.0, 2.0], [1e-200, 2e-200]], 3), ["series 'a'", "series 'b'"])


def test_lengths_that_do_not_fit() -> None:
    one = summarise([1.0, 2.0], 3)
    with pytest.raises(InvalidArgumentError, match="max_length=3 and max_length=4 cannot be merged"):
        one + summarise([1.0], 4)
    with pytest.raises(InvalidArgumentError, match="lags=128 and lags=200 cannot be merged"):
        one + summarise([1.0], 3, kpss_lags=200)
    with pytest.raises(InvalidArgumentError, match="length is 4, but must lie between 1 and max_length=3"):
        pooled_window_moments([one], 4, diff_order=0, mean=np.zeros(1), std=np.ones(1))
    with pytest.raises(InvalidArgumentError, match="max_length is 0"):
        summarise([1.0], 0)
