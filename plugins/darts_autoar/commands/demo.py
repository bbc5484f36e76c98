"""``dasha demo``: Auto-AR and Darts models on real series that are installed; ``dasha demo images`` beside it."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dasha.cli._output import JsonOption, print_json, print_table
from dasha.cli.demo_images import images

if TYPE_CHECKING:
    from collections.abc import Callable

    from darts_autoar.bundled import BundledSeries
    from darts_autoar.comparison import Outcome
    from darts_autoar.scores import Score
    from darts_autoar.tasks import Task

AGAINST = ("naive", "linear", "ets", "theta", "autoarima")
TEST_SHARE = 0.3
# About as many rows as the hourly series of the M4 competition have (700 or 960), which such models are made for.
LOCAL_ROWS = 720
# Recursive and direct forecasters weighed by held-out error, what the documentation advises for accuracy.
MODEL_OPTIONS = {"strategy": "auto"}
MARKER = "demo.json"

app = typer.Typer()
app.command()(images)


class Run(NamedTuple):
    """One data set and what came out."""

    data: "BundledSeries"
    task: "Task"
    outcomes: "list[Outcome]"
    scores: "list[Score]"


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to write; new, empty, or of an earlier demo.")] = Path("dasha-demo"),
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Backtest Auto-AR and five Darts models on real series, and write a report.

    The series come with statsmodels; nothing is downloaded. All windows of the last 30 % of every series are used.
    """
    import time

    from dasha.runs import atomic_folder

    if context.invoked_subcommand is not None:
        return
    started = time.perf_counter()
    with atomic_folder(out) as folder:
        runs = run_all()
        result = write_demo(folder, runs, started)
    report = out.absolute() / "report.html"
    if as_json:
        print_json(result)
    else:
        print_tables(runs, result)
        typer.echo(f"demo: {result['seconds']:.0f} s, report in {report}")
    if open_report:
        typer.launch(report.as_uri())


def run_all() -> list[Run]:
    """Backtest every bundled series."""
    from darts_autoar.baselines import choose_baselines
    from darts_autoar.bundled import load_bundled
    from darts_autoar.comparison import compare
    from darts_autoar.scores import score_all
    from darts_autoar.tasks import Task
    from darts_autoar.windows import plan_windows
    from dasha.cli._progress import progress_bar

    baselines, sets, runs = choose_baselines(AGAINST), load_bundled(), []
    with progress_bar(len(sets) * (1 + len(baselines))) as advance:
        for data in sets:
            count = int(len(data.index) * TEST_SHARE) // data.horizon
            windows = plan_windows(data.index, horizon=data.horizon, count=count)
            task = Task(
                data.values,
                data.index,
                windows,
                data.season_length,
                refit=False,
                local_rows=LOCAL_ROWS,
                per_column=True,
            )
            outcomes = compare(
                [task], baselines, model_options=MODEL_OPTIONS, advance=partial(_advance, advance, data.name)
            )
            runs.append(Run(data, task, outcomes, score_all([task], outcomes)))
    return runs


def _advance(advance: "Callable[[str, float], None]", name: str, model: str, amount: float) -> None:
    advance(f"{name}: {model}", amount)


def overall(runs: list[Run]) -> list[dict[str, Any]]:
    """Return MASE by model and data set, with mean rank, mean MASE and seconds, best mean rank first."""
    from darts_autoar.scores import mean_ranks

    rows: list[dict[str, Any]] = []
    for place, (model, rank) in enumerate(mean_ranks([run.scores for run in runs]).items()):
        by_set = {run.data.name: run.scores[place].mase for run in runs}
        seconds = sum(run.scores[place].seconds for run in runs)
        mean = sum(by_set.values()) / len(by_set)
        rows.append({"model": model, **by_set, "mean MASE": mean, "mean rank": rank, "seconds": seconds})
    return sorted(rows, key=lambda row: float(row["mean rank"]))


def write_demo(folder: Path, runs: list[Run], started: float) -> dict[str, Any]:
    """Write the report and ``demo.json``.

    Returns:
        The content of ``demo.json``.
    """
    import json
    import time

    from darts_autoar.commands._demo_page import demo_page
    from darts_autoar.report import describe_windows, score_records, versions
    from dasha.report.page import render_page

    page = render_page(demo_page(runs, overall(runs)))
    (folder / "report.html").write_text(page, encoding="utf-8")
    result = {
        "seconds": round(time.perf_counter() - started, 2),
        "overall": [{k: v if v == v else None for k, v in row.items()} for row in overall(runs)],
        "data": [
            {
                "name": run.data.name,
                "title": run.data.title,
                "source": run.data.source,
                "windows": describe_windows([run.task]),
                "scores": score_records(run.scores),
            }
            for run in runs
        ],
        "versions": versions(),
    }
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / MARKER).write_text(text + "\n", encoding="utf-8")
    return result


def print_tables(runs: list[Run], result: dict[str, Any]) -> None:
    """Print one table per data set, then all of them together."""
    from darts_autoar.report import describe_fitting, describe_windows, score_rows
    from darts_autoar.scores import SCALE_RULE

    for run in runs:
        rows = [{name: row[name] for name in row if name != "fitted"} for row in score_rows(run.scores)]
        print_table(rows, title=f"{run.data.title}\n{describe_windows([run.task])}\n{run.data.source}")
    print_table(result["overall"], title="MASE by model and data set, best mean rank first")
    typer.echo(f"{SCALE_RULE}.\n{describe_fitting([runs[0].task])}")
