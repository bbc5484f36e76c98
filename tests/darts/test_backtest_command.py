import json

import numpy as np
import pandas as pd
import pytest
from darts import TimeSeries

from darts_autoar import baselines
from darts_autoar.baselines import BASELINES, Baseline, choose_baselines
from darts_autoar.comparison import compare
from darts_autoar.scores import mean_ranks, score_all
from darts_autoar.tasks import Task, fill_gaps
from darts_autoar.windows import plan_windows, season_of
from dasha.autoar import AutoAR
from dasha.cli import main
from dasha.errors import InvalidArgumentError, SeriesTooShortError, UnknownNameError

ROWS = 120


@pytest.fixture(scope="module")
def values():
    generator, steps = np.random.default_rng(0), np.arange(ROWS)
    cycle = 10 + np.sin(2 * np.pi * steps / 12)[:, None] * [1.0, 300.0]
    return cycle + generator.normal(size=(ROWS, 2)) * [0.1, 30.0]


@pytest.fixture
def index():
    return pd.date_range("2010-01-01", periods=ROWS, freq="MS")


@pytest.fixture
def file(values, index, tmp_path):
    pd.DataFrame(values, columns=["a", "b"], index=pd.Index(index, name="month")).to_csv(tmp_path / "data.csv")
    return tmp_path / "data.csv"


def task(values, index, **options):
    return [Task(values, index, plan_windows(index, horizon=6, count=3), season_length=12, **options)]


def test_windows_end_with_the_last_row(index):
    plan = plan_windows(index, horizon=6)
    assert (plan.origins, plan.stride) == ((96, 102, 108, 114), 6)
    assert plan_windows(index, horizon=6, stride=2, count=3).origins == (110, 112, 114)
    for start in ("0.9", "108", "2019-01-01"):
        assert plan_windows(index, horizon=6, start=start).origins == (108, 114)
    with pytest.raises(InvalidArgumentError, match="one of the two"):
        plan_windows(index, horizon=6, start="0.5", count=2)
    with pytest.raises(InvalidArgumentError, match="must be a time of the file"):
        plan_windows(index, horizon=6, start="soon")
    with pytest.raises(SeriesTooShortError, match="use fewer windows"):
        plan_windows(index, horizon=6, count=18)


@pytest.mark.parametrize(
    ("freq", "season"),
    [("h", 24), ("15min", 96), ("D", 7), ("B", 5), ("W-SUN", 52), ("MS", 12), ("QS-OCT", 4), ("YS", 1)],
)
def test_season_by_frequency(freq, season):
    assert season_of(pd.date_range("2020-01-01", periods=9, freq=freq)) == season


def test_scores_equal_the_plain_formulas(values, index):
    one = task(values, index)
    naive = score_all(one, compare(one, choose_baselines(["naive"])))[1]
    errors = np.stack([values[o - 12 : o - 6] - values[o : o + 6] for o in (102, 108, 114)])
    spread = values[:102].std(axis=0)
    scale = np.abs(values[12:102] - values[:90]).mean(axis=0)
    assert naive.mae == pytest.approx(np.abs(errors / spread).mean())
    assert naive.mse == pytest.approx(((errors / spread) ** 2).mean())
    assert naive.mase == pytest.approx((np.abs(errors) / scale).mean())


def test_the_future_does_not_leak(values, index):
    """What follows a window changes no forecast of it; what lies in later windows changes no earlier one."""
    values = values.copy()
    values[20, 0] = np.nan
    spoilt = values.copy()
    spoilt[102:] = 1e6
    models = choose_baselines(["naive", "linear", "theta"])
    for refit in (True, False):
        honest = compare(task(values, index, refit=refit), models)
        other = compare(task(spoilt, index, refit=refit), models)
        for one, two in zip(honest, other, strict=True):
            assert one.error == ""
            np.testing.assert_allclose(one.forecasts[0][0], two.forecasts[0][0])


def test_local_models_are_refitted_unless_told_otherwise(values, index):
    refitted, kept = (
        compare(task(values, index, refit=refit), choose_baselines(["ets"]))[1] for refit in (True, False)
    )
    assert (refitted.fitted, kept.fitted) == ("at every window", "once")
    np.testing.assert_allclose(refitted.forecasts[0][0], kept.forecasts[0][0])
    assert not np.allclose(refitted.forecasts[0][-1], kept.forecasts[0][-1])


def test_every_baseline_runs(values, index):
    parts = {}
    outcomes = compare(
        task(values[:, :1], index, refit=False),
        choose_baselines(list(BASELINES)),
        advance=lambda name, amount: parts.update({name: parts.get(name, 0) + amount}),
    )
    assert [outcome.error for outcome in outcomes] == [""] * (1 + len(BASELINES))
    assert {outcome.forecasts[0].shape for outcome in outcomes} == {(3, 6, 1)}
    assert parts == pytest.approx({outcome.label: 1.0 for outcome in outcomes})


def test_a_failing_model_says_why_and_does_not_stop_the_others(values, index, monkeypatch):
    def broken(setting):
        raise ArithmeticError("no\nsuch luck")

    monkeypatch.setitem(baselines.BASELINES, "ets", Baseline("Broken", broken))
    one = task(values, index)
    scores = score_all(one, compare(one, choose_baselines(["ets", "naive"])))
    assert (scores[1].failed, scores[1].remark) == (True, "ArithmeticError: no such luck")
    assert not scores[2].failed
    assert mean_ranks([scores])["Broken"] == 3.0


def test_gaps_are_filled_from_the_history_alone():
    np.testing.assert_array_equal(fill_gaps(np.array([np.nan, 1, np.nan, 3, np.nan])), [1, 1, 2, 3, 3])


def test_unknown_baseline():
    with pytest.raises(UnknownNameError, match=r"'autoarma'; did you mean 'autoarima'\? known are naive, drift"):
        choose_baselines(["naive", "autoarma"])


def test_command_writes_report_tables_and_plot(file, tmp_path, capsys):
    out = tmp_path / "out"
    status = main(["backtest", str(file), "--horizon", "6", "--against", "naive,linear", "--out", str(out), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert status == 0
    assert result == json.loads((out / "backtest.json").read_text())
    assert {path.name for path in out.glob("[!.]*")} == {"report.html", "backtest.png", "scores.csv", "backtest.json"}
    assert (result["season_length"], result["windows"], result["training_rows"]) == (12, 4, 96)
    assert [row["model"] for row in result["scores"]] == ["Auto-AR", "Seasonal naive", "Linear regression"]
    assert all(row["mase"] > 0 and row["seconds"] > 0 for row in result["scores"])
    assert "standard deviation before the first window" in result["notes"][0]
    page = (out / "report.html").read_text()
    assert all(text in page for text in ("Auto-AR", "<svg", result["sha256"], "at every window"))


def test_command_prints_the_table_and_the_rules(file, capsys):
    assert main(["backtest", str(file), "--horizon", "6", "--against", "naive", "--windows", "2"]) == 0
    text = capsys.readouterr().out
    assert "Seasonal naive" in text
    assert "MASE in units of its seasonal naive error" in text
    assert "Auto-AR and linear regression are fitted once" in text


def test_command_says_what_a_strategy_weighed(file, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["backtest", str(file), "--horizon", "6", "--against", "naive", "--out", str(out), "--windows", "2"]
    assert main([*arguments, "--strategy", "auto", "--max-lookback", "20"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "strategy 'auto' of" in text
    result = json.loads((out / "backtest.json").read_text())
    assert (result["strategy"], result["pooling"]) == ("auto", "both")
    candidates = result["selection"]["candidates"]
    assert sum(candidate["weight"] for candidate in candidates) == pytest.approx(1.0)
    page = (out / "report.html").read_text()
    assert "What Auto-AR chose" in page
    assert page.count("<svg") == 2
    assert all(candidate["name"] in page for candidate in candidates)
    assert main([*arguments, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["strategy"], plain["selection"]) == ("recursive", None)
    assert "What Auto-AR chose" not in (out / "report.html").read_text()


def test_options_of_the_model_reach_it(file, values, index, capsys):
    arguments = ["backtest", str(file), "--horizon", "6", "--against", "naive", "--windows", "3", "--json"]
    assert main([*arguments, "--lookback", "5", "--diff-order", "1"]) == 0
    row = json.loads(capsys.readouterr().out)["scores"][0]
    assert row["remark"] == "lookback 5, differencing 1"
    maes = []
    for fraction in (0.2, 0.4):
        settings = {"strategy": "average", "max_lookback": 15, "validation_fraction": fraction}
        options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        assert main([*arguments, *options]) == 0
        maes.append(json.loads(capsys.readouterr().out)["scores"][0]["mae"])
        one = task(values, index)
        assert maes[-1] == pytest.approx(score_all(one, compare(one, [], model_options=settings))[0].mae)
    assert maes[0] != maes[1]


@pytest.mark.parametrize("is_long", [False, True])
def test_command_in_zero_shot_mode(is_long, file, long, values, tmp_path, capsys):
    out = tmp_path / "out"
    source = [str(long), "--id-column", "id"] if is_long else [str(file)]
    arguments = ["backtest", *source, "--horizon", "6", "--against", "naive", "--windows", "2", "--out", str(out)]
    assert main([*arguments, "--mode", "zero-shot", "--max-lookback", "40"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "never" in text
    assert "Auto-AR is not fitted, and forecasts every window from its own past alone" in text
    result = json.loads((out / "backtest.json").read_text())
    assert (result["mode"], result["strategy"], result["pooling"], result["selection"]) == ("zero-shot", *[None] * 3)
    row = result["scores"][0]
    assert (row["fitted"], row["remark"]) == ("never", "zero-shot: nothing is learned from training data")
    assert "Auto-AR is not fitted" in result["notes"][1]
    assert "Auto-AR is not fitted" in (out / "report.html").read_text()
    assert 0 < row["mase"] < 2


def test_zero_shot_windows_are_those_of_the_engine(values, index):
    tasks = task(values, index)
    outcome = compare(tasks, [], model_options={"mode": "zero-shot", "max_lookback": 40})[0]
    engine = AutoAR(mode="zero-shot", max_lookback=40)
    expected = engine.predict_origins(tasks[0].windows.horizon, values, tasks[0].windows.origins)
    np.testing.assert_array_equal(outcome.forecasts[0], expected.mean)


def test_an_unwritable_folder_is_found_before_the_work(file, capsys, monkeypatch):
    monkeypatch.setattr("darts_autoar.comparison.compare", lambda *arguments, **options: pytest.fail("worked first"))
    assert main(["backtest", str(file), "--horizon", "6", "--out", str(file / "below")]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "prophet9"], "no model 'prophet9'"),
        (["--against", "naive,naive"], "twice"),
        (["--windows", "50"], "use fewer windows"),
        (["--criterion", "best"], "criterion is 'best'"),
        (["--strategy", "best"], "strategy is 'best'"),
        (["--diff-order", "adf"], "diff_order is 'adf'"),
        (["--validation-fraction", "1"], "validation_fraction is 1.0"),
        (["--lookback=-1"], "lookback is -1"),
        (["--mode", "few-shot"], "mode is 'few-shot'"),
        (["--engine", "dask"], "--engine is 'dask', but must be 'local' or 'ray'"),
        (["--mode", "zero-shot", "--criterion", "aic"], "criterion is 'aic', but mode='zero-shot' learns nothing"),
        (["--pooling", "both"], "pooling is 'both', but with strategy='recursive'"),
        (["--horizon", "120"], "too few"),
        (["--start", "2030-01-01"], "start earlier"),
    ],
)
def test_errors_are_one_line(file, tmp_path, capsys, arguments, message):
    status = main(["backtest", str(file), "--horizon", "6", "--out", str(tmp_path / "out"), *arguments])
    captured = capsys.readouterr()
    assert (status, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert message in captured.err
    assert not (tmp_path / "out").exists()


LENGTHS = (90, 60, 30, 25)


@pytest.fixture
def long(tmp_path):
    """Series of unequal length and size, the last too short for windows of six steps."""
    generator, parts = np.random.default_rng(0), []
    for number, length in enumerate(LENGTHS):
        steps = np.arange(length)
        values = 10**number * (10 + np.sin(2 * np.pi * steps / 12) + 0.1 * generator.normal(size=length))
        times = pd.date_range(f"201{number}-01-01", periods=length, freq="MS")
        parts.append(pd.DataFrame({"id": f"s{number}", "month": times, "y": values}))
    pd.concat(parts).to_csv(tmp_path / "long.csv", index=False)
    return tmp_path / "long.csv"


def many(lengths=LENGTHS[:3], *, spoilt=False):
    generator, tasks = np.random.default_rng(0), []
    for number, length in enumerate(lengths):
        values = 10**number * (10 + np.sin(np.pi * np.arange(length) / 6) + 0.1 * generator.normal(size=length))
        times = pd.date_range(f"201{number}-01-01", periods=length, freq="MS")
        plan = plan_windows(times, horizon=6, count=1 if length < 40 else 2)
        if spoilt:
            values[plan.training_rows :] = 1e6
        tasks.append(Task(values[:, None], times, plan, season_length=12, name=f"s{number}"))
    return tasks


def test_many_series_are_forecast_by_one_model_from_what_was_known():
    models = choose_baselines(["naive", "linear", "theta"])
    tasks = many()
    outcomes, other = compare(tasks, models), compare(many(spoilt=True), models)
    for one, two in zip(outcomes, other, strict=True):
        assert one.error == ""
        assert [block.shape for block in one.forecasts] == [(2, 6, 1), (2, 6, 1), (1, 6, 1)]
        for known, spoilt in zip(one.forecasts, two.forecasts, strict=True):
            np.testing.assert_allclose(known[0], spoilt[0])
    training = [task.values[: task.windows.training_rows] for task in tasks]
    model = AutoAR(criterion="horizon_bic", horizon=6).fit(training)
    expected = [forecast.mean for forecast in model.predict(6)]
    np.testing.assert_allclose([block[0] for block in outcomes[0].forecasts], expected, rtol=1e-9)


def test_scores_of_many_series_are_means_over_series():
    tasks = many()
    whole = score_all(tasks, compare(tasks, choose_baselines(["naive"])))[1]
    single = [score_all([task], compare([task], choose_baselines(["naive"])))[1] for task in tasks]
    for name in ("mae", "mse", "mase"):
        assert getattr(whole, name) == pytest.approx(np.mean([getattr(score, name) for score in single]))


def test_command_on_a_long_table(long, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--id-column", "id", "--horizon", "6", "--against", "naive,linear", "--out", str(out), "--json"]
    assert main(["backtest", str(long), *arguments]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["id_column"], result["series"], result["windows"], result["season_length"]) == ("id", 3, 3, 12)
    assert [row["model"] for row in result["scores"]] == ["Auto-AR", "Seasonal naive", "Linear regression"]
    assert all(row["mase"] > 0 for row in result["scores"])
    assert "1 of 4 series are too short and left out, the first being 's3': 25 rows" in captured.err
    assert "1 window of 6 steps for each of 3 series" in (out / "report.html").read_text().lower()
    assert "then over series" in result["notes"][0]


def test_command_on_a_long_table_of_short_series(long, capsys):
    assert main(["backtest", str(long), "--id-column", "id", "--horizon", "6", "--windows", "20"]) == 2
    assert "no series is long enough, the first being 's0': 90 rows, 20 windows" in capsys.readouterr().err


def test_a_failure_names_the_series(monkeypatch):
    class Picky:
        supports_transferable_series_prediction = False

        def untrained_model(self):
            return self

        def fit(self, series):
            if len(series) < 40:
                raise ArithmeticError("no such luck")
            return self

        def predict(self, horizon):
            return TimeSeries.from_values(np.zeros(horizon))

    monkeypatch.setitem(baselines.BASELINES, "ets", Baseline("Picky", lambda setting: Picky()))
    outcome = compare(many(), choose_baselines(["ets"]))[1]
    assert outcome.forecasts is None
    assert outcome.error == "RuntimeError: failed on series 's2': ArithmeticError: no such luck"
