"""``dasha bench``: the benchmarks, from the installed package, with progress, results as JSON and a page."""

from pathlib import Path
from typing import Annotated

import typer

from dasha.cli._output import JsonOption, print_json

app = typer.Typer()

OutOption = Annotated[
    Path,
    typer.Option(help="Folder for results.json, report.html and all measurements; an earlier run in it is continued."),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        envvar="DASHA_DATA", help="Folder with the data files, searched with its subfolders.", show_default=False
    ),
]
DeviceOption = Annotated[str, typer.Option(help="Device of Auto-AR: auto, cpu, cuda or cuda:N.")]
OnlyReportOption = Annotated[bool, typer.Option("--only-report", help="Measure nothing; show what --out holds.")]


@app.command()
def ltsf(
    out: OutOption,
    data_dir: DataOption = None,
    datasets: Annotated[
        str | None,
        typer.Option(
            help="Files without .csv, such as ETTh1,weather. [default: all of the benchmark that are there]",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Settings of Auto-AR, one or several: paper, auto, direct, average, zero-shot.")
    ] = "paper",
    horizons: Annotated[
        str | None, typer.Option(help="Steps ahead, such as 96,192. [default: the published ones]", show_default=False)
    ] = None,
    device: DeviceOption = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of torch. [default: as torch chooses]", show_default=False)
    ] = None,
    rerun: Annotated[
        str | None, typer.Option(help="Presets to measure again. [default: none]", show_default=False)
    ] = None,
    only_report: OnlyReportOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure Auto-AR on the long-term forecasting benchmark, and show published figures beside it.

    Every measurement is kept as soon as it is there. A run that was stopped goes on where it was, and takes over what
    was measured on the same data, with the same settings and versions.
    """
    from darts_autoar.bench.ltsf.command import bench_ltsf
    from darts_autoar.bench.ltsf.tables import print_results
    from darts_autoar.bench.request import Request

    request = Request(out, data_dir, datasets, device, threads, rerun, only_report)
    result = bench_ltsf(request, preset=preset, horizons=horizons)
    if as_json:
        print_json(result)
        return
    print_results(result["results"])
    _say_where(out)


@app.command()
def monash(
    out: OutOption,
    data_dir: DataOption = None,
    datasets: Annotated[
        str | None,
        typer.Option(
            help="Files (.tsf, .tsf.gz, or .zip with one), without the ending. [default: those of hospital, "
            "tourism_monthly and m4_hourly that are there]",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="What to compare: autoar-pooled, autoar-auto, naive, linear, ets, theta, autoarima; ets takes minutes "
            "and autoarima hours. [default: all, the slowest last]",
            show_default=False,
        ),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Steps held out of files that state none.", show_default=False)
    ] = None,
    max_series: Annotated[
        int | None, typer.Option(min=1, help="The first series of every file only, for a trial.", show_default=False)
    ] = None,
    device: DeviceOption = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads of every method.")] = 1,
    rerun: Annotated[
        str | None, typer.Option(help="Methods to measure again. [default: none]", show_default=False)
    ] = None,
    only_report: OnlyReportOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare Auto-AR with established methods on data sets of the Monash archive.

    Every forecast is kept some seconds after it was made. A run that was stopped goes on where it was, and takes over
    what was measured on the same data, with the same settings and versions. Page and results are written anew whenever
    a method is finished.
    """
    from dasha._optional import require

    require("threadpoolctl", extra="darts")

    from darts_autoar.bench.monash.command import bench_monash
    from darts_autoar.bench.monash.tables import print_results
    from darts_autoar.bench.request import Request

    request = Request(out, data_dir, datasets, device, threads, rerun, only_report)
    cases, result = bench_monash(request, methods=methods, horizon=horizon, max_series=max_series)
    if as_json:
        print_json(result)
        return
    print_results(cases, result["results"], result["unfinished"])
    _say_where(out)


def _say_where(out: Path) -> None:
    typer.echo(f"bench: wrote {out} (report.html, results.json)")
