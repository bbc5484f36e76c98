"""Memory and time of ``dasha predict`` on a generated scene.

The scene is bytes in three bands, written block by block; the network is a U-Net of two levels that was never trained,
and costs what a trained one does. ``dasha predict`` runs in a process of its own, whose peak memory (``ru_maxrss``) and
seconds are measured; beside it, those of a process that only imports what the command imports.

Memory follows from the columns, not from the rows: few rows tell it in less time.

    python benchmarks/scene.py [--columns 20000] [--rows 20000] [--tile 512] [--device cuda]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from _common import add_common_arguments, parse
from rasterio.transform import from_origin
from rasterio.windows import Window

from dasha.bench.environment import environment
from dasha.bench.output import show, write_json
from dasha.search.model import save_members
from dasha.search.plan import NetworkPlan
from dasha.search.run_folder import RunFolder
from dasha.tasks import TaskSpec

BANDS, BLOCK = 3, 512
LIBRARIES = "import torchgeo, torchgeo_dasha.prediction.run"


def write_scene(path: Path, rows: int, columns: int) -> None:
    """Waves with noise, ``rows × columns``; a block of pixels and little of the file are in memory."""
    rng = np.random.default_rng(0)
    place = np.arange(BLOCK)
    waves = 100 + 40 * np.sin(place / 9)[:, None] + 40 * np.sin(place / 31)
    profile = {"driver": "GTiff", "count": BANDS, "dtype": "uint8", "crs": "EPSG:32633"}
    profile |= {"height": rows, "width": columns, "transform": from_origin(5e5, 5e6, 10, 10)}
    layout = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "BIGTIFF": "IF_SAFER"}
    with rasterio.Env(GDAL_CACHEMAX=2**26), rasterio.open(path, "w", **profile, **layout) as file:
        for row in range(0, rows, BLOCK):
            block = (waves + rng.normal(0, 15, (BANDS, BLOCK, BLOCK))).clip(1, 255).astype("uint8")
            for column in range(0, columns, BLOCK):
                height, width = min(BLOCK, rows - row), min(BLOCK, columns - column)
                file.write(block[:, :height, :width], window=Window(column, row, width, height))


def write_network(folder: Path, classes: int) -> None:
    """An untrained U-Net of two levels, as a run of dasha keeps its network."""
    task = TaskSpec("segmentation", BANDS, classes)
    normalization = {"mean": [100.0] * BANDS, "std": [40.0] * BANDS}
    plan = NetworkPlan(task, 2, "unet_2d", True, 1, 0.0, {"levels": 2}, {}, normalization)
    save_members(RunFolder(folder), [plan.build()], plan, is_ensemble=False)


def run(words: Sequence[str], threads: int | None) -> tuple[float, float, str]:
    """Run Python with some words.

    Returns:
        Seconds; peak memory in megabytes; standard output.

    Raises:
        SystemExit: If the process fails.
    """
    threaded = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        environ = {**os.environ, **threaded}
        child = os.posix_spawn(sys.executable, [sys.executable, *words], environ, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read()
    if status:
        raise SystemExit(f"{' '.join(words)} failed with status {os.waitstatus_to_exitcode(status)}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return seconds, usage.ru_maxrss * unit / 1e6, text


def measured(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything about one scene."""
    scene, out, model = folder / "scene.tif", folder / "classes.tif", folder / "run"
    write_scene(scene, arguments.rows, arguments.columns)
    write_network(model, arguments.classes)
    import_seconds, import_peak, _ = run(["-c", LIBRARIES], arguments.threads)
    words = ["-m", "dasha", "predict", str(scene), "--checkpoint", str(model), "--out", str(out), "--json"]
    words += ["--tile", str(arguments.tile), "--batch-size", str(arguments.batch_size), "--device", arguments.device]
    seconds, peak, text = run(words, arguments.threads)
    return {
        "seconds": seconds,
        "seconds_of_imports": import_seconds,
        "peak_mb": peak,
        "peak_mb_of_imports": import_peak,
        "scene_mb": scene.stat().st_size / 1e6,
        "result_mb": out.stat().st_size / 1e6,
        "overlap": json.loads(text)["overlap"],
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--columns", type=int, default=20_000, help="width of the scene (default: 20000)")
    parser.add_argument("--rows", type=int, default=20_000, help="height of the scene (default: 20000)")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=8, help="tiles that the network gets at once")
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where scene and result are for a while")
    arguments = parse(parser, argv)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = measured(Path(folder), arguments)
    pixels = arguments.rows * arguments.columns / 1e6
    show(
        f"dasha predict, {arguments.rows} × {arguments.columns} pixels, tiles of {arguments.tile}",
        ("what", "value"),
        [
            ["seconds", f"{result['seconds']:.0f}"],
            ["  of this, to import libraries", f"{result['seconds_of_imports']:.0f}"],
            ["million pixels per second", f"{pixels / result['seconds']:.2f}"],
            ["peak memory of the process, MB", f"{result['peak_mb']:.0f}"],
            ["  of this, libraries, MB", f"{result['peak_mb_of_imports']:.0f}"],
            ["the scene, MB", f"{result['scene_mb']:.0f}"],
        ],
    )
    if arguments.json:
        options = {name: getattr(arguments, name) for name in ("rows", "columns", "tile", "batch_size", "classes")}
        content = {"benchmark": "scene", "environment": environment(arguments.device), **options, **result}
        write_json(arguments.json, content)


if __name__ == "__main__":
    main()
