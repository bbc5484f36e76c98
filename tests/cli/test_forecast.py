import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from dasha.autoar import AutoAR
from dasha.cli import main

pytestmark = pytest.mark.filterwarnings("error::UserWarning:dasha")
FILES = {"forecast.csv", "forecast.parquet", "forecast.png", "summary.json", "model"}


@pytest.fixture
def data():
    generator, steps = np.random.default_rng(0), np.arange(120)
    columns = {name: np.sin(steps / 4 + shift) + 0.1 * generator.normal(size=120) for shift, name in enumerate("ab")}
    return pd.DataFrame({"date": pd.date_range("2020-01-01", periods=120, freq="h"), **columns})


@pytest.fixture
def file(data, tmp_path):
    data.to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "data.csv"


@pytest.fixture
def run(file, tmp_path, capsys):
    def run(*arguments, path=file, out=tmp_path / "out", horizon=5):
        status = main(["forecast", str(path), "--horizon", str(horizon), "--out", str(out), *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_everything_is_written(run, data, file, tmp_path):
    status, stdout, stderr = run("--quantiles", ".9,.05,.5")
    out = tmp_path / "out"
    assert (status, stderr) == (0, "")
    assert "lookback" in stdout
    assert {path.name for path in out.glob("[!.]*")} == FILES
    frame = pd.read_csv(out / "forecast.csv", parse_dates=["time"])
    pd.testing.assert_frame_equal(frame, pd.read_parquet(out / "forecast.parquet"), check_dtype=False)
    assert list(frame.columns) == ["time", "series", "step", "mean", "std", "q0.05", "q0.5", "q0.9"]
    assert list(frame["series"]) == ["a"] * 5 + ["b"] * 5
    assert list(frame["time"][:5]) == list(pd.date_range("2020-01-06", periods=5, freq="h"))
    expected = AutoAR(criterion="horizon_bic", horizon=5).fit(data[["a", "b"]].to_numpy()).predict(5)
    np.testing.assert_allclose(frame["mean"], expected.mean.T.reshape(-1), rtol=1e-9)
    np.testing.assert_allclose(frame["q0.05"], expected.quantile(0.05).T.reshape(-1), rtol=1e-9)
    np.testing.assert_allclose(AutoAR.load(out / "model").predict(5).mean, expected.mean, rtol=1e-12)
    assert (out / "forecast.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_the_summary(run, file, tmp_path):
    status, stdout, _ = run("--json", "--criterion", "bic", "--max-lookback", "12", "--diff-order", "0")
    summary = json.loads(stdout)
    assert status == 0
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    expected = {
        "file": "data.csv",
        "rows": 120,
        "columns": ["a", "b"],
        "time_column": "date",
        "first_time": "2020-01-01 00:00:00",
        "last_time": "2020-01-05 23:00:00",
        "freq": "h",
        "criterion": "bic",
        "diff_order": 0,
    }
    assert {key: summary[key] for key in expected} == expected
    assert 0 <= summary["lookback"] <= 12
    assert np.isfinite(summary["criterion_value"])
    assert {"dasha-plugins", "python", "numpy", "torch"} <= set(summary["versions"])
    assert summary["seconds"]["fit"] > 0


def test_fixed_lookback_has_no_criterion(run):
    summary = json.loads(run("--json", "--lookback", "3")[1])
    assert (summary["lookback"], summary["criterion"], summary["criterion_value"]) == (3, None, None)


@pytest.mark.parametrize("strategy", ["recursive", "auto"])
def test_constant_series_have_no_lookback_to_speak_of(run, data, file, strategy):
    data.assign(a=3.0, b=-1.0).to_csv(file, index=False)
    stdout = run("--strategy", strategy)[1]
    assert "all series are constant" in stdout
    assert "lookback" not in stdout
    assert json.loads(run("--strategy", strategy, "--json")[1])["all_constant"]
    assert AutoAR().fit(np.ones(9)).describe() == "all series are constant"


@pytest.mark.parametrize(("strategy", "pooling"), [("auto", None), ("direct", "channel")])
def test_a_strategy_says_what_it_weighed(run, data, tmp_path, strategy, pooling):
    arguments = ["--strategy", strategy, "--max-lookback", "12", *(["--pooling", pooling] if pooling else [])]
    status, stdout, stderr = run(*arguments)
    out = tmp_path / "out"
    assert (status, stderr) == (0, "")
    assert {path.name for path in out.glob("[!.]*")} == FILES | {"selection.png"}
    assert (out / "selection.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((out / "summary.json").read_text())
    settings = {"criterion": "horizon_bic", "horizon": 5, "max_lookback": 12}  # what the command does by default
    model = AutoAR(strategy=strategy, pooling=pooling, **settings).fit(data[["a", "b"]].to_numpy())
    expected = model.selection_
    assert (summary["strategy"], summary["pooling"]) == (strategy, pooling or "both")
    assert summary["context_length"] == model.context_length_
    assert (summary["lookback"], summary["criterion"], summary["criterion_value"]) == (None, None, None)
    assert summary["selection"]["error"] == pytest.approx(expected.error)
    candidates = summary["selection"]["candidates"]
    assert sorted(candidate["name"] for candidate in candidates) == sorted(expected.names)
    assert [candidate["weight"] for candidate in candidates] == sorted(expected.weights.mean(0), reverse=True)
    assert {candidate["name"]: candidate["error"] for candidate in candidates} == pytest.approx(
        dict(zip(expected.names, expected.errors, strict=True))
    )
    assert f"{strategy}, {pooling or 'both'}" in stdout
    assert all(text in stdout for text in (candidates[0]["name"], "selection.png", "validation error"))
    np.testing.assert_allclose(
        pd.read_csv(out / "forecast.csv")["mean"], model.predict(5).mean.T.reshape(-1), rtol=1e-9
    )
    # the picture goes with its forecast
    assert run()[0] == 0
    assert not (out / "selection.png").exists()
    assert json.loads((out / "summary.json").read_text())["selection"] is None


def test_validation_fraction_reaches_the_engine(run, data, tmp_path):
    settings = {"criterion": "validation", "max_lookback": 12, "validation_fraction": 0.5}
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    assert run(*options)[0] == 0
    expected = AutoAR(**settings, horizon=5).fit(data[["a", "b"]].to_numpy())
    assert AutoAR.load(tmp_path / "out" / "model").config == expected.config
    np.testing.assert_allclose(
        pd.read_csv(tmp_path / "out" / "forecast.csv")["mean"], expected.predict(5).mean.T.reshape(-1), rtol=1e-9
    )


def test_missing_values_reach_the_engine_and_targets_are_chosen(run, data, tmp_path):
    data.loc[50, "b"] = np.nan
    data[::-1].to_parquet(tmp_path / "holes.parquet")
    _, stdout, stderr = run("--targets", "b", "--json", path=tmp_path / "holes.parquet")
    summary = json.loads(stdout)
    assert (summary["columns"], summary["missing_values"]) == (["b"], 1)
    assert "note: rows were not in order of time" in stderr


def test_twenty_five_series_and_one_step(run, tmp_path):
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 25)), columns=[f"$s{i}_" for i in range(25)])
    wide.to_csv(tmp_path / "wide.csv", index=False)
    assert run(path=tmp_path / "wide.csv", horizon=1)[0] == 0
    assert len(pd.read_csv(tmp_path / "out" / "forecast.csv")) == 25


def test_an_earlier_forecast_is_replaced_and_other_folders_are_left_alone(run, tmp_path):
    assert run()[0] == run("--lookback", "2")[0] == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["lookback"] == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    status, _, stderr = run(out=tmp_path / "mine")
    assert status == 2
    assert "is left alone" in stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quantiles", ".1,1.5"], "'1.5'"),
        (["--quantiles", ".1,.1"], "twice"),
        (["--targets", "c"], "'c' is not a column"),
        (["--lookback", "500"], "shorten lookback"),
        (["--criterion", "best"], "criterion is 'best'"),
        (["--strategy", "best"], "strategy is 'best'"),
        (["--validation-fraction", "1.5"], "validation_fraction is 1.5"),
        (["--strategy", "direct", "--pooling", "both"], "pooling is 'both'"),
        (["--strategy", "auto", "--horizon", "61"], "finds no gap-free stretch"),
        (["--diff-order", "7"], "diff_order is 7"),
        (["--freq", "never"], "pandas frequency"),
        (["--device", "abacus"], "abacus"),
        (["--horizon", "0"], "--horizon"),
        (["--horizon", "500"], "500"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(run, tmp_path, arguments, message):
    status, stdout, stderr = run(*arguments)
    assert (status, stdout) == (2, "")
    assert stderr.count("\n") == 1
    assert message in stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv"]


def test_unwritable_folder(run, file):
    status, _, stderr = run(out=file / "below")
    assert status == 2
    assert "cannot write" in stderr
    assert stderr.count("\n") == 1


def test_help_imports_nothing_heavy():
    code = "import sys; from dasha.cli import main; main(['forecast', '--help']); "
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'darts', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_zero_shot_learns_nothing_and_says_so(run, data, file, tmp_path):
    data["c"] = np.nan
    data.loc[:9, "c"] = 1.0
    data.to_csv(file, index=False)
    status, stdout, stderr = run("--mode", "zero-shot", "--max-lookback", "60")
    out = tmp_path / "out"
    note = "1 columns have no value in the last 60 steps of a series; no forecast"
    assert (status, stderr) == (0, f"note: {note}\n")
    assert "zero-shot: nothing is learned from training data" in stdout
    assert "average of none and once" in stdout
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["mode"], summary["context_length"], summary["notes"]) == ("zero-shot", 60, [note])
    of_training = ("strategy", "pooling", "lookback", "diff_order", "criterion", "selection", "searched_up_to")
    assert [summary[name] for name in of_training] == [None] * 7
    periods = AutoAR(mode="zero-shot", max_lookback=60).zero_shot_choices(data[["a", "b", "c"]].to_numpy()).period
    assert summary["periods"] == {str(period): periods.tolist().count(period) for period in periods}
    assert "seasons found" in stdout
    expected = AutoAR(mode="zero-shot", max_lookback=60).predict(5, data[["a", "b", "c"]].to_numpy())
    frame = pd.read_csv(out / "forecast.csv")
    np.testing.assert_allclose(frame["mean"], expected.mean.T.reshape(-1), rtol=1e-9)
    np.testing.assert_allclose(frame["q0.1"], expected.quantile(0.1).T.reshape(-1), rtol=1e-9)
    np.testing.assert_allclose(AutoAR.load(out / "model").predict(5).mean, expected.mean, rtol=1e-12)
    assert json.loads(run("--mode", "zero-shot", "--diff-order", "1", "--json")[1])["diff_order"] == 1
    trained = json.loads(run("--json", "--targets", "a,b")[1])
    assert (trained["mode"], trained["periods"]) == ("trained", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "few-shot"], "mode is 'few-shot', but must be one of 'trained', 'zero-shot'"),
        (["--mode", "zero-shot", "--lookback", "3"], "lookback is 3, but mode='zero-shot' learns nothing"),
        (["--mode", "zero-shot", "--criterion", "bic"], "criterion is 'bic', but mode='zero-shot' learns nothing"),
        (["--mode", "zero-shot", "--strategy", "auto"], "strategy is 'auto', but mode='zero-shot' learns nothing"),
    ],
)
def test_modes_and_arguments_that_do_not_go_together(run, tmp_path, arguments, message):
    status, stdout, stderr = run(*arguments)
    assert (status, stdout, stderr.count("\n")) == (2, "", 1)
    assert message in stderr
    assert not (tmp_path / "out").exists()
