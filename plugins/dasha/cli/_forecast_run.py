"""The work behind ``dasha forecast``: fit, forecast, and write everything or nothing."""

from __future__ import annotations

import json
import math
import platform
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import dasha
from dasha._engine_options import engine_options
from dasha._ray import Engine
from dasha.autoar import AutoAR
from dasha.autoar.device import resolve_device
from dasha.errors import DashaWarning
from dasha.report.plots import MAX_PANELS, ForecastPanel, forecast_figure, history_shown, spread_out
from dasha.report.selection import selection_figure, selection_record
from dasha.report.style import save_png
from dasha.runs import atomic_folder
from dasha.tables import FileLayout, SeriesSet
from dasha.tables.forecasts import forecast_frame
from dasha.tables.summed import series_ends
from dasha.types import GaussianForecast

MARKER = "summary.json"


@dataclass(frozen=True)
class ForecastOptions:
    """What the command was asked for.

    Attributes:
        horizon: Steps to forecast.
        quantiles: Sorted levels.
        settings: Other arguments of `dasha._engine_options.engine_options`.
        engine: What sums up the rows of the files; None where they are read into memory.
    """

    horizon: int
    quantiles: tuple[float, ...]
    settings: dict[str, Any]
    engine: Engine | None = None


def run_forecast(
    source: SeriesSet | FileLayout, options: ForecastOptions, out: Path
) -> tuple[SeriesSet, dict[str, Any]]:
    """Fit one model on all series, forecast each of them, and write the folder.

    Args:
        source: Series in memory, or files whose rows are yet to be summed up.
        options: What was asked for.
        out: The folder.

    Returns:
        The series, of which those from files hold the last rows only, and the content of ``summary.json``.

    Raises:
        InvalidArgumentError: If an option is not allowed or the folder cannot be written.
        SeriesTooShortError: If there is too little history.
    """
    model = AutoAR(**engine_options(horizon=options.horizon, **options.settings))
    with atomic_folder(out) as folder:
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DashaWarning)
            data = _fit(model, source, options)
        fitted = time.perf_counter()
        forecast = model.predict(options.horizon)
        forecasts = forecast if isinstance(forecast, list) else [forecast]
        seconds = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
        _write(folder, data, options, model, forecasts)
        summary = _summary(data, options, model)
        summary["notes"] += [str(item.message) for item in caught if issubclass(item.category, DashaWarning)]
        summary["notes"] += _without_values(model, forecasts) + _single_values(data)
        seconds["fit_predict_write"] = time.perf_counter() - started
        summary["seconds"] = {name: round(value, 4) for name, value in seconds.items()}
        text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / MARKER).write_text(text + "\n", encoding="utf-8")
    return data, summary


def _fit(model: AutoAR, source: SeriesSet | FileLayout, options: ForecastOptions) -> SeriesSet:
    if isinstance(source, SeriesSet):
        values = [series.values for series in source.series]
        # A wide table stays a single series for the saved model too, whose contexts then need no number.
        model.fit(values[0] if source.id_column is None else values)
        return source
    engine = options.engine or "local"
    with _connection(engine):
        model.fit_files(
            source.source,
            targets=source.columns,
            id_column=source.id_column,
            time_column=source.time_column,
            freq=source.freq,
            engine=engine,
        )
    summaries = model.fitted.summaries
    assert summaries is not None
    return series_ends(source, summaries.series, steps=history_shown(options.horizon))


def _connection(engine: Engine) -> AbstractContextManager[None]:
    if engine == "local":
        return nullcontext()
    from dasha.autoar.ray_engine import connection

    return connection()


def _write(
    folder: Path, data: SeriesSet, options: ForecastOptions, model: AutoAR, forecasts: Sequence[GaussianForecast]
) -> None:
    frame = forecast_frame(
        forecasts,
        times=[series.future(options.horizon) for series in data.series],
        columns=data.columns,
        quantiles=options.quantiles,
        ids=[series.id for series in data.series],
        id_column=data.id_column,
    )
    frame.to_csv(folder / "forecast.csv", index=False)
    frame.to_parquet(folder / "forecast.parquet", index=False)
    model.save(folder / "model")
    panels, remark = _panels(data, forecasts, options.horizon)
    steps = f"{options.horizon} {'step' if options.horizon == 1 else 'steps'}"
    figure = forecast_figure(panels, quantiles=options.quantiles, title=f"{data.path.name}: {steps} ahead{remark}")
    save_png(figure, folder / "forecast.png")
    if model.selection_ is not None:
        save_png(selection_figure(model.selection_, horizon=options.horizon), folder / "selection.png")


def _panels(data: SeriesSet, forecasts: Sequence[GaussianForecast], horizon: int) -> tuple[list[ForecastPanel], str]:
    """What is drawn, the first columns of a wide table or series from all over a long one, and a remark if not all."""
    channels = len(data.columns)
    count = len(data.series) * channels
    shown = min(count, MAX_PANELS)
    chosen, how = (
        (range(shown), f" (first {shown} of {count})")
        if data.id_column is None
        else (spread_out(count, shown), f" ({shown} of {count} series, evenly spaced)")
    )
    panels = []
    for place in chosen:
        number, channel = divmod(place, channels)
        series = data.series[number]
        names = [series.name] if data.id_column else []
        names += [data.columns[channel]] if channels > 1 else []
        history, future = series.values[:, channel], series.future(horizon)
        panels.append(ForecastPanel(": ".join(names), series.index, history, future, forecasts[number], channel))
    return panels, how if shown < count else ""


def _summary(data: SeriesSet, options: ForecastOptions, model: AutoAR) -> dict[str, Any]:
    config = model.config
    is_trained = not config.is_zero_shot
    # Next to a selection, the auto-regression with a lookback of its own only fills gaps.
    has_lookback = is_trained and model.selection_ is None
    is_constant = is_trained and model.fitted.is_constant
    searched = has_lookback and len(model.criterion_path_) > 0
    value = float(model.criterion_path_[model.lookback_]) if searched else math.nan
    asked_order = None if config.diff_order == "kpss" else config.diff_order
    return {
        "file": data.path.name,
        "sha256": data.sha256 or None,
        "engine": options.engine,
        "rows": data.rows,
        "columns": list(data.columns),
        **_many(data),
        "time_column": data.time_column,
        "first_time": str(min(series.first for series in data.series)),
        "last_time": str(max(series.index[-1] for series in data.series)),
        "freq": data.freq,
        "missing_values": data.missing,
        "horizon": options.horizon,
        "quantiles": list(options.quantiles),
        "mode": config.mode,
        "strategy": config.strategy if is_trained else None,
        "pooling": config.pooled_over if is_trained else None,
        "context_length": model.context_length_,
        "selection": selection_record(model.selection_),
        "all_constant": is_constant,
        "lookback": model.lookback_ if has_lookback else None,
        "lookback_searched": searched,
        "max_lookback": config.max_lookback,
        "searched_up_to": len(model.criterion_path_) - 1 if searched else None,
        "diff_order": model.diff_order_ if is_trained else asked_order,
        "periods": None if is_trained else _periods(model),
        "criterion": config.criterion if searched else None,
        "criterion_value": value if math.isfinite(value) else None,
        "device": str(resolve_device(config.device)),
        "notes": list(data.notes),
        "versions": {
            "dasha-plugins": dasha.__version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "pandas", "torch")},
        },
    }


def _periods(model: AutoAR) -> dict[str, int]:
    """How many columns have a season of how many steps, the most frequent first; 0 stands for none."""
    choices = model.zero_shot_choices()
    found = np.concatenate([one.period for one in (choices if isinstance(choices, list) else [choices])])
    return {str(period): count for period, count in Counter(found.tolist()).most_common()}


def _without_values(model: AutoAR, forecasts: Sequence[GaussianForecast]) -> list[str]:
    """Say what could not be forecast; where something is learned, the fit has said it."""
    count = sum(int(np.isnan(forecast.mean).all(axis=0).sum()) for forecast in forecasts)
    if not count or not model.config.is_zero_shot:
        return []
    return [f"{count} columns have no value in the last {model.config.max_lookback} steps of a series; no forecast"]


def _single_values(data: SeriesSet) -> list[str]:
    """Say how many columns are forecast without a spread because nothing is known of it."""
    in_memory = [series.values for series in data.series if series.earlier is None]
    count = sum(int((np.isfinite(values).sum(axis=0) == 1).sum()) for values in in_memory)
    if not count:
        return []
    return [f"{count} columns have a single value, which tells nothing about the spread: their forecasts have std 0"]


def _many(data: SeriesSet) -> dict[str, Any]:
    """What the summary of many series says besides."""
    if data.id_column is None:
        return {}
    lengths = [series.steps for series in data.series]
    return {
        "id_column": data.id_column,
        "series": len(data.series),
        "shortest_series": min(lengths),
        "longest_series": max(lengths),
    }
