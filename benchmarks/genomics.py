"""DASHA on published tasks of DNA sequences, beside k-mers, fixed kernels and published figures.

See `genomics_adapter.bench` for what is measured and how. With ``--results`` everything measured is kept, every run has
a folder, and a run that was stopped goes on there.

    python benchmarks/genomics.py --data-dir DIR --results DIR --page genomics.html --json genomics.json
    python benchmarks/genomics.py --data-dir DIR --results DIR --budgets quick standard --device cuda
    python benchmarks/genomics.py --data-dir DIR --results DIR --only-report --page genomics.html
    python benchmarks/genomics.py --results DIR --hub OWNER/NAME
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from _common import add_common_arguments, add_data_argument, add_store_arguments, parse, skip
from _search import add_search_arguments, command_of, effort_of, finish, opened

from dasha.bench.cases import Measured
from dasha.bench.environment import environment
from dasha.bench.files import load_all, refuse
from dasha.bench.search import ENGINE
from dasha.bench.summary import show_summaries, summarise
from dasha.errors import DashaError
from genomics_adapter.bench.data import info_of, load, names_there
from genomics_adapter.bench.page import genomics_page
from genomics_adapter.bench.run import (
    ALL_PACKAGES,
    DEFAULT_METHODS,
    METHODS,
    cases_of,
    content,
    method_names,
    places_of,
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    budgets = ("smoke", "quick", "standard", "paper")
    add_data_argument(parser)
    add_common_arguments(parser)
    add_store_arguments(parser, method_names(METHODS, budgets))
    add_search_arguments(parser)
    parser.add_argument("--datasets", nargs="+", metavar="NAME", help="tasks (default: all whose folders are there)")
    parser.add_argument("--methods", nargs="+", default=DEFAULT_METHODS, choices=METHODS)
    parser.add_argument("--budgets", nargs="+", default=["quick"], choices=budgets)
    parser.add_argument("--hub", metavar="NAME", help="Hugging Face data set with the tasks nt_…")
    arguments = parse(parser, argv)
    effort = effort_of(parser, arguments, arguments.budgets)
    try:
        names = arguments.datasets or names_there(arguments.data_dir, hub=arguments.hub)
        for name in names:
            info_of(name)
        skipped: dict[str, str] = {}
        read = partial(load, data_dir=arguments.data_dir, hub=arguments.hub)
        tasks = load_all(names, read, refuse if arguments.datasets else partial(skip, skipped))
        known = environment(arguments.device, *ALL_PACKAGES, engine=ENGINE)
        measured: list[Measured] = []
        facts = {}
        runs = method_names(arguments.methods, arguments.budgets)
        total = len(names) * (("kmer" in runs) + len(arguments.seeds) * len([name for name in runs if name != "kmer"]))
        with opened(arguments, total, known) as bench:
            for data in tasks:
                facts[data.name] = dict(data.facts)
                cases = cases_of(
                    data,
                    methods=arguments.methods,
                    budgets=arguments.budgets,
                    seeds=arguments.seeds,
                    effort=effort,
                )
                measured += [one for case in cases if (one := bench.run(case)) is not None]
    except DashaError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    records = [one.record for one in measured]
    summaries = summarise(records)
    command = command_of("genomics.py", parser, arguments)
    show_summaries("Tasks of DNA sequences", summaries, command)
    for (name, method), place in places_of(summaries).items():
        if place is not None:
            print(f"{name}, {method}: place {place} among published figures")
    summary = content(records, facts, environment=known, skipped=skipped, remarks=bench.remarks, command=command)
    finish(arguments, summary, lambda: genomics_page(measured, facts, command=command))


if __name__ == "__main__":
    main()
