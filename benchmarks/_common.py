"""What the scripts share: options, and the median of several calls."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from dasha.autoar.device import resolve_device
from dasha.errors import InvalidArgumentError


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured as JSON")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:N or auto (default: cpu)")
    parser.add_argument("--threads", type=int, help="threads of torch (default: as torch chooses)")


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ["DASHA_DATA"]) if os.environ.get("DASHA_DATA") else None,
        help="folder with the data files, searched with its subfolders (default: $DASHA_DATA)",
    )


def add_store_arguments(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Options of what is kept between runs; ``names`` may be measured anew."""
    parser.add_argument("--results", type=Path, metavar="DIR", help="keep what is measured, and go on from there")
    parser.add_argument("--rerun", nargs="+", default=(), choices=names, metavar="NAME", help="measure these anew")
    parser.add_argument("--only-report", action="store_true", help="measure nothing; show what --results holds")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse, check the device and what is kept, and set the threads."""
    arguments = parser.parse_args(argv)
    try:
        resolve_device(arguments.device)
    except InvalidArgumentError as error:
        parser.error(str(error))
    if getattr(arguments, "only_report", False) and (arguments.results is None or arguments.rerun):
        parser.error("--only-report shows what --results holds; give that folder, and no --rerun")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    return arguments


def skip(skipped: dict[str, str], name: str, reason: str) -> None:
    """Say on stderr that a data set is left out, and keep the reason."""
    skipped[name] = reason
    print(f"skipped {name}: {reason}", file=sys.stderr)


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


def milliseconds(call: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Median of some calls, each of them waited for."""

    def finished() -> None:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return 1e3 * measure(finished, repeats=repeats)
