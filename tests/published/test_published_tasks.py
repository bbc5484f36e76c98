"""Published figures of satellite and DNA tasks: every row is reachable, with its source and what it is."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import dasha.published
from dasha.errors import InvalidArgumentError
from dasha.published import PublishedScore, published_scores

FOLDER = Path(dasha.published.__file__).parent


@pytest.mark.parametrize(("field", "count"), [("satellite", 53), ("genomics", 155)])
def test_every_row_is_reachable(field, count):
    with (FOLDER / f"{field}.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    loaded = published_scores(field)
    assert len(loaded) == len(rows) == count
    assert all(one.source and 0 < one.value < 1 for one in loaded)
    assert sum(one.is_second_hand for one in loaded) == sum("second-hand" in row["source"] for row in rows) > 0
    assert [one.value for one in loaded] == sorted((one.value for one in loaded), reverse=True)


def test_a_known_figure():
    best, *_ = published_scores("genomics", benchmark="gue", task="mouse_2")
    assert best == PublishedScore(
        "gue", "mouse_2", "DNABERT-2 (third-party rerun)", "mcc", 0.8293, "independent rerun (second-hand copy)"
    )
    assert published_scores("satellite", task="m-eurosat")[0].model == "TerraFM-L"
    assert published_scores("satellite", task="nothing") == []


def test_unknown_field():
    with pytest.raises(InvalidArgumentError, match="field is 'weather', but must be 'satellite' or 'genomics'"):
        published_scores("weather")
