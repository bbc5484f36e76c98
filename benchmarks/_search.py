"""What the benchmarks of the search share: options, where cases are kept, and what is written in the end."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from dasha.bench.cases import Bench
from dasha.bench.output import write_json, write_text
from dasha.bench.search import Effort
from dasha.bench.store import Store
from dasha.cli._fit_options import parse_changes
from dasha.cli._progress import progress_bar
from dasha.errors import InvalidArgumentError
from dasha.report.page import Page, render_page

_NOT_REPEATED = ("data_dir", "results", "json", "page", "rerun", "only_report")


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of benchmarks that search networks."""
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="replace values of the budget: tune.trials=24"
    )
    parser.add_argument("--backbone", default="auto", help="name of a network (default: chosen on validation data)")
    parser.add_argument(
        "--trainings",
        type=int,
        default=1,
        metavar="N",
        help="final trainings of a run; their mean predicts (default: 1)",
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="write an HTML page")


def effort_of(parser: argparse.ArgumentParser, arguments: argparse.Namespace, budgets: Sequence[str]) -> Effort:
    """Settings of the searches, with the first of the budgets; what is not allowed ends the program."""
    try:
        overrides = parse_changes(arguments.set)
        own = {"device": arguments.device, "backbone": arguments.backbone, "trainings": arguments.trainings}
        efforts = [Effort(budget, overrides, **own) for budget in budgets]
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
