"""Fits on summaries, streams and updates equal the fit on all rows in memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dasha.autoar import AutoAR, AutoARConfig, SeriesSummary, accumulate
from dasha.autoar.plain import plain, restored
from dasha.autoar.summary import summarise_many
from dasha.errors import (
    DashaWarning,
    InvalidArgumentError,
    InvalidSeriesError,
    NotFittedError,
    SeriesTooShortError,
    StateFileError,
)

from .brute import autoregressive

CRITERIA = ("bic", "aic", "hqic", "horizon_bic")


def model(**settings: Any) -> AutoAR:
    return AutoAR(**{"max_lookback": 12, "device": "cpu"} | settings)


def series(rng: np.random.Generator, steps: int = 1500) -> list[np.ndarray]:
    """Levels far from zero, gaps, a constant channel, a series that is held as values, one that ends in a gap."""
    first = np.column_stack([50 + 3 * autoregressive(rng, steps), autoregressive(rng, steps).cumsum() - 700])
    first[[3, 4, steps // 2, steps // 2 + 30], 0] = np.nan
    second = np.column_stack([1e4 + autoregressive(rng, steps // 3), np.full(steps // 3, 4.0)])
    third = autoregressive(rng, 60)[:, None].cumsum(0)
    third[[10, 20, 30, 40, 57, 59]] = np.nan
    return [first, second, third]


def split(matrices: list[np.ndarray], rows: int = 25) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [one[:-rows] for one in matrices], [one[-rows:] for one in matrices]


def summed(matrices: list[np.ndarray], fit: AutoAR, lags: int = 64) -> list[SeriesSummary]:
    return [SeriesSummary(tuple(summarise_many(one.T, fit.summary_length, kpss_lags=lags))) for one in matrices]


def assert_equal_fits(found: AutoAR, wanted: AutoAR) -> None:
    assert (found.lookback_, found.diff_order_) == (wanted.lookback_, wanted.diff_order_)
    for name in ("coefficients_", "intercept_", "criterion_path_"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-10, atol=1e-10, err_msg=name)
    for name in ("count", "jitter", "is_list"):
        assert getattr(found.fitted, name) == getattr(wanted.fitted, name)
    assert found.fitted.ratio == pytest.approx(wanted.fitted.ratio, rel=1e-10)
    for ours, theirs in zip(found.fitted.scales, wanted.fitted.scales, strict=True):
        for name in ("mean", "std", "sigma"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-10, err_msg=name)
    for ours, theirs in zip(found.fitted.tails, wanted.fitted.tails, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    for ours, theirs in zip(forecasts(found), forecasts(wanted), strict=True):
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-10)
        np.testing.assert_allclose(ours.std, theirs.std, rtol=1e-10)


def forecasts(fit: AutoAR) -> list[Any]:
    result = fit.predict(7)
    return result if isinstance(result, list) else [result]


@pytest.fixture
def data() -> list[np.ndarray]:
    return series(np.random.default_rng(0))


class TestSummaries:
    @pytest.mark.parametrize("order", ["kpss", 0, 1, 2])
    @pytest.mark.parametrize("criterion", CRITERIA)
    def test_equal_to_the_rows(self, data: list[np.ndarray], criterion: str, order: Any) -> None:
        settings = {"criterion": criterion, "horizon": 4, "diff_order": order}
        summaries = summed(data, model(**settings))
        assert any(channel.long for one in summaries for channel in one.channels)
        assert_equal_fits(model(**settings).fit_summaries(summaries), model(**settings).fit(data))

    @pytest.mark.parametrize("order", ["kpss", 0, 2])
    @pytest.mark.parametrize("criterion", [*CRITERIA, "validation"])
    def test_with_validation(self, data: list[np.ndarray], criterion: str, order: Any) -> None:
        settings = {"criterion": criterion, "horizon": 4, "diff_order": order}
        train, validation = split(data)
        fit = model(**settings)
        fit.fit_summaries(summed(train, fit), validation=summed(validation, fit))
        assert_equal_fits(fit, model(**settings).fit(train, validation=validation))
        assert [one.channels[0].rows for one in fit.fitted.summaries.series.values()] == [len(one) for one in data]

    @pytest.mark.parametrize("criterion", ["bic", "validation"])
    def test_given_lookback(self, data: list[np.ndarray], criterion: str) -> None:
        fit = model(lookback=5, criterion=criterion)
        assert_equal_fits(fit.fit_summaries(summed(data, fit)), model(lookback=5, criterion=criterion).fit(data))

    @pytest.mark.parametrize("most", [{"max_lookback": 1}, {"max_lookback": 2}, {"max_lookback": 2, "lookback": 0}])
    @pytest.mark.parametrize("criterion", [*CRITERIA, "validation"])
    def test_hardly_any_past(self, criterion: str, most: dict[str, int]) -> None:
        walk = np.random.default_rng(0).normal(size=(900, 1)).cumsum(0).cumsum(0)  # KPSS asks for two differences
        for order in ["kpss", *range(most["max_lookback"] + 1)]:
            settings = {**most, "criterion": criterion, "diff_order": order}
            streamed = model(**settings).fit_stream([walk[:200], walk[200:500]], validation=[walk[500:600]])
            expected = [model(**settings).fit(walk[:500], validation=walk[500:600]).predict(7).mean]
            found = [streamed.predict(7).mean, streamed.update(walk[600:800], validation=walk[800:]).predict(7).mean]
            expected.append(model(**settings).fit(walk[:800], validation=walk[800:]).predict(7).mean)
            np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_one_series_and_a_mapping(self, data: list[np.ndarray]) -> None:
        fit = model()
        one = summed(data[:1], fit)[0]
        assert_equal_fits(fit.fit_summaries(one), model().fit(data[0]))
        assert fit.series_ids_ == (None,)
        assert model().fit_summaries({"wind": one}).series_ids_ == ("wind",)

    def test_a_series_without_validation_is_left_to_the_estimation(self, data: list[np.ndarray]) -> None:
        fit = model(criterion="validation")
        train, validation = split(data[:2])
        parts = dict(enumerate(summed(train, fit)))
        fit.fit_summaries(parts, validation={1: summed(validation, fit)[1]})
        path = model(criterion="validation").fit(train, validation=[np.full((1, 2), np.nan), validation[1]])
        np.testing.assert_allclose(fit.criterion_path_, path.criterion_path_, rtol=1e-10)

    def test_nothing_varies(self) -> None:
        constant = [np.full((9, 1), 3.0), np.full((9, 2), -1.0)]
        fit = model()
        assert_equal_fits(fit.fit_summaries(summed(constant, fit)), model().fit(constant))

    def test_a_channel_without_values_warns(self) -> None:
        y = np.column_stack([autoregressive(np.random.default_rng(0), 90), np.full(90, np.nan)])
        fit = model()
        with pytest.warns(DashaWarning, match=r"1 of 2 channels hold no value at all") as caught:
            fit.fit_summaries(summed([y], fit)[0])
        assert caught[0].filename == __file__
        with pytest.warns(DashaWarning):
            wanted = model().fit(y)
        assert_equal_fits(fit, wanted)

    def test_a_gap_at_the_end_after_a_long_stretch(self) -> None:
        y = autoregressive(np.random.default_rng(0), 1000).cumsum()
        y[980:] = np.where(np.arange(20) % 3, np.nan, y[980:])
        fit = model(diff_order=1)
        assert_equal_fits(fit.fit_summaries(summed([y[:, None]], fit)[0]), model(diff_order=1).fit(y))

    def test_refuses(self, data: list[np.ndarray]) -> None:
        fit = model()
        parts = summed(data, fit)
        with pytest.raises(
            InvalidArgumentError, match=r"strategy='auto' with pooling='both' needs the rows .* call fit"
        ):
            model(strategy="auto").fit_summaries(parts)
        with pytest.raises(
            InvalidArgumentError, match=r"no validation rows, and sums cannot be split afterwards; pass"
        ):
            model(criterion="validation").fit_summaries(parts)
        with pytest.raises(
            InvalidArgumentError, match=r"max_length=13, but these settings need at least 41; make them"
        ):
            model(max_lookback=40).fit_summaries(parts)
        with pytest.raises(
            InvalidArgumentError, match=r"train holds a ndarray for series 0, .* or call fit with arrays"
        ):
            fit.fit_summaries(data)  # type: ignore[arg-type]
        with pytest.raises(InvalidSeriesError, match="train holds no series"):
            fit.fit_summaries([])
        with pytest.raises(InvalidSeriesError, match="validation has series 3, but series has only 0, 1, 2"):
            fit.fit_summaries(parts, validation={3: parts[0]})
        with pytest.raises(InvalidSeriesError, match="series hold no value at all"):
            fit.fit_summaries(summed([np.full((5, 1), np.nan)], fit))
        with pytest.raises(InvalidArgumentError, match=r"channels of \[0\] rows in the series, but"):
            fit.fit_summaries(summed([np.empty((0, 1))], fit)[0])
        with pytest.raises(SeriesTooShortError, match="supply more"):
            fit.fit_summaries(summed([np.arange(3.0)[:, None]], fit))
        with pytest.raises(NotFittedError):
            fit.fitted  # noqa: B018


class TestStream:
    @pytest.mark.parametrize("criterion", ["bic", "validation"])
    def test_chunks(self, data: list[np.ndarray], criterion: str) -> None:
        train, validation = split(data)

        def chunks(matrices: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
            for start in range(0, 2000, 70):
                for name, matrix in zip("abc", matrices, strict=True):
                    yield name, matrix[start : start + 70]

        fit = model(criterion=criterion, horizon=3)
        fit.fit_stream(chunks(train), validation=chunks(validation), kpss_lags=64)
        assert_equal_fits(fit, model(criterion=criterion, horizon=3).fit(train, validation=validation))
        assert fit.series_ids_ == ("a", "b", "c")

    def test_a_context_continues_a_series_by_its_id(self, data: list[np.ndarray]) -> None:
        fit = model().fit_stream(zip(("10", "9"), data[:2], strict=True))
        by_number = [fit.predict(3, data[1], series=number).mean for number in (0, 1)]
        assert not np.array_equal(*by_number)
        for name, expected in zip(("10", "9"), by_number, strict=True):
            np.testing.assert_array_equal(fit.predict(3, data[1], series=name).mean, expected)
            np.testing.assert_array_equal(fit.predict(3, data[1:2], series=[name])[0].mean, expected)
        with pytest.raises(InvalidArgumentError, match="series is '7', but the model was fitted on no series of that"):
            fit.predict(3, data[1], series="7")

    def test_one_series_gives_one_forecast(self, data: list[np.ndarray]) -> None:
        assert_equal_fits(model().fit_stream(np.array_split(data[0], 7)), model().fit(data[0]))

    def test_tables_with_missing_steps(self, data: list[np.ndarray]) -> None:
        table = pd.DataFrame(data[0], columns=["x", "y"]).assign(
            time=pd.date_range("2024-01-01", periods=len(data[0]), freq="h")
        )
        present = table.drop(index=range(1460, 1480))
        filled = data[0].copy()
        filled[1460:1480] = np.nan
        layout = {"targets": ["x", "y"], "time_column": "time", "freq": "h"}
        fit = model().fit_stream([present[:1000], present[1000:]], **layout)
        assert_equal_fits(fit, model().fit(filled))
        # The step from training to validation is a gap as well.
        fit.fit_stream([present[:1460]], validation=[present[1460:]], **layout)
        assert_equal_fits(fit, model().fit(filled[:1460], validation=filled[1460:]))
        assert fit.fitted.summaries.series[None].last == table["time"].iloc[-1]

    def test_refuses_before_it_reads(self) -> None:
        def chunks() -> Iterator[np.ndarray]:
            raise AssertionError("was read")
            yield

        with pytest.raises(InvalidArgumentError, match="sums cannot be split"):
            model(criterion="validation").fit_stream(chunks())
        with pytest.raises(InvalidArgumentError, match="chunks is a single ndarray, but must be an iterable of chunks"):
            model().fit_stream(np.ones((5, 2)))
        with pytest.raises(InvalidSeriesError, match="the data holds no series"):
            model().fit_stream([])


class TestUpdate:
    @pytest.mark.parametrize("criterion", CRITERIA)
    def test_equal_to_a_fit_on_everything(self, data: list[np.ndarray], criterion: str) -> None:
        old, new = split(data)
        fit = model(criterion=criterion).fit(old, keep_summaries=True)
        assert_equal_fits(fit, model(criterion=criterion).fit(old))
        assert fit.update(new) is fit
        assert_equal_fits(fit, model(criterion=criterion).fit(data))

    def test_again_and_again(self, data: list[np.ndarray]) -> None:
        y = data[0]
        fit = model().fit(y[:300], keep_summaries=True)
        for start in range(300, 1500, 100):
            fit.update(y[start : start + 100])
        assert_equal_fits(fit, model().fit(y))

    def test_validation_rows_become_training_rows(self, data: list[np.ndarray]) -> None:
        settings = {"criterion": "validation", "horizon": 3}
        train, validation = split(data)
        (older, newer), (first, second) = split(train, 20), split(validation, 10)
        fit = model(**settings).fit(older, validation=newer, keep_summaries=True)
        fit.update(first, validation=second)
        assert_equal_fits(fit, model(**settings).fit(train_and(train, first), validation=second))
        with pytest.raises(InvalidArgumentError, match="pass the last rows of each series as validation"):
            fit.update(second)

    def test_masked_rows_are_missing(self, data: list[np.ndarray]) -> None:
        masked = [np.ma.masked_invalid(one) for one in data]
        for one in masked:
            one.data[one.mask] = 1e6
        train, later = split(masked)
        streamed = model().fit_stream([(number, rows) for number, rows in enumerate(train)]).update(later)
        for ours in (streamed, model().fit(train, keep_summaries=True).update(later)):
            np.testing.assert_allclose(ours.coefficients_, model().fit(data).coefficients_, rtol=1e-9, atol=1e-9)

    def test_some_series(self, data: list[np.ndarray]) -> None:
        (first, second, third), (later, _, last) = split(data)
        whole = [data[0], second, data[2]]
        fit = model().fit([first, second, third], keep_summaries=True)
        assert_equal_fits(fit.update([later, last], series=[0, 2]), model().fit(whole))
        fit = model().fit([first, second, third], keep_summaries=True).update({2: last, 0: later})
        assert_equal_fits(fit, model().fit(whole))
        fit = model().fit([first, second, third], keep_summaries=True).update(later, series=0)
        assert_equal_fits(fit, model().fit([data[0], second, third]))

    def test_messages_on_a_single_series(self, data: list[np.ndarray]) -> None:
        fit = model().fit(data[0], keep_summaries=True)
        with pytest.raises(InvalidSeriesError, match=r"^the series has 1 channel, but had 2 before"):
            fit.update(data[0][:5, :1])
        with pytest.raises(
            InvalidSeriesError, match=r"^channel 1 of the series holds values .* finite number; rescale"
        ):
            model().fit_stream([data[0] * [1.0, 1e-200]])
        with pytest.raises(InvalidSeriesError, match=r"^channel 0 of series 'b' holds values"):
            model().fit_stream([("a", data[0]), ("b", data[1] * 1e-200)])

    def test_a_stream_with_times_and_a_new_series(self, data: list[np.ndarray]) -> None:
        times = pd.date_range("2024-01-01", periods=len(data[0]), freq="D", tz="Europe/Prague")
        old, new = ("a", data[0][:800], times[:800]), ("a", data[0][810:], times[810:])
        fit = (
            model().fit_stream([old], freq=pd.offsets.Day()).update_stream([new, ("b", data[1], times[: len(data[1])])])
        )
        filled = data[0].copy()
        filled[800:810] = np.nan
        assert_equal_fits(fit, model().fit([filled, data[1]]))
        with pytest.raises(InvalidArgumentError, match=r"'a' was read with times, .* through update_stream"):
            fit.update(data[0][:3], series="a")

    def test_saved_models_go_on(self, data: list[np.ndarray], tmp_path: Any) -> None:
        times = pd.date_range("2024-01-01", periods=len(data[0]), freq="D", tz="Europe/Prague")
        fit = model().fit_stream([("a", data[0][:800], times[:800]), (7, data[1])], freq="D", kpss_lags=64)
        fit.save(tmp_path)
        loaded = AutoAR.load(tmp_path, device="cpu")
        assert loaded.series_ids_ == ("a", 7)
        rest = ("a", data[0][800:], times[800:])
        assert_equal_fits(loaded.update_stream([rest]), fit.update_stream([rest]))
        assert_equal_fits(loaded, model().fit(data[:2]))

    def test_damaged_summaries(self, data: list[np.ndarray], tmp_path: Any) -> None:
        from dasha.autoar.state import from_plain, to_plain

        values, arrays = to_plain(model().fit(data, keep_summaries=True))
        assert from_plain(values, arrays).series_ids_ == (0, 1, 2)
        for name in arrays:
            if name.startswith("summaries."):
                with pytest.raises(StateFileError):
                    from_plain(values, {key: array for key, array in arrays.items() if key != name})
        with pytest.raises(StateFileError, match="there are 5 summaries for 4 channels"):
            from_plain({**values, "summaries": {**values["summaries"], "channels": [2, 1, 1]}}, arrays)

    @pytest.mark.parametrize(
        "value",
        [
            None,
            True,
            3,
            2.5,
            "a",
            pd.Timestamp("2024-03-01 12:00:00.000000001"),
            pd.Timestamp("2024-03-01", tz="Asia/Tokyo"),
        ],
        ids=repr,
    )
    def test_ids_and_times(self, value: Any) -> None:
        assert restored(plain(value)) == value

    def test_refuses(self, data: list[np.ndarray], tmp_path: Any) -> None:
        with pytest.raises(NotFittedError):
            model().update(data[0])
        with pytest.raises(
            InvalidArgumentError, match=r"kept no summaries .* keep_summaries=True, or with fit_summaries"
        ):
            model().fit(data).update(data)
        with pytest.raises(InvalidArgumentError, match="strategy='direct' with pooling='pooled' needs the rows"):
            model(strategy="direct", horizon=2).fit(data, keep_summaries=True)
        fit = model().fit(data, keep_summaries=True)
        before = fit.fitted
        for rows, names, message in (
            (data[0], None, "rows are given for 1 series, but the model has 3"),
            (data[:2], [0], "rows are given for 2 series, but series names 1"),
            (data[0], 3, "series 3 is not one that the model was fitted on; they are 0, 1, 2"),
            ({0: data[0]}, 0, "rows by id already say"),
            (data[2], 0, "series 0 has 1 channel, but had 2 before; give all 2 with all rows"),
        ):
            with pytest.raises(InvalidArgumentError, match=message):
                fit.update(rows, series=names)
        assert fit.fitted is before
        with pytest.raises(InvalidArgumentError, match="the series id \\(1, 2\\) is a tuple, which cannot be saved"):
            model().fit_stream([((1, 2), data[0])]).save(tmp_path)


def train_and(train: list[np.ndarray], more: list[np.ndarray]) -> list[np.ndarray]:
    return [np.vstack(pair) for pair in zip(train, more, strict=True)]


def test_the_length_that_summaries_need() -> None:
    assert model(max_lookback=30).summary_length == 31
    assert model(max_lookback=30, criterion="horizon_bic", horizon=5).summary_length == 35
    assert model(lookback=3, criterion="horizon_bic", horizon=5).summary_length == 4
    assert AutoAR.restore(AutoARConfig(max_lookback=7), None).summary_length == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accumulate([np.arange(30.0)], max_length=model().summary_length)
