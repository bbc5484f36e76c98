"""The benchmark scripts run from anywhere, say what they skip and write JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dasha.autoar import AutoAR

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def run(script: str, *arguments: str | Path, folder: Path) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    output = folder / "out" / "result.json"
    environ = {name: value for name, value in os.environ.items() if name != "DASHA_DATA"}
    finished = subprocess.run(
        [sys.executable, SCRIPTS / script, *map(str, arguments), "--json", output, "--threads", "1"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environ,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    content = json.loads(output.read_text())
    return content, finished


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two small files: one with another encoding, one far shorter than its published split."""
    rng = np.random.default_rng(0)
    time = np.arange(400)
    values = np.sin(time / 4)[:, None] + rng.normal(size=(400, 3)) + np.array([0, 50, -9])
    folder = tmp_path / "data" / "deep"
    folder.mkdir(parents=True)
    table = pd.DataFrame(values, columns=["a", "W (m²)", "OT"])
    table.insert(0, "date", pd.date_range("2020", periods=400, freq="h"))
    table.to_csv(folder / "weather.csv", index=False, encoding="latin-1")
    table.to_csv(folder / "ETTh1.csv", index=False)
    return tmp_path / "data"


def check_environment(content: dict[str, Any]) -> None:
    environment = content["environment"]
    assert {"numpy", "torch"} <= set(environment["versions"])
    assert environment["cpus"] >= 1
    assert environment["torch_threads"] == 1
    assert environment["device"] == "cpu"


@pytest.mark.parametrize("fixed", [False, True])
def test_ltsf(data: Path, tmp_path: Path, fixed: bool) -> None:
    options = ["--lookback", "5", "--diff-order", "0"] if fixed else ["--preset", "paper", "--max-lookback", "20"]
    content, finished = run("ltsf.py", "--data-dir", data, "--horizons", "4", "80", "90", *options, folder=tmp_path)
    check_environment(content)
    assert [(result["dataset"], result["horizon"]) for result in content["results"]] == [
        ("weather", 4),
        ("weather", 80),
    ]
    errors = [result["mse"] for result in content["results"]]
    assert content["mean_root_mse"] == {"paper": pytest.approx(np.mean(np.sqrt(errors)))}
    assert "400 rows, but the published split needs 14400" in content["skipped"]["ETTh1"]
    assert "no traffic.csv under" in content["skipped"]["traffic"]
    assert "skipped traffic" in finished.stderr
    assert "weather" in finished.stdout
    if fixed:
        assert {result["lookback"] for result in content["results"]} == {5}


def test_ltsf_scores_what_the_protocol_says(data: Path, tmp_path: Path) -> None:
    """A lookback of zero forecasts the mean of training + validation rows at every origin."""
    content, _ = run(
        "ltsf.py", "--data-dir", data, "--horizons", "7", "--lookback", "0", "--diff-order", "0", folder=tmp_path
    )
    values = pd.read_csv(data / "deep" / "weather.csv", encoding="latin-1").iloc[:, 1:].to_numpy()
    standardised = (values - values[:280].mean(0)) / values[:280].std(0)
    windows = np.lib.stride_tricks.sliding_window_view(standardised[320:], 7, axis=0)  # (74, C, 7)
    errors = windows - standardised[:320].mean()  # one intercept for all channels
    assert len(windows) == 74
    assert content["results"][0]["mse"] == pytest.approx((errors**2).mean(), rel=1e-9)
    assert content["results"][0]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-9)


def test_ltsf_presets_beside_published_figures(data: Path, tmp_path: Path) -> None:
    """The file is called weather, too short for a published horizon and still long enough for one."""
    values = pd.read_csv(data / "deep" / "weather.csv", encoding="latin-1")
    longer = pd.concat([values] * 2, ignore_index=True)
    longer.to_csv(data / "deep" / "weather.csv", index=False, encoding="latin-1")
    options = ["--preset", "paper", "zero-shot", "--max-lookback", "60", "--datasets", "weather", "--horizons"]
    content, finished = run("ltsf.py", "--data-dir", data, *options, "5", "96", folder=tmp_path)
    results = content["results"]
    assert [(result["horizon"], result["preset"]) for result in results] == [
        (5, "paper"),
        (5, "zero-shot"),
        (96, "paper"),
        (96, "zero-shot"),
    ]
    assert results[1]["lookback"] is None
    assert content["settings"]["zero-shot"] == {"mode": "zero-shot", "max_lookback": 60, "device": "cpu"}
    assert set(content["mean_root_mse"]) == set(content["mean_root_mse_by_dataset"]) == {"paper", "zero-shot"}
    # Each forecast is that of the model on the last 60 rows.
    y = longer.iloc[:, 1:].to_numpy(dtype=float)
    origins = np.arange(640, 800 - 5 + 1)
    forecast = AutoAR(mode="zero-shot", max_lookback=60, device="cpu").predict_origins(5, y, origins)
    errors = (forecast.mean - y[origins[:, None] + np.arange(5)]) / y[:560].std(0)
    assert results[1]["mse"] == pytest.approx((errors**2).mean(), rel=1e-9)
    assert {figure["horizon"] for figure in content["published"]} == {96}
    assert all(figure["origin"] == "published" and figure["source"] for figure in content["published"])
    (ttm,) = (one for one in content["published"] if one["model"] == "TTM-A zero-shot" and one["metric"] == "mse")
    assert (ttm["zero_shot"], ttm["second_hand"], ttm["lookback"]) == (True, False, 1536)
    assert not {"origin", "source"} & set(results[0])
    assert "MSE beside published figures" in finished.stdout
    assert "second-hand copy" in finished.stdout
    assert f"{ttm['value']:.3f}" in finished.stdout


def test_ltsf_settings_that_contradict_a_preset(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, SCRIPTS / "ltsf.py", "--preset", "paper", "zero-shot", "--lookback", "5"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert finished.returncode == 2
    assert "preset zero-shot: lookback is 5, but mode='zero-shot' learns nothing" in finished.stderr


@pytest.mark.parametrize("options", [["--data-dir", "nowhere"], []])
def test_nothing_to_read(options: list[str], tmp_path: Path) -> None:
    content, finished = run("ltsf.py", *options, folder=tmp_path)
    assert content["results"] == []
    assert content["mean_root_mse"] == {"paper": None}
    assert content["published"] == []
    assert len(content["skipped"]) == 9
    reason = "under nowhere" if options else "pass --data-dir or set DASHA_DATA"
    assert reason in finished.stderr


def test_speed_without_data(tmp_path: Path) -> None:
    content, finished = run("autoar_speed.py", "--data-dir", "nowhere", folder=tmp_path)
    assert content["skipped"] == {"ETTh1": "no ETTh1.csv under nowhere"}
    assert "no ETTh1.csv under nowhere" in finished.stdout


SMALL = ("--dataset", "weather", "--lookback", "100", "--horizon", "5", "--repeats", "3", "--season", "4")


def test_speed_without_darts(data: Path, tmp_path: Path) -> None:
    content, _ = run("autoar_speed.py", "--data-dir", data, *SMALL, "--skip-darts", "--skip-autoarima", folder=tmp_path)
    check_environment(content)
    assert {"engine core", "engine fit, KPSS", "explicit fits"} <= set(content["seconds"])
    assert all(seconds > 0 for seconds in content["seconds"].values())
    assert content["ratios"]["explicit fits / core"]["wanted"] == 100


@pytest.mark.slow
def test_speed_with_everything(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("darts")
    pytest.importorskip("statsforecast")
    small = (*SMALL[:2], "--lookback", "30", *SMALL[4:])
    content, _ = run("autoar_speed.py", "--data-dir", data, *small, folder=tmp_path)
    assert {"historical forecasts", "historical last points", "AutoARIMA, one channel / fit, KPSS, all"} <= set(
        content["ratios"]
    )
    assert {"darts", "statsforecast"} <= set(content["environment"]["versions"])


def test_scale(tmp_path: Path) -> None:
    content, finished = run(
        "autoar_scale.py", "--channels", "8", "--rows", "400", "--max-lookback", "10", folder=tmp_path
    )
    check_environment(content)
    assert 0 < content["peak_mb_after_import"] <= content["peak_mb_with_data"] <= content["peak_mb"]
    assert set(content["growth"]) == {"rows", "channels"}
    assert len(content["growth"]["rows"]["seconds"]) == 4
    assert "slope" in finished.stdout


@pytest.mark.slow
def test_scene(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    pytest.importorskip("torchgeo")
    small = ("--columns", "70", "--rows", "50", "--tile", "32", "--classes", "3", "--folder", tmp_path)
    content, finished = run("scene.py", *small, folder=tmp_path)
    check_environment(content)
    assert 50 < content["peak_mb_of_imports"] < content["peak_mb"]
    assert (content["rows"], content["columns"], content["overlap"]) == (50, 70, 8)
    assert content["scene_mb"] > 0.01
    assert "dasha predict, 50 × 70 pixels" in finished.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_mixture(tmp_path: Path) -> None:
    content, finished = run(
        "mixture.py", "--cases", "1-D depthwise", "--batch-share", "0.02", "--repeats", "1", folder=tmp_path
    )
    check_environment(content)
    (result,) = content["results"]
    assert {"separate", "frequency"} <= set(result["seconds"])
    assert result["ratio"] == pytest.approx(result["seconds"]["separate"] / result["seconds"]["frequency"])
    assert result["error"] < 1e-4
    assert "1-D depthwise 64" in finished.stdout


def test_dropout(tmp_path: Path) -> None:
    content, finished = run("dropout.py", "--repeats", "1", folder=tmp_path)
    check_environment(content)
    cases = [result["case"] for result in content["results"]]
    assert cases[0] == "the layer alone"
    assert len(cases) == 4
    for result in content["results"]:
        assert result["ratio"] == pytest.approx(result["torch_ms"] / result["ours_ms"])
    assert "step of unet_1d" in finished.stdout


def test_precision(tmp_path: Path) -> None:
    content, finished = run("precision.py", "--repeats", "1", folder=tmp_path)
    check_environment(content)
    names = [result["network"] for result in content["results"]]
    assert {"wide_resnet_1d", "peak_resnet_1d", "unet_1d", "wide_resnet_2d", "unet_2d"} <= set(names)
    for result in content["results"]:
        assert result["ratio"] == pytest.approx(result["float32_ms"] / result["bfloat16_channels_last_ms"])
    assert "precision='auto' is" in finished.stdout


def test_unknown_device(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, SCRIPTS / "autoar_scale.py", "--device", "abacus"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert finished.returncode == 2
    assert "device is 'abacus'" in finished.stderr
