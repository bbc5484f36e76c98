"""One run of ``dasha fit`` or ``dasha search`` from its data to its report, and its way back after an interruption."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dasha.cli._fit_show import describe_data, show
from dasha.cli._output import note
from dasha.cli._task import describe_task, task_of
from dasha.data.inspection import first_shape
from dasha.data.sources import SourceData, read_data
from dasha.data.split import as_split
from dasha.errors import InvalidArgumentError
from dasha.report.run import write_report
from dasha.report.run_record import read_record
from dasha.search.evaluation import inspected_test
from dasha.search.opening import stored_arguments, stored_data
from dasha.search.run_folder import CONFIG_FILE, SOURCE_FILE, RunFolder
from dasha.search.workflow import Dasha

if TYPE_CHECKING:
    from dasha.cli._fit_options import FitOptions
    from dasha.tasks import TaskSpec

Goal = Literal["fit", "search"]


def run_command(goal: Goal, options: FitOptions) -> None:
    """Do what ``dasha fit`` and ``dasha search`` are told, and print what came out."""
    run_options = options.run_options()
    data = read_data(options.data, test=options.test)
    spec = task_of(data, options)
    for line in [*describe_data(data), describe_task(spec)]:
        note(f"note: {line}")
    command = options.words(goal, spec)
    show(begin(goal, options.out, data, spec, options=run_options, command=command), as_json=options.as_json)


def begin(
    goal: Goal, out: Path, data: SourceData, task: TaskSpec, *, options: Mapping[str, Any], command: Sequence[str]
) -> dict[str, Any]:
    """Run the stages and write the report; a folder with the same run is continued.

    Args:
        goal: Whether all stages are wanted, or those before the final training.
        out: Folder of the run.
        data: What to learn from.
        task: What to learn.
        options: Arguments of `dasha.Dasha`.
        command: Words that repeat the run.

    Returns:
        What came out, for JSON.

    Raises:
        InvalidArgumentError: If something does not fit, or the folder belongs to something else.
    """
    run = Dasha(task, out, **options)
    with _remembered(RunFolder(out), data, {"goal": goal, "command": shlex.join(command)}):
        return _carried_out(goal, run, data)


def go_on(path: Path, *, device: str) -> dict[str, Any]:
    """Carry a run to the end of what it was begun for; what is finished already needs no data, unless to test on.

    Returns:
        What came out, for JSON.

    Raises:
        InvalidArgumentError: If it is not known where its data is, or the data has changed.
        StateFileError: If there is no run.
    """
    record = read_record(path)
    goal = _goal(record.source)
    if goal == "search" and record.plan is not None:
        return found(path)
    if record.result is not None:
        # Folders of earlier versions do not tell whether there is test data.
        has_test = record.source is not None and record.source.get("has_test", True)
        data = stored_data(path) if has_test and record.evaluation is None else None
        return finish(Dasha.resume(path, device=device), data)
    if record.source is None:
        raise InvalidArgumentError(
            f"the run in {path} was not begun by 'dasha fit', so nothing says where its data is; repeat the command "
            f"that began it, or go on in Python with Dasha.resume({str(path)!r}, train, validation)"
        )
    task, arguments = stored_arguments(path, {"device": device})
    return _carried_out(goal, Dasha(task, path, **arguments), stored_data(path))


def _carried_out(goal: Goal, run: Dasha, data: SourceData) -> dict[str, Any]:
    if goal == "search":
        run.search(data.train, data.validation)
        return found(run.run_dir)
    _check_test(data, run.task)
    return finish(run.fit(data.train, data.validation), data)


def _check_test(data: SourceData, task: TaskSpec) -> None:
    """Refuse test data that no network of the task could be measured on, before one is trained.

    Raises:
        InvalidArgumentError: If it does not fit the task, or has other dimensions than the training data.
    """
    if data.test is None:
        return
    shape = first_shape(as_split(data.train, "train", is_dense=task.is_dense))
    if len(shape) in (2, 3):  # the run itself says what is wrong with training data
        inspected_test(data.test, task, ndim=len(shape) - 1)


def found(path: Path) -> dict[str, Any]:
    """Write the report about a search, and return what it decided, for JSON."""
    report = write_report(path)
    record = read_record(path)
    result = dict(record.plan or {})
    plan = result.pop("plan")
    command = (record.source or {}).get("command", "")
    return {
        "goal": "search",
        "run": str(path.absolute()),
        "report": str(report.absolute()),
        "metric": record.metric,
        **result,
        "score": record.unturned(result["score"]),
        "backbone_scores": {name: record.unturned(score) for name, score in result["backbone_scores"].items()},
        "backbone": plan["backbone"],
        "architecture": plan["architecture"],
        "fit": None if record.result is not None else command.replace("dasha search", "dasha fit", 1),
    }


def finish(run: Dasha, data: SourceData | None) -> dict[str, Any]:
    """Evaluate on the test data, if there is some, write the report, and return what came out, for JSON."""
    if data is not None and data.test is not None:
        run.evaluate(data.test)
    report = write_report(run.run_dir)
    record = read_record(run.run_dir)
    result = dict(record.result or {})
    curves = result.pop("curves", [])
    validation = curves[0]["validation"][-1] if curves and curves[0]["validation"] else {}
    return {
        "goal": "fit",
        "run": str(run.run_dir.absolute()),
        "report": str(report.absolute()),
        "metric": record.metric,
        "validation": validation,
        "test": None if record.evaluation is None else record.evaluation["metrics"],
        "test_samples": None if record.evaluation is None else record.evaluation["count"],
        **result,
    }


@contextmanager
def _remembered(folder: RunFolder, data: SourceData, wanted: Mapping[str, str]) -> Iterator[None]:
    """Write where the data is and what is wanted into the folder of a run; what is refused changes nothing.

    Raises:
        InvalidArgumentError: If the folder is about data from elsewhere, which `dasha resume` would not find.
    """
    about = data.as_dict()
    with folder.locked():
        before = folder.read_json(SOURCE_FILE) if folder.has(SOURCE_FILE) else None
        if folder.has(CONFIG_FILE):
            _check_source(folder, before, about)
        # A run that was begun to be trained stays one.
        is_kept = folder.has(CONFIG_FILE) and _goal(before) == "fit" and wanted["goal"] == "search"
        folder.write_json(SOURCE_FILE, dict(before or {}) if is_kept else {**about, **wanted})
    try:
        yield
    except InvalidArgumentError:
        if before is not None:
            folder.write_json(SOURCE_FILE, before)
        elif not folder.has(CONFIG_FILE):
            folder.remove(SOURCE_FILE)
        raise


def _goal(source: Mapping[str, Any] | None) -> Goal:
    return "search" if source is not None and source.get("goal") == "search" else "fit"


def _check_source(folder: RunFolder, stored: Mapping[str, Any] | None, about: Mapping[str, Any]) -> None:
    """Refuse data from elsewhere; test data, on which nothing is chosen, may come later."""
    deciding = [name for name in about if name not in ("test_path", "has_test")]
    if stored is None or any(stored.get(name) != about[name] for name in deciding):
        where = "data in Python" if stored is None else stored["path"]
        raise InvalidArgumentError(
            f"the run in {folder.path} is another one, on {where}; choose another --out, or use dasha resume"
        )
