"""The work behind ``dasha bench ltsf``."""

from __future__ import annotations

from functools import partial
from typing import Any

from darts_autoar.bench.ltsf.data import NAMES, Dataset, load
from darts_autoar.bench.ltsf.page import ltsf_page
from darts_autoar.bench.ltsf.protocol import PRESETS
from darts_autoar.bench.ltsf.run import Measurement, Plan, measure
from darts_autoar.bench.ltsf.tables import content
from darts_autoar.bench.request import Request, choose, choose_horizons
from dasha.bench.environment import environment, torch_threads
from dasha.bench.files import load_all, refuse, those_there
from dasha.bench.output import OutputFolder
from dasha.bench.store import Store
from dasha.cli._output import note
from dasha.cli._progress import progress_bar
from dasha.report.page import render_page


def bench_ltsf(request: Request, *, preset: str, horizons: str | None) -> dict[str, Any]:
    """Measure what is not known yet, and write results and page after every data set.

    Args:
        request: What was asked for.
        preset: Names of presets, separated by commas.
        horizons: Numbers, separated by commas; None for the published ones.

    Returns:
        The content of ``results.json``.

    Raises:
        InvalidArgumentError: If an option is not allowed, the folder is not ours, or nothing could be measured.
        InvalidTableError: If the data is not there.
    """
    request.check()
    named = choose("--datasets", "data set", request.datasets, NAMES)
    presets = {
        name: {**PRESETS[name], "device": request.device} for name in choose("--preset", "preset", preset, PRESETS)
    }
    again = choose("--rerun", "preset", request.rerun, presets)
    plan = Plan(presets, choose_horizons(horizons), again, request.only_report)
    names = those_there(named, NAMES, request.data_dir, [".csv"])
    folder = OutputFolder(request.out, "ltsf")
    command = request.command("ltsf", preset=preset, horizons=horizons)
    measurements: list[Measurement] = []
    splits: dict[str, str] = {}
    skipped: dict[str, str] = {}
    remarks: list[str] = []
    result: dict[str, Any] = {}
    with torch_threads(request.threads), progress_bar(plan.count(names), lines=True) as advance:
        known = environment(request.device, "pandas")
        store = Store(folder.measurements, known)
        read = partial(load, data_dir=request.data_dir)
        for dataset in load_all(names, read, refuse if named else skipped.__setitem__):
            found, more = measure(dataset, plan, store, advance)
            measurements += found
            remarks += more
            splits[dataset.name] = describe_split(dataset)
            if found:
                records = [one.record for one in measurements]
                result = content(records, presets=presets, environment=known, skipped=skipped)
                folder.write(result, render_page(ltsf_page(measurements, splits=splits, command=command)))
    remarks += [f"skipped {name}: {reason}" for name, reason in skipped.items()]
    if not measurements:
        raise request.nothing_to_show(remarks)
    for remark in remarks:
        note(f"note: {remark}")
    return result


def describe_split(dataset: Dataset) -> str:
    """Say how a data set was split, and how many origins there are."""
    return (
        f"{dataset.values.shape[1]} channels. Rows 1 to {dataset.train} are the training part, up to "
        f"{dataset.validation} the validation part, up to {dataset.test} the test part, every row of which that leaves "
        "room for the horizon is an origin."
    )
