"""``dasha forecast``: the series of a file, or of a folder of files, forecast by Auto-AR."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dasha.cli._output import JsonOption, note, print_json, print_table

if TYPE_CHECKING:
    from dasha.tables import SeriesSet

_SHOWN_CANDIDATES = 3


def forecast(
    file: Annotated[
        str,
        typer.Argument(help="CSV, CSV.GZ, Parquet or (zipped) .tsf file; with --engine also a folder, or an address."),
    ],
    horizon: Annotated[int, typer.Option(min=1, help="Steps to forecast.")],
    out: Annotated[Path, typer.Option(help="Folder to write; new, empty, or of an earlier forecast.")],
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
        str | None,
        typer.Option(help="Columns to forecast, separated by commas. [default: all numeric]", show_default=False),
    ] = None,
    freq: Annotated[
        str | None,
        typer.Option(
            help="Put the rows on this pandas frequency (15min, h, D, MS, …) and leave missing ones to the model. "
            "[default: found; gaps are refused]",
            show_default=False,
        ),
    ] = None,
    row_numbers: Annotated[
        bool, typer.Option("--row-numbers", help="Ignore times and take the rows as evenly spaced.")
    ] = False,
    quantiles: Annotated[str, typer.Option(help="Levels to write, separated by commas.")] = ".1,.5,.9",
    max_lookback: Annotated[int, typer.Option(help="Longest lookback tried.")] = 512,
    lookback: Annotated[
        int | None, typer.Option(help="Fix the lookback. [default: chosen by --criterion]", show_default=False)
    ] = None,
    diff_order: Annotated[str, typer.Option(help="Differencing: kpss (a test chooses), 0, 1 or 2.")] = "kpss",
    criterion: Annotated[
        str, typer.Option(help="What chooses the lookback: horizon_bic, bic, aic, hqic or validation.")
    ] = "horizon_bic",
    strategy: Annotated[
        str, typer.Option(help="Forecaster: recursive (the paper's), direct, average, or auto, which weighs all kinds.")
    ] = "recursive",
    pooling: Annotated[
        str | None,
        typer.Option(
            help="One forecaster for all (pooled), one per series (channel), or both. [default: by strategy]",
            show_default=False,
        ),
    ] = None,
    validation_fraction: Annotated[
        float,
        typer.Option(help="Last part of each series, on which --criterion validation or another --strategy chooses."),
    ] = 0.2,
    mode: Annotated[
        str,
        typer.Option(help="trained, or zero-shot: each series is forecast from its last --max-lookback values alone."),
    ] = "trained",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    engine: Annotated[
        str | None,
        typer.Option(
            help="Sum up files that need not fit into memory: local (here, one after the other) or ray (on a Ray "
            "cluster, see RAY_ADDRESS). [default: local for a folder; a file is read as a whole]",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forecast the series of a file or a folder of files: table, model, plot and summary are written to a folder.

    One model is fitted on all series (none with --mode zero-shot). They stand side by side in columns, or below each
    other with --id-column, or come from a .tsf file of the Monash archive; in the latter two their lengths may differ.

    Rows out of order are sorted, empty fields are missing values, and numbers with thousands or decimal commas are
    understood; what was assumed is said on standard error and in summary.json.
    """
    from dasha.cli._engine import choose_engine
    from dasha.tables import read_layout, read_series
    from dasha.tables.forecasts import check_id_column, parse_quantiles

    levels = parse_quantiles(quantiles)
    check_id_column(id_column)
    settings = {
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
    layout: dict[str, Any] = {
        "id_column": id_column,
        "time_column": time_column,
        "targets": split_names(targets),
        "freq": freq,
        "count_rows": row_numbers,
    }
    chosen = choose_engine(engine, file, settings, count_rows=row_numbers)
    data = read_series(file, **layout) if chosen is None else read_layout(file, **layout)
    from dasha.cli._forecast_run import ForecastOptions, run_forecast

    series, summary = run_forecast(data, ForecastOptions(horizon, levels, settings, chosen), out)
    for line in summary["notes"]:
        note(f"note: {line}")
    if as_json:
        print_json(summary)
        return
    print_table(_rows(series, summary), title=f"Forecast of {series.path.name}")
    pictures = "forecast.png" if summary["selection"] is None else "forecast.png, selection.png"
    typer.echo(f"forecast: wrote {out} (forecast.csv, forecast.parquet, {pictures}, summary.json, model)")


def split_names(text: str | None) -> list[str] | None:
    """Split ``"a,b"``; quotes protect a comma that belongs to a name."""
    import csv

    if text is None:
        return None
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True)) if name.strip()]


def parse_diff_order(text: str) -> str | int:
    """Return 1 for ``"1"``; other words are the model's to judge."""
    return int(text) if text.isdecimal() else text


def _rows(data: "SeriesSet", summary: dict[str, Any]) -> list[dict[str, object]]:
    seconds = summary["seconds"]
    facts = _series_facts(data) | {
        "times": f"{summary['first_time']} to {summary['last_time']}, {summary['rows']} steps of {summary['freq']}",
        "time column": summary["time_column"] or "none, row numbers",
        "missing values": summary["missing_values"],
        "steps forecast": summary["horizon"],
        **_chosen(summary),
        **({"rows summed up by": summary["engine"]} if summary["engine"] else {}),
        "seconds": f"fit {seconds['fit']:.2f}, predict {seconds['predict']:.2f} on {summary['device']}",
    }
    return [{"": name, "value": value} for name, value in facts.items()]


def _chosen(summary: dict[str, Any]) -> dict[str, object]:
    if summary["mode"] == "zero-shot":
        from dasha.autoar.config import NOTHING_LEARNED

        order = summary["diff_order"]
        return {
            "model": NOTHING_LEARNED,
            "past values used": f"up to {summary['context_length']} of each series",
            "differencing": "average of none and once" if order is None else _times(order),
            "seasons found": _seasons(summary["periods"]),
        }
    if summary["all_constant"]:
        return {"model": "all series are constant and are forecast as they are"}
    selection = summary["selection"]
    if selection is None:
        order = summary["diff_order"]
        searched = f"chosen by {summary['criterion']} of 0 … {summary['searched_up_to']}"
        return {
            "lookback": f"{summary['lookback']}, {searched if summary['criterion'] else 'as given'}",
            "differencing": _times(order),
        }
    candidates = selection["candidates"]
    used = [candidate for candidate in candidates if candidate["weight"] > 0]
    facts: dict[str, object] = {
        "strategy": f"{summary['strategy']}, {summary['pooling']}; {len(used)} of {len(candidates)} candidates used",
        "past values used": summary["context_length"],
        "validation error": f"{_error(selection['error'])}, mean square over the steps, standardised",
    }
    for place, candidate in enumerate(used[:_SHOWN_CANDIDATES], start=1):
        facts[f"candidate {place}"] = (
            f"{100 * candidate['weight']:.1f} % {candidate['name']} (error {_error(candidate['error'])})"
        )
    return facts


def _seasons(counts: dict[str, int]) -> str:
    """Periods and how many columns have each, the most frequent first."""
    found = [f"{'none' if period == '0' else period} ({count})" for period, count in counts.items()]
    return f"{_some(found)} of {sum(counts.values())} columns"


def _times(order: int) -> str:
    return f"{order} ({('none', 'once', 'twice')[order]})"


def _error(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _series_facts(data: "SeriesSet") -> dict[str, object]:
    columns = _some(data.columns)
    if data.id_column is None:
        return {f"series ({len(data.columns)})": columns}
    lengths = [series.steps for series in data.series]
    names = _some([series.name for series in data.series])
    return {
        f"series ({len(data.series)})": f"{names}; {min(lengths)} to {max(lengths)} steps each",
        "told apart by": data.id_column,
        f"columns ({len(data.columns)})": columns,
    }


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
