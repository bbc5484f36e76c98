"""Long tables and ``.tsf`` files: read as a list of series, forecast by one pooled model."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dasha.autoar import AutoAR
from dasha.cli import main
from dasha.errors import InvalidTableError
from dasha.tables import read_series

pytestmark = pytest.mark.filterwarnings("error::UserWarning:dasha")


def make_long(lengths=(60, 45, 80), *, freq="MS", ids=("007", "b", "c")):
    """Series of unequal length that start at different times, shuffled."""
    rng = np.random.default_rng(0)
    parts = []
    for number, (name, length) in enumerate(zip(ids, lengths, strict=True)):
        times = pd.date_range("2010-01-01", periods=200, freq=freq)[10 * number :][:length]
        cycle = np.sin(2 * np.pi * np.arange(length) / 12)
        parts.append(
            pd.DataFrame(
                {
                    "shop": name,
                    "day": times,
                    "sales": 10**number * (5 + cycle + 0.1 * rng.normal(size=length)),
                    "visits": rng.normal(size=length),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def long():
    return make_long()


@pytest.fixture
def write(tmp_path):
    def write(frame, name="long.csv"):
        path = tmp_path / name
        frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def tsf(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["@relation Small", "@attribute series_name string", "@attribute start_timestamp date"]
    lines += ["@frequency monthly", "@horizon 4", "@data"]
    for number in range(30):
        values = 10 + np.sin(2 * np.pi * np.arange(40 + number) / 12) + 0.1 * rng.normal(size=40 + number)
        text = ",".join(f"{value:.4f}" for value in values)
        lines.append(f"T{number}:20{number:02d}-01-01 00-00-00:{text}")
    path = tmp_path / "small.tsf"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def run(tmp_path, capsys):
    def run(command, path, *arguments, horizon=4):
        status = main([command, str(path), "--horizon", str(horizon), "--out", str(tmp_path / "out"), *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.mark.parametrize("name", ["long.csv", "long.csv.gz", "long.parquet"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_series_has_its_values_and_times(write, long, name, shuffled):
    frame = long.sample(frac=1, random_state=1) if shuffled else long
    data = read_series(write(frame.reset_index(drop=True), name), id_column="shop")
    assert (data.id_column, data.time_column, data.columns, data.freq) == ("shop", "day", ("sales", "visits"), "MS")
    assert (data.rows, data.missing) == (185, 0)
    assert [one.name for one in data.series] == list(pd.unique(frame["shop"]))
    for series in data.series:
        expected = long[long["shop"] == series.id]
        pd.testing.assert_index_equal(series.index, pd.DatetimeIndex(expected["day"], freq="MS"), check_names=False)
        np.testing.assert_allclose(series.values, expected[["sales", "visits"]], rtol=1e-15)
    assert bool(data.notes) == shuffled


def test_a_wide_table_is_one_series(write, long):
    one = long[long["shop"] == "b"].drop(columns="shop")
    data = read_series(write(one))
    assert (data.id_column, len(data.series), data.series[0].id, data.series[0].name) == (None, 1, None, "")
    np.testing.assert_allclose(data.series[0].values, one[["sales", "visits"]])


def test_ids_of_a_parquet_file_stay_numbers_and_those_of_text_files_stay_text(write):
    frame = make_long(ids=(3, 1, 2))
    assert [one.id for one in read_series(write(frame, "x.parquet"), id_column="shop").series] == [3, 1, 2]
    assert [one.id for one in read_series(write(frame), id_column="shop").series] == ["3", "1", "2"]
    namibia = frame.assign(shop=frame["shop"].astype(str).replace("3", "NA"))
    assert read_series(write(namibia), id_column="shop").series[0].id == "NA"


def test_targets_and_row_numbers(write, long):
    data = read_series(write(long), id_column="shop", targets=["visits"], count_rows=True)
    assert (data.columns, data.time_column) == (("visits",), None)
    assert [list(one.index[[0, -1]]) for one in data.series] == [[1, 60], [1, 45], [1, 80]]
    without = read_series(write(long.drop(columns="day")), id_column="shop")
    assert "counted from 1" in without.notes[0]


def test_whole_numbers_as_times(write, long):
    frame = long.assign(year=long.groupby("shop").cumcount() * 2 + 1900).drop(columns="day")
    data = read_series(write(frame), id_column="shop")
    assert (data.time_column, data.freq, list(data.series[1].future(2))) == ("year", "2", [1990, 1992])
    with pytest.raises(InvalidTableError, match=r"series '007': 1906 follows 1902.*longest series, 'c', .* 2"):
        read_series(write(frame.drop(index=2)), id_column="shop")


def test_gaps_are_refused_until_a_frequency_is_given(write, long):
    path = write(long.drop(index=[5, 6, 110]))  # two months of 007, one of c
    with pytest.raises(InvalidTableError, match=r"series 'c': times are irregular: .*--freq MS"):
        read_series(path, id_column="shop")
    with pytest.raises(InvalidTableError, match=r"series '007': 2010-08-01.* follows 2010-05-01.*'c'.*--freq MS"):
        read_series(write(long.drop(index=[5, 6]), "one.csv"), id_column="shop")
    data = read_series(path, id_column="shop", freq="M")
    assert ([len(one.index) for one in data.series], data.missing) == ([60, 45, 80], 6)
    assert np.isnan(data.series[0].values[[5, 6]]).all()
    assert "3 times in 2 of 3 series" in data.notes[0]


def test_weeks_may_start_on_different_days(write):
    monday, friday = (pd.date_range(start, periods=8, freq="7D") for start in ("2024-01-01", "2024-01-05"))
    frame = pd.DataFrame({"id": ["a"] * 8 + ["b"] * 7, "date": [*monday, *friday[:7]], "y": range(15)})
    assert [one.index.freqstr for one in read_series(write(frame), id_column="id").series] == ["W-MON", "W-FRI"]


def test_days_that_could_be_months_in_every_series_are_refused(write):
    days = pd.date_range("2024-01-01", periods=10).strftime("%d/%m/%Y")
    frame = pd.DataFrame({"id": ["a"] * 10 + ["b"] * 9, "date": [*days, *days[1:]], "y": range(19)})
    with pytest.raises(InvalidTableError, match=r"can be read as month first .* every MS\) and as day first"):
        read_series(write(frame), id_column="id")
    assert read_series(write(frame), id_column="id", freq="D").series[1].index[0] == pd.Timestamp("2024-01-02")


def test_seconds_since_1970_in_a_long_table(write, long):
    epoch = long.assign(day=long["day"].astype("datetime64[s]").astype("int64")).rename(columns={"day": "timestamp"})
    data = read_series(write(epoch), id_column="shop")
    assert (data.time_column, data.freq, data.columns) == ("timestamp", "MS", ("sales", "visits"))


def test_days_first_are_found_from_all_series_together(write):
    """The short series alone would read as months."""
    days = pd.date_range("2024-01-01", periods=40)
    months = ["01/02/2024", "02/02/2024", "03/02/2024"]
    frame = pd.DataFrame(
        {"id": ["a"] * 3 + ["b"] * 40, "date": [*months, *days.strftime("%d/%m/%Y")], "y": np.arange(43.0)}
    )
    short = read_series(write(frame), id_column="id").series[0]
    assert (short.index[0], short.index.freqstr) == (pd.Timestamp("2024-02-01"), "D")


def bad_long():
    frame = make_long()
    return {
        "unknown id": (
            frame,
            {"id_column": "Shop"},
            "id column 'Shop' is not a column of the file; did you mean 'shop'",
        ),
        "id is target": (frame, {"targets": ["shop"]}, "target 'shop' is the id column"),
        "id is time": (frame, {"time_column": "shop"}, "only one of them"),
        "no id": (frame.assign(shop=frame["shop"].where(frame.index != 3)), {}, "'shop' is empty in data row 4"),
        "twice": (
            pd.concat([frame, frame.iloc[[70, 71]]]),
            {},
            r"series 'b' has the time 2011-09-01 00:00:00 twice, in data rows 71 and 186 \(2 such rows",
        ),
        "off the grid": (
            pd.concat([frame, pd.DataFrame({"shop": "d", "day": ["2012-01-15"], "sales": 1, "visits": 1})]),
            {},
            "series 'd': the first time is 2012-01-15",
        ),
        "all short": (frame.groupby("shop").head(2), {}, r"series '007': 2 data row\(s\) are too few"),
        "freq of one": (frame, {"freq": "7min"}, "series 'c': --freq"),
        "no number": (frame.assign(sales="x", visits="y"), {}, "no numeric column"),
    }


@pytest.mark.parametrize("case", bad_long())
def test_errors_name_the_series(write, case):
    frame, options, message = bad_long()[case]
    with pytest.raises(InvalidTableError, match=message):
        read_series(write(frame), **({"id_column": "shop"} | options))


def test_tsf_files_take_no_options_on_columns(tsf):
    with pytest.raises(InvalidTableError, match=r"--targets, --freq cannot be used with small\.tsf"):
        read_series(tsf, targets=["a"], freq="D")
    lines = tsf.read_text().replace("T1:", "T0:")
    tsf.write_text(lines)
    with pytest.raises(InvalidTableError, match=r"lines 7 and 8 .* both hold a series named 'T0'"):
        read_series(tsf)


def test_one_model_is_fitted_on_the_series_of_a_long_table(run, write, long, tmp_path):
    status, stdout, _ = run("forecast", write(long), "--id-column", "shop", "--criterion", "bic", "--json")
    assert status == 0
    summary = json.loads(stdout)
    expected = {"id_column": "shop", "series": 3, "shortest_series": 45, "longest_series": 80, "rows": 185}
    assert {name: summary[name] for name in expected} == expected
    matrices = [part[["sales", "visits"]].to_numpy() for _, part in long.groupby("shop", sort=False)]
    model = AutoAR(criterion="bic", horizon=4).fit(matrices)
    forecasts = model.predict(4)
    assert (summary["lookback"], summary["diff_order"]) == (model.lookback_, model.diff_order_)
    frame = pd.read_csv(tmp_path / "out" / "forecast.csv", parse_dates=["time"], dtype={"shop": str})
    assert list(frame.columns) == ["shop", "time", "target", "step", "mean", "std", "q0.1", "q0.5", "q0.9"]
    assert len(frame) == 3 * 2 * 4
    last = frame[(frame["shop"] == "c") & (frame["target"] == "visits")]
    assert list(last["time"]) == list(pd.date_range("2018-05-01", periods=4, freq="MS"))
    np.testing.assert_allclose(last["mean"], forecasts[2].mean[:, 1], rtol=1e-9)
    np.testing.assert_allclose(last["q0.9"], forecasts[2].quantile(0.9)[:, 1], rtol=1e-9)
    assert (tmp_path / "out" / "forecast.png").read_bytes().startswith(b"\x89PNG")
    other = pd.read_parquet(tmp_path / "out" / "forecast.parquet")
    pd.testing.assert_frame_equal(frame, other, check_dtype=False)


@pytest.fixture
def drawn(monkeypatch):
    """What would have been drawn, which takes seconds."""
    from dasha.cli import _forecast_run

    calls = []
    monkeypatch.setattr(_forecast_run, "forecast_figure", lambda panels, **options: calls.append((panels, options)))
    monkeypatch.setattr(_forecast_run, "save_png", lambda figure, path: path.write_bytes(b""))
    return calls


def test_a_series_without_any_value_is_left_out(run, write, long, tsf, tmp_path):
    tsf.write_text(f"{tsf.read_text()}\nnone:2000-01-01 00-00-00:?,?,?,?,?")
    long.loc[long["shop"] == "b", "sales"] = np.nan
    for path, name, options in (
        (tsf, "none", []),
        (write(long), "b", ["--id-column", "shop", "--targets", "sales"]),
    ):
        status, _, stderr = run("forecast", path, *options)
        assert status == 0
        assert "channels hold no value at all" in stderr
        table = pd.read_csv(tmp_path / "out" / "forecast.csv", index_col=0)
        assert table["mean"].isna().groupby(level=0).all().loc[lambda missing: missing].index.tolist() == [name]


@pytest.mark.parametrize("options", [[], ["--mode", "zero-shot"]])
def test_a_single_value_tells_nothing_about_the_spread(run, tsf, tmp_path, options):
    assert "a single value" not in run("forecast", tsf, *options)[2]
    tsf.write_text(f"{tsf.read_text()}\none:2000-01-01 00-00-00:3\nother:2000-01-01 00-00-00:?,5,?")
    status, _, stderr = run("forecast", tsf, *options)
    assert status == 0
    assert (
        "note: 2 columns have a single value, which tells nothing about the spread: their forecasts have std 0"
        in stderr
    )
    table = pd.read_csv(tmp_path / "out" / "forecast.csv", index_col=0)
    assert sorted(table.index[table["std"] == 0].unique()) == ["one", "other"]
    assert table.loc["one", "mean"].tolist() == [3.0] * 4


def test_tsf_files_are_forecast(run, tsf, tmp_path, drawn):
    status, stdout, _ = run("forecast", tsf)
    assert status == 0
    assert "series (30)" in stdout
    frame = pd.read_csv(tmp_path / "out" / "forecast.csv")
    assert list(frame.columns[:4]) == ["series_name", "time", "target", "step"]
    assert frame["series_name"].nunique() == 30
    panels, options = drawn[0]
    assert (len(panels), panels[0].title, panels[-1].title) == (24, "T0", "T29")
    assert "24 of 30 series, evenly spaced" in options["title"]


@pytest.mark.parametrize("name", ["time", "target", "q0.5"])
def test_an_id_column_may_not_be_called_like_the_output(run, write, long, name):
    status, _, stderr = run("forecast", write(long.rename(columns={"shop": name})), "--id-column", name)
    assert (status, stderr.count("\n")) == (2, 1)
    assert f"--id-column is '{name}'" in stderr


@pytest.mark.parametrize("name", ["hospital", "tourism_monthly", "m4_hourly"])
@pytest.mark.usefixtures("drawn")
def test_files_of_the_archive_are_forecast(run, name, tmp_path):
    folder = os.environ.get("DASHA_DATA")
    if not folder:
        pytest.skip("set DASHA_DATA to the folder with the files of the Monash archive")
    found = sorted(Path(folder).rglob(f"{name}_dataset.tsf"))
    if not found:
        pytest.skip(f"no {name}_dataset.tsf under {folder}")
    status, stdout, _ = run("forecast", found[0], "--json", "--criterion", "bic", "--max-lookback", "30", horizon=12)
    summary = json.loads(stdout)
    assert (status, summary["notes"]) == (0, [])
    frame = pd.read_parquet(tmp_path / "out" / "forecast.parquet")
    assert len(frame) == 12 * summary["series"]
    assert np.isfinite(frame["mean"]).all()
