"""The work behind ``dasha forecast``: fit, forecast, and write everything or nothing."""

from __future__ import annotations

import json
import math
import platform
import time
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import dasha
from dasha.autoar import AutoAR
from dasha.autoar.device import resolve_device
from dasha.errors import DashaWarning
from dasha.report.plots import forecast_figure
from dasha.report.style import save_png
from dasha.runs import atomic_folder
from dasha.tables import SeriesTable
from dasha.tables.forecasts import forecast_frame
from dasha.types import GaussianForecast

MARKER = "summary.json"


@dataclass(frozen=True)
class ForecastOptions:
    """What the command was asked for.

    Attributes:
        horizon: Steps to forecast.
        quantiles: Sorted levels.
        engine: Arguments of `dasha.autoar.AutoAR`.
    """

    horizon: int
    quantiles: tuple[float, ...]
    engine: dict[str, Any]


def run_forecast(table: SeriesTable, options: ForecastOptions, out: Path) -> dict[str, Any]:
    """Fit, forecast and write the folder.

    Returns:
        The content of ``summary.json``.

    Raises:
        InvalidArgumentError: If an option is not allowed or the folder cannot be written.
        SeriesTooShortError: If there is too little history.
    """
    model = AutoAR(horizon=options.horizon, **options.engine)
    with atomic_folder(out) as folder:
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DashaWarning)
            model.fit(table.values)
        fitted = time.perf_counter()
        forecast = model.predict(options.horizon)
        assert isinstance(forecast, GaussianForecast)  # one series in, one forecast out
        seconds = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
        _write(folder, table, options, model, forecast)
        summary = _summary(table, options, model)
        summary["notes"] += [str(item.message) for item in caught if issubclass(item.category, DashaWarning)]
        seconds["fit_predict_write"] = time.perf_counter() - started
        summary["seconds"] = {name: round(value, 4) for name, value in seconds.items()}
        text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / MARKER).write_text(text + "\n", encoding="utf-8")
    return summary


def _write(
    folder: Path, table: SeriesTable, options: ForecastOptions, model: AutoAR, forecast: GaussianForecast
) -> None:
    future = table.future(options.horizon)
    frame = forecast_frame(forecast, times=future, columns=table.columns, quantiles=options.quantiles)
    frame.to_csv(folder / "forecast.csv", index=False)
    frame.to_parquet(folder / "forecast.parquet", index=False)
    model.save(folder / "model")
    figure = forecast_figure(
        table.values,
        forecast,
        index=table.index,
        future=future,
        columns=table.columns,
        quantiles=options.quantiles,
        title=f"{table.path.name}: {options.horizon} {'step' if options.horizon == 1 else 'steps'} ahead",
    )
    save_png(figure, folder / "forecast.png")


def _summary(table: SeriesTable, options: ForecastOptions, model: AutoAR) -> dict[str, Any]:
    searched = len(model.criterion_path_) > 0
    value = float(model.criterion_path_[model.lookback_]) if searched else math.nan
    return {
        "file": table.path.name,
        "sha256": table.sha256,
        "rows": len(table.index),
        "columns": list(table.columns),
        "time_column": table.time_column,
        "first_time": str(table.index[0]),
        "last_time": str(table.index[-1]),
        "freq": table.freq,
        "missing_values": table.missing,
        "horizon": options.horizon,
        "quantiles": list(options.quantiles),
        "lookback": model.lookback_,
        "lookback_searched": searched,
        "max_lookback": model.config.max_lookback,
        "searched_up_to": len(model.criterion_path_) - 1 if searched else None,
        "diff_order": model.diff_order_,
        "criterion": model.config.criterion if searched else None,
        "criterion_value": value if math.isfinite(value) else None,
        "device": str(resolve_device(model.config.device)),
        "notes": list(table.notes),
        "versions": {
            "dasha-plugins": dasha.__version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "pandas", "torch")},
        },
    }
