"""Accuracy of Auto-AR on the long-term forecasting benchmark; `dasha bench ltsf` writes a page of the same.

See `darts_autoar.bench.ltsf` for what is measured and how. Here, single settings of the presets can be replaced.

    python benchmarks/ltsf.py --preset paper --data-dir DIR
    python benchmarks/ltsf.py --preset auto zero-shot --datasets ETTh1 --data-dir DIR --json FILE
    python benchmarks/ltsf.py --lookback 511 --diff-order 1 --datasets ETTh1 --data-dir DIR
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from _common import add_common_arguments, add_data_argument, add_store_arguments, parse, skip

from darts_autoar.bench.ltsf.data import NAMES, load
from darts_autoar.bench.ltsf.protocol import PRESETS
from darts_autoar.bench.ltsf.run import Plan, measure
from darts_autoar.bench.ltsf.tables import content, print_results
from dasha.autoar import AutoAR
from dasha.bench.environment import environment
from dasha.bench.files import load_all
from dasha.bench.output import write_json
from dasha.bench.store import Store
from dasha.cli._progress import progress_bar
from dasha.errors import InvalidArgumentError


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    add_common_arguments(parser)
    add_store_arguments(parser, tuple(PRESETS))
    parser.add_argument("--datasets", nargs="+", default=NAMES, metavar="NAME", help="files without .csv")
    parser.add_argument("--horizons", nargs="+", type=int, help="instead of the published ones")
    parser.add_argument(
        "--preset",
        nargs="+",
        choices=PRESETS,
        default=["paper"],
        help="settings, one or several; the options below replace single ones in all of them",
    )
    parser.add_argument("--strategy")
    parser.add_argument("--pooling")
    parser.add_argument("--criterion")
    parser.add_argument("--max-lookback", type=int)
    parser.add_argument("--lookback", type=int, help="fixed lookback instead of a search")
    parser.add_argument("--diff-order", type=lambda text: int(text) if text.isdecimal() else text)
    arguments = parse(parser, argv)
    given = {name: getattr(arguments, name) for name in PRESETS["paper"] if getattr(arguments, name) is not None}
    presets = {preset: {**PRESETS[preset], **given, "device": arguments.device} for preset in arguments.preset}
    for preset, settings in presets.items():
        try:
            AutoAR(**settings)
        except InvalidArgumentError as error:
            parser.error(f"preset {preset}: {error}")
    plan = Plan(presets, arguments.horizons, arguments.rerun, arguments.only_report)
    known = environment(arguments.device, "pandas")
    skipped: dict[str, str] = {}
    records = []
    datasets = load_all(arguments.datasets, partial(load, data_dir=arguments.data_dir), partial(skip, skipped))
    keep = nullcontext(arguments.results) if arguments.results else tempfile.TemporaryDirectory()
    with keep as folder, progress_bar(plan.count(arguments.datasets), lines=True) as advance:
        for dataset in datasets:
            measurements, remarks = measure(dataset, plan, Store(Path(folder), known), advance)
            records += [measurement.record for measurement in measurements]
            for remark in remarks:
                print(f"note: {remark}", file=sys.stderr)
    changed = f", with {', '.join(f'{name}={value}' for name, value in given.items())}" if given else ""
    print_results(records, changed)
    if arguments.json:
        write_json(arguments.json, content(records, presets=presets, environment=known, skipped=skipped))


if __name__ == "__main__":
    main()
