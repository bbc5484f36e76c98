"""Published figures: every row is reachable, with its source and what it is."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import dasha.published
from dasha.errors import InvalidArgumentError
from dasha.published import ZERO_SHOT_MODELS, PublishedResult, published_forecasting

FILE = Path(dasha.published.__file__).parent / "forecasting.csv"
with FILE.open(encoding="utf-8", newline="") as stream:
    ROWS = list(csv.DictReader(stream))


def test_a_known_figure() -> None:
    results = published_forecasting("ETTh1", 96, "mse")
    assert results[0] == PublishedResult(
        "TTM-A zero-shot", 1536, 0.357, "ibm-granite/granite-tsfm foundts_leaderboard, zero-shot"
    )
    assert results[0].is_zero_shot
    assert not results[0].is_second_hand
    assert [result.value for result in results] == sorted(result.value for result in results)
    (patch,) = (result for result in results if result.model == "PatchTST/64")
    assert (patch.lookback, patch.is_zero_shot, patch.is_second_hand) == (512, False, True)
    assert next(result for result in results if result.model == "TiDE").lookback is None


def test_every_row_is_reachable() -> None:
    settings = {(row["task"], int(row["horizon"]), row["metric"]) for row in ROWS}
    loaded = [result for setting in settings for result in published_forecasting(*setting)]
    assert len(loaded) == len(ROWS) == 496
    assert {row["benchmark"] for row in ROWS} == {"ltsf"}
    assert all(result.source and 0 < result.value < 10 for result in loaded)
    assert sum(result.is_second_hand for result in loaded) == sum("second-hand" in row["source"] for row in ROWS) > 0


def test_zero_shot_models_are_those_whose_source_says_so() -> None:
    assert {row["model"] for row in ROWS if row["source"].split(" (")[0].endswith("zero-shot")} == ZERO_SHOT_MODELS


def test_nothing_is_known() -> None:
    assert published_forecasting("exchange_rate", 96) == []
    assert published_forecasting("ETTh1", 95) == []


def test_unknown_metric() -> None:
    with pytest.raises(InvalidArgumentError, match="metric is 'rmse', but must be 'mse' or 'mae'"):
        published_forecasting("ETTh1", 96, "rmse")
