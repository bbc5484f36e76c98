"""One run of ``dasha fit`` from its data to its report, and its way back after an interruption."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dasha.cli._output import note, print_json, print_table
from dasha.data.sources import SourceData, read_again
from dasha.errors import InvalidArgumentError
from dasha.metrics import METRICS
from dasha.report.run import write_report
from dasha.report.run_record import read_record
from dasha.search.run_folder import RunFolder
from dasha.search.workflow import Dasha

if TYPE_CHECKING:
    from dasha.tasks import TaskSpec

SOURCE_FILE = "source.json"
CONFIG_FILE = "config.json"


def begin(
    out: Path, data: SourceData, task: TaskSpec, *, options: Mapping[str, Any], command: Sequence[str]
) -> dict[str, Any]:
    """Run all stages, evaluate and write the report; a folder with the same run is continued.

    Args:
        out: Folder of the run.
        data: What to learn from.
        task: What to learn.
        options: Arguments of `dasha.search.workflow.Dasha`.
        command: Words that repeat the run.

    Returns:
        What came out, for JSON.

    Raises:
        InvalidArgumentError: If something does not fit, or the folder belongs to something else.
    """
    import shlex

    run = Dasha(task, out, **options)
    folder = RunFolder(out)
    about = data.as_dict()
    with folder.locked():
        if folder.has(CONFIG_FILE):
            _check_source(folder, about)
        else:
            folder.write_json(SOURCE_FILE, {**about, "command": shlex.join(command)})
    try:
        run.fit(data.train, data.validation)
    except InvalidArgumentError:
        if not folder.has(CONFIG_FILE):
            folder.remove(SOURCE_FILE)
        raise
    return finish(run, data)


def go_on(path: Path, *, device: str) -> dict[str, Any]:
    """Continue a run; one that is finished is only evaluated, if it was not.

    Returns:
        What came out, for JSON.

    Raises:
        InvalidArgumentError: If it is not known where its data is, or the data has changed.
        StateFileError: If there is no run.
    """
    record = read_record(path)
    is_evaluated = record.evaluation is not None
    if record.result is not None and (is_evaluated or record.source is None):
        return finish(Dasha.resume(path, device=device), None)
    if record.source is None:
        raise InvalidArgumentError(
            f"the run in {path} was not begun by 'dasha fit', so nothing says where its data is; go on in Python with "
            f"Dasha.resume({str(path)!r}, train, validation)"
        )
    data = read_again(record.source)
    if record.result is not None:
        return finish(Dasha.resume(path, device=device), data)
    return finish(Dasha.resume(path, data.train, data.validation, device=device), data)


def finish(run: Dasha, data: SourceData | None) -> dict[str, Any]:
    """Evaluate on the test data, if there is some, and write the report."""
    if data is not None and data.test is not None:
        run.evaluate(data.test)
    report = write_report(run.run_dir)
    record = read_record(run.run_dir)
    result = dict(record.result or {})
    curves = result.pop("curves", [])
    validation = curves[0]["validation"][-1] if curves and curves[0]["validation"] else {}
    return {
        "run": str(run.run_dir.absolute()),
        "report": str(report.absolute()),
        "metric": record.metric,
        "validation": validation,
        "test": None if record.evaluation is None else record.evaluation["metrics"],
        "test_samples": None if record.evaluation is None else record.evaluation["count"],
        **result,
    }


def show(outcome: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what came out: metrics as a table, then the cost and where the report is."""
    if as_json:
        print_json(outcome)
        return
    test, validation = outcome["test"] or {}, outcome["validation"]
    names = sorted({**validation, **test}, key=lambda name: name != outcome["metric"])
    rows: list[dict[str, object]] = [
        {
            "metric": METRICS[name].title if name in METRICS else name,
            "validation": validation.get(name),
            "test": test.get(name),
        }
        for name in names
    ]
    print_table(rows, title=f"{outcome['backbone']}, {outcome['parameters']:,} parameters")
    seconds = ", ".join(f"{name} {value:.0f} s" for name, value in outcome["seconds"].items())
    typer.echo(f"fit: {seconds}; report in {outcome['report']}")
    if outcome["test"] is None:
        note("note: there is no test data; validation scores are optimistic, because choices were made on them")


def parse_changes(given: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` pairs; values are numbers, words, or several of them separated by commas.

    Raises:
        InvalidArgumentError: If a pair has no equals sign.
    """
    changes = {}
    for pair in given:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip() or not text.strip():
            raise InvalidArgumentError(f"--set is {pair!r}, but must be like tune.trials=8")
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            value = {"true": True, "false": False}.get(text.strip().lower(), text.strip())
        changes[name.strip()] = list(value) if isinstance(value, tuple) else value
    return changes


def describe_data(data: SourceData) -> list[str]:
    """Lines on what was read, so that a misreading shows before any time is spent."""
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    counts = ", ".join(f"{len(pair[0])} for {name}" for name, pair in parts.items() if pair is not None)
    channels, *sizes = data.train[0].shape[1:]
    noun = "channel" if channels == 1 else "channels"
    lines = [f"{counts} samples of {channels} {noun} × {' × '.join(map(str, sizes))}; split {data.rule}"]
    if data.class_names:
        shown = ", ".join(data.class_names[:8]) + (" …" if len(data.class_names) > 8 else "")
        lines.append(f"{len(data.class_names)} classes: {shown}")
    return lines


def _check_source(folder: RunFolder, about: Mapping[str, Any]) -> None:
    """Refuse to continue a run with data from elsewhere, which `dasha resume` would not find."""
    stored = folder.read_json(SOURCE_FILE) if folder.has(SOURCE_FILE) else None
    if stored is None or {name: stored.get(name) for name in about} != dict(about):
        where = "data in Python" if stored is None else stored["path"]
        raise InvalidArgumentError(
            f"the run in {folder.path} is another one, on {where}; choose another --out, or use dasha resume"
        )
