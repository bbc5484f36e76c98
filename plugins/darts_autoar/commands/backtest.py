"""``dasha backtest``: Auto-AR and Darts models on the same windows of one file."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dasha.cli._output import JsonOption, note, print_json, print_table

if TYPE_CHECKING:
    from darts_autoar.comparison import Outcome
    from darts_autoar.scores import Score
    from darts_autoar.tasks import Task
    from darts_autoar.windows import Windows
    from dasha._ray import Engine
    from dasha.autoar import AutoARConfig
    from dasha.report.page import Section
    from dasha.tables import SeriesSet


def backtest(
    file: Annotated[Path, typer.Argument(help="CSV, CSV.GZ, Parquet or (zipped) .tsf file.")],
    horizon: Annotated[int, typer.Option(min=1, help="Steps to forecast in every window.")],
    against: Annotated[
        str,
        typer.Option(
            help="Models to compare with: naive, drift, mean, linear, ets, expsmoothing, theta, autoarima, autoces."
        ),
    ] = "naive,linear,ets,theta",
    id_column: Annotated[
        str | None,
        typer.Option(
            help="Column that tells series apart, in a table of one row per series and time. "
            "[default: every column is a series]",
            show_default=False,
        ),
    ] = None,
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
        int | None,
        typer.Option(
            min=1,
            help="Number of windows. [default: up to 10 in the last fifth; 1 for each of many series]",
            show_default=False,
        ),
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
    lookback: Annotated[
        int | None, typer.Option(help="Fix Auto-AR's lookback. [default: chosen by --criterion]", show_default=False)
    ] = None,
    diff_order: Annotated[
        str, typer.Option(help="Differencing of Auto-AR: kpss (a test chooses), 0, 1 or 2.")
    ] = "kpss",
    criterion: Annotated[str, typer.Option(help="What chooses Auto-AR's lookback.")] = "horizon_bic",
    strategy: Annotated[
        str, typer.Option(help="Auto-AR's forecaster: recursive (the paper's), direct, average, or auto.")
    ] = "recursive",
    pooling: Annotated[
        str | None,
        typer.Option(
            help="One Auto-AR for all (pooled), one per series (channel), or both. [default: by strategy]",
            show_default=False,
        ),
    ] = None,
    validation_fraction: Annotated[
        float,
        typer.Option(
            help="Last part of the training rows, on which --criterion validation or another --strategy chooses."
        ),
    ] = 0.2,
    mode: Annotated[
        str,
        typer.Option(help="Auto-AR's: trained, or zero-shot, which learns nothing and forecasts windows one by one."),
    ] = "trained",
    device: Annotated[str, typer.Option(help="Device of Auto-AR: auto, cpu, cuda or cuda:N.")] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            help="Where local models are fitted: local (here, one after the other) or ray (on the workers of a Ray "
            "cluster, see RAY_ADDRESS)."
        ),
    ] = "local",
    out: Annotated[Path | None, typer.Option(help="Folder for plot, tables and report.html.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare Auto-AR with Darts models by rolling backtest on the last part of a file.

    Of many series, in a table with --id-column or in a .tsf file, Auto-AR and linear regression learn from all of them
    together; scores are means over series, and series too short for the windows are left out and counted.
    """
    from darts_autoar.baselines import choose_baselines
    from dasha._optional import require
    from dasha.cli._engine import check_engine
    from dasha.cli.forecast import parse_diff_order, split_names
    from dasha.runs import atomic_folder
    from dasha.tables import read_series

    baselines = choose_baselines(split_names(against) or [])
    chosen_engine = check_engine(engine)
    if chosen_engine == "ray":
        require("ray", extra="ray")
    data = read_series(
        file,
        id_column=id_column,
        time_column=time_column,
        targets=split_names(targets),
        freq=freq,
        count_rows=row_numbers,
    )
    plans, left_out = plan_all(data, horizon=horizon, stride=stride, count=windows, start=start)
    options = {
        "max_lookback": max_lookback,
        "lookback": lookback,
        "diff_order": parse_diff_order(diff_order),
        "criterion": criterion,
        "validation_fraction": validation_fraction,
        "strategy": strategy,
        "pooling": pooling,
        "mode": mode,
        "device": device,
    }
    config = check_options(horizon, options)

    from darts_autoar.comparison import compare
    from darts_autoar.scores import score_all
    from dasha.cli._progress import progress_bar

    tasks = make_tasks(data, plans, season_length=season_length, refit=refit, local_rows=local_rows)
    notes = [*data.notes, *left_out]
    for line in notes:
        note(f"note: {line}")
    # The folder is opened first: that it cannot be written should not come out after minutes of work.
    with atomic_folder(out) if out else nullcontext() as folder:
        with progress_bar(1 + len(baselines)) as advance:
            outcomes = compare(tasks, baselines, model_options=options, engine=chosen_engine, advance=advance)
        scores = score_all(tasks, outcomes)
        result = summary(data, tasks, scores, notes, config=config, engine=chosen_engine) | chosen(config, outcomes[0])
        if folder is not None:
            write_files(folder, data, tasks, outcomes, scores, result)
    show(data, tasks, scores, result, out, as_json=as_json)


def plan_all(
    data: "SeriesSet", *, horizon: int, stride: int | None, count: int | None, start: str | None
) -> "tuple[list[Windows | None], list[str]]":
    """Place the windows of every series; None, and a note, for those of many series that are too short.

    Raises:
        InvalidTableError: If a single series has no more rows than the horizon.
        SeriesTooShortError: If a single series, or every one of many, is too short for the windows.
    """
    from darts_autoar.windows import plan_windows
    from dasha.errors import InvalidTableError, SeriesTooShortError

    if data.id_column is None:
        index = data.series[0].index
        if len(index) <= horizon:
            raise InvalidTableError(f"{data.path} has {len(index)} rows, too few for --horizon {horizon}")
        return [plan_windows(index, horizon=horizon, stride=stride, count=count, start=start)], []
    plans: list[Windows | None] = []
    reasons = {}
    for series in data.series:
        try:
            number = 1 if count is None and start is None else count
            plan = plan_windows(series.index, horizon=horizon, stride=stride, count=number, start=start)
        except SeriesTooShortError as error:
            plan, reasons[series.name] = None, str(error)
        plans.append(plan)
    if not reasons:
        return plans, []
    first = next(iter(reasons))
    if len(reasons) == len(data.series):
        raise SeriesTooShortError(f"no series is long enough, the first being {first!r}: {reasons[first]}")
    remark = f"{len(reasons)} of {len(data.series)} series are too short and left out, the first being {first!r}: "
    return plans, [remark + reasons[first]]


def make_tasks(
    data: "SeriesSet",
    plans: "Sequence[Windows | None]",
    *,
    season_length: int | None,
    refit: bool,
    local_rows: int,
) -> "list[Task]":
    """Return what is to be forecast of every series that has windows."""
    from darts_autoar.tasks import Task
    from darts_autoar.windows import season_of

    pairs = [(series, plan) for series, plan in zip(data.series, plans, strict=True) if plan is not None]
    bounded = local_rows if any(plan.origins[-1] > local_rows for _, plan in pairs) else 0
    season = season_length or season_of(data.series[0].index)
    return [Task(series.values, series.index, plan, season, refit, bounded, name=series.name) for series, plan in pairs]


def check_options(horizon: int, options: dict[str, Any]) -> "AutoARConfig":
    """Refuse arguments of Auto-AR that are not allowed before anything runs."""
    from dasha._engine_options import engine_options
    from dasha.autoar import AutoARConfig

    return AutoARConfig(**engine_options(horizon=horizon, **options))


def chosen(config: "AutoARConfig", outcome: "Outcome") -> dict[str, Any]:
    """Return what ``backtest.json`` says of Auto-AR's mode and strategy, which there is none of in zero-shot mode."""
    from dasha.report.selection import selection_record

    return {
        "mode": config.mode,
        "strategy": None if config.is_zero_shot else config.strategy,
        "pooling": None if config.is_zero_shot else config.pooled_over,
        "selection": selection_record(outcome.selection),
    }


def summary(
    data: "SeriesSet",
    tasks: "Sequence[Task]",
    scores: "list[Score]",
    notes: "Sequence[str]",
    *,
    config: "AutoARConfig",
    engine: "Engine",
) -> dict[str, Any]:
    """Return what ``backtest.json`` holds."""
    from darts_autoar.report import describe_fitting, score_records, versions
    from darts_autoar.scores import describe_scores

    windows = [task.windows for task in tasks]
    return {
        "file": data.path.name,
        "sha256": data.sha256,
        "rows": data.rows,
        "columns": list(data.columns),
        **({"id_column": data.id_column, "series": len(tasks)} if data.id_column else {}),
        "freq": data.freq,
        "horizon": windows[0].horizon,
        "stride": windows[0].stride,
        "windows": sum(len(plan.origins) for plan in windows),
        "first_forecast_time": str(min(task.index[task.windows.training_rows] for task in tasks)),
        "training_rows": sum(plan.training_rows for plan in windows),
        "season_length": tasks[0].season_length,
        "engine": engine,
        "scores": score_records(scores),
        "notes": [
            describe_scores(tasks),
            describe_fitting(tasks, is_zero_shot=config.is_zero_shot, engine=engine),
            *notes,
        ],
        "versions": versions(),
    }


def write_files(
    folder: Path,
    data: "SeriesSet",
    tasks: "Sequence[Task]",
    outcomes: "list[Outcome]",
    scores: "list[Score]",
    result: dict[str, Any],
) -> None:
    """Write plot, tables and page."""
    import json

    import pandas as pd

    from darts_autoar.report import comparison_figure, describe_fitting, describe_windows, score_table
    from darts_autoar.scores import describe_scores
    from dasha.report.page import Page, Section, render_page
    from dasha.report.style import save_png

    drawn = comparison_figure(tasks, outcomes, columns=data.columns)
    page = Page(
        title=f"Backtest of {data.path.name}",
        lead=f"{describe_windows(tasks).capitalize()}.",
        sections=[
            Section(
                text=[describe_fitting(tasks, is_zero_shot=result["mode"] == "zero-shot", engine=result["engine"])],
                figures=[drawn] if drawn else [],
                tables=[score_table(scores, caption=f"{describe_scores(tasks)}.")],
            ),
            *selection_sections(outcomes[0], horizon=result["horizon"]),
        ],
        facts={"SHA-256": data.sha256, "Versions": ", ".join(f"{k} {v}" for k, v in result["versions"].items())},
    )
    (folder / "report.html").write_text(render_page(page), encoding="utf-8")
    pd.DataFrame(result["scores"]).to_csv(folder / "scores.csv", index=False)
    if drawn:
        save_png(drawn[0], folder / "backtest.png")
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "backtest.json").write_text(text + "\n", encoding="utf-8")


def selection_sections(outcome: "Outcome", *, horizon: int) -> "list[Section]":
    """Return the part of the page on what Auto-AR's strategy chose, or nothing."""
    from dasha.report.page import Section
    from dasha.report.selection import describe_weights, selection_figure

    selection = outcome.selection
    if selection is None:
        return []
    text = (
        "Validation rows before the first window weighed the candidates, which were then estimated again on all rows "
        "there."
    )
    drawn = f"Validation errors of Auto-AR's candidates, weighed as {describe_weights(selection)}"
    return [Section("What Auto-AR chose", text=[text], figures=[(selection_figure(selection, horizon=horizon), drawn)])]


def show(
    data: "SeriesSet",
    tasks: "Sequence[Task]",
    scores: "list[Score]",
    result: dict[str, Any],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print the result."""
    from darts_autoar.report import describe_fitting, describe_windows, score_rows
    from darts_autoar.scores import describe_scores

    if as_json:
        print_json(result)
        return
    print_table(score_rows(scores), title=f"{data.path.name}: {describe_windows(tasks)}")
    fitting = describe_fitting(tasks, is_zero_shot=result["mode"] == "zero-shot", engine=result["engine"])
    typer.echo(f"{describe_scores(tasks)}.\n{fitting}")
    if out is not None:
        typer.echo(f"backtest: wrote {out} (report.html, backtest.png, scores.csv, backtest.json)")
