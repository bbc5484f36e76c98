"""What the scripts share: options, and the median of several calls."""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from dasha.autoar.device import resolve_device
from dasha.bench.cases import Bench
from dasha.bench.output import write_json, write_text
from dasha.bench.search import Effort
from dasha.bench.store import Store
from dasha.cli._fit_options import parse_changes
from dasha.cli._progress import progress_bar
from dasha.errors import InvalidArgumentError
from dasha.report.page import Page, render_page


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


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of benchmarks that search networks."""
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="replace values of the budget: tune.trials=24"
    )
    parser.add_argument("--backbone", default="auto", help="name of a network (default: chosen on validation data)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write an HTML page")


def effort_of(parser: argparse.ArgumentParser, arguments: argparse.Namespace, budgets: Sequence[str]) -> Effort:
    """Settings of the searches, with the first of the budgets; what is not allowed ends the program."""
    try:
        overrides = parse_changes(arguments.set)
        efforts = [Effort(budget, overrides, arguments.device, arguments.backbone) for budget in budgets]
    except InvalidArgumentError as error:
        parser.error(str(error))
    if len(set(arguments.seeds)) < len(arguments.seeds) or min(arguments.seeds) < 0:
        parser.error(f"--seeds are {arguments.seeds}, but must be whole numbers from 0 on, each once")
    return efforts[0]


@contextmanager
def opened(arguments: argparse.Namespace, total: int, known: dict[str, Any]) -> Iterator[Bench]:
    """Where cases are kept and shown, for as long as the block lasts; remarks go to stderr in the end."""
    keep = nullcontext(arguments.results) if arguments.results else tempfile.TemporaryDirectory()
    with keep as folder, progress_bar(total, lines=True) as advance:
        bench = Bench(Store(Path(folder), known), arguments.rerun, arguments.only_report, advance)
        yield bench
    for remark in bench.remarks:
        print(f"note: {remark}", file=sys.stderr)


def command_of(script: str, parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """The command that measures the same, folders left out."""
    words = [f"python benchmarks/{script} --data-dir DIR --results DIR"]
    for name, value in vars(arguments).items():
        if name in _NOT_REPEATED or value in (None, False) or value == parser.get_default(name):
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        words += [f"--{name.replace('_', '-')}", *(shlex.quote(str(one)) for one in values)]
    return " ".join(words)


def finish(arguments: argparse.Namespace, content: dict[str, Any], page: Callable[[], Page]) -> None:
    """Write what was asked for: JSON, and a page."""
    if arguments.json is not None:
        write_json(arguments.json, content)
    if arguments.page is not None:
        arguments.page.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.page, render_page(page()))


_NOT_REPEATED = ("data_dir", "results", "json", "page", "rerun", "only_report")


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
