"""Chunks of many series give the summaries of their rows; times are checked and missing steps become gaps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasha.autoar import streaming
from dasha.autoar.streaming import SeriesAccumulator, SeriesSummary, accumulate, join_series
from dasha.autoar.summary import ChannelSummary, summarise
from dasha.autoar.summary_arrays import to_arrays
from dasha.errors import InvalidArgumentError, InvalidSeriesError

from .brute import bridge

LENGTH = 6
FEW = {"max_length": LENGTH, "kpss_lags": 0}


def assert_same(found: ChannelSummary, values: np.ndarray) -> None:
    """The summary of these rows to rounding."""
    expected, arrays = to_arrays(summarise(values, LENGTH, kpss_lags=0)), to_arrays(found)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        scale = np.abs(array[np.isfinite(array)]).max(initial=0.0)
        np.testing.assert_allclose(arrays[name], array, rtol=1e-10, atol=1e-10 * scale, err_msg=name)
    for name in ("mean", "std"):
        assert getattr(found, name) == pytest.approx(np.__dict__["nan" + name](bridge(values)), rel=1e-12)


def long_table(series: dict[Any, np.ndarray], times: pd.Index, names: tuple[str, ...]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(values, columns=list(names)).assign(id=series_id, time=times[: len(values)])
        for series_id, values in series.items()
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("waiting", [1, 50, 1 << 15])
def test_chunks_of_one_series(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_WAITING_ROWS", waiting)
    values = np.random.default_rng(0).normal(size=(1500, 2)).cumsum(0)
    values[100, 1] = np.nan
    series = accumulate(np.split(values, [0, 1, 7, 900]), **FEW)
    assert list(series) == [None]
    for channel, column in zip(series[None].channels, values.T, strict=True):
        assert_same(channel, column)
    assert (series[None].first, series[None].last) == (None, None)


def test_chunks_of_several_series_in_turns() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=1000), rng.normal(size=(800, 1))
    chunks = [("a", first[:400]), ("b", second[:3]), ("a", first[400:]), ("b", second[3:])]
    series = accumulate(chunks, **FEW)
    assert_same(series["a"].channels[0], first)
    assert_same(series["b"].channels[0], second[:, 0])


def test_an_accumulator_shows_what_it_has_and_goes_on() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    accumulator = SeriesAccumulator(**FEW)
    for start in range(0, 1000, 10):
        accumulator.add(values[start : start + 10])
        assert accumulator.series()[None].channels[0].rows == start + 10
    assert_same(accumulator.series()[None].channels[0], values)


def test_earlier_summaries_are_continued() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 2))
    times = pd.date_range("2024-01-01", periods=1003, freq="h").delete([500, 501, 502])
    old = accumulate([("a", values[:500], times[:500])], freq="h", **FEW)
    accumulator = SeriesAccumulator(freq="h", start=old, **FEW)
    accumulator.add(values[500:], series_id="a", times=times[500:])
    new = accumulator.series()["a"]
    assert (new.first, new.last) == (times[0], times[-1])
    assert_same(new.channels[1], np.r_[values[:500, 1], [np.nan] * 3, values[500:, 1]])
    with pytest.raises(InvalidSeriesError, match=r"series 'a' has 2024-01-01 00:00:00 after 2024-02-11 18:00:00"):
        accumulator.add(values[:1], series_id="a", times=times[:1])


def test_joined_series_equal_one() -> None:
    values, times = np.arange(20.0) ** 1.5, pd.date_range("2024-01-31", periods=24, freq="ME").delete([3, 10, 11, 12])
    parts = [
        accumulate([(None, values[a:b], times[a:b])], freq="ME", **FEW)[None] for a, b in ((0, 9), (9, 10), (10, 20))
    ]
    left = join_series(join_series(*parts[:2], freq="ME", name="x"), parts[2], freq="ME", name="x")
    right = join_series(parts[0], join_series(*parts[1:], freq="ME", name="x"), freq="ME", name="x")
    expected = np.insert(values, [3, 9, 9, 9], np.nan)
    for one in (left, right):
        assert_same(one.channels[0], expected)
        assert (one.first, one.last) == (times[0], times[-1])
    with pytest.raises(InvalidSeriesError, match=r"x has 2024-01-31 00:00:00 after .* times must rise"):
        join_series(parts[2], parts[0], freq="ME", name="x")
    with pytest.raises(InvalidSeriesError, match="x has 2 channels, but had 1 before"):
        join_series(parts[0], SeriesSummary(parts[1].channels * 2), name="x")


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 3, 7, 8, 16, 17, 18, 40]), min_size=1, max_size=60),
    cuts=st.lists(st.floats(0, 1), max_size=4),
    freq=st.sampled_from(["h", "15min", "D", "2D", "W", "MS", "2ME", "B", "QS", 1, 5, 0.25]),
)
def test_missing_steps_become_gaps(steps: list[int], cuts: list[float], freq: Any) -> None:
    places = np.cumsum(steps) - steps[0]
    count = int(places[-1]) + 1
    if isinstance(freq, str):
        times = pd.date_range("2020-01-06", periods=count, freq=freq)[places]
    else:
        times = pd.Index(10 + freq * places)
    values = np.random.default_rng(0).normal(size=len(places))
    expected = np.full(count, np.nan)
    expected[places] = values
    bounds = [0, *sorted(round(share * len(places)) for share in cuts), len(places)]
    chunks = [("a", values[a:b], times[a:b]) for a, b in pairwise(bounds)]
    found = accumulate(chunks, freq=freq, **FEW)["a"].channels[0]
    assert found.rows == count
    assert_same(found, expected)


@pytest.mark.parametrize("make", [lambda frame: frame, pa.Table.from_pandas], ids=["pandas", "arrow"])
@pytest.mark.parametrize("order", ["by series", "by time"])
def test_long_tables(make: Any, order: str) -> None:
    rng = np.random.default_rng(0)
    series = {name: rng.normal(size=(steps, 2)) for name, steps in (("b", 700), ("a", 900), ("c", 3))}
    times = pd.date_range("2024-01-01", periods=900, freq="h", tz="UTC")
    frame = long_table(series, times, ("x", "y"))
    if order == "by time":
        frame = frame.sort_values("time", kind="stable")
    chunks = [make(frame.iloc[start : start + 333]) for start in range(0, len(frame), 333)]
    found = accumulate(chunks, freq="h", targets=["y", "x"], id_column="id", time_column="time", **FEW)
    assert set(found) == {"a", "b", "c"}
    for name, values in series.items():
        for channel, column in zip(found[name].channels, values.T[::-1], strict=True):
            assert_same(channel, column)
        assert found[name].last == times[len(values) - 1]


def test_tables_without_ids_or_times_and_with_other_numbers() -> None:
    frame = pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64"), "day": pd.Categorical(["a", "b", "a"])})
    assert_same(accumulate([frame], targets=["x"], **FEW)[None].channels[0], np.array([1.0, np.nan, 3.0]))
    found = accumulate([frame], targets=["x"], id_column="day", **FEW)
    assert {name: one.channels[0].rows for name, one in found.items()} == {"a": 2, "b": 1}


def test_local_days_and_absolute_hours_when_clocks_change() -> None:
    hours = pd.date_range("2024-03-30", periods=72, freq="h", tz="Europe/Berlin")
    days = pd.date_range("2024-03-29", periods=5, freq="D", tz="Europe/Berlin")
    for times, freq in ((hours, "h"), (days, "D"), (days, "B")):
        times = times if freq != "B" else times[[0, 3, 4]]
        found = accumulate([(1, np.arange(float(len(times))), times)], freq=freq, **FEW)
        assert found[1].channels[0].gaps.tolist() == [0, 0]


TIMES = pd.date_range("2024-01-01", periods=4, freq="h")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (TIMES[[0, 1, 1, 2]], "series 'a' has 2024-01-01 01:00:00 after 2024-01-01 01:00:00, but times must rise"),
        (TIMES[[0, 2, 1, 3]], "series 'a' has 2024-01-01 01:00:00 after 2024-01-01 02:00:00, but times must rise"),
        (
            TIMES + pd.to_timedelta([0, 0, 0, 1], unit="min"),
            "has .* 03:01:00 after .* no whole number of steps",
        ),
        (TIMES.where([True, True, False, True]), "series 'a' has 1 rows without a time"),
        (TIMES[:3], "series 'a' has 4 rows but 3 times"),
        (pd.Index(["a", "b", "c", "d"]), "has times of dtype .*, but they must be dates or numbers"),
    ],
    ids=["repeated", "falling", "off the grid", "missing", "too few", "text"],
)
def test_times_that_do_not_fit(times: pd.Index, message: str) -> None:
    with pytest.raises(InvalidSeriesError, match=message):
        accumulate([("a", np.zeros(4), times)], freq="h", **FEW)


def test_chunks_that_overlap() -> None:
    with pytest.raises(InvalidSeriesError, match="series 7 has 2 after 3, but times must rise"):
        accumulate([(7, np.zeros(3), [1, 2, 3]), (7, np.zeros(2), [2, 3])], freq=1, **FEW)


@pytest.mark.parametrize("freq", ["every day", "-1h", 3.5, 0, True])
def test_frequencies_that_do_not_fit(freq: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"freq is .*, but must be a pandas frequency"):
        accumulate([("a", np.zeros(4), TIMES)], freq=freq, **FEW)


@pytest.mark.parametrize("freq", ["h", -1, 0, True])
def test_frequencies_that_do_not_fit_numbers(freq: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"freq is .*, but must be a positive number or None"):
        accumulate([("a", np.zeros(4), [1, 2, 3, 4])], freq=freq, **FEW)


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        (
            [np.zeros((3, 2)), np.zeros((3, 1))],
            "^the series has 1 channel, but had 2 before; give all 2 with all rows$",
        ),
        ([("a", np.zeros(2), [1, 2]), ("a", np.zeros(2))], "series 'a' has times in some chunks but not in all"),
        ([("a", np.zeros(2)), ("a", np.zeros(2), [1, 2])], "series 'a' has times in some chunks but not in all"),
        ([np.array([1.0, np.inf])], "^the series is infinite at step 1"),
        ([pd.DataFrame({"x": ["low", "high"], "id": [1, 1]})], r"columns \['x'\] must hold numbers"),
        ([pd.DataFrame({"y": [1.0], "id": [1]})], "the table has no column 'x'; its columns are y, id"),
        ([pd.DataFrame({"x": [1.0, 2.0], "id": [1, None]})], "1 rows have no 'id'"),
    ],
)
def test_chunks_that_do_not_fit(chunks: list[Any], message: str) -> None:
    with pytest.raises(InvalidSeriesError, match=message):
        accumulate(chunks, targets=["x"], id_column="id", **FEW)


@pytest.mark.parametrize(("known", "new"), [("10", 10), (10, "10")])
def test_an_id_of_another_type_begins_no_series(known: Any, new: Any) -> None:
    start = accumulate([(known, np.arange(4.0))], **FEW)
    accumulator = SeriesAccumulator(start=start, **FEW)
    message = rf"series {new!r} is not series {known!r}, .* give both as {type(known).__name__}, or both as"
    with pytest.raises(InvalidSeriesError, match=message):
        accumulator.add(np.arange(4.0), series_id=new)
    accumulator.add(np.arange(4.0), series_id=np.int64(10) if known == 10 else "10")
    assert list(accumulator.series()) == [known]


def test_tables_need_targets() -> None:
    with pytest.raises(InvalidArgumentError, match="chunks are tables, but targets is None"):
        accumulate([pd.DataFrame({"x": [1.0]})], **FEW)


def test_a_chunk_that_is_refused_changes_nothing() -> None:
    accumulator = SeriesAccumulator(freq="h", **FEW)
    accumulator.add(np.arange(2.0), series_id="a", times=TIMES[:2])
    for series_id in ("a", "b"):
        with pytest.raises(InvalidSeriesError):
            accumulator.add(np.arange(2.0), series_id=series_id, times=TIMES[[1, 0]])
    accumulator.add(np.arange(2.0, 4.0), series_id="a", times=TIMES[2:])
    assert list(accumulator.series()) == ["a"]
    assert_same(accumulator.series()["a"].channels[0], np.arange(4.0))


def test_waiting_rows_are_copies() -> None:
    values = np.arange(5.0)
    accumulator = SeriesAccumulator(**FEW)
    accumulator.add(values)
    values[:] = 0.0
    assert_same(accumulator.series()[None].channels[0], np.arange(5.0))
