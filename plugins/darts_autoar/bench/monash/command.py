"""The work behind ``dasha bench monash``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from threadpoolctl import threadpool_limits

from darts_autoar.bench.monash.data import NAMES, Case, load
from darts_autoar.bench.monash.methods import METHODS
from darts_autoar.bench.monash.page import monash_page
from darts_autoar.bench.monash.run import PACKAGES, Entry, open_entry, run, summarise
from darts_autoar.bench.monash.tables import content
from darts_autoar.bench.request import Request, choose
from darts_autoar.quiet import quiet
from dasha._optional import DISTRIBUTION, Requirement
from dasha.bench.environment import environment, torch_threads
from dasha.bench.files import files_of, load_all, refuse, those_there
from dasha.bench.output import OutputFolder
from dasha.bench.store import Store
from dasha.cli._output import note
from dasha.cli._progress import progress_bar
from dasha.cli.forecast import split_names
from dasha.errors import OptionalDependencyError
from dasha.report.page import render_page
from dasha.tables.tsf import SUFFIXES

_ENDING = "_dataset"


def bench_monash(
    request: Request, *, methods: str | None, horizon: int | None = None, max_series: int | None = None
) -> tuple[list[Case], dict[str, Any]]:
    """Measure what is not known yet, and write results and page after every method.

    Args:
        request: What was asked for.
        methods: Names of methods, separated by commas; None for all.
        horizon: Steps held out of files that state none.
        max_series: The first series of every data set only; None for all.

    Returns:
        The data sets, and the content of ``results.json``.

    Raises:
        InvalidArgumentError: If an option is not allowed, the folder is not ours, or nothing is known.
        InvalidTableError: If the data is not there.
        OptionalDependencyError: If a method needs a package that is not installed.
    """
    request.check()
    named = _named(request)
    chosen = choose("--methods", "method", methods, METHODS) or list(METHODS)
    again = choose("--rerun", "method", request.rerun, chosen)
    check_installed(chosen)
    names = those_there(named, NAMES, request.data_dir, SUFFIXES)
    skipped: dict[str, str] = {}
    read = partial(load, data_dir=request.data_dir, horizon=horizon, max_series=max_series, device=request.device)
    cases = list(load_all(names, read, refuse if named else skipped.__setitem__))
    folder = OutputFolder(request.out, "monash")
    command = request.command("monash", methods=methods, horizon=horizon, max_series=max_series)
    with torch_threads(request.threads), threadpool_limits(request.threads), quiet():
        known = environment(request.device, *PACKAGES)
        store = Store(folder.measurements, known)
        entries = [open_entry(store, case, name) for name in chosen for case in cases]
        for entry in entries:
            if entry.name in again:
                entry.results.forget()

        write = partial(
            _write, folder, cases, command=command, environment=known, skipped=skipped, max_series=max_series
        )
        result: dict[str, Any] = {}
        with progress_bar(len(entries), lines=True) as advance:
            for name in () if request.only_report else chosen:
                for entry in entries:
                    if entry.name == name:
                        run(entry, advance)
                result = write(entries)  # after every method: something to read while slower ones run
        result = result or write(entries)
    remarks = [f"skipped {name}: {reason}" for name, reason in skipped.items()]
    if not result["results"]:
        raise request.nothing_to_show(remarks)
    for remark in [*remarks, *_outdated(entries)]:
        note(f"note: {remark}")
    return cases, result


def check_installed(methods: Sequence[str]) -> None:
    """Refuse methods whose package is missing, before anything is measured.

    Raises:
        OptionalDependencyError: If there are any; the message names them and the command that installs the package.
    """
    for needed in dict.fromkeys(METHODS[name].needs for name in methods):
        requirement = Requirement(needed, install=f"{DISTRIBUTION}[darts]")
        if needed and not requirement.is_installed():
            named = ", ".join(repr(name) for name in methods if METHODS[name].needs == needed)
            raise OptionalDependencyError(
                f"--methods {named} cannot run, because {needed!r} is not installed; run: {requirement.pip_command}, "
                "or leave out what needs it",
                pip_command=requirement.pip_command,
            )


def _named(request: Request) -> list[str]:
    """Data sets asked for; those of the archive may be named without their common ending."""
    if request.datasets is None:
        return []
    known = sorted({*NAMES, *files_of(request.data_dir, SUFFIXES)})
    given = [
        f"{name}{_ENDING}" if name not in known and f"{name}{_ENDING}" in known else name
        for name in split_names(request.datasets) or []
    ]
    return choose("--datasets", "data set", ",".join(given), known)


def _write(
    folder: OutputFolder,
    cases: Sequence[Case],
    entries: Sequence[Entry],
    *,
    command: str,
    environment: dict[str, Any],
    skipped: dict[str, str],
    max_series: int | None,
) -> dict[str, Any]:
    in_order = sorted(entries, key=lambda entry: cases.index(entry.case))
    records, unfinished = summarise(in_order)
    result = content(cases, records, unfinished, environment=environment, skipped=skipped, max_series=max_series)
    if records:
        folder.write(result, render_page(monash_page(in_order, command=command)))
    return result


def _outdated(entries: Sequence[Entry]) -> list[str]:
    return [
        f"{entry.title}: {entry.results.outdated} series were measured with other versions and do not count"
        for entry in entries
        if entry.results.outdated and not entry.is_complete
    ]
