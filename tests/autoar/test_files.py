"""A fit on files equals the fit on their rows, however they are divided."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

from dasha.autoar import AutoAR
from dasha.autoar import files as engine
from dasha.autoar.ray_engine import summarise_source
from dasha.errors import InvalidArgumentError, InvalidSeriesError, InvalidTableError

from .brute import autoregressive
from .test_incremental import assert_equal_fits, model

LAYOUT: dict[str, Any] = {"targets": ["x", "y"], "id_column": "id", "time_column": "time", "freq": "h"}
STEPS = {"b": 900, "c": 700, "a": 400}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Three series mixed in order of time."""
    rng = np.random.default_rng(0)
    parts = []
    for name, steps in STEPS.items():
        times = pd.date_range("2024-01-01", periods=steps, freq="h")
        values = {"x": 1e3 + autoregressive(rng, steps), "y": autoregressive(rng, steps).cumsum()}
        parts.append(pd.DataFrame({"id": name, "time": times, **values}))
    return pd.concat(parts).sort_values(["time", "id"], ignore_index=True)


@pytest.fixture(scope="module")
def expected(frame: pd.DataFrame) -> AutoAR:
    return model().fit([frame.loc[frame["id"] == name, ["x", "y"]].to_numpy() for name in "abc"])


def write(table: pd.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pandas(table, preserve_index=False), path, row_group_size=64)
    else:
        table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_one_file(frame: pd.DataFrame, expected: AutoAR, suffix: str, tmp_path: Path) -> None:
    fit = model().fit_files(write(frame, tmp_path / f"data{suffix}"), **LAYOUT)
    assert_equal_fits(fit, expected)
    assert fit.series_ids_ == ("a", "b", "c")


@pytest.mark.parametrize("by", ["time", "id"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_folder_whose_names_are_not_in_order_of_time(
    frame: pd.DataFrame, expected: AutoAR, suffix: str, by: str, tmp_path: Path
) -> None:
    frame = frame.sort_values([by, "time"], kind="stable", ignore_index=True)
    for part in range(11):  # part-10 is read before part-2
        write(frame[part * 200 : (part + 1) * 200], tmp_path / f"part-{part}{suffix}")
    assert_equal_fits(model().fit_files(tmp_path, **LAYOUT), expected)


def test_ids_in_folder_names(frame: pd.DataFrame, expected: AutoAR, tmp_path: Path) -> None:
    for name, part in frame.groupby("id"):
        write(part.drop(columns="id"), tmp_path / f"id={name}" / "data.parquet")
    assert_equal_fits(model().fit_files(str(tmp_path), **LAYOUT), expected)


def test_a_list_of_files_and_a_dataset(frame: pd.DataFrame, expected: AutoAR, tmp_path: Path) -> None:
    paths = [write(frame[1000:], tmp_path / "new.parquet"), write(frame[:1000], tmp_path / "old.parquet")]
    assert_equal_fits(model().fit_files(paths, **LAYOUT), expected)
    assert_equal_fits(model().fit_files(pa.dataset.dataset(tmp_path), **LAYOUT), expected)


def test_validation_and_updates(frame: pd.DataFrame, tmp_path: Path) -> None:
    first, second, third = frame[:1200], frame[1200:1700], frame[1700:]
    paths = [write(part, tmp_path / f"{place}.parquet") for place, part in enumerate((first, second))]
    settings = {"criterion": "validation", "horizon": 3}
    fit = model(**settings).fit_files(paths[0], validation=paths[1], **LAYOUT)
    matrices = [[part.loc[part["id"] == name, ["x", "y"]].to_numpy() for name in "abc"] for part in (first, second)]
    matrices[1][0] = np.full((1, 2), np.nan)  # the first series has ended
    wanted = model(**settings).fit(matrices[0], validation=matrices[1])
    np.testing.assert_allclose(fit.criterion_path_, wanted.criterion_path_, rtol=1e-10)
    np.testing.assert_allclose(fit.coefficients_, wanted.coefficients_, rtol=1e-10)
    layout = {name: LAYOUT[name] for name in ("targets", "id_column", "time_column")}
    updated = model().fit_files(paths, **LAYOUT).update_stream([third], **layout)
    whole = [frame.loc[frame["id"] == name, ["x", "y"]].to_numpy() for name in "abc"]
    assert_equal_fits(updated, model().fit(whole))


def test_ids_are_text_and_targets_may_begin_with_whole_numbers(tmp_path: Path) -> None:
    values = np.r_[np.arange(400000) % 7, 0.5]
    table = pd.DataFrame({"id": "007", "x": values})
    fit = model().fit_files(write(table, tmp_path / "data.csv"), targets=["x"], id_column="id")
    assert fit.series_ids_ == ("007",)
    assert fit.fitted.tails[0][-1] == 0.5


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_ids_in_folder_names_are_text(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(("007", "7", "10")):
        times = pd.date_range("2024-01-01", periods=40, freq="h") + pd.Timedelta(days=number)
        table = pd.DataFrame({"time": times, "x": rng.normal(size=40)})
        write(table, tmp_path / "year=2024" / f"meter={name}" / f"data{suffix}")
    fit = model().fit_files(tmp_path, targets=["x"], id_column="meter", time_column="time", freq="h")
    assert fit.series_ids_ == ("007", "10", "7")


IDS = {
    "numbers": (pa.array([10, 9]), (9, 10)),
    "categories": (pa.array(["10", "9"]).dictionary_encode(), ("10", "9")),
    "long text": (pa.array(["10", "9"], pa.large_string()), ("10", "9")),
}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("source", ["file", "folder", "list"])
def test_ids_in_parquet_files_keep_their_type(kind: str, source: str, tmp_path: Path) -> None:
    column, ids = IDS[kind]
    rng = np.random.default_rng(0)
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for number, path in enumerate(paths):
        table = {"id": column.take(pa.array(np.repeat([0, 1], 50))), "x": rng.normal(size=100)}
        times = pd.date_range("2024-01-01", periods=50) + pd.Timedelta(days=50 * number)
        pa.parquet.write_table(pa.table({**table, "time": times.append(times)}), path)
    files = {"file": paths[0], "folder": tmp_path, "list": paths}[source]
    fit = model(diff_order=0).fit_files(files, targets=["x"], id_column="id", time_column="time")
    assert fit.series_ids_ == ids
    assert fit.fitted.summaries.series[ids[0]].channels[0].rows == (50 if source == "file" else 100)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_without_an_id_are_refused(suffix: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"shop": ["a"] * 30 + [None, ""], "x": np.random.default_rng(0).normal(size=32)})
    with pytest.raises(InvalidSeriesError, match="2 rows have no 'shop'" if suffix == ".csv" else "have no 'shop'"):
        model().fit_files(write(table, tmp_path / f"data{suffix}"), targets=["x"], id_column="shop")


def days(path: Path) -> Path:
    times = pd.date_range("2024-01-01", periods=60).delete(30)
    return write(pd.DataFrame({"day": times.date, "x": np.random.default_rng(0).normal(size=59)}), path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_days_are_times(suffix: str, tmp_path: Path) -> None:
    fit = model(diff_order=0).fit_files(days(tmp_path / f"days{suffix}"), targets=["x"], time_column="day", freq="D")
    summary = fit.fitted.summaries.series[None]
    assert np.flatnonzero(np.isnan(summary.channels[0].last_values(60))).tolist() == [30]
    assert summary.last == pd.Timestamp("2024-02-29")
    more = pd.DataFrame({"day": [pd.Timestamp("2024-03-02").date()], "x": [1.0]})
    fit.update_stream([more], targets=["x"], time_column="day")
    rows = fit.fitted.summaries.series[None].channels[0].last_values(62)
    assert np.flatnonzero(np.isnan(rows)).tolist() == [30, 60]


def test_one_series_without_columns_for_id_and_time(frame: pd.DataFrame, tmp_path: Path) -> None:
    one = frame.loc[frame["id"] == "b", ["x", "y"]]
    paths = [write(one[:400], tmp_path / "0.csv"), write(one[400:], tmp_path / "1.csv")]
    assert_equal_fits(model().fit_files(paths, targets=["x", "y"]), model().fit(one.to_numpy()))


def test_refuses(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = write(frame[::-1], tmp_path / "reversed.parquet")
    with pytest.raises(InvalidSeriesError, match=r"series 'b' has .* after .*, but times must rise"):
        model().fit_files(path, **LAYOUT)
    with pytest.raises(InvalidArgumentError, match="the files have no column 'z'; their columns are id, time, x, y"):
        model().fit_files(path, targets=["z"])
    with pytest.raises(InvalidArgumentError, match="engine is 'dask', but must be 'local' or 'ray'"):
        model().fit_files(path, targets=["x"], engine="dask")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match=r"strategy='direct' .* needs the rows"):
        model(strategy="direct").fit_files(path, **LAYOUT)
    with pytest.raises(InvalidTableError, match=r"nothing.parquet cannot be read"):
        model().fit_files(tmp_path / "nothing.parquet", **LAYOUT)
    one = frame[frame["id"] == "b"]
    write(one[::2], tmp_path / "mixed" / "even.parquet")
    write(one[1::2], tmp_path / "mixed" / "odd.parquet")
    with pytest.raises(InvalidSeriesError, match=r"series '.' has .* after .*, but times must rise"):
        model().fit_files(tmp_path / "mixed", **LAYOUT)
    turns = [("a", 2, "b", 1), ("a", 1, "b", 2)]
    for place, (one, first, other, second) in enumerate(turns):
        rows = pd.DataFrame({"id": [one, other], "time": [first, second], "x": 0.0})
        write(rows, tmp_path / "turns" / f"{place}.parquet")
    with pytest.raises(InvalidSeriesError, match=r"in an order in which every series goes on .* engine='ray'"):
        model().fit_files(tmp_path / "turns", targets=["x"], id_column="id", time_column="time")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidTableError, match=r"empty holds no file that ends in .parquet"):
        model().fit_files(tmp_path / "empty", **LAYOUT)
    (tmp_path / "text.csv").write_text("id,time,x,y\na,2024-01-01,high,1\n")
    with pytest.raises(InvalidTableError, match=r"text.csv cannot be read: .*CSV conversion error"):
        model().fit_files(tmp_path / "text.csv", **LAYOUT)


def test_the_kind_of_a_source(tmp_path: Path) -> None:
    (tmp_path / "part.CSV").touch()
    (tmp_path / "_SUCCESS").touch()
    assert engine.is_csv(tmp_path)
    assert engine.is_csv([tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"])
    assert not engine.is_csv("data.parquet")


@pytest.mark.slow
class TestRay:
    @pytest.mark.parametrize("partitions", [1, 5])
    @pytest.mark.parametrize("order", ["time", "shuffled"])
    def test_a_dataset(self, ray: Any, frame: pd.DataFrame, expected: AutoAR, partitions: int, order: str) -> None:
        rows = frame if order == "time" else frame.sample(frac=1.0, random_state=0)
        bounds = np.linspace(0, len(rows), partitions + 1).astype(int)
        blocks = [rows[a:b] for a, b in pairwise(bounds)]
        fit = model().fit_files(ray.data.from_pandas(blocks), engine="ray", **LAYOUT)
        assert_equal_fits(fit, expected)
        assert fit.series_ids_ == ("a", "b", "c")

    @pytest.mark.parametrize("suffix", [".parquet", ".csv"])
    def test_files(self, ray: Any, frame: pd.DataFrame, suffix: str, tmp_path: Path) -> None:
        for part in range(3):
            write(frame[part * 700 : (part + 1) * 700], tmp_path / f"part-{part}{suffix}")
        fit = model().fit_files(tmp_path, engine="ray", **LAYOUT)
        local = model().fit_files(tmp_path, **LAYOUT)
        assert_equal_fits(fit, local)
        newest = frame[-1:].assign(time=frame["time"].max() + pd.Timedelta("1h"))
        layout = {name: LAYOUT[name] for name in ("targets", "id_column", "time_column")}
        assert_equal_fits(fit.update_stream([newest], **layout), local.update_stream([newest], **layout))

    def test_days_are_times(self, ray: Any, tmp_path: Path) -> None:
        layout = {"targets": ["x"], "time_column": "day", "freq": "D"}
        paths = days(tmp_path / "days.parquet")
        fit = model(diff_order=0).fit_files(paths, engine="ray", **layout)
        assert_equal_fits(fit, model(diff_order=0).fit_files(paths, **layout))
        assert fit.fitted.summaries.series[None].last == pd.Timestamp("2024-02-29")

    def test_a_series_without_an_id(self, ray: Any, frame: pd.DataFrame) -> None:
        one = frame[frame["id"] == "b"].drop(columns="id")
        layout = {**LAYOUT, "id_column": None}
        fit = model().fit_files(ray.data.from_pandas([one[:500], one[500:]]), engine="ray", **layout)
        assert_equal_fits(fit, model().fit(one[["x", "y"]].to_numpy()))
        with pytest.raises(InvalidArgumentError, match="engine='ray' needs time_column"):
            summarise_source(ray.data.from_pandas(one), targets=["x"], max_length=3)
