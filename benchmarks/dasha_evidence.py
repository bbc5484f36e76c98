"""Does the search pay? DASHA with searched kernels, with those of the network, with random ones, and with its choice.

The four ways have the same data, augmentation, tuning and final training, and every run chooses on validation data
alone. Measured on test data: accuracy on satellite images (eurosat_rgb_3000), MCC on DNA sequences (tasks of
`genomics_adapter.bench`, by default gue_mouse_2); mean over the seeds and its 95 % interval. With ``--results``
everything measured is kept, every run has a folder, and a run that was stopped goes on there.

    python benchmarks/dasha_evidence.py --data-dir DIR --results DIR --json evidence.json
    python benchmarks/dasha_evidence.py --data-dir DIR --results DIR --datasets gue_tf_0 --modes on off
    python benchmarks/dasha_evidence.py --data-dir DIR --results DIR --set tune.trials=24 --device cuda
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from _common import add_common_arguments, add_data_argument, add_store_arguments, parse, skip
from _search import add_search_arguments, command_of, effort_of, finish, opened

from dasha.bench.cases import Measured
from dasha.bench.environment import environment
from dasha.bench.facts import facts
from dasha.bench.files import find_folder, load_all
from dasha.bench.search import ENGINE, PACKAGES, BenchData, search_case
from dasha.bench.summary import as_rows, show_summaries, summarise, summary_table
from dasha.data.images import read_images
from dasha.data.turns import FlipsAndTurns
from dasha.errors import DashaError, InvalidArgumentError
from dasha.report.page import Page, Section
from dasha.tasks import TaskSpec
from genomics_adapter.bench.data import info_of
from genomics_adapter.bench.data import load as load_sequences

IMAGES = "eurosat_rgb_3000"
DATASETS = (IMAGES, "gue_mouse_2")
MODES = ("on", "off", "random", "auto")
_LEAD = (
    "Test scores with searched kernels (on), those of the network (off), random ones, and the better of the "
    "first two on validation (auto), at equal tuning budget."
)


def load(name: str, data_dir: Path | None) -> BenchData:
    """Read images in folders of classes, or a task of DNA sequences."""
    if name != IMAGES:
        return load_sequences(name, data_dir=data_dir)
    source = read_images(find_folder(name, data_dir))
    if source.test is None:
        raise InvalidArgumentError(f"{source.path} has no test images; add test.txt")
    task = TaskSpec("multiclass", source.train[0].shape[1], len(source.class_names), class_names=source.class_names)
    rule = {"split": source.rule}
    return BenchData(name, task, source.train, source.validation, source.test, augment=FlipsAndTurns(), facts=rule)


def evidence_page(measured: Sequence[Measured], known: dict[str, dict[str, object]], command: str) -> Page:
    """A table per data set."""
    summaries = summarise([one.record for one in measured])
    sections = [
        Section(
            name,
            text=[f"Split {known[name]['split']}."],
            tables=[summary_table([one for one in summaries if one.dataset == name])],
        )
        for name in dict.fromkeys(one.dataset for one in summaries)
    ]
    environments, times = [one.environment for one in measured], [one.time for one in measured]
    protocol = {"Seconds": "Of choice of the network, search, tuning and training, by the clock on the wall."}
    return Page("Does the search pay?", _LEAD, sections, facts(environments, times, command=command, protocol=protocol))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    add_common_arguments(parser)
    add_store_arguments(parser, [f"search-{mode}" for mode in MODES])
    add_search_arguments(parser)
    parser.add_argument(
        "--datasets", nargs="+", default=DATASETS, metavar="NAME", help=f"default: {' '.join(DATASETS)}"
    )
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--budget", default="quick")
    arguments = parse(parser, argv)
    effort = effort_of(parser, arguments, [arguments.budget])
    skipped: dict[str, str] = {}
    measured: list[Measured] = []
    known: dict[str, dict[str, object]] = {}
    try:
        for name in arguments.datasets:
            if name != IMAGES:
                info_of(name)
        versions = environment(arguments.device, *PACKAGES, engine=ENGINE)
        total = len(arguments.datasets) * len(arguments.seeds) * len(arguments.modes)
        with opened(arguments, total, versions) as bench:
            for data in load_all(
                arguments.datasets, partial(load, data_dir=arguments.data_dir), partial(skip, skipped)
            ):
                known[data.name] = dict(data.facts)
                for seed in arguments.seeds:
                    for mode in arguments.modes:
                        case = search_case(data, f"search-{mode}", mode=mode, seed=seed, effort=effort)
                        found = bench.run(case)
                        measured += [] if found is None else [found]
    except DashaError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    if not known:
        parser.exit(2, f"{parser.prog}: error: no data could be read: {'; '.join(skipped.values())}\n")
    summaries = summarise([one.record for one in measured])
    command = command_of("dasha_evidence.py", parser, arguments)
    show_summaries(f"Search {', '.join(arguments.modes)}, budget {arguments.budget}", summaries, command)
    content = {
        "benchmark": "dasha_evidence",
        "command": command,
        "environment": versions,
        "results": [one.record for one in measured],
        "summaries": as_rows(summaries),
        "data": known,
        "skipped": skipped,
        "remarks": bench.remarks,
    }
    finish(arguments, content, lambda: evidence_page(measured, known, command))


if __name__ == "__main__":
    main()
