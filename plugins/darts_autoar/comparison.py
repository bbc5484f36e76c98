"""Rolling backtest of several Darts models on the same windows, and their scores.

Auto-AR and other global models are fitted once, on the rows before the first window. Local models are fitted anew at
every window, or once as well where ``refit`` is off and Darts can carry the fitted model to a longer history.
"""

from __future__ import annotations

import importlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from darts_autoar.baselines import Baseline, Setting
from darts_autoar.windows import Windows
from dasha.types import FloatArray

AUTO_AR = "Auto-AR"


@dataclass(frozen=True)
class Task:
    """One comparison.

    Attributes:
        values: Shape ``(T, C)``; NaN marks a missing value, which Auto-AR sees as such. The other models see gaps
            filled by straight lines between known values, the last known value at the end.
        index: Times, length ``T``.
        windows: Test windows.
        season_length: Steps in a season; 1 for none.
        refit: Fit local models anew at every window.
        local_rows: Most recent rows that a local model is fitted on; 0 for all.
        per_column: Fit an Auto-AR for every column, as the other models are, instead of one for all.
    """

    values: FloatArray
    index: pd.Index
    windows: Windows
    season_length: int
    refit: bool = True
    local_rows: int = 0
    per_column: bool = False

    @property
    def setting(self) -> Setting:
        """What a model may know before it sees the series."""
        return Setting(self.windows.horizon, self.season_length, self.windows.training_rows)


@dataclass(frozen=True)
class Outcome:
    """What one model did.

    Attributes:
        label: Name of the model.
        forecasts: Shape ``(W, H, C)``; None if the model failed.
        seconds: Time to fit and predict.
        fitted: How often it was fitted per column, in words.
        error: Why it failed, one line.
        detail: What was chosen in fitting, for the reader.
    """

    label: str
    forecasts: FloatArray | None
    seconds: float
    fitted: str
    error: str = ""
    detail: str = ""


def compare(
    task: Task,
    baselines: Sequence[Baseline],
    *,
    model_options: dict[str, Any] | None = None,
    advance: Callable[[str, float], None] = lambda label, amount: None,
) -> list[Outcome]:
    """Backtest Auto-AR and the baselines; a model that fails does not stop the others.

    Args:
        task: Data and windows.
        baselines: Models to compare with.
        model_options: Arguments of `darts_autoar.AutoARModel` besides ``output_chunk_length``.
        advance: Called with the name of the model that runs and the part of its work that was done since the last
            call; the parts of one model add up to 1.
    """
    with quiet():
        _import_everything()
    advance(AUTO_AR, 0.0)
    outcomes = [_attempt(AUTO_AR, "once", partial(_auto_ar, task, model_options or {}))]
    advance(AUTO_AR, 1.0)
    for baseline in baselines:
        often = "at every window" if baseline.is_local and task.refit else "once"
        outcomes.append(_attempt(baseline.label, often, partial(_baseline, task, baseline, advance)))
    return outcomes


def _import_everything() -> None:
    """Load the libraries before any clock runs, so that the first model does not pay for all."""
    for module in ("darts_autoar.darts_model", "statsmodels.tsa.stattools"):
        importlib.import_module(module)
    models = importlib.import_module("darts.models")
    for name in ("AutoARIMA", "LinearRegressionModel", "NaiveSeasonal"):
        getattr(models, name)  # imported by Darts on first use


def _attempt(label: str, fitted: str, run: Callable[[], tuple[FloatArray, str]]) -> Outcome:
    with quiet():
        started = time.perf_counter()
        try:
            forecasts, detail = run()
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            return Outcome(label, None, time.perf_counter() - started, fitted, error=text)
        return Outcome(label, forecasts, time.perf_counter() - started, fitted, detail=detail)


def _auto_ar(task: Task, options: dict[str, Any]) -> tuple[FloatArray, str]:
    from darts_autoar.darts_model import AutoARModel

    horizon, origins = task.windows.horizon, task.windows.origins
    whole = _series(task.index, task.values)
    parts = [whole[component] for component in whole.components] if task.per_column else [whole]
    blocks, details = [], []
    for part in parts:
        model = AutoARModel(output_chunk_length=horizon, **options).fit(part[: task.windows.training_rows])
        forecasts = model.predict(horizon, series=[part[:origin] for origin in origins])
        blocks.append(np.stack([forecast.values() for forecast in forecasts]))  # (W, H, C)
        details.append(f"lookback {model.lookback_}, differencing {model.diff_order_}")
    return np.concatenate(blocks, axis=-1), "; ".join(details)


def _baseline(task: Task, baseline: Baseline, advance: Callable[[str, float], None]) -> tuple[FloatArray, str]:
    count = task.values.shape[1]
    part = 1.0 / (count * len(task.windows.origins))
    advance(baseline.label, 0.0)
    tick = partial(advance, baseline.label)
    columns = [_column(task, baseline, task.values[:, channel], partial(tick, part)) for channel in range(count)]
    return np.stack(columns, axis=-1), ""


def _column(task: Task, baseline: Baseline, column: FloatArray, tick: Callable[[], None]) -> FloatArray:
    """Forecasts of one column, shape ``(W, H)``."""
    horizon, keep = task.windows.horizon, task.local_rows if baseline.is_local else 0
    histories = [_series(task.index[:origin], fill_gaps(column[:origin]))[-keep:] for origin in task.windows.origins]
    model = baseline.build(task.setting)
    anew = baseline.is_local and (task.refit or not model.supports_transferable_series_prediction)
    if not anew:
        model.fit(histories[0])
    forecasts = []
    for history in histories:
        if anew:
            forecast = model.untrained_model().fit(history).predict(horizon)
        else:
            forecast = model.predict(horizon, series=history)
        forecasts.append(forecast.values()[:, 0])
        tick()
    return np.stack(forecasts)


def fill_gaps(history: FloatArray) -> FloatArray:
    """Fill missing values ``(T,)`` by straight lines, at the ends by the nearest value, from this history alone."""
    known = ~np.isnan(history)
    if known.all() or not known.any():
        return history
    positions = np.arange(len(history))
    return np.interp(positions, positions[known], history[known])


def _series(index: pd.Index, values: FloatArray) -> Any:
    from darts import TimeSeries

    return TimeSeries.from_times_and_values(index, values.reshape(len(index), -1))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings and log messages of the models compared; afterwards everything is as it was."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
