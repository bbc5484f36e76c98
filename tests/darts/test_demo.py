"""The demo as a user runs it, once, in a process of its own."""

import json
import re

import numpy as np
import pytest

from darts_autoar.bundled import load_bundled
from dasha.cli import main

MODELS = ["Auto-AR", "Seasonal naive", "Linear regression", "AutoETS", "AutoTheta", "AutoARIMA"]


@pytest.fixture(scope="module")
def bundled():
    return load_bundled()


def test_bundled_series_are_regular_named_and_sourced(bundled):
    assert len(bundled) == 8
    for data in bundled:
        assert data.values.shape == (len(data.index), len(data.columns))
        assert len(data.index) >= 100
        assert "(statsmodels: " in data.source
        assert getattr(data.index, "freqstr", None) or data.index.step == 1
    by_name = {data.name: data for data in bundled}
    assert np.isnan(by_name["CO₂"].values).sum() == 5
    # June 1997 to December 1997: the strong El Niño, so the months are in order.
    strong = by_name["El Niño"].values[:, 0][
        (by_name["El Niño"].index.year == 1997) & (by_name["El Niño"].index.month > 5)
    ]
    assert strong.min() > 23.5


@pytest.mark.slow
def test_demo(dasha_cli, page_tags, tmp_path):
    run = dasha_cli("demo", "--out", str(tmp_path / "demo"))
    assert (run.returncode, run.stderr) == (0, "")
    report = tmp_path / "demo" / "report.html"
    assert run.stdout.rstrip().endswith(f"report in {report}")
    assert all(model in run.stdout for model in MODELS)
    page = report.read_text(encoding="utf-8")
    check_page(page, page_tags(page))
    result = json.loads((tmp_path / "demo" / "demo.json").read_text(encoding="utf-8"))
    assert sorted(row["model"] for row in result["overall"]) == sorted(MODELS)
    ranks = [row["mean rank"] for row in result["overall"]]
    assert ranks == sorted(ranks)
    assert sum(ranks) == pytest.approx(sum(range(1, len(MODELS) + 1)))
    for data in result["data"]:
        assert [score["model"] for score in data["scores"]] == MODELS
        assert all(score["mase"] is not None for score in data["scores"]), data["scores"]


def check_page(page, tags):
    """The page is complete and shows every data set."""
    assert tags.count("svg") == 8
    assert tags.count("table") == 9
    assert all(text in page for text in (*MODELS, "Keeling and Whorf", "Mean rank"))
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL).lower().replace("finance", "")


def test_demo_in_small(bundled, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "darts_autoar.bundled.load_bundled", lambda: [data for data in bundled if data.name in ("Nile", "CO₂")]
    )
    monkeypatch.setattr("darts_autoar.commands.demo.AGAINST", ("naive", "linear"))
    assert main(["demo", "--out", str(tmp_path / "demo"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "demo" / "demo.json").read_text(encoding="utf-8"))
    assert [data["windows"] for data in result["data"]] == [
        "5 windows of 6 steps, 6 apart, after 70 of 100 rows; season of 1",
        "8 windows of 18 steps, 18 apart, after 382 of 526 rows; season of 12",
    ]
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "2 data sets, 13 test windows, 3 models. Auto-AR comes joint first by mean rank (1.5)" in page
    assert page.count("<svg") == 2
    status = main(["demo", "--out", str(tmp_path)])
    assert status == 2
    assert "is left alone" in capsys.readouterr().err
