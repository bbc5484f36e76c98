"""A Ray dataset gives the summaries of its rows, however it is partitioned."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dasha.autoar import ray_engine
from dasha.autoar.streaming import SeriesSummary, accumulate
from dasha.autoar.summary_arrays import to_arrays
from dasha.errors import InvalidArgumentError, InvalidSeriesError

STATE = "dasha.state"
SETTINGS: dict[str, Any] = {
    "id_column": "id",
    "time_column": "time",
    "targets": ["x", "y"],
    "freq": "h",
    "max_length": 6,
    "kpss_lags": 0,
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Three series with missing steps and values, ordered by id and time; the second is far longer than the others."""
    rng = np.random.default_rng(0)
    parts = []
    for name, steps in (("a", 40), ("b", 3000), ("c", 900)):
        times = pd.date_range("2024-01-01", periods=steps, freq="h")
        part = pd.DataFrame({"id": name, "time": times, "x": 1e4 + rng.normal(size=steps).cumsum()})
        part["y"] = np.where(rng.random(steps) < 0.002, np.nan, rng.normal(size=steps))
        parts.append(part[rng.random(steps) > 0.001])
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def expected(frame: pd.DataFrame) -> dict[Any, SeriesSummary]:
    return accumulate([frame], **SETTINGS)


def assert_same(found: dict[Any, SeriesSummary], expected: dict[Any, SeriesSummary]) -> None:
    assert set(found) == set(expected)
    for name, series in expected.items():
        assert (found[name].first, found[name].last) == (series.first, series.last)
        for ours, theirs in zip(found[name].channels, series.channels, strict=True):
            arrays = to_arrays(ours)
            for key, array in to_arrays(theirs).items():
                scale = np.abs(array[np.isfinite(array)]).max(initial=0.0)
                np.testing.assert_allclose(arrays[key], array, rtol=1e-10, atol=1e-10 * scale, err_msg=key)


def blocks_of(frame: pd.DataFrame, partitions: int, order: str) -> list[pd.DataFrame]:
    if order == "by time":
        frame = frame.sort_values("time", kind="stable")
    elif order == "at random":
        frame = frame.sample(frac=1.0, random_state=0)
    bounds = np.linspace(0, len(frame), partitions + 1).astype(int)
    return [frame.iloc[a:b] for a, b in pairwise(bounds)]


@pytest.mark.parametrize("partitions", [1, 3, 17])
@pytest.mark.parametrize("order", ["by series", "by time", "at random"])
def test_partitions_without_ray(
    frame: pd.DataFrame, expected: dict[Any, SeriesSummary], partitions: int, order: str
) -> None:
    groups = merged_here(blocks_of(frame, partitions, order), is_sorted=False)
    if order == "at random" and partitions > 1:
        assert all(state == b"" for state in groups[STATE])
        groups = merged_here(blocks_of(frame, partitions, "by series"), is_sorted=True)
    found = {
        row["id"]: SeriesSummary(ray_engine._unpacked(row[STATE]), row["dasha.first"], row["dasha.last"])
        for row in groups.to_dict("records")
    }
    assert_same(found, expected)


def merged_here(blocks: list[pd.DataFrame], *, is_sorted: bool, **others: Any) -> pd.DataFrame:
    """What Ray does, in this process."""
    settings = SETTINGS | others
    tables = [ray_engine.summarise_partition(pa.Table.from_pandas(block), **settings) for block in blocks]
    # Ray hands over columns of Arrow.
    parts = pa.concat_tables(tables).to_pandas(types_mapper=pd.ArrowDtype).sample(frac=1.0, random_state=1)
    merged = [
        ray_engine.merge_partitions(group, id_column="id", freq=settings["freq"], is_sorted=is_sorted)
        for _, group in parts.groupby("id")
    ]
    return pd.concat(merged)


@pytest.mark.parametrize("partitions", [1, 3, 17])
@pytest.mark.parametrize("order", ["by series", "by time", "at random"])
@pytest.mark.parametrize("kind", ["times", "text", "numbers"])
def test_rows_without_a_frequency_must_be_even(partitions: int, order: str, kind: str) -> None:
    times = pd.date_range("2024-01-01", periods=300, freq="h", unit="us")
    column = {"times": times, "text": times.strftime("%Y-%m-%d %H:%M"), "numbers": pd.Index(range(300))}[kind]
    known = column if kind == "numbers" else times
    frame = pd.concat([pd.DataFrame({"id": name, "time": column, "x": 0.5 * np.arange(300)}) for name in "ab"])
    settings: dict[str, Any] = {"freq": None, "targets": ["x"]}
    for gap in (None, 1, 150, 299):
        rows = frame if gap is None else frame[(frame["id"] == "a") | (frame["time"] != column[gap])]
        groups = merged_here(blocks_of(rows, partitions, order), is_sorted=False, **settings)
        if order == "at random" and partitions > 1:  # an uneven partition says nothing: other rows lie in between
            assert (groups[STATE] == b"").all()
            assert (groups["dasha.error"] == "").all()
            groups = merged_here(blocks_of(rows, partitions, "by series"), is_sorted=True, **settings)
        errors = groups.set_index("id")["dasha.error"]
        paces = groups.set_index("id")["dasha.pace"]
        whole = accumulate([frame], **SETTINGS | settings)["a"].pace
        assert ray_engine.pace_from_plain(json.loads(paces["a"])) == whole
        assert errors["a"] == ""
        if gap in (None, 299):
            assert errors["b"] == ""
            continue
        before, after = (known[2], known[3]) if gap == 1 else (known[gap - 1], known[gap + 1])
        assert errors["b"].startswith(f"series 'b' has {after} after {before}, but began with {known[0]}")


def test_errors_come_back_as_text(frame: pd.DataFrame) -> None:
    row = frame[frame["id"] == "b"].iloc[[2000]]
    time = row["time"].iloc[0]
    for blocks, is_sorted in (([pd.concat([frame, row])], False), ([frame, row], True)):
        merged = merged_here(blocks, is_sorted=is_sorted)
        assert any(f"series 'b' has {time} after" in text for text in merged["dasha.error"])
    unknown = frame.iloc[:3].assign(id=["a", None, "a"])
    assert "1 rows have no 'id'" in merged_here([unknown], is_sorted=False)["dasha.error"].iloc[0]
    with pytest.raises(InvalidSeriesError, match="3 rows have no 'id'"):
        merged_here([unknown.assign(id=None)], is_sorted=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("partitions", "order"), [(1, "by time"), (3, "by series"), (17, "by series"), (3, "at random")]
)
def test_partitions_of_a_dataset(
    ray: Any, frame: pd.DataFrame, expected: dict[Any, SeriesSummary], partitions: int, order: str
) -> None:
    dataset = ray.data.from_pandas(blocks_of(frame, partitions, order))
    assert_same(ray_engine.summarise_dataset(dataset, **SETTINGS), expected)


@pytest.mark.slow
def test_a_repartitioned_parquet_file(
    ray: Any, frame: pd.DataFrame, expected: dict[Any, SeriesSummary], tmp_path: Any
) -> None:
    frame.assign(unused="text").to_parquet(tmp_path / "rows.parquet", row_group_size=500)
    dataset = ray.data.read_parquet(str(tmp_path / "rows.parquet"))
    assert_same(ray_engine.summarise_dataset(dataset.repartition(5), **SETTINGS), expected)


@pytest.mark.slow
def test_whole_number_ids_and_times(ray: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"id": np.repeat([3, 1], 500), "time": np.tile(np.arange(0, 1000, 2), 2), "x": rng.normal(size=1000)}
    )
    settings = {**SETTINGS, "targets": ["x"], "freq": 2}
    found = ray_engine.summarise_dataset(ray.data.from_pandas(frame).repartition(4), **settings)
    assert_same(found, accumulate([frame], **settings))


@pytest.mark.slow
def test_a_repeated_time_names_series_and_time(ray: Any, frame: pd.DataFrame) -> None:
    row = frame[frame["id"] == "b"].iloc[[2000]]
    message = rf"series 'b' has {row['time'].iloc[0]} after .*, but times must rise"
    with pytest.raises(InvalidSeriesError, match=message):
        ray_engine.summarise_dataset(ray.data.from_pandas([frame, row]), **SETTINGS)


@pytest.mark.slow
def test_columns_that_are_not_there(ray: Any, frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidArgumentError, match="the dataset has no column 'z'; its columns are id, time, x, y"):
        ray_engine.summarise_dataset(ray.data.from_pandas(frame), **{**SETTINGS, "targets": ["z"]})


@pytest.mark.slow
def test_a_dead_worker_is_replaced(
    ray: Any, frame: pd.DataFrame, expected: dict[Any, SeriesSummary], tmp_path: Any
) -> None:
    marker = str(tmp_path / "died")

    def dies_once(batch: pd.DataFrame) -> pd.DataFrame:
        import os
        from pathlib import Path

        if not Path(marker).exists():
            Path(marker).touch()
            os._exit(1)
        return batch

    dataset = ray.data.from_pandas(frame).repartition(3).map_batches(dies_once, batch_format="pandas")
    assert_same(ray_engine.summarise_dataset(dataset, **SETTINGS), expected)


def test_without_ray_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from dasha.errors import OptionalDependencyError

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionalDependencyError, match=r"pip install 'dasha-plugins\[ray\]'"):
        ray_engine.summarise_dataset(None, **SETTINGS)
