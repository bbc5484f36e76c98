"""Auto-AR beside established methods on the Monash archive; `dasha bench monash` writes a page of the same.

See `darts_autoar.bench.monash` for what is measured and how. With ``--results`` everything measured is kept, a run that
was killed goes on where it stopped, and what is finished is not run again.

    python benchmarks/monash.py --data-dir DIR --results monash-results --json monash.json
    python benchmarks/monash.py --data-dir DIR --results monash-results --only-report
    python benchmarks/monash.py --data-dir DIR --methods autoar-pooled naive --datasets hospital_dataset
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from _common import add_common_arguments, add_data_argument, add_store_arguments, parse, skip
from threadpoolctl import threadpool_limits

from darts_autoar.bench.monash.data import NAMES, load
from darts_autoar.bench.monash.methods import METHODS
from darts_autoar.bench.monash.run import PACKAGES, open_entry, run, summarise
from darts_autoar.bench.monash.tables import content, print_results
from darts_autoar.quiet import quiet
from dasha.bench.environment import environment
from dasha.bench.files import load_all
from dasha.bench.output import write_json
from dasha.bench.store import Store
from dasha.cli._progress import progress_bar
from dasha.tables.tsf import SUFFIXES


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    add_common_arguments(parser)
    add_store_arguments(parser, tuple(METHODS))
    parser.set_defaults(threads=1)
    files = f"files ({', '.join(SUFFIXES)}), without the ending"
    parser.add_argument("--datasets", nargs="+", default=NAMES, metavar="NAME", help=files)
    parser.add_argument(
        "--methods", nargs="+", default=tuple(METHODS), choices=METHODS, metavar="NAME", help=", ".join(METHODS)
    )
    parser.add_argument("--horizon", type=int, help="steps held out of files that state none")
    parser.add_argument("--max-series", type=int, metavar="N", help="the first N series only, for a trial")
    arguments = parse(parser, argv)
    skipped: dict[str, str] = {}
    read = partial(
        load,
        data_dir=arguments.data_dir,
        horizon=arguments.horizon,
        max_series=arguments.max_series,
        device=arguments.device,
    )
    cases = list(load_all(arguments.datasets, read, partial(skip, skipped)))
    known = environment(arguments.device, *PACKAGES)
    keep = nullcontext(arguments.results) if arguments.results else tempfile.TemporaryDirectory()
    with keep as folder, threadpool_limits(arguments.threads), quiet():
        store = Store(Path(folder), known)
        entries = [open_entry(store, case, name) for name in arguments.methods for case in cases]
        for entry in entries:
            if entry.name in arguments.rerun:
                entry.results.forget()
        if not arguments.only_report:
            with progress_bar(len(entries), lines=True) as advance:
                for entry in entries:
                    run(entry, advance)
    records, unfinished = summarise(sorted(entries, key=lambda entry: cases.index(entry.case)))
    print_results(cases, records, unfinished)
    if arguments.json:
        summary = content(
            cases, records, unfinished, environment=known, skipped=skipped, max_series=arguments.max_series
        )
        write_json(arguments.json, summary)


if __name__ == "__main__":
    main()
