"""DASHA beside TorchGeo's stock networks and a random forest, on the same images, splits, seeds and seconds.

See `torchgeo_dasha.bench` for what is measured and how. With ``--results`` everything measured is kept, every run of
DASHA has a folder, and a run that was stopped goes on there.

    python benchmarks/satellite.py --data-dir DIR --results DIR --page satellite.html --json satellite.json
    python benchmarks/satellite.py --data-dir DIR --results DIR --datasets mbrsc_dubai_256 --device cuda
    python benchmarks/satellite.py --data-dir DIR --results DIR --only-report --page satellite.html
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from _common import add_common_arguments, add_data_argument, add_store_arguments, parse, skip
from _search import add_search_arguments, command_of, effort_of, finish, opened

from dasha.bench.beside import published_rows
from dasha.bench.cases import Measured
from dasha.bench.environment import environment
from dasha.bench.files import load_all, refuse
from dasha.bench.search import ENGINE
from dasha.bench.summary import as_rows, show_summaries, summarise
from dasha.errors import DashaError
from torchgeo_dasha.bench.data import DATASETS, load
from torchgeo_dasha.bench.page import published_beside, satellite_page
from torchgeo_dasha.bench.run import ALL_PACKAGES, METHODS, count, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    add_common_arguments(parser)
    add_store_arguments(parser, METHODS)
    add_search_arguments(parser)
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, help="default: all whose folders are there")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--budget", default="quick", help="of DASHA (default: quick)")
    parser.add_argument("--seconds", type=float, help="of the stock networks (default: as many as DASHA took)")
    parser.add_argument("--batch-size", type=int, help="of the stock networks (default: 32 images, 16 tiles)")
    arguments = parse(parser, argv)
    effort = effort_of(parser, arguments, [arguments.budget])
    if arguments.seconds is not None and not arguments.seconds > 0:
        parser.error(f"--seconds is {arguments.seconds:g}, but must be above 0")
    names = arguments.datasets or DATASETS
    skipped: dict[str, str] = {}
    measured: list[Measured] = []
    known = {}
    try:
        versions = environment(arguments.device, *ALL_PACKAGES, engine=ENGINE)
        with opened(arguments, count(names, arguments.methods, arguments.seeds), versions) as bench:
            read = partial(load, data_dir=arguments.data_dir, batch_size=arguments.batch_size)
            for images in load_all(names, read, refuse if arguments.datasets else partial(skip, skipped)):
                known[images.data.name] = dict(images.data.facts)
                measured += run(
                    images,
                    bench,
                    methods=arguments.methods,
                    seeds=arguments.seeds,
                    effort=effort,
                    seconds=arguments.seconds,
                )
    except DashaError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    if not known:
        parser.exit(2, f"{parser.prog}: error: no data could be read: {'; '.join(skipped.values())}\n")
    summaries = summarise([one.record for one in measured])
    command = command_of("satellite.py", parser, arguments)
    show_summaries("Satellite images", summaries, command)
    content = {
        "benchmark": "satellite",
        "command": command,
        "environment": versions,
        "results": [one.record for one in measured],
        "summaries": as_rows(summaries),
        "data": known,
        "published": published_rows([one for name in known for one in published_beside(name)]),
        "skipped": skipped,
        "remarks": bench.remarks,
    }
    finish(arguments, content, lambda: satellite_page(measured, known, command=command))


if __name__ == "__main__":
    main()
