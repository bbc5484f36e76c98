"""AutoAREstimator and AutoARPredictor as a GluonTS user meets them."""

import json
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.core.component import equals
from gluonts.dataset.common import ListDataset
from gluonts.dataset.jsonl import JsonLinesWriter
from gluonts.dataset.pandas import PandasDataset
from gluonts.dataset.split import split
from gluonts.ev import metrics
from gluonts.evaluation import Evaluator, MultivariateEvaluator, make_evaluation_predictions
from gluonts.model import evaluate_model
from gluonts.model.estimator import IncrementallyTrainable
from gluonts.model.predictor import Localizer, ParallelizedPredictor, Predictor
from gluonts.model.seasonal_naive import SeasonalNaivePredictor
from gluonts.shell.env import TrainEnv
from gluonts.shell.train import run_train, run_train_and_test
from gluonts.shell.util import forecaster_type_by_name

from darts_autoar import AutoAREstimator, AutoARPredictor
from dasha.autoar import AutoAR
from dasha.errors import DashaWarning, InvalidArgumentError, InvalidSeriesError

from .conftest import cut, make_entry

# Cheap settings: the search itself is tested on the engine.
SMALL = {"max_lookback": 30, "criterion": "bic"}
STEPS = 6


def trained(data, validation=None, **kwargs):
    return AutoAREstimator(**{"prediction_length": STEPS, **SMALL, **kwargs}).train(data, validation)


def engine_of(data, *, horizon=STEPS, validation=None, **kwargs):
    series = [np.atleast_2d(entry["target"]).T for entry in data]
    return AutoAR(**{**SMALL, "horizon": horizon, "device": "cpu", **kwargs}).fit(series, validation=validation)


def forecast_of(predictor, *entries):
    forecasts = list(predictor.predict(entries))
    return forecasts if len(entries) > 1 else forecasts[0]


class TestAgainstTheEngine:
    @pytest.mark.parametrize("kind", ["univariate", "multivariate"])
    @pytest.mark.parametrize("criterion", ["bic", "horizon_bic", "validation"])
    def test_forecasts_are_those_of_the_engine(self, kind, criterion, request):
        data = request.getfixturevalue(kind)
        predictor, engine = trained(data, criterion=criterion), engine_of(data, criterion=criterion)
        assert (predictor.lookback_, predictor.diff_order_) == (engine.lookback_, engine.diff_order_)
        assert predictor.context_length_ == engine.context_length_
        for name in ("criterion_path_", "coefficients_", "intercept_"):
            np.testing.assert_array_equal(getattr(predictor, name), getattr(engine, name))
        for entry, found, expected in zip(data, predictor.predict(data), engine.predict(STEPS), strict=True):
            is_univariate = entry["target"].ndim == 1
            assert found.mean.shape == ((STEPS,) if is_univariate else (STEPS, 3))
            np.testing.assert_allclose(found.mean.reshape(STEPS, -1), expected.mean, rtol=1e-10)
            np.testing.assert_allclose(found.quantile("p10").reshape(STEPS, -1), expected.quantile(0.1), rtol=1e-10)
            assert found.start_date == entry["start"] + entry["target"].shape[-1]

    @pytest.mark.parametrize("kind", ["univariate", "multivariate"])
    @pytest.mark.parametrize(("strategy", "pooling"), [("direct", "channel"), ("auto", None)])
    def test_strategies_are_those_of_the_engine(self, kind, strategy, pooling, request):
        data = request.getfixturevalue(kind)
        options = {"strategy": strategy, "pooling": pooling}
        later = [cut(entry, start=120) for entry in data]
        predictor = trained([cut(entry, stop=120) for entry in data], later, lead_time=2, **options)
        rows = [np.atleast_2d(entry["target"]).T for entry in later]
        engine = engine_of(
            [cut(entry, stop=120) for entry in data], horizon=STEPS + 2, validation=rows, device="cpu", **options
        )
        np.testing.assert_array_equal(predictor.selection_.weights, engine.selection_.weights)
        assert predictor.context_length_ == engine.context_length_
        for found, expected in zip(predictor.predict(data), engine.predict(STEPS + 2), strict=True):
            np.testing.assert_allclose(found.mean.reshape(STEPS, -1), expected.mean[2:], rtol=1e-9)
            np.testing.assert_allclose(found.std.reshape(STEPS, -1), expected.std[2:], rtol=1e-9)

    def test_defaults_are_the_procedure_of_the_paper(self, univariate):
        predictor = AutoAREstimator(prediction_length=STEPS).train(univariate)
        engine = AutoAR(criterion="horizon_bic", horizon=STEPS).fit([entry["target"] for entry in univariate])
        assert predictor.lookback_ == engine.lookback_
        np.testing.assert_allclose(predictor.criterion_path_, engine.criterion_path_, rtol=1e-12)

    def test_context_length_is_the_largest_lookback(self, univariate):
        predictor = trained(univariate, max_lookback=512, context_length=5, diff_order=1)
        assert len(predictor.criterion_path_) == 5  # 0 … 4: differencing takes one of the five
        assert predictor.context_length_ <= 5
        changed = {**univariate[0], "item_id": None, "target": univariate[0]["target"].copy()}
        before = forecast_of(predictor, changed).mean
        changed["target"][-6] += 1e-9  # beyond the context, and nothing to the units
        np.testing.assert_allclose(forecast_of(predictor, changed).mean, before, rtol=1e-9)

    def test_lead_time_moves_the_forecast(self, univariate):
        fixed = {"lookback": 12, "diff_order": 0}
        led, long = trained(univariate, lead_time=4, **fixed), trained(univariate, prediction_length=STEPS + 4, **fixed)
        for moved, whole in zip(led.predict(univariate), long.predict(univariate), strict=True):
            np.testing.assert_array_equal(moved.mean, whole.mean[4:])
            np.testing.assert_array_equal(moved.quantile(0.9), whole.quantile(0.9)[4:])
            assert moved.start_date == whole.start_date + 4
            assert moved.index.equals(whole.index[4:])
        # the criterion scores every step up to the last one forecast
        searched = trained(univariate, lead_time=4, criterion="horizon_bic")
        expected = engine_of(univariate, horizon=STEPS + 4, criterion="horizon_bic")
        np.testing.assert_allclose(searched.criterion_path_, expected.criterion_path_, rtol=1e-12)


class TestUnits:
    """A series that continues a training series has its statistics, any other those of its own past."""

    def check(self, predictor, engine, entry, number):
        context = np.atleast_2d(entry["target"]).T
        expected = engine.predict(STEPS, [context], series=[number])[0]
        found = forecast_of(predictor, entry)
        np.testing.assert_allclose(found.mean.reshape(STEPS, -1), expected.mean, rtol=1e-10)
        np.testing.assert_allclose(found.std.reshape(STEPS, -1), expected.std, rtol=1e-10)

    @pytest.mark.parametrize("channels", [None, 2])
    @pytest.mark.parametrize("freq", ["h", "15min", "M", "W-SUN"])
    def test_of_series_that_continue_and_that_do_not(self, channels, freq):
        whole = [make_entry(140, channels, seed=n, item_id=f"s{n}", freq=freq) for n in range(2)]
        for entry in whole:
            entry["target"][..., 100:] += 50  # so that the statistics differ much
        data = [cut(entry, stop=100) for entry in whole]
        predictor, engine = trained(data, freq=freq), engine_of(data)
        for number, entry in enumerate(whole):
            self.check(predictor, engine, entry, number)
            self.check(predictor, engine, cut(entry, stop=101), number)
            self.check(predictor, engine, cut(entry, start=60), number)
            self.check(predictor, engine, cut(entry, start=99), number)  # one training row is enough
            self.check(predictor, engine, cut(entry, start=100), None)
            self.check(predictor, engine, cut(entry, stop=99), None)  # it was not known to end there
            self.check(predictor, engine, {**entry, "item_id": "other"}, None)
            self.check(predictor, engine, {**entry, "start": entry["start"] + 1}, None)
            changed = {**entry, "target": entry["target"].copy()}
            changed["target"][..., 97] += 1
            self.check(predictor, engine, changed, None)

    def test_of_a_series_between_the_times_of_the_training_series(self):
        data = [make_entry(100, freq="15min"), make_entry(90, freq="15min", item_id="b")]
        predictor, engine = trained(data), engine_of(data)
        earlier = pd.Period(ordinal=data[0]["start"].ordinal - 5, freq="15min")
        self.check(predictor, engine, {**data[0], "start": earlier}, None)
        shifted = {**data[0], "start": earlier, "target": np.append(data[0]["target"], 1.0)}
        with pytest.raises(InvalidSeriesError, match=r"series 'a' starts at .* does not continue the training series"):
            trained(data[:1], [shifted])

    def test_of_a_single_training_series(self):
        data = [make_entry(seed=1)]
        predictor = trained(data)
        unseen = make_entry(seed=2, item_id="b")
        moved = {**unseen, "target": 1000 * unseen["target"] - 7}
        np.testing.assert_allclose(
            forecast_of(predictor, moved).mean, 1000 * forecast_of(predictor, unseen).mean - 7, rtol=1e-9
        )

    def test_of_a_series_whose_training_end_is_missing(self):
        entry = make_entry(120)
        entry["target"][[95, 99]] = np.nan
        entry["target"][100:] += 50
        data = [cut(entry, stop=100), make_entry(80, item_id="b", seed=3)]
        self.check(trained(data), engine_of(data), entry, 0)

    def test_without_item_ids_the_last_rows_tell(self):
        data = [make_entry(100, seed=n, item_id=None) for n in range(3)]
        for entry in data:
            entry["target"] *= 1 + np.random.default_rng(0).random()
        predictor, engine = trained(data), engine_of(data)
        for number in (2, 0, 1):
            self.check(predictor, engine, data[number], number)


class TestValidation:
    def expected(self, data, rows, **kwargs):
        return engine_of(data, validation=rows, **kwargs)

    @pytest.mark.parametrize("criterion", ["validation", "bic"])
    @pytest.mark.parametrize("start", [None, 90, 100])
    def test_rows_after_the_training_rows_count_once(self, criterion, start, univariate):
        data = [cut(entry, stop=100) for entry in univariate]
        later = [cut(entry, start=start) for entry in univariate]
        predictor = trained(data, later[::-1], criterion=criterion)  # paired by item id
        engine = self.expected(data, [entry["target"][100:] for entry in univariate], criterion=criterion)
        np.testing.assert_array_equal(predictor.criterion_path_, engine.criterion_path_)
        np.testing.assert_array_equal(predictor.coefficients_, engine.coefficients_)
        assert len(predictor.criterion_path_) > 1
        # the units stay those of the training rows
        for number, entry in enumerate(univariate):
            expected = engine.predict(STEPS, [entry["target"]], series=[number])[0]
            np.testing.assert_allclose(forecast_of(predictor, entry).mean, expected.mean[:, 0], rtol=1e-10)

    def test_steps_between_are_missing(self, univariate):
        data = [cut(entry, stop=100) for entry in univariate]
        predictor = trained(data, [cut(entry, start=103) for entry in univariate])
        rows = [np.concatenate([[np.nan] * 3, entry["target"][103:]]) for entry in univariate]
        np.testing.assert_array_equal(predictor.coefficients_, self.expected(data, rows).coefficients_)

    def test_a_series_without_a_continuation(self, univariate):
        data = [cut(entry, stop=100) for entry in univariate]
        predictor = trained(data, univariate[1:])
        rows = [np.empty((0, 1)), *(entry["target"][100:] for entry in univariate[1:])]
        np.testing.assert_array_equal(predictor.coefficients_, self.expected(data, rows).coefficients_)

    @pytest.mark.parametrize("strategy", ["direct", "auto"])
    def test_fewer_rows_than_the_horizon_are_training_rows(self, strategy, univariate):
        data = [cut(entry, stop=120) for entry in univariate]
        with pytest.warns(DashaWarning, match="validation_data reaches 3 steps at most past training_data") as caught:
            predictor = trained(data, [cut(entry, stop=123) for entry in univariate], strategy=strategy)
        assert [warning.filename for warning in caught] == [__file__]
        whole = [cut(entry, stop=123) for entry in univariate]
        np.testing.assert_allclose(predictor.selection_.errors, engine_of(whole, strategy=strategy).selection_.errors)
        with pytest.warns(DashaWarning, match=r"training_data is too short for what was asked \(strategy="):
            assert trained([make_entry(12)], [make_entry(14)], strategy=strategy).selection_ is None

    def test_without_item_ids_by_position(self, univariate):
        plain = [{**entry, "item_id": None} for entry in univariate]
        predictor = trained([cut(entry, stop=100) for entry in plain], plain)
        named = trained([cut(entry, stop=100) for entry in univariate], univariate)
        np.testing.assert_array_equal(predictor.coefficients_, named.coefficients_)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda data: [cut(entry, stop=100) for entry in data], "no value after the end of training_data"),
            (lambda data: [{**data[0], "item_id": "new"}], "1 series that were not trained on .* 'new'"),
            (lambda data: [{**data[0], "item_id": None}], "1 series and 4 were trained on, not all with an item_id"),
            (lambda data: [make_entry(300, 2, item_id="s0")], "series 's0' has 2 channels, but the training .* has 1"),
            (
                lambda data: [{**data[0], "start": pd.Period("2020-01-01", "D")}],
                "series 's0' starts at 2020-01-01 with",
            ),
            (
                lambda data: [{**data[0], "start": pd.Period("2020-01-01 00:30", "15min")}],
                "starts at 2020-01-01 00:30 with frequency '15min', which does not continue the training series",
            ),
            (lambda data: [], "validation_data is empty"),
        ],
    )
    def test_what_does_not_belong_together(self, change, message, univariate):
        data = [cut(entry, stop=100) for entry in univariate]
        with pytest.raises(InvalidSeriesError, match=message):
            trained(data, change(univariate))


class TestTrainFrom:
    """New observations without the old data."""

    @staticmethod
    def estimator(**kwargs):
        return AutoAREstimator(**{"prediction_length": STEPS, **SMALL, "keep_summaries": True, **kwargs})

    @staticmethod
    def check_same(continued, whole, entries):
        assert (continued.lookback_, continued.diff_order_) == (whole.lookback_, whole.diff_order_)
        np.testing.assert_allclose(continued.coefficients_, whole.coefficients_, rtol=1e-9)
        for ours, theirs in zip(continued.predict(entries), whole.predict(entries), strict=True):
            np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-9)
            np.testing.assert_allclose(ours.quantile(0.9), theirs.quantile(0.9), rtol=1e-9)

    @pytest.mark.parametrize("overlap", [0, 30, None])
    @pytest.mark.parametrize("kind", ["univariate", "multivariate"])
    def test_equals_training_on_everything(self, kind, overlap, request):
        data = request.getfixturevalue(kind)
        start = None if overlap is None else 100 - overlap
        before = self.estimator().train([cut(entry, stop=100) for entry in data])
        after = self.estimator().train_from(before, [cut(entry, start) for entry in data])
        self.check_same(after, trained(data), data)
        self.check_same(before, trained([cut(entry, stop=100) for entry in data]), data)

    def test_in_steps_through_a_file(self, univariate, tmp_path):
        estimator = self.estimator()
        predictor = estimator.train([cut(entry, stop=100) for entry in univariate])
        for start, stop in [(100, 103), (103, 140), (140, None)]:
            predictor.serialize(tmp_path)
            read = Predictor.deserialize(tmp_path)
            predictor = estimator.train_from(read, [cut(entry, start, stop) for entry in reversed(univariate)])
        self.check_same(predictor, trained(univariate), univariate)

    def test_series_end_begin_and_pause(self, univariate):
        first, second, third, fourth = univariate
        before = self.estimator().train([cut(first, stop=100), second, cut(third, stop=100)])
        after = self.estimator().train_from(before, [cut(third, 110), fourth, cut(first, 90)])
        paused = {**third, "target": third["target"].copy()}
        paused["target"][100:110] = np.nan
        self.check_same(after, trained([first, second, paused, fourth]), [first, second, third, fourth])

    def test_without_item_ids_by_position(self, univariate):
        data = [{name: value for name, value in entry.items() if name != "item_id"} for entry in univariate]
        before = self.estimator().train([cut(entry, stop=100) for entry in data])
        self.check_same(self.estimator().train_from(before, [cut(entry, 100) for entry in data]), trained(data), data)
        with pytest.raises(InvalidSeriesError, match="training_data has 1 series and 4 were trained on, not all"):
            self.estimator().train_from(before, data[:1])

    def test_steps_of_several_minutes(self):
        entry = make_entry(freq="15min")
        before = self.estimator().train([cut(entry, stop=150)])
        self.check_same(self.estimator().train_from(before, [cut(entry, 150)]), trained([entry]), [entry])

    def test_new_series_without_a_value_are_left_out(self, univariate):
        before = self.estimator().train(univariate[:2])
        empty = {**make_entry(50, item_id="empty"), "target": np.full(50, np.nan)}
        with pytest.warns(DashaWarning, match="1 of 3 new series are left out, because they hold no value"):
            after = self.estimator().train_from(before, [*univariate[2:], empty])
        self.check_same(after, trained(univariate), univariate)

    @pytest.mark.parametrize(("first", "options"), [(1, {}), (2, {}), (3, {}), (8, {"lookback": 10, "diff_order": 1})])
    @pytest.mark.filterwarnings("ignore:training_data is too short for what was asked")
    def test_from_too_little_data_to_enough(self, first, options):
        entry = make_entry(100)
        options = {"criterion": "horizon_bic", **options}
        predictor = self.estimator(**options).train([cut(entry, stop=first)])
        is_simpler = replace(predictor.engine.config, device="auto") != self.estimator(**options).config
        assert is_simpler == (first > 1)  # a single value is a constant series
        predictor = self.estimator(**options).train_from(predictor, [cut(entry, first, first + 1)])
        self.check_same(predictor, trained([cut(entry, stop=first + 1)], **options), [cut(entry, stop=first + 1)])
        predictor = self.estimator(**options).train_from(predictor, [cut(entry, first + 1)])
        self.check_same(predictor, trained([entry], **options), [entry])

    def test_a_long_pause_takes_no_room(self, tmp_path):
        entry = make_entry(freq="s")
        predictor = self.estimator().train([cut(entry, stop=150)])
        later = {**cut(entry, 150), "start": entry["start"] + 100_000}
        after = self.estimator().train_from(predictor, [later])
        after.serialize(tmp_path)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1e6
        moved = {**entry, "start": entry["start"] + 30_000_000}
        with pytest.raises(InvalidSeriesError, match=r"29,999,850 steps after the training series, .* check its start"):
            self.estimator().train_from(predictor, [moved])

    def test_what_ids_do_not_tell(self, univariate):
        first, second = ({**entry, "item_id": None} for entry in univariate[:2])
        empty = {**second, "target": np.full(50, np.nan)}
        with pytest.raises(InvalidSeriesError, match="number 1 holds no value, so that keep_summaries=True would"):
            self.estimator().train([first, empty])
        with_ids = self.estimator().train(univariate[:2])
        with pytest.raises(InvalidSeriesError, match="series number 0 has no item_id, but those that the predictor"):
            self.estimator().train_from(with_ids, [first])
        with pytest.raises(InvalidSeriesError, match="training_data holds series 'b' 2 times; pass all rows of"):
            self.estimator().train_from(with_ids, [make_entry(item_id="b"), make_entry(item_id="b")])
        without = self.estimator().train([first])
        with pytest.raises(InvalidSeriesError, match="training_data has 1 series and 1 were trained on, not all with"):
            self.estimator().train_from(without, univariate[:1])

    def test_the_horizon_counts_where_it_decides(self, univariate):
        before = self.estimator().train([cut(entry, stop=100) for entry in univariate])
        longer = self.estimator(prediction_length=9).train_from(before, univariate)
        self.check_same(longer, trained(univariate, prediction_length=9), univariate)
        before = self.estimator(criterion="horizon_bic").train([cut(entry, stop=100) for entry in univariate])
        with pytest.raises(InvalidArgumentError, match="trained with horizon=6, but the estimator has horizon=9"):
            self.estimator(criterion="horizon_bic", prediction_length=9).train_from(before, univariate)

    def test_what_cannot_be_continued(self, univariate):
        before = self.estimator().train([cut(entry, stop=100) for entry in univariate])
        with pytest.raises(InvalidSeriesError, match=r"no value after the end of .* trained on \(series 's0' ends"):
            self.estimator().train_from(before, [cut(entry, stop=100) for entry in univariate])
        with pytest.raises(InvalidSeriesError, match=r"training_data of series 's0' starts at .* does not continue"):
            self.estimator().train_from(before, [{**univariate[0], "start": pd.Period("2020-01-05", "D")}])
        with pytest.raises(InvalidArgumentError, match="with max_lookback=30, but the estimator has max_lookback=20"):
            self.estimator(max_lookback=20).train_from(before, univariate)
        with pytest.raises(InvalidArgumentError, match=r"kept no sums of .*keep_summaries=True"):
            self.estimator().train_from(trained(univariate), [make_entry(300, item_id="s0")])
        with pytest.raises(InvalidArgumentError, match="keep_summaries=True goes without validation_data; make its"):
            self.estimator().train_from(before, univariate, univariate)
        with pytest.raises(InvalidArgumentError, match="keep_summaries=True goes without validation_data; make its"):
            self.estimator().train(univariate, univariate)
        with pytest.raises(InvalidArgumentError, match=r"mode='zero-shot', but the estimator has .*mode='trained'"):
            self.estimator().train_from(
                AutoAREstimator(STEPS, max_lookback=30, mode="zero-shot").train(univariate), univariate
            )
        with pytest.raises(InvalidArgumentError, match="predictor is a SeasonalNaivePredictor, but must be what"):
            self.estimator().train_from(SeasonalNaivePredictor(STEPS, 12), univariate)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"strategy": "auto"}, "strategy='auto' with pooling='both' needs the rows themselves"),
            ({"mode": "zero-shot"}, "mode='zero-shot' learns nothing"),
            ({"criterion": "validation"}, "criterion='validation' has no validation rows"),
        ],
    )
    def test_settings_that_need_the_rows(self, arguments, message):
        with pytest.raises(InvalidArgumentError, match=message):
            AutoAREstimator(**{"prediction_length": STEPS, "keep_summaries": True, **arguments})

    def test_from_the_shell(self, univariate, tmp_path):
        predictor = self.estimator().train([cut(entry, stop=100) for entry in univariate])
        assert isinstance(self.estimator(), IncrementallyTrainable)
        after = run_train(self.estimator(), univariate, {}, None, predictor)
        self.check_same(after, trained(univariate), univariate)


class TestMissingAndShort:
    def test_missing_values_in_training_and_context(self, univariate):
        data = [{**entry, "target": entry["target"].copy()} for entry in univariate]
        for entry in data:
            entry["target"][[3, 40, 41, -1]] = np.nan
        predictor, engine = trained(data), engine_of(data)
        for found, expected in zip(predictor.predict(data), engine.predict(STEPS), strict=True):
            assert np.isfinite(found.mean).all()
            np.testing.assert_allclose(found.mean, expected.mean[:, 0], rtol=1e-10)

    def test_what_a_mask_hides_is_missing(self, univariate, multivariate):
        for data in (univariate, multivariate):
            hidden = [np.random.default_rng(1).random(entry["target"].shape) < 0.1 for entry in data]
            pairs = list(zip(data, hidden, strict=True))
            masked = [{**one, "target": np.ma.array(np.where(h, 1e6, one["target"]), mask=h)} for one, h in pairs]
            plain = [{**one, "target": np.where(h, np.nan, one["target"])} for one, h in pairs]
            ours, expected = trained(masked), trained(plain)
            np.testing.assert_array_equal(ours.coefficients_, expected.coefficients_)
            for one, other in zip(ours.predict(masked), expected.predict(plain), strict=True):
                np.testing.assert_array_equal(one.mean, other.mean)

    def test_a_channel_without_any_value_is_forecast_as_missing(self, multivariate):
        data = [{**entry, "target": entry["target"].copy()} for entry in multivariate]
        data[0]["target"][1] = np.nan
        with pytest.warns(DashaWarning, match="1 of 6 channels hold no value at all"):
            predictor = trained(data)
        found = forecast_of(predictor, data[0])
        assert np.isnan(found.mean).all(0).tolist() == [False, True, False]
        assert np.isfinite(found.copy_dim(2).samples).all()
        assert predictor == AutoARPredictor(**predictor.__init_args__)  # missing equals missing

    def test_what_is_too_short_is_named_once(self, univariate):
        short = [make_entry(2, item_id="tiny"), make_entry(0, item_id="none"), make_entry(1, item_id="one")]
        missing = {**make_entry(50, item_id="gone"), "target": np.full(50, np.nan)}
        with pytest.warns(DashaWarning) as caught:
            predictor = trained([short[0], *univariate, *short[1:], missing])
        messages = [str(warning.message) for warning in caught]
        assert len(messages) == 1
        assert messages[0].startswith("4 of 8 series are left out of the coefficients")
        assert messages[0].endswith("(the first is series 'tiny' with 2 steps)")
        assert caught[0].filename == __file__
        np.testing.assert_allclose(predictor.coefficients_, trained(univariate).coefficients_, rtol=1e-9)
        for entry in (*short, missing):
            forecast = forecast_of(predictor, entry)
            assert np.isnan(forecast.mean).all() == (entry["item_id"] in ("none", "gone"))
            assert forecast.start_date == entry["start"] + len(entry["target"])

    @pytest.mark.parametrize("channels", [None, 2])
    def test_any_context_from_one_value_on(self, channels, univariate):
        predictor = trained(univariate, lookback=12, diff_order=1)
        for length in range(1, 20):
            mean = forecast_of(predictor, make_entry(length, channels, item_id=None)).mean
            assert np.isfinite(mean).all()
        constant = forecast_of(predictor, {**make_entry(1, channels), "target": np.full((1,), 3.0)})
        np.testing.assert_allclose(constant.mean, 3.0)

    @pytest.mark.parametrize("options", [{}, {"criterion": "validation"}, {"lookback": 24}, {"diff_order": 2}])
    @pytest.mark.filterwarnings("ignore::dasha.errors.DashaWarning")
    def test_local_models_of_series_of_any_length(self, options):
        data = [make_entry(length, item_id=str(length), seed=length) for length in (1, 2, 3, 5, 9, 20, 40, 100)]
        data[3]["target"][1:4] = np.nan
        estimator = AutoAREstimator(**{"prediction_length": 12, "max_lookback": 30, **options})
        forecasts = list(Localizer(estimator).predict(data))
        assert all(np.isfinite(forecast.quantile(0.9)).all() for forecast in forecasts)
        expected = AutoAR(**{"max_lookback": 30, "criterion": "horizon_bic", "horizon": 12, **options})
        expected.fit(data[-1]["target"])
        np.testing.assert_allclose(forecasts[-1].mean, expected.predict(12).mean[:, 0], rtol=1e-9)

    @pytest.mark.parametrize("strategy", ["direct", "auto"])
    def test_a_strategy_needs_more_than_the_auto_regression(self, strategy):
        with pytest.warns(DashaWarning, match=rf"asked \(strategy='{strategy}' with horizon=6 finds no gap-free"):
            predictor = trained([make_entry(14)], strategy=strategy, criterion="horizon_bic")
        assert predictor.selection_ is None
        assert predictor.engine.config.criterion == "horizon_bic"
        estimator = AutoAREstimator(prediction_length=STEPS, max_lookback=30, strategy=strategy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DashaWarning)
            forecasts = list(Localizer(estimator).predict([make_entry(length) for length in (1, 3, 14, 25, 60)]))
        assert all(np.isfinite(forecast.quantile(0.9)).all() for forecast in forecasts)

    @pytest.mark.parametrize(("strategy", "left_out"), [("auto", "2 of 6"), ("direct", "3 of 6")])
    def test_short_series_beside_a_strategy(self, strategy, left_out, univariate):
        data = [*univariate, make_entry(2, item_id="tiny"), make_entry(0, item_id="none")]
        data[0] = cut(data[0], stop=STEPS + 15) if strategy == "direct" else data[0]
        with pytest.warns(DashaWarning, match=rf"{left_out} series are left out of the coefficients"):
            predictor = trained(data, strategy=strategy)
        forecasts = list(predictor.predict(data))
        assert all(np.isfinite(forecast.mean).all() for forecast in forecasts[:-1])
        assert np.isnan(forecasts[-1].mean).all()

    def test_a_simpler_model_is_announced(self):
        with pytest.warns(DashaWarning, match=r"too short for what was asked \(lookback=24 with .* trained AutoAR\("):
            predictor = trained([make_entry(30)], lookback=24)
        assert 0 < predictor.lookback_ <= 24
        with pytest.warns(DashaWarning, match=r"trained AutoAR\("):
            assert trained([make_entry(4)], lookback=1, diff_order=2).context_length_ <= 3
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trained([make_entry(60)], lookback=24)

    def test_nothing_to_learn_from(self):
        for data in ([make_entry(0)], [{**make_entry(3), "target": np.full(3, np.nan)}]):
            with pytest.raises(InvalidSeriesError, match="training_data holds no value at all"):
                trained(data)
        with pytest.raises(InvalidSeriesError, match="training_data is empty; pass at least one series"):
            trained([])


@pytest.fixture
def time_limit():
    """Turn a process that hangs into a test that fails."""

    def stop(*_):
        raise TimeoutError("still waiting after 60 seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


class TestInsideGluonTS:
    @pytest.mark.parametrize("strategy", ["recursive", "auto"])
    def test_serialised_and_read_again(self, strategy, univariate, multivariate, tmp_path):
        data = [*univariate, *multivariate, make_entry(90, item_id=None), make_entry(90, item_id=7, seed=2)]
        predictor = trained(data, lead_time=2, freq="h", seed=5, strategy=strategy)
        predictor.serialize(tmp_path)
        again = Predictor.deserialize(tmp_path)
        assert isinstance(again, AutoARPredictor)
        assert again == predictor
        assert equals(again, predictor)
        assert again != trained(data, lead_time=2, freq="h", seed=6, strategy=strategy)
        assert again != trained(data[1:], lead_time=2, freq="h", seed=5, strategy=strategy)
        assert again != trained(data, lead_time=2, freq="h", seed=5, strategy="average")
        assert again != "something else"
        for before, after in zip(predictor.predict(data), again.predict(data), strict=True):
            np.testing.assert_array_equal(before.mean, after.mean)
            np.testing.assert_array_equal(before.samples, after.samples)
            assert before.start_date == after.start_date
        assert {path.name for path in tmp_path.iterdir()} == {"gluonts-config.json", "predictor.json"}

    def test_estimators_are_equal_by_their_arguments(self):
        assert equals(AutoAREstimator(prediction_length=3), AutoAREstimator(3, criterion="horizon_bic"))
        assert not equals(AutoAREstimator(prediction_length=3), AutoAREstimator(4))
        assert "prediction_length=3" in repr(AutoAREstimator(3))

    @pytest.mark.usefixtures("time_limit")
    @pytest.mark.filterwarnings("ignore:6 of 7 series are left out")
    @pytest.mark.parametrize(
        "options", [{"lookback": 500, "diff_order": 0}, {"strategy": "auto", "context_length": 90}]
    )
    def test_workers_give_the_same_forecasts(self, options, univariate, multivariate):
        data = [*univariate, *multivariate, make_entry(2000, seed=8)]
        # A product large enough for the threads that training started and that do not survive a fork.
        predictor = trained(data, lead_time=1, prediction_length=24, max_lookback=512, **options)
        parallel = ParallelizedPredictor(predictor, num_workers=2, chunk_size=2)
        for one, other in zip(predictor.predict(data), parallel.predict(data), strict=True):
            np.testing.assert_array_equal(one.mean, other.mean)
            np.testing.assert_array_equal(one.samples, other.samples)
            assert (one.item_id, one.start_date) == (other.item_id, other.start_date)

    def test_threads_come_back_as_they_were(self, univariate):
        threads = torch.get_num_threads()
        forecast_of(trained(univariate), univariate[0])
        assert torch.get_num_threads() == threads

    def test_pandas_dataset(self):
        frame = pd.DataFrame({"x": make_entry(100)["target"], "y": make_entry(100, seed=1)["target"]})
        frame.index = pd.date_range("2021-01-01", periods=100, freq="D")
        long = frame.melt(ignore_index=False)
        dataset = PandasDataset.from_long_dataframe(long, item_id="variable", target="value")
        forecasts = list(trained(dataset, freq="D").predict(dataset))
        assert [forecast.item_id for forecast in forecasts] == ["x", "y"]
        expected = engine_of([{"target": frame[name].to_numpy()} for name in "xy"]).predict(STEPS)
        for forecast, exact in zip(forecasts, expected, strict=True):
            np.testing.assert_allclose(forecast.mean, exact.mean[:, 0], rtol=1e-9)
            assert forecast.start_date == pd.Period("2021-04-11", freq="D")
        wide = PandasDataset(frame, target=["x", "y"])
        assert forecast_of(trained(wide), *wide).mean.shape == (STEPS, 2)

    def test_none_is_the_usual_number_of_samples(self, univariate):
        assert next(trained(univariate).predict(univariate, num_samples=None)).num_samples == 100

    def test_evaluator(self, univariate):
        dataset = ListDataset(univariate, freq="h")
        predictor = trained([cut(entry, stop=-STEPS) for entry in univariate])
        forecasts, actual = make_evaluation_predictions(dataset, predictor=predictor, num_samples=30)
        forecasts = list(forecasts)
        assert {forecast.samples.shape for forecast in forecasts} == {(30, STEPS)}
        total, items = Evaluator(num_workers=2)(actual, forecasts)
        assert list(items["item_id"]) == ["s0", "s1", "s2", "s3"]
        assert total["MASE"] < 1
        errors = [
            np.abs(f.quantile(0.5) - e["target"][-STEPS:]).sum() for f, e in zip(forecasts, univariate, strict=True)
        ]
        np.testing.assert_allclose(total["abs_error"], sum(errors), rtol=1e-5)

    def test_multivariate_evaluator(self, multivariate):
        dataset = ListDataset(multivariate, freq="h", one_dim_target=False)
        predictor = trained([cut(entry, stop=-STEPS) for entry in dataset])
        forecasts, actual = make_evaluation_predictions(dataset, predictor=predictor)
        evaluator = MultivariateEvaluator(target_agg_funcs={"sum": np.sum, "max": np.max})
        total, _ = evaluator(actual, forecasts)
        forecasts = list(predictor.predict([cut(entry, stop=-STEPS) for entry in dataset]))
        errors = [
            np.abs(f.quantile(0.5).sum(1) - e["target"][:, -STEPS:].sum(0)).sum()
            for f, e in zip(forecasts, dataset, strict=True)
        ]
        np.testing.assert_allclose(total["m_sum_abs_error"], sum(errors), rtol=1e-5)
        assert np.isfinite([total["2_MSE"], total["m_max_MSE"], total["mean_wQuantileLoss"]]).all()

    @pytest.mark.parametrize("kind", ["univariate", "multivariate"])
    def test_evaluate_model(self, kind, request):
        data = request.getfixturevalue(kind)
        train, template = split(data, offset=-2 * STEPS)
        test = template.generate_instances(STEPS, windows=2)
        predictor = trained(train)
        chosen = [metrics.MASE(), metrics.MSE(), metrics.MeanWeightedSumQuantileLoss([0.1, 0.5, 0.9])]
        table = evaluate_model(predictor, test_data=test, metrics=chosen, seasonality=1)
        squares = [
            np.square(forecast.mean.T - label["target"]).mean()
            for forecast, label in zip(predictor.predict(test.input), test.label, strict=True)
        ]
        np.testing.assert_allclose(table["MSE[mean]"].item(), np.mean(squares))
        assert table["MASE[0.5]"].item() < 1
        assert 0 < table["mean_weighted_sum_quantile_loss"].item() < 0.05

    def test_item_id_and_info_are_carried(self):
        entry = make_entry(item_id="here", info={"unit": "kW"})
        forecast = forecast_of(trained([entry]), entry)
        assert (forecast.item_id, forecast.info) == ("here", {"unit": "kW"})
        bare = forecast_of(trained([entry]), {"start": entry["start"], "target": entry["target"]})
        assert (bare.item_id, bare.info) == (None, None)

    def test_paths_differ_between_series_and_seeds_and_nothing_else(self, univariate):
        def noise(forecast):
            return (forecast.samples - forecast.mean) / forecast.std

        predictor = trained(univariate)
        first, second = forecast_of(predictor, *univariate[:2])
        assert np.abs(noise(first) - noise(second)).max() > 1
        np.testing.assert_array_equal(forecast_of(predictor, *univariate[::-1])[-1].samples, first.samples)
        assert not np.array_equal(forecast_of(trained(univariate, seed=1), univariate[0]).samples, first.samples)

    def test_inputs_are_left_alone(self, univariate):
        before = [entry["target"].copy() for entry in univariate]
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        forecasts = forecast_of(trained(univariate), *univariate)
        assert forecasts[0].samples.size
        for entry, values in zip(univariate, before, strict=True):
            np.testing.assert_array_equal(entry["target"], values)
        np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002

    def test_training_from_the_shell_by_dotted_name(self, univariate, tmp_path):
        kind = forecaster_type_by_name("darts_autoar.AutoAREstimator")
        assert kind is AutoAREstimator
        assert forecaster_type_by_name("darts_autoar.AutoARPredictor") is AutoARPredictor
        for channel, stop in (("train", -STEPS), ("test", None)):
            folder = tmp_path / "input" / "data" / channel
            folder.mkdir(parents=True)
            JsonLinesWriter(use_gzip=False).write_to_folder([cut(entry, stop=stop) for entry in univariate], folder)
        options = {"prediction_length": "6", "freq": "h", "max_lookback": "20", "diff_order": "0", "num_workers": "2"}
        settings = tmp_path / "input" / "config" / "hyperparameters.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps(options))
        run_train_and_test(TrainEnv(path=tmp_path), kind)
        predictor = Predictor.deserialize(tmp_path / "model")
        assert (predictor.prediction_length, predictor.diff_order_) == (6, 0)
        assert len(predictor.criterion_path_) == 21
        assert json.loads((tmp_path / "model" / "agg_metrics.json").read_text())["MASE"] < 1


class TestBadArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"prediction_length": 0}, "prediction_length is 0, but must be an integer of at least 1"),
            ({"prediction_length": 1.5}, "prediction_length is 1.5, but must be an integer"),
            ({"prediction_length": "six"}, "prediction_length is 'six', but must be an integer"),
            ({}, "prediction_length\n  field required"),
            ({"prediction_length": 6, "lookback": True}, "lookback is True, but must be an integer"),
            ({"prediction_length": 6, "lead_time": -1}, "lead_time is -1, but must be an integer of at least 0"),
            ({"prediction_length": 6, "seed": -1}, "seed is -1, but must be an integer of at least 0"),
            (
                {"prediction_length": 6, "context_length": 0},
                "context_length is 0, but must be an integer of at least 1",
            ),
            ({"prediction_length": 6, "max_lookback": 0}, "max_lookback is 0, but must be an integer of at least 1"),
            (
                {"prediction_length": 6, "context_length": 24, "max_lookback": 48},
                "context_length is 24 and max_lookback is 48, but they say the same; drop one",
            ),
            (
                {"prediction_length": 6, "context_length": 24, "lookback": 48},
                "lookback is 48, but must be at most context_length=24; drop one of the two",
            ),
            ({"prediction_length": 6, "freq": "foo"}, "freq is 'foo', but must be a frequency of pandas such as 'h'"),
            ({"prediction_length": 6, "diff_order": 3}, "diff_order is 3, but must be 'kpss', 0, 1 or 2"),
            ({"prediction_length": 6, "diff_order": 1.5}, "diff_order is 1.5, but must be an integer"),
            ({"prediction_length": 6, "criterion": "cv"}, "criterion is 'cv', but must be one of 'bic', "),
            (
                {"prediction_length": 6, "strategy": "best"},
                "strategy is 'best', but must be one of 'recursive', 'direct', 'average', 'auto'",
            ),
            (
                {"prediction_length": 6, "strategy": "direct", "pooling": "both"},
                "pooling is 'both', but with strategy='direct' must be one of 'pooled', 'channel'",
            ),
            ({"prediction_length": 6, "device": "tpu"}, "device is 'tpu', but must be 'auto', 'cpu'"),
        ],
    )
    def test_of_the_estimator(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            AutoAREstimator(**arguments)

    def test_text_from_the_shell_is_read_as_a_number(self):
        estimator = AutoAREstimator(prediction_length="12", diff_order="1", validation_fraction="0.3")
        assert (estimator.prediction_length, estimator.config.diff_order) == (12, 1)
        assert estimator.config.validation_fraction == 0.3

    @pytest.mark.parametrize(
        ("freq", "period"),
        [
            ("ME", "M"),
            ("MS", "M"),
            ("H", "h"),
            ("W", "W"),
            ("2W", "2W"),
            ("W-WED", "W-WED"),
            ("QE-DEC", "Q-DEC"),
            ("15min", "15min"),
        ],
    )
    @pytest.mark.filterwarnings("error")
    def test_frequencies_have_several_names(self, freq, period):
        assert AutoAREstimator(prediction_length=6, freq=freq).freq == period

    @pytest.mark.parametrize(
        ("freq", "same", "other"),
        [
            ("60min", "h", "30min"),
            ("h", "60min", "2h"),
            ("1440min", "D", "12h"),
            ("W", "W-MON", "2W-MON"),
            ("2W", "2W-WED", "W-WED"),
            ("W-MON", "W-MON", "W-SUN"),
            ("MS", "M", "Q-DEC"),
        ],
    )
    @pytest.mark.filterwarnings("error")
    def test_frequencies_are_equal_whatever_their_name(self, freq, same, other):
        entry = make_entry(60)
        estimator = AutoAREstimator(prediction_length=6, freq=freq, lookback=2)
        predictor = estimator.train([{**entry, "start": pd.Period("2020-01-06", same)}])
        assert predictor.predict_item({**entry, "start": pd.Period("2020-01-06", same)}).mean.shape == (6,)
        for method in (estimator.train, lambda entries: next(predictor.predict(entries))):
            with pytest.raises(InvalidSeriesError, match=f"has frequency '{other}', but freq is '{predictor.freq}'"):
                method([{**entry, "start": pd.Period("2020-01-06", other)}])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"start": pd.Period("2020-01-01", "D")}, "series 's0' has frequency 'D', but freq is 'h'; leave out freq"),
            ({"start": "2020-01-01"}, "start of series 's0' is '2020-01-01', but must be a pandas.Period"),
            ({"target": np.zeros((2, 3, 4))}, r"series 's0' has shape \(4, 3, 2\)"),
            ({"target": np.array([1.0, np.inf])}, "series 's0' is infinite at step 1 of channel 0"),
            ({"target": np.array(["a", "b"])}, "series 's0' has dtype <U1, but must hold real numbers"),
        ],
    )
    def test_of_an_entry(self, change, message, univariate):
        entry = {**univariate[0], **change}
        with pytest.raises(InvalidSeriesError, match=message):
            trained([entry], freq="h")
        with pytest.raises(InvalidSeriesError, match=message):
            forecast_of(trained(univariate, freq="h"), entry)

    def test_of_an_incomplete_entry(self, univariate):
        with pytest.raises(InvalidSeriesError, match="series number 1 has no field 'target'; build the dataset with"):
            trained([univariate[0], {"start": univariate[0]["start"]}])

    def test_of_predict(self, univariate):
        with pytest.raises(InvalidArgumentError, match="num_samples is 0, but must be an integer of at least 1"):
            next(trained(univariate).predict(univariate, num_samples=0))


@pytest.mark.parametrize(
    ("statement", "stranger"),
    [
        ("from darts_autoar import AutoAREstimator", "darts"),
        ("import darts_autoar.darts_model", "gluonts"),
    ],
)
def test_neither_host_needs_the_other(statement, stranger):
    code = f"import sys; sys.modules[{stranger!r}] = None; {statement}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120, cwd=Path(__file__).parent)


def test_the_adapter_is_registered():
    import dasha

    assert isinstance(dasha.get_manager().adapters["gluonts"](prediction_length=3), AutoAREstimator)
