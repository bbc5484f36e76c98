"""``dasha forecast --engine``: files are summed up, and the forecasts are those of their rows in memory."""

import json
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dasha._ray import connected
from dasha.autoar import AutoAR
from dasha.cli import main
from dasha.tables import read_layout

STEPS = {"a": 300, "007": 260, "c": 90}


@pytest.fixture
def frame():
    """Three series that begin at different times, mixed in order of time."""
    rng = np.random.default_rng(0)
    parts = []
    for number, (name, steps) in enumerate(STEPS.items()):
        times = pd.date_range("2024-01-01", periods=400, freq="h")[15 * number :][:steps]
        day = np.sin(2 * np.pi * np.arange(steps) / 24)
        values = {"load": 10**number * (5 + day + 0.1 * rng.normal(size=steps)), "price": rng.normal(size=steps)}
        parts.append(pd.DataFrame({"meter": name, "time": times, **values}))
    return pd.concat(parts).sort_values(["time", "meter"], ignore_index=True)


@pytest.fixture
def write(tmp_path):
    def write(frame, name="parts/part-{}.parquet", pieces=1):
        bounds = np.linspace(0, len(frame), pieces + 1).astype(int)
        for number, (start, stop) in enumerate(pairwise(bounds)):
            path = tmp_path / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = frame[start:stop]
            part.to_parquet(path, index=False) if path.suffix == ".parquet" else part.to_csv(path, index=False)
        return path.parent if pieces > 1 else path

    return write


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run the command; return status, standard output, standard error and the table, series in order of their ids."""
    from dasha.cli import _forecast_run

    monkeypatch.setattr(_forecast_run, "save_png", lambda figure, path: path.write_bytes(b""))

    def run(path, *arguments, out="out"):
        options = ["--horizon", "5", "--max-lookback", "30", "--out", str(tmp_path / out)]
        status = main(["forecast", str(path), *options, *arguments])
        captured = capsys.readouterr()
        table = pd.read_parquet(tmp_path / out / "forecast.parquet") if status == 0 else pd.DataFrame()
        order = [name for name in ("meter", "series", "target", "step") if name in table.columns]
        return status, captured.out, captured.err, table.sort_values(order, ignore_index=True)

    return run


def assert_same(found, wanted):
    assert list(found.columns) == list(wanted.columns)
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-9, atol=1e-9, check_dtype=False)


LONG = ["--id-column", "meter"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
@pytest.mark.parametrize("pieces", [1, 4])
def test_forecasts_are_those_of_the_rows_in_memory(run, write, frame, suffix, pieces, tmp_path):
    status, stdout, stderr, table = run(write(frame, f"parts/{{}}{suffix}", pieces), *LONG, "--engine", "local")
    assert status == 0
    assert "the first rows of series 'a' come every h" in stderr
    assert "summed up by" in stdout
    _, text, _, wanted = run(write(frame, "whole.csv"), *LONG, "--json", out="wanted")
    assert_same(table, wanted)
    summary, expected = json.loads((tmp_path / "out" / "summary.json").read_text()), json.loads(text)
    assert (summary.pop("engine"), expected.pop("engine")) == ("local", None)
    assert (summary.pop("sha256"), len(expected.pop("sha256"))) == (None, 64)
    assert summary.pop("criterion_value") == pytest.approx(expected.pop("criterion_value"), rel=1e-9)
    for name in set(expected) - {"file", "notes", "seconds"}:
        assert summary[name] == expected[name], name


def test_a_folder_needs_no_engine_and_its_model_can_be_updated(run, write, frame, tmp_path):
    assert run(write(frame[:-50], pieces=3), *LONG)[0] == 0
    grown = AutoAR.load(tmp_path / "out" / "model")
    layout = {"targets": ["load", "price"], "id_column": "meter", "time_column": "time"}
    grown.update_stream([frame[-50:]], **layout)
    whole = AutoAR(criterion="horizon_bic", horizon=5, max_lookback=30).fit_files(
        write(frame, "w.csv"), freq="h", **layout
    )
    for ours, theirs in zip(grown.predict(5), whole.predict(5), strict=True):
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-9)


def test_pictures_show_the_last_rows(run, write, frame, monkeypatch):
    from dasha.cli import _forecast_run

    drawn = []
    monkeypatch.setattr(_forecast_run, "forecast_figure", lambda panels, **options: drawn.append((panels, options)))
    path = write(frame, pieces=4)
    assert run(path, *LONG)[0] == run(write(frame, "whole.csv"), *LONG, "--engine", "local", out="b")[0] == 0
    for panel in drawn[0][0]:
        name, target = panel.title.split(": ")
        rows = frame[frame["meter"] == name][-60:]
        np.testing.assert_array_equal(panel.values, rows[target])
        assert list(panel.index) == list(rows["time"])
    assert drawn[0][1]["title"] == "parts: 5 steps ahead"


def test_a_wide_folder_is_one_series(run, write, frame, tmp_path):
    wide = frame.pivot_table(index="time", columns="meter", values="load").reset_index().rename_axis(columns=None)
    path = write(wide, pieces=3)
    assert_same(run(path)[3], run(write(wide, "wide.csv"), "--freq", "h", out="b")[3])
    assert AutoAR.load(tmp_path / "out" / "model").series_ids_ == (None,)


def test_names_of_folders_are_ids_but_no_targets(run, frame, write, tmp_path):
    for name, part in frame.groupby("meter"):
        write(part.drop(columns="meter"), f"hive/year=2024/meter=m{name}/part.parquet")
    status, _, _, table = run(tmp_path / "hive", *LONG)
    assert (status, set(table["target"]), set(table["meter"])) == (0, {"load", "price"}, {"ma", "m007", "mc"})


def test_missing_steps_count_as_missing_values(run, write, frame):
    holes = frame.drop(index=frame.index[400:430:3])
    path = write(holes, pieces=4)
    status, text, _, table = run(path, *LONG, "--freq", "H", "--json")
    assert (status, json.loads(text)["missing_values"], json.loads(text)["notes"]) == (0, 20, [])
    assert_same(table, run(write(holes, "w.csv"), *LONG, "--freq", "h", out="b")[3])


@pytest.mark.parametrize("freq", ["W-MON", "MS", "2D"])
def test_frequencies_are_found_and_continued(run, write, freq):
    """Weeks may start on different days."""
    times = pd.date_range("2000-01-01", periods=80, freq=freq)
    later = times + pd.Timedelta(days=2) if freq == "W-MON" else times[5:]
    table = pd.DataFrame({"time": [*times, *later], "meter": ["a"] * len(times) + ["b"] * len(later)})
    table["y"] = np.random.default_rng(0).normal(size=len(table))
    found = run(write(table), *LONG, "--engine", "local")[3]
    assert_same(found, run(write(table, "w.csv"), *LONG, out="b")[3])


def test_times_with_a_zone(run, write):
    for freq in ("h", "D"):
        times = pd.date_range("2024-03-20", periods=300, freq=freq, tz="Europe/Berlin")  # clocks change on the 31st
        table = pd.DataFrame({"time": times, "y": np.random.default_rng(0).normal(size=300)})
        _, _, stderr, found = run(write(table), "--engine", "local")
        _, _, wanted_notes, wanted = run(write(table), out="b")
        assert_same(found, wanted)
        assert wanted_notes in stderr


def test_whole_numbers_and_no_times(run, write):
    years = pd.DataFrame({"year": range(1700, 1900, 2), "y": np.random.default_rng(0).normal(size=100)})
    _, _, stderr, found = run(write(years), "--engine", "local")
    assert "come every 2;" in stderr
    assert_same(found, run(write(years), out="b")[3])
    assert list(found["time"]) == list(range(1900, 1910, 2))
    epoch = years.assign(year=1704067200 + 3600 * years.index).rename(columns={"year": "epoch"})
    _, _, stderr, found = run(write(epoch), "--engine", "local")
    assert "'epoch' counts seconds since 1970 and stays a number" in stderr
    assert found["time"][0] == 1704067200 + 3600 * 100
    without = write(years[["y"]], "no/{}.csv")
    counted = run(without, "--engine", "local")[3]
    assert_same(counted, run(without, out="b")[3])
    assert_same(run(write(years), "--engine", "local", "--row-numbers")[3], counted)


def test_columns_are_told_by_the_first_rows(write, frame, tmp_path):
    empty = frame.assign(price=np.nan, name="x", flag=True, count=range(len(frame)))
    layout = read_layout(str(write(empty)), id_column="meter")
    assert (layout.columns, layout.time_column, layout.freq) == (("load", "price", "count"), "time", "h")
    assert "left out: 'name' is not numeric (data row 1 holds 'x'), 'flag' holds true and false" in layout.notes


BAD = {
    "engine": (["--engine", "dask"], "--engine is 'dask', but must be 'local' or 'ray'"),
    "zero-shot": (["--mode", "zero-shot"], "--engine local sums up rows, but --mode zero-shot needs the rows"),
    "strategy": (["--strategy", "auto"], "--strategy auto needs the rows themselves; leave --strategy out"),
    "pooling": (["--pooling", "channel"], "--pooling channel needs the rows themselves"),
    "validation": (["--criterion", "validation"], "--criterion validation needs the last of them apart"),
    "ray and rows": (["--engine", "ray", "--row-numbers"], "--engine ray needs times"),
    "target": (["--targets", "weight"], "target 'weight' is not a column of the file"),
    "text": (["--targets", "text"], "column 'text' holds string in the files, but must hold plain numbers"),
    "text as time": (["--time-column", "text"], "time column 'text' holds 1.5"),
    "dates as numbers": (["--time-column", "day"], "time column 'day' holds 20240101 (int64), but must hold dates"),
    "real numbers as time": (["--time-column", "load"], "time column 'load' holds 5.01"),
    "freq of numbers": (["--time-column", "day", "--freq", "D"], "time column 'day' holds 20240101 (int64)"),
    "freq": (["--freq", "5D"], "the first 300 rows of series 'a': --freq 5D does not fit"),
    "no series as long": (["--lookback", "700"], "shorten lookback"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_are_one_line_and_leave_nothing(run, write, frame, tmp_path, case):
    arguments, message = BAD[case]
    frame = frame.assign(day=20240101 + frame["time"].dt.dayofyear.astype("int64") - 1)
    path = write(frame.assign(text="1.5") if "text" in case else frame, pieces=2)
    status, stdout, stderr, _ = run(path, *LONG, *arguments)
    assert (status, stdout, stderr.count("\n")) == (2, "", 1)
    assert message in stderr
    assert not (tmp_path / "out").exists()


def test_an_address_that_pyarrow_opens(run, write, frame, tmp_path):
    found = run(f"file://{write(frame, pieces=3)}", *LONG, "--engine", "local")[3]
    assert_same(found, run(tmp_path / "parts", *LONG, out="b")[3])


def test_sources_that_cannot_be_read(run, write, frame, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.tsf").touch()
    gap = frame.drop(index=frame.index[frame["meter"] == "a"][5])
    for path, message in {
        tmp_path / "nothing": "nothing cannot be read",
        tmp_path / "empty": "empty holds no file that ends in .parquet",
        tmp_path / "x.tsf": "leave --engine out",
        write(frame[:0], "no.parquet"): "no data rows",
        write(frame[:2], "two.parquet"): "the first 2 rows of series 'a': 2 data row(s) are too few to tell how often",
        write(frame[::-1]): "but times must rise from row to row",
        write(gap, "gap.parquet"): "times are irregular: 2024-01-01 06:00:00 follows 2024-01-01 04:00:00",
    }.items():
        status, _, stderr, _ = run(path, *LONG, "--engine", "local")
        assert (status, stderr.count("\n")) == (2, 1)
        assert message in stderr


def test_without_ray_the_error_names_the_command(run, write, frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    status, _, stderr, _ = run(write(frame), *LONG, "--engine", "ray")
    assert (status, stderr.count("\n")) == (2, 1)
    assert "pip install 'dasha-plugins[ray]'" in stderr


def test_a_cluster_that_cannot_be_reached(run, write, frame, monkeypatch):
    def init(**options):
        assert options["log_to_driver"] is False
        raise ConnectionError("nobody there")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init, is_initialized=lambda: False))
    monkeypatch.setitem(sys.modules, "ray.data", SimpleNamespace())
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    status, _, stderr, _ = run(write(frame), *LONG, "--engine", "ray")
    assert (status, stderr.count("\n")) == (2, 1)
    assert "Ray cannot be reached at RAY_ADDRESS='10.0.0.1:6379': nobody there; check the address" in stderr


def test_what_ray_prints_is_no_output(monkeypatch, capsys):
    log = []
    stub = SimpleNamespace(init=lambda **_: None, is_initialized=lambda: False, shutdown=lambda: log.append("ended"))
    monkeypatch.setitem(sys.modules, "ray", stub)
    with connected():
        print("(raylet) WARNING: of a cluster")
    print("output")
    assert capsys.readouterr() == ("output\n", "(raylet) WARNING: of a cluster\n")
    assert log == ["ended"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_ray_gives_the_same_forecasts(ray, run, write, frame, suffix):
    path = write(frame, f"parts/{{}}{suffix}", pieces=3)
    status, text, _, table = run(path, *LONG, "--engine", "ray", "--json")
    assert (status, json.loads(text)["engine"]) == (0, "ray")
    assert_same(table, run(path, *LONG, "--engine", "local", out="local")[3])


@pytest.mark.slow
def test_the_ray_at_an_address_is_used_and_leaves_the_output_alone(ray, dasha_cli, write, frame, tmp_path):
    path = write(frame, pieces=2)
    arguments = ["--horizon", "5", "--engine", "ray", "--json", "--max-lookback", "30", "--freq", "h"]
    address = ray.get_runtime_context().gcs_address
    out = ["--out", str(tmp_path / "out")]
    result = dasha_cli("forecast", str(path), *LONG, *arguments, *out, timeout=300, RAY_ADDRESS=address)
    own = [line for line in result.stderr.splitlines() if "(raylet)" not in line]  # warnings of a busy machine
    assert (result.returncode, own) == (0, [])
    assert json.loads(result.stdout)["series"] == 3
