"""``dasha backtest``: Auto-AR and Darts models on the same windows of one file."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dasha.cli._output import JsonOption, note, print_json, print_table

if TYPE_CHECKING:
    from darts_autoar.comparison import Outcome, Task
    from darts_autoar.scores import Score
    from dasha.tables import SeriesTable


def backtest(
    file: Annotated[Path, typer.Argument(help="CSV, CSV.GZ or Parquet file with one column per series.")],
    horizon: Annotated[int, typer.Option(min=1, help="Steps to forecast in every window.")],
    against: Annotated[
        str,
        typer.Option(
            help="Models to compare with: naive, drift, mean, linear, ets, expsmoothing, theta, autoarima, autoces."
        ),
    ] = "naive,linear,ets,theta",
    time_column: Annotated[
        str | None, typer.Option(help="Column of dates or whole numbers. [default: found]", show_default=False)
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Columns to forecast. [default: all numeric]", show_default=False)
    ] = None,
    freq: Annotated[
        str | None, typer.Option(help="Pandas frequency to put the rows on. [default: found]", show_default=False)
    ] = None,
    row_numbers: Annotated[
        bool, typer.Option("--row-numbers", help="Ignore times and take the rows as evenly spaced.")
    ] = False,
    season_length: Annotated[
        int | None, typer.Option(min=1, help="Steps in a season. [default: by frequency]", show_default=False)
    ] = None,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Steps between windows. [default: the horizon]", show_default=False)
    ] = None,
    windows: Annotated[
        int | None, typer.Option(min=1, help="Number of windows. [default: up to 10 in the last fifth]")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="First time forecast, a row number, or a share such as 0.7.", show_default=False)
    ] = None,
    refit: Annotated[
        bool, typer.Option(help="Fit local models (all but Auto-AR and linear) anew at every window.")
    ] = True,
    local_rows: Annotated[
        int, typer.Option(min=0, help="Latest rows that a local model is fitted on; 0 for all.")
    ] = 1000,
    max_lookback: Annotated[int, typer.Option(help="Longest lookback Auto-AR tries.")] = 512,
    criterion: Annotated[str, typer.Option(help="What chooses Auto-AR's lookback.")] = "horizon_bic",
    device: Annotated[str, typer.Option(help="Device of Auto-AR: auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for plot, tables and report.html.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare Auto-AR with Darts models by rolling backtest on the last part of a file."""
    from darts_autoar.baselines import choose_baselines
    from darts_autoar.windows import plan_windows, season_of
    from dasha.cli.forecast import split_names
    from dasha.errors import InvalidTableError
    from dasha.runs import atomic_folder
    from dasha.tables import read_table

    baselines = choose_baselines(split_names(against) or [])
    table = read_table(file, time_column=time_column, targets=split_names(targets), freq=freq, count_rows=row_numbers)
    if len(table.index) <= horizon:
        raise InvalidTableError(f"{file} has {len(table.index)} rows, too few for --horizon {horizon}")
    plan = plan_windows(table.index, horizon=horizon, stride=stride, count=windows, start=start)
    options = {"max_lookback": max_lookback, "criterion": criterion, "device": device}
    check_options(horizon, options)

    from darts_autoar.commands._progress import progress_bar
    from darts_autoar.comparison import Task, compare
    from darts_autoar.scores import score_all

    bounded = local_rows if plan.origins[-1] > local_rows else 0
    task = Task(table.values, table.index, plan, season_length or season_of(table.index), refit, bounded)
    for line in table.notes:
        note(f"note: {line}")
    # The folder is opened first: that it cannot be written should not come out after minutes of work.
    with atomic_folder(out) if out else nullcontext() as folder:
        with progress_bar(1 + len(baselines)) as advance:
            outcomes = compare(task, baselines, model_options=options, advance=advance)
        scores = score_all(task, outcomes)
        result = summary(table, task, scores)
        if folder is not None:
            write_files(folder, table, task, outcomes, scores, result)
    show(table, task, scores, result, out, as_json=as_json)


def check_options(horizon: int, options: dict[str, Any]) -> None:
    """Refuse arguments of Auto-AR that are not allowed before anything runs."""
    from dasha.autoar import AutoAR

    AutoAR(horizon=horizon, **options)


def summary(table: "SeriesTable", task: "Task", scores: "list[Score]") -> dict[str, Any]:
    """Return what ``backtest.json`` holds."""
    from darts_autoar.report import describe_fitting, score_records, versions
    from darts_autoar.scores import SCALE_RULE

    return {
        "file": table.path.name,
        "sha256": table.sha256,
        "rows": len(table.index),
        "columns": list(table.columns),
        "freq": table.freq,
        "horizon": task.windows.horizon,
        "stride": task.windows.stride,
        "windows": len(task.windows.origins),
        "first_forecast_time": str(table.index[task.windows.training_rows]),
        "training_rows": task.windows.training_rows,
        "season_length": task.season_length,
        "scores": score_records(scores),
        "notes": [SCALE_RULE, describe_fitting(task), *table.notes],
        "versions": versions(),
    }


def write_files(
    folder: Path,
    table: "SeriesTable",
    task: "Task",
    outcomes: "list[Outcome]",
    scores: "list[Score]",
    result: dict[str, Any],
) -> None:
    """Write plot, tables and page."""
    import json

    import pandas as pd

    from darts_autoar.report import comparison_figure, describe_fitting, describe_windows, score_table
    from darts_autoar.scores import SCALE_RULE
    from dasha.report.page import Page, Section, render_page
    from dasha.report.style import save_png

    drawn = comparison_figure(task, outcomes, columns=table.columns)
    page = Page(
        title=f"Backtest of {table.path.name}",
        lead=f"{describe_windows(task).capitalize()}.",
        sections=[
            Section(
                text=[describe_fitting(task)],
                figures=[drawn] if drawn else [],
                tables=[score_table(scores, caption=f"{SCALE_RULE}.")],
            )
        ],
        facts={"SHA-256": table.sha256, "Versions": ", ".join(f"{k} {v}" for k, v in result["versions"].items())},
    )
    (folder / "report.html").write_text(render_page(page), encoding="utf-8")
    pd.DataFrame(result["scores"]).to_csv(folder / "scores.csv", index=False)
    if drawn:
        save_png(drawn[0], folder / "backtest.png")
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "backtest.json").write_text(text + "\n", encoding="utf-8")


def show(
    table: "SeriesTable",
    task: "Task",
    scores: "list[Score]",
    result: dict[str, Any],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print the result."""
    from darts_autoar.report import describe_fitting, describe_windows, score_rows
    from darts_autoar.scores import SCALE_RULE

    if as_json:
        print_json(result)
        return
    print_table(score_rows(scores), title=f"{table.path.name}: {describe_windows(task)}")
    typer.echo(f"{SCALE_RULE}.\n{describe_fitting(task)}")
    if out is not None:
        typer.echo(f"backtest: wrote {out} (report.html, backtest.png, scores.csv, backtest.json)")
