"""``dasha bench`` as a user runs it: results, page, a run that goes on, and what it says to bad input."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from darts_autoar.bench.ltsf import run as ltsf_run
from darts_autoar.bench.monash.methods import METHODS
from darts_autoar.bench.monash.prediction import Method
from dasha.cli import main


@pytest.fixture
def data(tmp_path):
    """A file of the long-term benchmark and one of the archive, both small."""
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(700) / 4)[:, None] + rng.normal(size=(700, 3))
    table = pd.DataFrame(values, columns=["first", "in the middle", "last"])
    table.insert(0, "date", pd.date_range("2020", periods=700, freq="h"))
    folder = tmp_path / "data" / "deep"
    folder.mkdir(parents=True)
    table.to_csv(folder / "weather.csv", index=False)
    lines = ["@attribute series_name string", "@frequency quarterly", "@horizon 2", "@data"]
    series = {"up": range(1, 9), "flat": [3, 3, 3, 3, 3, 5], "gap": [10, "?", 14, 12, 18, 10, 10]}
    lines += [f"{name}:{','.join(map(str, row))}" for name, row in series.items()]
    (folder / "tiny_dataset.tsf").write_text("\n".join(lines))
    return tmp_path / "data"


@pytest.fixture
def bench(data, tmp_path, capsys):
    """Run a benchmark into ``tmp_path / "out"``."""

    def bench(name, *options, status=0):
        code = main(["bench", name, "--data-dir", str(data), "--out", str(tmp_path / "out"), *options])
        captured = capsys.readouterr()
        assert code == status, captured.err
        return captured

    return bench


@pytest.fixture
def fits(monkeypatch):
    """Counts the models that are fitted; those in ``stop_at`` are interrupted."""
    counted = {"calls": [], "stop_at": None}
    real = ltsf_run.fit

    def fit(dataset, settings, horizon):
        if len(counted["calls"]) == counted["stop_at"]:
            raise KeyboardInterrupt
        counted["calls"].append(horizon)
        return real(dataset, settings, horizon)

    monkeypatch.setattr(ltsf_run, "fit", fit)
    return counted


@pytest.fixture
def last_value(monkeypatch):
    """In place of AutoTheta, a method that repeats the last value; it may be interrupted, and counts its series."""
    state = {"seen": [], "stop_at": None}

    def local(train, setting):
        def fit():
            if len(state["seen"]) == state["stop_at"]:
                raise KeyboardInterrupt
            state["seen"].append(len(train))
            return train[-1]

        return fit, lambda value: (np.full(setting.horizon, value), np.full((9, setting.horizon), value))

    monkeypatch.setitem(METHODS, "theta", Method("Last value", lambda setting: {"model": "last"}, local=local))
    return state


def has_missing_numbers(page):
    return re.search(r"\bnan\b|\bNone\b", re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL))


def test_ltsf(bench, page_tags, tmp_path):
    options = ("--preset", "paper,zero-shot", "--horizons", "5,96", "--threads", "1")
    captured = bench("ltsf", *options, "--json")
    result = json.loads(captured.out)
    out = tmp_path / "out"
    assert result == json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert {path.name for path in out.iterdir()} == {"bench.json", "measurements", "report.html", "results.json"}
    assert [(row["horizon"], row["preset"]) for row in result["results"]] == [
        (5, "paper"),
        (5, "zero-shot"),
        (96, "paper"),
        (96, "zero-shot"),
    ]
    assert re.search(r"weather, horizon 96, zero-shot \(75 % of everything is done\)", captured.err)
    assert {row["horizon"] for row in result["places"]} == {96}
    page = (out / "report.html").read_text(encoding="utf-8")
    tags = page_tags(page)
    assert not has_missing_numbers(page)
    assert (tags.count("svg"), tags.count("table")) == (1, 6)
    assert "in the middle" not in page  # the first and the last channel are drawn
    best = min(row["value"] for row in result["published"] if row["metric"] == "mse")
    for text in (
        "not run again",
        "second-hand copy",
        "Time-MoE paper Table 3",
        f"{best:.3f}",
        "first, 96 steps",
        "last, 96 steps",
        "paper, 5–95 %",
        "up to 560 the validation part",
        "--preset paper,zero-shot --horizons 5,96",
        "1 thread of torch",
    ):
        assert text in page, text
    shown = bench("ltsf", *options, "--only-report")
    assert shown.err == ""
    assert "MSE beside published figures" in shown.out
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["results"] == result["results"]


def test_ltsf_goes_on_where_it_was_killed(bench, fits, data, tmp_path, monkeypatch):
    options = ("--preset", "paper,average", "--horizons", "3,5", "--json")
    fits["stop_at"] = 3
    bench("ltsf", *options, status=130)
    assert fits["calls"] == [3, 5, 3]
    fits["stop_at"] = None
    first = json.loads(bench("ltsf", *options).out)["results"]
    assert fits["calls"] == [3, 5, 3, 5]
    assert json.loads(bench("ltsf", *options).out)["results"] == first
    assert fits["calls"] == [3, 5, 3, 5]
    bench("ltsf", *options, "--rerun", "average")
    assert fits["calls"] == [3, 5, 3, 5, 3, 5]
    # another engine, then other data: measured anew
    with monkeypatch.context() as patch:
        patch.setattr("dasha.bench.environment.engine_digest", lambda *packages: "another")
        bench("ltsf", "--preset", "paper", "--horizons", "3")
        assert fits["calls"][6:] == [3]
    file = data / "deep" / "weather.csv"
    file.write_text(file.read_text().replace("2020-01-01 00:00:00", "2019-12-31 00:00:00"))
    bench("ltsf", "--preset", "paper", "--horizons", "3")
    assert fits["calls"][7:] == [3]
    assert not list(tmp_path.rglob("*.writing"))


def test_monash(bench, last_value, page_tags, tmp_path):
    result = json.loads(bench("monash", "--datasets", "tiny", "--methods", "autoar-pooled,theta", "--json").out)
    assert result == json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    ours, theirs = result["results"]
    assert ours["chosen"].startswith("lookback ")
    assert theirs["mase"] == pytest.approx(np.mean([1.5 / 4, 1.0]))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    tags = page_tags(page)
    assert not has_missing_numbers(page)
    assert (tags.count("svg"), tags.count("table")) == (1, 3)
    for text in (
        "3 series of 4 to 6 training steps",
        "Auto-AR, pooled",
        "Last value",
        ours["chosen"],
        "10–90 %",
        "gap",
    ):
        assert text in page, text
    assert "Monash archive, tiny_dataset" in bench("monash", "--datasets", "tiny_dataset", "--methods", "theta").out


def test_monash_goes_on_where_it_was_killed(bench, last_value, tmp_path):
    options = ("--datasets", "tiny", "--methods", "autoar-pooled,theta")
    last_value["stop_at"] = 2
    bench("monash", *options, status=130)
    # What was finished by then is on the page already.
    assert len(json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["results"]) == 1
    shown = bench("monash", *options, "--only-report")
    assert "not finished: Last value on tiny_dataset, 2 of 3" in shown.out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Not finished: Last value on tiny_dataset, 2 of 3 series." in page
    last_value["stop_at"] = None
    bench("monash", *options)
    assert len(last_value["seen"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ltsf", "--datasets", "ETTh9"], "--datasets has no data set 'ETTh9'; did you mean 'ETTh"),
        (["ltsf", "--datasets", "ETTh1"], "--datasets names 'ETTh1', but there is no ETTh1.csv under"),
        (
            ["ltsf", "--preset", "papers"],
            "--preset has no preset 'papers'; did you mean 'paper'? known are paper, auto",
        ),
        (["ltsf", "--preset", "paper,paper"], "--preset names a preset twice"),
        (["ltsf", "--preset", ","], "must name a preset"),
        (["ltsf", "--rerun", "auto"], "--rerun has no preset 'auto'; known are paper"),
        (["ltsf", "--horizons", "96,0"], "--horizons is '96,0', but must be whole numbers of at least 1"),
        (["ltsf", "--horizons", "500"], "nothing could be measured: weather, horizon 500, paper is left out"),
        (["ltsf", "--device", "abacus"], "device is 'abacus'"),
        (["ltsf", "--only-report"], "holds no measurement of this data, with these settings and versions"),
        (["ltsf", "--only-report", "--rerun", "paper"], "give one of the two"),
        (["monash"], "has none of the files hospital_dataset.tsf, tourism_monthly_dataset.tsf"),
        (["monash", "--datasets", "tiny_datset"], "no data set 'tiny_datset'; did you mean 'tiny_dataset'?"),
        (["monash", "--datasets", "tiny", "--methods", "arima"], "--methods has no method 'arima'; did you mean"),
    ],
)
def test_bad_input_is_named_with_the_way_out(bench, arguments, message):
    captured = bench(*arguments, status=2)
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.splitlines()[-1].startswith("dasha: error: ")


@pytest.mark.parametrize("name", ["ltsf", "monash"])
def test_a_folder_without_data(name, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DASHA_DATA", raising=False)
    (tmp_path / "file").touch()
    for folder, reason in (("nowhere", "does not exist"), ("file", "is a file")):
        assert main(["bench", name, "--data-dir", str(tmp_path / folder), "--out", str(tmp_path / "out")]) == 2
        assert reason in capsys.readouterr().err
    assert main(["bench", name, "--out", str(tmp_path / "out")]) == 2
    assert "--data-dir is not given and DASHA_DATA is not set" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folders_of_others_are_left_alone(bench, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert "holds other files (thesis.txt)" in bench("ltsf", status=2).err
    (out / "thesis.txt").unlink()
    bench("ltsf", "--horizons", "3")
    reason = bench("monash", "--datasets", "tiny", "--methods", "autoar-pooled", status=2).err
    assert "belongs to 'ltsf', but must be a folder for 'monash'" in reason


def test_a_method_whose_package_is_missing(bench, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    err = bench("monash", "--datasets", "tiny", "--methods", "ets,autoar-pooled,naive", status=2).err
    assert "--methods 'ets', 'naive' cannot run, because 'statsforecast' is not installed" in err
    assert "pip install 'dasha-plugins[darts]'" in err
    assert not (tmp_path / "out").exists()
    bench("monash", "--datasets", "tiny", "--methods", "autoar-pooled")


def test_a_file_that_is_broken(bench, data):
    (data / "deep" / "ETTh1.csv").write_text("date,OT\n2020-01-01,1\n")
    assert (
        "skipped ETTh1: ETTh1.csv has 1 rows, but the published split needs 14400"
        in bench("ltsf", "--horizons", "3").err
    )
    err = bench("ltsf", "--horizons", "3", "--datasets", "ETTh1", status=2).err
    assert "--datasets names 'ETTh1', but ETTh1.csv has 1 rows" in err


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import darts_autoar.commands.bench", {"darts", "statsforecast", "torch", "numpy", "matplotlib"}),
        ("import darts_autoar.bench.ltsf.command", {"darts", "statsforecast", "gluonts"}),
    ],
)
def test_nothing_is_imported_that_is_not_needed(statement, absent):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert set(done.stdout.split()) & absent == set()
