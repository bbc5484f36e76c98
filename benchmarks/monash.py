"""Auto-AR beside established methods on data sets of the Monash archive, many series each, in one run.

The last steps of every series, as many as the archive's official horizon, are held out, and every method forecasts them
from what lies before. Reported per method and data set: MASE and sMAPE as the archive defines them, the mean weighted
quantile loss over the levels .1 … .9 as GluonTS does, and seconds of fitting and forecasting, all by the clock of the
processor on one thread, so that methods compare even where other work runs beside them.

A series on which a method fails gets the seasonal naive forecast; how many these are is in the table, which ones and
why in the JSON file. With ``--results`` everything measured is kept, a run that was killed goes on where it stopped,
and what is finished is not run again.

    python benchmarks/monash.py --data-dir DIR --results monash-results --json monash.json
    python benchmarks/monash.py --data-dir DIR --results monash-results --only-report
    python benchmarks/monash.py --data-dir DIR --methods autoar-pooled naive --datasets hospital_dataset
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _common import add_common_arguments, add_data_argument, environment, find, parse, show, write_json
from _monash_methods import AUTO_AR, METHODS, Method, Prediction, Setting, predict_all, predict_one
from _monash_scores import DEFINITIONS, score
from _monash_store import OtherSettingsError, Results, forget
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

from darts_autoar.comparison import quiet
from dasha.errors import InvalidTableError
from dasha.tables.tsf import read_tsf

NAMES = ("hospital_dataset", "tourism_monthly_dataset", "m4_hourly_dataset")
# Official horizons of files that do not state theirs.
HORIZONS = {"hospital_dataset": 12}
REFERENCE = "autoarima"
_SECONDS_BETWEEN_LINES = 60.0


@dataclass(frozen=True)
class Case:
    """One data set, split.

    Attributes:
        name: File name without ending, and how many series were taken if not all.
        sha256: Hash of the file.
        series: Names of the series, length ``N``.
        train: What the methods see, ``(T_i,)`` each; NaN marks a missing value.
        actual: What is held out, shape ``(N, H)``.
        setting: What the methods are told.
        left_out: Series too short to be split.
    """

    name: str
    sha256: str
    series: tuple[str, ...]
    train: list[np.ndarray]
    actual: np.ndarray
    setting: Setting
    left_out: tuple[str, ...]


def load(name: str, arguments: argparse.Namespace) -> Case | str:
    """The data set, or the reason why there is none."""
    path = find(f"{name}.tsf", arguments.data_dir)
    if isinstance(path, str):
        return path
    try:
        data = read_tsf(path)
    except InvalidTableError as error:
        return str(error)
    horizon = data.horizon or HORIZONS.get(name) or arguments.horizon
    if horizon is None:
        return f"{path.name} states no horizon; pass --horizon"
    chosen = data.series[: arguments.max_series]
    long_enough = [series for series in chosen if len(series.values) > horizon]
    if not long_enough:
        return f"no series of {path.name} is longer than the horizon of {horizon}"
    train = [series.values[:-horizon] for series in long_enough]
    return Case(
        name if len(chosen) == len(data.series) else f"{name}-first-{len(chosen)}",
        data.sha256,
        tuple(series.name for series in long_enough),
        train,
        np.stack([series.values[-horizon:] for series in long_enough]),
        Setting(horizon, data.season_length, min(map(len, train)), arguments.device),
        tuple(series.name for series in chosen if len(series.values) <= horizon),
    )


def open_results(folder: Path, case: Case, name: str, known: dict[str, Any]) -> Results:
    settings = {
        "dataset": case.name,
        "sha256": case.sha256,
        "series": len(case.series),
        "horizon": case.setting.horizon,
        "season": case.setting.season,
        "method": METHODS[name].describe(case.setting),
    }
    return Results(folder / case.name / name, settings, known)


def run(case: Case, method: Method, results: Results, tick: Callable[[int], None]) -> None:
    """Measure what is not there yet; ``tick`` is called with the number of series that are done."""
    missing = [number for number in range(len(case.series)) if number not in results.predictions]
    tick(len(case.series) - len(missing))
    if not missing:
        return
    try:
        method.warm_up(case.setting)
        if method.pooled:
            for number, prediction in enumerate(predict_all(method, case.train, case.setting)):
                results.add(number, prediction)
            tick(len(case.series))
            return
        for done, number in enumerate(missing, start=len(case.series) - len(missing) + 1):
            results.add(number, predict_one(method, case.train[number], case.setting))
            tick(done)
    finally:
        results.flush()


def record(case: Case, name: str, results: Results) -> dict[str, Any]:
    """Everything about one method on one data set, all series of which are done."""
    predictions = [results.predictions[number] for number in range(len(case.series))]
    scores = score(
        case.train,
        case.actual,
        np.stack([prediction.mean for prediction in predictions]),
        _quantiles(predictions),
        season=case.setting.season,
    )
    fit, predict = (sum(getattr(p, f"{part}_seconds") for p in predictions) for part in ("fit", "predict"))
    return {
        "dataset": case.name,
        "method": name,
        "label": METHODS[name].label,
        "settings": METHODS[name].describe(case.setting),
        **asdict(scores),
        "fit_seconds": fit,
        "predict_seconds": predict,
        "seconds": fit + predict,
        "wall_seconds": sum(prediction.wall_seconds for prediction in predictions),
        "series": len(predictions),
        "failed": {
            series: prediction.error
            for series, prediction in zip(case.series, predictions, strict=True)
            if prediction.error
        },
        "measured": {"first": min(results.measured), "last": max(results.measured)},
        "environment": results.environment,
    }


def _quantiles(predictions: Sequence[Prediction]) -> np.ndarray | None:
    found = [prediction.quantiles for prediction in predictions if prediction.quantiles is not None]
    return np.stack(found) if len(found) == len(predictions) else None


def relate(records: Sequence[dict[str, Any]]) -> None:
    """Add seconds relative to the reference on the same data, None where that is not finished."""
    reference = {entry["dataset"]: entry["seconds"] for entry in records if entry["method"] == REFERENCE}
    for entry in records:
        seconds = reference.get(entry["dataset"])
        entry[f"relative_to_{REFERENCE}"] = entry["seconds"] / seconds if seconds else None


def print_case(case: Case, records: Sequence[dict[str, Any]]) -> None:
    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    columns = ("method", "MASE", "sMAPE %", "WQL", "fit s", "predict s", "seconds", "× AutoARIMA", "failed", "measured")
    rows = [
        [
            entry["label"],
            number(entry["mase"], ".3f"),
            number(entry["smape"], ".2f"),
            number(entry["wql"], ".4f"),
            f"{entry['fit_seconds']:.2f}",
            f"{entry['predict_seconds']:.2f}",
            f"{entry['seconds']:.2f}",
            number(entry[f"relative_to_{REFERENCE}"], ".3g"),
            str(len(entry["failed"])),
            entry["measured"]["last"][:16].replace("T", " "),
        ]
        for entry in records
        if entry["dataset"] == case.name
    ]
    settings = {
        entry["label"]: ", ".join(f"{name}={value}" for name, value in entry["settings"].items())
        for entry in records
        if entry["dataset"] == case.name
    }
    lengths = [len(part) for part in case.train]
    unscaled = max((entry["unscaled"] for entry in records if entry["dataset"] == case.name), default=0)
    notes = [
        f"{len(case.series)} series of {min(lengths)} to {max(lengths)} training steps",
        f"horizon {case.setting.horizon}, season {case.setting.season}",
        "processor seconds on one thread",
        *([f"{len(case.left_out)} series are too short to be split"] if case.left_out else []),
        *([f"{unscaled} series have no scale and do not count for MASE"] if unscaled else []),
    ]
    show(f"Monash archive, {case.name}", columns, rows, "; ".join(notes))
    for label, text in settings.items():
        print(f"  {label}: {text}")


@contextmanager
def progress(total: int) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal; elsewhere a line at the start, the end and every minute of each method."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}
        last = 0.0

        def tick(title: str, done: int, count: int) -> None:
            nonlocal last
            if title not in tasks:
                tasks[title] = bar.add_task(f"{len(tasks) + 1}/{total} {title}", total=count)
                last = 0.0
            bar.update(tasks[title], completed=done)
            if not console.is_terminal and (done == count or time.monotonic() - last > _SECONDS_BETWEEN_LINES):
                print(f"{time.strftime('%F %T')} {title}: {done} of {count} series", file=sys.stderr, flush=True)
                last = time.monotonic()

        yield tick


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    add_common_arguments(parser)
    parser.set_defaults(threads=1)
    parser.add_argument("--datasets", nargs="+", default=NAMES, metavar="NAME", help="files without .tsf")
    parser.add_argument(
        "--methods", nargs="+", default=tuple(METHODS), choices=METHODS, metavar="NAME", help=", ".join(METHODS)
    )
    parser.add_argument("--horizon", type=int, help="steps held out of files that state none")
    parser.add_argument("--max-series", type=int, metavar="N", help="the first N series only, for a trial")
    parser.add_argument("--results", type=Path, metavar="DIR", help="keep what is measured, and go on from there")
    parser.add_argument("--rerun", nargs="+", default=(), choices=METHODS, metavar="NAME", help="measure these anew")
    parser.add_argument("--only-report", action="store_true", help="measure nothing; show what --results holds")
    arguments = parse(parser, argv)
    if arguments.only_report and (arguments.results is None or arguments.rerun):
        parser.error("--only-report shows what --results holds; give that folder, and no --rerun")
    skipped: dict[str, str] = {}
    cases = []
    for name in arguments.datasets:
        case = load(name, arguments)
        if isinstance(case, Case):
            cases.append(case)
        else:
            skipped[name] = case
            print(f"skipped {name}: {case}", file=sys.stderr)
    keep = nullcontext(arguments.results) if arguments.results else tempfile.TemporaryDirectory()
    with keep as folder, threadpool_limits(arguments.threads), quiet():
        try:
            records, unfinished = measure_all(Path(folder), cases, arguments)
        except OtherSettingsError as error:
            parser.error(str(error))
    relate(records)
    for case in cases:
        print_case(case, records)
    for entry in unfinished:
        print(f"not finished: {METHODS[entry['method']].label} on {entry['dataset']}, {entry['done']} of {entry['of']}")
    content = {
        "benchmark": "monash",
        "environment": environment(arguments.device, "pandas", "darts", "statsforecast"),
        "definitions": DEFINITIONS,
        "presets": AUTO_AR,
        "max_series": arguments.max_series,
        "datasets": [
            {
                "name": case.name,
                "sha256": case.sha256,
                "series": len(case.series),
                "horizon": case.setting.horizon,
                "season": case.setting.season,
                "left_out": list(case.left_out),
            }
            for case in cases
        ],
        "results": records,
        "unfinished": unfinished,
        "skipped": skipped,
    }
    write_json(arguments.json, content)


def measure_all(
    folder: Path, cases: Sequence[Case], arguments: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run every method on every data set, the methods in the order given, and report what is complete.

    Returns:
        Records of the finished ones, data set by data set, and how far the others are.
    """
    known = environment(arguments.device, "pandas", "darts", "statsforecast")
    for case in cases:
        for name in arguments.rerun:
            forget(folder / case.name / name)
    pairs = [(case, name, open_results(folder, case, name, known)) for name in arguments.methods for case in cases]
    if not arguments.only_report:
        with progress(len(pairs)) as tick:
            for case, name, results in pairs:
                title = f"{METHODS[name].label} on {case.name}"
                run(case, METHODS[name], results, lambda done, t=title, c=case: tick(t, done, len(c.series)))
    records, unfinished = [], []
    for case, name, results in sorted(pairs, key=lambda pair: cases.index(pair[0])):
        if len(results.predictions) == len(case.series):
            records.append(record(case, name, results))
        else:
            unfinished.append(
                {"dataset": case.name, "method": name, "done": len(results.predictions), "of": len(case.series)}
            )
    return records, unfinished


if __name__ == "__main__":
    main()
