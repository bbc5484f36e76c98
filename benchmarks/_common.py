"""What the benchmarks share: data sets and their splits, timing, the table and the JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

import dasha
from dasha.autoar.device import resolve_device
from dasha.errors import InvalidArgumentError

# The long-term forecasting files, by the name that every public copy has.
LTSF_NAMES = (
    "ETTh1",
    "ETTh2",
    "ETTm1",
    "ETTm2",
    "weather",
    "exchange_rate",
    "national_illness",
    "electricity",
    "traffic",
)
_ETT_ROWS = (8640, 2880, 2880)  # of the hourly files; the quarter-hourly ones have four times as many


@dataclass(frozen=True)
class Dataset:
    """A file and its published split.

    Attributes:
        name: File name without ending.
        values: Shape ``(T, C)``, oldest first.
        train: Rows ``0 … train`` are the training part.
        validation: Rows ``train … validation`` are the validation part.
        test: Rows ``validation … test`` are the test part.
    """

    name: str
    values: np.ndarray
    train: int
    validation: int
    test: int


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured as JSON")
    parser.add_argument(
        "--device", default="cpu", help="where Auto-AR computes: cpu, cuda, cuda:N or auto (default: cpu)"
    )
    parser.add_argument("--threads", type=int, help="threads of torch (default: as torch chooses)")


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=os.environ.get("DASHA_DATA"),
        help="folder with the data files, searched with its subfolders (default: $DASHA_DATA)",
    )


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse, check the device and set the threads."""
    arguments = parser.parse_args(argv)
    try:
        resolve_device(arguments.device)
    except InvalidArgumentError as error:
        parser.error(str(error))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    return arguments


def find(file: str, data_dir: Path | None) -> Path | str:
    """The file, or the reason why there is none."""
    if data_dir is None:
        return "no folder given; pass --data-dir or set DASHA_DATA"
    found = sorted(Path(data_dir).rglob(file))
    return found[0] if found else f"no {file} under {data_dir}"


def load(name: str, data_dir: Path | None) -> Dataset | str:
    """The data set, or the reason why there is none."""
    path = find(f"{name}.csv", data_dir)
    if isinstance(path, str):
        return path
    # weather.csv has a degree sign in latin-1; its -9999 sentinels stay as every public copy has them.
    values = pd.read_csv(path, encoding="latin-1").iloc[:, 1:].to_numpy(dtype=np.float64)
    if name.startswith("ETT"):
        parts = np.cumsum(_ETT_ROWS) * (4 if name.startswith("ETTm") else 1)
        if len(values) < parts[-1]:
            return f"{name}.csv has {len(values)} rows, but the published split needs {parts[-1]}"
        return Dataset(name, values, *parts.tolist())
    train, test = int(0.7 * len(values)), int(0.2 * len(values))
    return Dataset(name, values, train, len(values) - test, len(values))


def datasets(names: Sequence[str], data_dir: Path | None, skipped: dict[str, str]) -> Iterator[Dataset]:
    """Every data set that is there; the others are named in ``skipped`` and on stderr."""
    for name in names:
        dataset = load(name, data_dir)
        if isinstance(dataset, Dataset):
            yield dataset
        else:
            skipped[name] = dataset
            print(f"skipped {name}: {dataset}", file=sys.stderr)


def measure(function: Callable[[], Any], *, repeats: int, warm_up: bool = True) -> float:
    """Median seconds of some calls; the first call is left out if ``warm_up``."""
    if warm_up:
        function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def environment(device: str, *packages: str) -> dict[str, Any]:
    """Versions and machine, to be kept beside every figure."""
    resolved = resolve_device(device)
    names = ("numpy", "scipy", "torch", *packages)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "dasha-plugins": dasha.__version__,
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in names},
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(resolved) if resolved.type == "cuda" else "cpu",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """Print one table; the first column is text, the others are numbers."""
    table = Table(title=title, caption=caption or None)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    Console(width=console.width if console.is_terminal else 120).print(table)


def write_json(path: Path | None, content: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
