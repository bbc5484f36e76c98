"""Times without a frequency must be even, and whether they are does not depend on how rows are cut."""

from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dasha.autoar import AutoAR
from dasha.autoar.plain import pace_from_plain, pace_to_plain
from dasha.autoar.streaming import SeriesAccumulator, SeriesSummary, accumulate, join_series
from dasha.errors import InvalidSeriesError

FEW: dict[str, Any] = {"max_length": 3, "kpss_lags": 0}


def dates(freq: str, start: str = "2024-01-01", periods: int = 40, **options: Any) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=periods, freq=freq, **options)


EVEN: dict[str, Any] = {
    "hours": dates("h"),
    "seven minutes": dates("7min"),
    "hours over a change of clocks": dates("h", "2024-03-30", tz="Europe/Prague"),
    "days over a change of clocks": dates("D", "2024-03-20", tz="Europe/Prague"),
    "weeks over a change of clocks": dates("W-MON", tz="Europe/Prague"),
    "days in UTC": dates("D", tz="UTC"),
    "business days": dates("B"),
    "months": dates("MS"),
    "ends of months": dates("ME"),
    "months from the 31st": pd.DatetimeIndex(
        [pd.Timestamp("2023-12-31 07:00") + pd.DateOffset(months=n) for n in range(40)]
    ),
    "first business days": dates("BMS"),
    "last business days": dates("BME"),
    "quarters": dates("QS-FEB"),
    "years": dates("YS"),
    "ends of years": dates("YE"),
    "four weeks that look like a month": dates("28D", "2023-02-01"),
    "seconds": dates("s").as_unit("s"),
    "whole numbers": pd.Index(range(10, 210, 5)),
    "tenths": pd.Index(1.7e9 + np.arange(40) / 10),
    "text": pd.Index(dates("h").strftime("%Y-%m-%d %H:%M")),
    "text with offsets": pd.Index([time.isoformat() for time in dates("h", "2024-03-30", tz="Europe/Prague")]),
    "days of the calendar": pd.Index(dates("D").date),
}
UNEVEN: dict[str, tuple[Any, int, str]] = {
    "a missing hour": (dates("h").delete(10), 9, "freq='h'"),
    "a missing day": (dates("D").delete(10), 9, "freq='D'"),
    "a missing business day": (dates("B").delete(10), 9, "freq='B'"),
    "a missing month": (dates("MS").delete(10), 9, "freq, such as"),
    "business days, then days": (dates("B", periods=10).append(dates("D", "2024-01-13")), 9, "freq='B'"),
    "months, then four weeks": (dates("MS", "2024-02-01", 4).append(dates("28D", "2024-05-29")), 3, "freq, such as"),
    "another step": (dates("h", periods=10).append(dates("2h", "2024-01-01 11:00")), 9, "freq='h'"),
    "at another minute": (dates("h", periods=10).append(dates("h", "2024-01-01 10:01")), 9, "freq='h'"),
    "the first step": (dates("h").delete(1), 1, "freq='2h'"),
    "a missing number": (pd.Index([1, 2, 3, 5, 6]), 2, "freq=1"),
    "a missing tenth": (pd.Index([0.0, 0.5, 1.0, 2.0]), 2, r"freq=0\.5"),
    "text": (pd.Index(dates("h").strftime("%Y-%m-%dT%H:%M")).delete(10), 9, "freq='h'"),
}


def parts(times: pd.Index, bounds: list[int]) -> list[tuple[str, np.ndarray, pd.Index]]:
    return [("a", np.arange(float(stop - start)), times[start:stop]) for start, stop in pairwise(bounds)]


def cuts(count: int) -> list[list[int]]:
    generator = np.random.default_rng(0)
    random = [[0, *sorted(generator.choice(np.arange(1, count), 3, replace=False).tolist()), count] for _ in range(4)]
    return [[0, count], list(range(count + 1)), [0, 1, 2, count], [0, count - 1, count], *random]


def by_merging(times: pd.Index, bounds: list[int], *, from_the_right: bool) -> SeriesSummary:
    """Every part by itself, as on a cluster."""
    summaries = []
    for chunk in parts(times, bounds):
        accumulator = SeriesAccumulator(may_be_uneven=True, **FEW)
        accumulator.add(chunk[1], series_id="a", times=chunk[2])
        summaries.append(accumulator.series()["a"])
    if from_the_right:
        return reduce(lambda right, left: join_series(left, right, name="series 'a'"), reversed(summaries))
    return reduce(lambda left, right: join_series(left, right, name="series 'a'"), summaries)


@pytest.mark.parametrize("case", EVEN)
def test_even_times_are_taken_however_they_are_cut(case: str) -> None:
    times = EVEN[case]
    whole = accumulate(parts(times, [0, len(times)]), **FEW)["a"]
    assert whole.pace is not None
    assert whole.pace.uneven is None
    assert pace_from_plain(pace_to_plain(whole.pace)) == whole.pace
    for bounds in cuts(len(times)):
        found = accumulate(parts(times, bounds), **FEW)["a"]
        merged = [by_merging(times, bounds, from_the_right=right) for right in (False, True)]
        for one in (found, *merged):
            assert one.pace == whole.pace
            assert one.channels[0].rows == len(times)


@pytest.mark.parametrize("case", UNEVEN)
def test_the_first_uneven_times_are_named_however_they_are_cut(case: str) -> None:
    times, place, freq = UNEVEN[case]
    known = pd.DatetimeIndex(times) if case == "text" else times
    message = (
        rf"^series 'a' has {known[place + 1]} after {known[place]}, but began with {known[0]} and {known[1]}, .*{freq}"
    )
    for bounds in cuts(len(times)) if len(times) > 5 else [[0, len(times)], [0, 1, len(times)], [0, 3, len(times)]]:
        with pytest.raises(InvalidSeriesError, match=message):
            accumulate(parts(times, bounds), **FEW)
        if len(bounds) > 2:
            with pytest.raises(InvalidSeriesError, match=message):
                by_merging(times, bounds, from_the_right=False)
    accumulate(parts(times, [0, len(times)]), freq="min" if known.dtype.kind == "M" else 0.5, **FEW)
    leaves_times_out = [chunk[:2] for chunk in parts(times, [0, 3, len(times)])]
    accumulate(leaves_times_out, **FEW)


LAYOUT: dict[str, Any] = {"targets": ["x"], "time_column": "date"}


class TestModel:
    def frame(self, steps: int = 400) -> pd.DataFrame:
        generator = np.random.default_rng(0)
        return pd.DataFrame({"date": dates("h", periods=steps).astype(str), "x": generator.normal(size=steps)})

    def test_missing_rows_between_chunks(self) -> None:
        frame = self.frame()
        chunks = [frame.iloc[:200], frame.iloc[210:]]
        with pytest.raises(
            InvalidSeriesError, match=r"^the series has 2024-01-09 18:00:00 after 2024-01-09 07:00:00, .*'h'"
        ):
            AutoAR(max_lookback=4).fit_stream(chunks, **LAYOUT)
        fit = AutoAR(max_lookback=4).fit_stream(chunks, freq="h", **LAYOUT)
        filled = frame["x"].to_numpy().copy()
        filled[200:210] = np.nan
        np.testing.assert_allclose(fit.coefficients_, AutoAR(max_lookback=4).fit(filled).coefficients_)

    def test_updates_validation_and_saved_models(self, tmp_path: Any) -> None:
        frame = self.frame()
        fit = AutoAR(max_lookback=4).fit_stream([frame.iloc[:200]], validation=[frame.iloc[200:300]], **LAYOUT)
        fit.save(tmp_path)
        for known in (fit, AutoAR.load(tmp_path, device="cpu")):
            with pytest.raises(InvalidSeriesError, match=r"has 2024-01-13 13:00:00 after 2024-01-13 11:00:00"):
                known.update_stream([frame.iloc[301:]], **LAYOUT)
            known.update_stream([frame.iloc[300:]], **LAYOUT)
        with pytest.raises(InvalidSeriesError, match="has 2024-01-09 18:00:00 after 2024-01-09 07:00:00"):
            AutoAR(max_lookback=4).fit_stream([frame.iloc[:200]], validation=[frame.iloc[210:300]], **LAYOUT)

    def test_text_that_is_no_date(self) -> None:
        chunk = ("a", np.zeros(2), ["yesterday", "yesterday evening"])
        with pytest.raises(InvalidSeriesError, match="must be dates or numbers; write dates like"):
            accumulate([chunk], **FEW)
