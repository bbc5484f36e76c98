"""Small generated data in the layout of the real one, and scripts run inside the process."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
TINY = (
    *("search.epochs=1", "search.kernel_sizes=3,5", "search.dilations=1,2"),
    *("tune.trials=1", "tune.max_resource=1", "retrain.epochs=1", "width=1"),
)


@pytest.fixture
def write_sequences(tmp_path):
    """Write a folder of sequences whose class shows in their bases."""

    def write(name, *, count=24, length=20, classes=2, parts=("train", "val", "test"), labels=None):
        rng = np.random.default_rng(0)
        folder = tmp_path / "data" / "genomics" / name
        folder.mkdir(parents=True)
        for part in parts:
            rows = ["sequence,label"]
            for number in range(count):
                label = number % classes
                bases = rng.choice(list("ACGT"), length)
                bases[4:10] = list(("CGTACG", "TATAAA", "GGGCCC")[label])
                rows.append(f"{''.join(bases)},{label if labels is None else labels[number]}")
            (folder / f"{part}.csv").write_text("\n".join(rows) + "\n")
        return folder

    return write


@pytest.fixture
def write_images(tmp_path):
    """Write images of two classes, bright and dark, with lists of the parts."""
    image = pytest.importorskip("PIL.Image")

    def write(name="eurosat_rgb_3000", parts=("train", "val", "test")):
        rng = np.random.default_rng(0)
        folder = tmp_path / "data" / "satellite" / name
        lists = {part: [] for part in parts}
        for label, level in (("land", 150), ("sea", 60)):
            (folder / label).mkdir(parents=True)
            for number in range(8 * len(parts)):
                pixels = rng.normal(level, 20, (8, 8, 3)).clip(0, 255).astype("uint8")
                image.fromarray(pixels).save(folder / label / f"{number}.png")
                lists[parts[number // 8]].append(f"{label}/{number}.png")
        for part, lines in lists.items():
            (folder / f"{part}.txt").write_text("\n".join(lines) + "\n")
        return folder

    return write


@pytest.fixture
def write_tiles(tmp_path):
    """Write twelve tiles of six scenes, the class of a pixel being how bright it is."""
    image = pytest.importorskip("PIL.Image")

    def write(name="mbrsc_dubai_256"):
        rng = np.random.default_rng(0)
        folder = tmp_path / "data" / "satellite" / name
        for place in ("images", "masks"):
            (folder / place).mkdir(parents=True)
        (folder / "classes.txt").write_text("0 Water\n1 Land\n2 Unlabeled\n")
        for number in range(12):
            mask = np.kron(rng.integers(0, 3, (4, 4)), np.ones((8, 8))).astype("uint8")
            pixels = (80 * mask[..., None] + rng.integers(0, 40, (32, 32, 3))).astype("uint8")
            image.fromarray(pixels).save(folder / "images" / f"tile{number // 2}_{number}.png")
            image.fromarray(mask).save(folder / "masks" / f"tile{number // 2}_{number}.png")
        return folder

    return write


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Run a script's ``main`` with folders for results, JSON and page; gives the JSON."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.delenv("DASHA_DATA", raising=False)
    before = set(sys.modules)

    def run(name, *options, data="data", results=True, tiny=True):
        output, page = tmp_path / "out" / "result.json", tmp_path / "out" / "page.html"
        output.unlink(missing_ok=True)
        arguments = ["--data-dir", tmp_path / data, "--json", output, "--page", page, *options]
        arguments += ["--results", tmp_path / "results"] if results else []
        arguments += ["--set", *TINY] if tiny else []
        importlib.import_module(name).main(list(map(str, arguments)))
        return json.loads(output.read_text()), page.read_text()

    yield run
    for name in {"_common", "_search", "dasha_evidence", "genomics", "satellite"} & (set(sys.modules) - before):
        del sys.modules[name]
