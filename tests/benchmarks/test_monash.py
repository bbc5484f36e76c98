"""The Monash comparison: scores against hand-computed numbers, the fallback, and runs that go on where they stopped."""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from darts_autoar.bench.monash import methods, scores
from darts_autoar.bench.monash.prediction import Method, Setting, predict_one, seasonal_naive

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
NAN = float("nan")


@pytest.fixture(scope="module")
def monash():
    threads = torch.get_num_threads()
    sys.path.insert(0, str(SCRIPTS))
    import monash

    yield monash
    sys.path.remove(str(SCRIPTS))
    torch.set_num_threads(threads)


SERIES = {
    "up": [1, 2, 3, 4, 5, 6, 7, 8],  # seasonal differences of 2
    "flat": [3, 3, 3, 3, 3, 5],  # no scale
    "short": [1, 2],
    "missing": ["?", "?", "?", "?"],
    "gap": [10, "?", 14, 12, 18, 10, 10],  # seasonal differences 4, 4, and two unknown
}


@pytest.fixture
def folder(tmp_path):
    """Season 4 by the frequency of the file, two steps held out."""
    lines = ["@attribute series_name string", "@attribute start_timestamp date", "@frequency quarterly", "@horizon 2"]
    rows = [f"{name}:2000-01-01 00-00-00:{','.join(map(str, values))}" for name, values in SERIES.items()]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tiny_dataset.tsf").write_text("\n".join([*lines, "@data", *rows]))
    return tmp_path


@pytest.fixture
def run(monash, folder, capsys):
    def run(*arguments: str) -> tuple[dict[str, Any], str, str]:
        output = folder / "out.json"
        given = ["--data-dir", str(folder / "data"), "--datasets", "tiny_dataset", "--json", str(output)]
        monash.main([*given, *arguments])
        captured = capsys.readouterr()
        return json.loads(output.read_text()), captured.out, captured.err

    return run


@pytest.fixture
def last_value(monkeypatch):
    """In place of AutoETS, a method that repeats the last value, and may fail; it counts what it was called on."""
    state = {"seen": [], "fail_on": {}}

    def local(train, setting):
        def fit():
            state["seen"].append(len(train))
            if len(train) in state["fail_on"]:
                raise state["fail_on"][len(train)]
            return train[-1]

        def predict(value):
            return np.full(setting.horizon, value), np.full((9, setting.horizon), value)

        return fit, predict

    method = Method("Last value", lambda setting: {"model": "last", "h": setting.horizon}, local=local)
    monkeypatch.setitem(methods.METHODS, "ets", method)
    return state


def test_mase_by_hand():
    train = [np.array([1.0, 2, 3, 4, 5, 6]), np.array([3.0, 3, 3]), np.array([1.0, 4])]
    actual = np.array([[7.0, 8.0], [4.0, 4.0], [4.0, NAN]])
    mean = np.array([[5.0, 6.0], [3.0, 3.0], [10.0, 99.0]])
    # Scales: 2; 0, so none; the second has no more than a season, so its first difference of 3 counts.
    np.testing.assert_allclose(scores.mase_per_series(train, actual, mean, season=2), [1.0, NAN, 2.0])
    result = scores.score(train, actual, mean, None, season=2)
    assert (result.mase, result.unscaled, result.wql) == (1.5, 1, None)


def test_a_scale_leaves_missing_values_out():
    assert scores.scale_of(np.array([10.0, NAN, 14, 12, 18]), 2) == 4.0
    assert np.isnan(scores.scale_of(np.array([1.0]), 2))


def test_smape_by_hand():
    actual = np.array([[7.0, 8.0], [0.0, 1.0], [0.0, 0.0]])
    mean = np.array([[5.0, 6.0], [0.0, 3.0], [0.0, 0.0]])
    expected = [(200 * 2 / 12 + 200 * 2 / 14) / 2, 100.0, NAN]
    np.testing.assert_allclose(scores.smape_per_series(actual, mean), expected)


def test_weighted_quantile_loss_by_hand():
    for actual, quantile in ((10.0, 8.0), (10.0, 12.0)):
        loss = scores.weighted_quantile_loss(np.array([[actual]]), np.full((1, 9, 1), quantile))
        assert loss == pytest.approx(0.2)  # 2 · 2 · level / 10, or with 1 - level: the levels average .5
    # One sum over all series, not a mean of each series' own: (2·.5·2 + 2·.5·0) / 110.
    quantiles = np.stack([np.full((9, 1), 8.0), np.full((9, 1), 100.0)])
    assert scores.weighted_quantile_loss(np.array([[10.0], [100.0]]), quantiles) == pytest.approx(2 / 110)
    assert scores.weighted_quantile_loss(np.zeros((1, 1)), np.zeros((1, 9, 1))) is None


def test_weighted_quantile_loss_equals_that_of_gluonts():
    ev = pytest.importorskip("gluonts.ev.metrics")
    rng = np.random.default_rng(0)
    actual, quantiles = rng.normal(size=(5, 3)), np.sort(rng.normal(size=(5, 9, 3)), axis=1)
    evaluator = ev.MeanWeightedSumQuantileLoss(list(scores.LEVELS))()
    evaluator.update({"label": actual, **{str(level): quantiles[:, n] for n, level in enumerate(scores.LEVELS)}})
    assert scores.weighted_quantile_loss(actual, quantiles) == pytest.approx(float(evaluator.get()))


def test_everything_is_reported(run, last_value):
    content, stdout, _ = run("--methods", "ets")
    (data,) = content["datasets"]
    assert (data["series"], data["horizon"], data["season"], data["left_out"]) == (3, 2, 4, ["short", "missing"])
    (row,) = content["results"]
    # up: errors 1, 2 at scale 4; flat: none; gap: errors 8, 8 at scale |18 - 10| = 8
    assert row["mase"] == pytest.approx(np.mean([1.5 / 4, 1.0]))
    assert row["unscaled"] == 1
    smape = [(200 / 13 + 400 / 14) / 2, (0 + 400 / 8) / 2, 200 * 8 / 28]
    assert row["smape"] == pytest.approx(np.mean(smape))
    # Twice the pinball loss averages to the absolute error over these levels.
    assert row["wql"] == pytest.approx((1 + 2 + 0 + 2 + 8 + 8) / (7 + 8 + 3 + 5 + 10 + 10))
    assert (row["failed"], row["series"], row["settings"]) == ({}, 3, {"model": "last", "h": 2})
    assert row["seconds"] == pytest.approx(row["fit_seconds"] + row["predict_seconds"])
    assert row["relative_to_autoarima"] is None
    assert "Last value" in stdout
    assert {"numpy", "darts", "statsforecast"} <= set(content["environment"]["versions"])


def test_a_run_that_was_killed_goes_on(run, last_value, folder):
    last_value["fail_on"] = {5: KeyboardInterrupt()}
    arguments = ("--methods", "ets", "--results", str(folder / "kept"))
    with pytest.raises(KeyboardInterrupt):
        run(*arguments)
    assert last_value["seen"] == [6, 4, 5]
    content, stdout, _ = run(*arguments, "--only-report")
    assert content["unfinished"] == [{"dataset": "tiny_dataset", "method": "ets", "done": 2, "of": 3}]
    assert "not finished: Last value on tiny_dataset, 2 of 3" in stdout
    last_value["fail_on"], last_value["seen"] = {}, []
    first = run(*arguments)[0]["results"]
    assert last_value["seen"] == [5]
    again = run(*arguments)[0]["results"]
    assert last_value["seen"] == [5]
    assert first == again
    run(*arguments, "--rerun", "ets")
    assert last_value["seen"] == [5, 6, 4, 5]
    assert not list(folder.rglob("*.writing"))


def test_results_of_other_settings_are_not_mixed(run, last_value, monkeypatch, folder):
    arguments = ("--methods", "ets", "--results", str(folder / "kept"))
    first = run(*arguments)[0]["results"]
    known = methods.METHODS["ets"]
    changed = Method("Last value", lambda setting: {"model": "other"}, local=known.local)
    monkeypatch.setitem(methods.METHODS, "ets", changed)
    last_value["seen"] = []
    assert run(*arguments)[0]["results"][0]["settings"] == {"model": "other"}
    assert len(last_value["seen"]) == 3
    assert len(list((folder / "kept" / "tiny_dataset").glob("ets*"))) == 2
    monkeypatch.setitem(methods.METHODS, "ets", known)
    assert run(*arguments)[0]["results"] == first
    assert len(last_value["seen"]) == 3
    few, _, _ = run(*arguments, "--max-series", "1")
    assert (few["datasets"][0]["name"], few["datasets"][0]["series"]) == ("tiny_dataset-first-1", 1)


def test_a_failure_is_named_and_answered_by_the_seasonal_naive_forecast(run, last_value, folder):
    last_value["fail_on"] = {6: ArithmeticError("no\nsuch luck")}
    content, _, _ = run("--methods", "ets", "--results", str(folder / "kept"))
    assert content["results"][0]["failed"] == {"up": "ArithmeticError: no such luck"}
    with np.load(next((folder / "kept").rglob("part-*.npz"))) as part:
        assert part["mean"][0].tolist() == [3.0, 4.0]


def test_seasonal_naive_forecast():
    mean, quantiles = seasonal_naive(np.array([1.0, 5, 2, 9]), Setting(3, 2, 4))
    assert mean.tolist() == [2.0, 9.0, 2.0]
    sigma = np.sqrt((1 + 16) / 2)
    np.testing.assert_allclose(quantiles[8] - mean, 1.2815515655 * sigma * np.sqrt([1, 1, 2]))
    assert seasonal_naive(np.array([4.0]), Setting(2, 12, 1))[0].tolist() == [4.0, 4.0]


def test_methods_of_statsforecast_give_their_own_quantiles():
    pytest.importorskip("statsforecast")
    setting = Setting(5, 4, 30)
    train = np.sin(np.arange(30) * np.pi / 2) + np.random.default_rng(0).normal(size=30)
    prediction = predict_one(methods.METHODS["naive"], train, setting)
    mean, quantiles = seasonal_naive(train, setting)
    assert prediction.error == ""
    np.testing.assert_allclose(prediction.mean, mean)
    np.testing.assert_allclose(prediction.quantiles, quantiles)


def test_global_methods(run, monash):
    pytest.importorskip("darts")
    content, _, _ = run("--methods", "autoar-pooled", "linear")
    ours, linear = content["results"]
    assert (ours["method"], linear["method"]) == ("autoar-pooled", "linear")
    assert ours["settings"]["criterion"] == "bic"
    assert (ours["wql"] is None, linear["wql"]) == (False, None)
    assert linear["settings"]["lags"] == 2  # the shortest series has 4 steps
    assert content["presets"]["autoar-pooled"] == {"criterion": "bic"}


@pytest.mark.parametrize(
    ("horizon", "season", "shortest", "lags"),
    [(48, 24, 700, 210), (48, 24, 400, 60), (24, 12, 67, 30), (12, 12, 20, 8)],
)
def test_lags_of_the_linear_regression(horizon, season, shortest, lags):
    assert methods.linear_lags(Setting(horizon, season, shortest)) == lags


@pytest.mark.parametrize("ending", [".zip", ".tsf.gz"])
def test_files_may_be_compressed(run, folder, ending):
    plain = folder / "data" / "tiny_dataset.tsf"
    whole, _, _ = run("--methods", "naive")
    if ending == ".zip":
        with zipfile.ZipFile(folder / "data" / "tiny_dataset.zip", "w") as archive:
            archive.write(plain, plain.name)
    else:
        (folder / "data" / "tiny_dataset.tsf.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    content, _, _ = run("--methods", "naive")
    scores = [[one["mase"] for one in found["results"]] for found in (whole, content)]
    assert len(scores[0]) == 1
    assert scores[0] == scores[1]


def test_presets_may_name_the_horizon(monkeypatch):
    monkeypatch.setitem(methods.AUTO_AR, "autoar-x", {"criterion": "horizon_bic", "horizon": methods.HORIZON})
    described = methods.auto_ar("autoar-x").describe(Setting(7, 12, 50))
    assert {"criterion": "horizon_bic", "horizon": 7, "device": "cpu"}.items() <= described.items()


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("absent", "", "no absent.tsf or absent.tsf.gz or absent.zip under"),
        ("broken", "@data", "no series after '@data'"),
        ("endless", "@data\na:1,2\n", "declares 0"),
        ("unknown", "@attribute series_name string\n@data\na:1,2", "states no horizon; pass --horizon"),
    ],
)
def test_what_cannot_be_used_is_skipped_with_the_reason(run, folder, name, line, reason):
    if line:
        (folder / "data" / f"{name}.tsf").write_text(line)
    content, _, stderr = run("--methods", "naive", "--datasets", name)
    assert reason in content["skipped"][name]
    assert f"skipped {name}" in stderr
    assert content["results"] == []
