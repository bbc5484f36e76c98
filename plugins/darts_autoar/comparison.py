"""Rolling backtest of several Darts models on the same windows, and their scores.

Auto-AR and other global models are fitted once, on the rows before the first window; in zero-shot mode, Auto-AR is not
fitted at all. Local models are fitted anew at every window, or once as well where ``refit`` is off and Darts can carry
the fitted model to a longer history.
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
from dasha.autoar.fitted import Selection
from dasha.report.selection import describe_weights
from dasha.types import FloatArray

AUTO_AR = "Auto-AR"


@dataclass(frozen=True)
class Task:
    """One series to forecast; a comparison is about a list of them.

    Attributes:
        values: Shape ``(T, C)``; NaN marks a missing value, which Auto-AR sees as such. The other models see gaps
            filled by straight lines between known values, the last known value at the end.
        index: Times, length ``T``.
        windows: Test windows.
        season_length: Steps in a season; 1 for none.
        refit: Fit local models anew at every window.
        local_rows: Most recent rows that a local model is fitted on; 0 for all.
        per_column: Fit an Auto-AR for every column, as the other models are, instead of one for all.
        name: What tells the series apart where there are several.
    """

    values: FloatArray
    index: pd.Index
    windows: Windows
    season_length: int
    refit: bool = True
    local_rows: int = 0
    per_column: bool = False
    name: str = ""

    @property
    def setting(self) -> Setting:
        """What a model may know before it sees the series."""
        return Setting(self.windows.horizon, self.season_length, self.windows.training_rows)


@dataclass(frozen=True)
class Outcome:
    """What one model did.

    Attributes:
        label: Name of the model.
        forecasts: One array ``(W, H, C)`` per series; None if the model failed.
        seconds: Time to fit and predict.
        fitted: How often it was fitted per column, in words.
        error: Why it failed, one line.
        detail: What was chosen in fitting, for the reader.
        selection: How Auto-AR's strategy weighed its candidates; None for the paper's, or one Auto-AR per column.
    """

    label: str
    forecasts: list[FloatArray] | None
    seconds: float
    fitted: str
    error: str = ""
    detail: str = ""
    selection: Selection | None = None


# Forecasts, what was chosen in words, and how a strategy weighed its candidates.
_Result = tuple[list[FloatArray], str, Selection | None]


def compare(
    tasks: Sequence[Task],
    baselines: Sequence[Baseline],
    *,
    model_options: dict[str, Any] | None = None,
    advance: Callable[[str, float], None] = lambda label, amount: None,
) -> list[Outcome]:
    """Backtest Auto-AR and the baselines; a model that fails does not stop the others.

    Of several series, Auto-AR and other global models learn together, local models each by itself.

    Args:
        tasks: Data and windows of every series, with the same number of columns and the same settings.
        baselines: Models to compare with.
        model_options: Arguments of `darts_autoar.AutoARModel` besides ``output_chunk_length``.
        advance: Called with the name of the model that runs and the part of its work that was done since the last
            call; the parts of one model add up to 1.
    """
    with quiet():
        _import_everything()
    advance(AUTO_AR, 0.0)
    options = model_options or {}
    fitted = "never" if options.get("mode") == "zero-shot" else "once"
    outcomes = [_attempt(AUTO_AR, fitted, partial(_auto_ar, tasks, options))]
    advance(AUTO_AR, 1.0)
    for baseline in baselines:
        often = "at every window" if baseline.is_local and tasks[0].refit else "once"
        outcomes.append(_attempt(baseline.label, often, partial(_baseline, tasks, baseline, advance)))
    return outcomes


def _import_everything() -> None:
    """Load the libraries before any clock runs, so that the first model does not pay for all."""
    for module in ("darts_autoar.darts_model", "statsmodels.tsa.stattools"):
        importlib.import_module(module)
    models = importlib.import_module("darts.models")
    for name in ("AutoARIMA", "LinearRegressionModel", "NaiveSeasonal"):
        getattr(models, name)  # imported by Darts on first use


def _attempt(label: str, fitted: str, run: Callable[[], _Result]) -> Outcome:
    with quiet():
        started = time.perf_counter()
        try:
            forecasts, detail, selection = run()
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            return Outcome(label, None, time.perf_counter() - started, fitted, error=text)
        seconds = time.perf_counter() - started
        return Outcome(label, forecasts, seconds, fitted, detail=detail, selection=selection)


def _auto_ar(tasks: Sequence[Task], options: dict[str, Any]) -> _Result:
    from darts_autoar.darts_model import AutoARModel

    selection = None
    horizon = tasks[0].windows.horizon
    whole = [_series(task.index, task.values) for task in tasks]
    channels = range(tasks[0].values.shape[1])
    blocks, details = [], []
    for chosen in [[channel] for channel in channels] if tasks[0].per_column else [list(channels)]:
        training = [
            one[[str(one.components[channel]) for channel in chosen]][: task.windows.training_rows]
            for one, task in zip(whole, tasks, strict=True)
        ]
        model = AutoARModel(output_chunk_length=horizon, **options).fit(training)
        is_zero_shot = model.engine.config.is_zero_shot
        # The engine forecasts series shorter than the lookback too, which Darts refuses.
        blocks.append(
            [
                model.engine.predict_origins(
                    horizon, task.values[:, chosen], task.windows.origins, series=None if is_zero_shot else number
                ).mean
                for number, task in enumerate(tasks)
            ]
        )
        details.append(model.engine.describe())
        if model.selection_ is not None and not tasks[0].per_column:
            selection = model.selection_
            details[-1] += f": {describe_weights(selection, count=2)}"
    forecasts = [np.concatenate(columns, axis=-1) for columns in zip(*blocks, strict=True)]
    return forecasts, "; ".join(details), selection


def _baseline(tasks: Sequence[Task], baseline: Baseline, advance: Callable[[str, float], None]) -> _Result:
    count = tasks[0].values.shape[1]
    part = 1.0 / (count * sum(len(task.windows.origins) for task in tasks))
    advance(baseline.label, 0.0)
    tick = partial(advance, baseline.label, part)
    column = partial(_local_column, tick=tick) if baseline.is_local else partial(_global_column, tick=tick)
    columns = [column(tasks, baseline, channel) for channel in range(count)]
    return [np.stack(blocks, axis=-1) for blocks in zip(*columns, strict=True)], "", None


def _global_column(
    tasks: Sequence[Task], baseline: Baseline, channel: int, *, tick: Callable[[], None]
) -> list[FloatArray]:
    """Forecasts of one column of every series by one model, shape ``(W, H)`` each."""
    units = [_unit(task, channel) if len(tasks) > 1 else (0.0, 1.0) for task in tasks]
    histories = [
        [(history - mean) / std for history in _histories(task, channel)]
        for task, (mean, std) in zip(tasks, units, strict=True)
    ]
    shortest = min(tasks, key=lambda task: task.windows.training_rows)
    model = baseline.build(shortest.setting)
    model.fit([_timed(task, one[0]) for task, one in zip(tasks, histories, strict=True)])
    blocks = []
    for task, own, (mean, std) in zip(tasks, histories, units, strict=True):
        rows = []
        for history in own:
            forecast = model.predict(task.windows.horizon, series=_timed(task, history))
            rows.append(forecast.values()[:, 0] * std + mean)
            tick()
        blocks.append(np.stack(rows))
    return blocks


def _local_column(
    tasks: Sequence[Task], baseline: Baseline, channel: int, *, tick: Callable[[], None]
) -> list[FloatArray]:
    """Forecasts of one column of every series, each by a model of its own, shape ``(W, H)`` each."""
    blocks = []
    for task in tasks:
        try:
            blocks.append(_local_forecasts(task, baseline, channel, tick))
        except Exception as error:
            if len(tasks) == 1:
                raise
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise RuntimeError(f"failed on series {task.name!r}: {text}") from error
    return blocks


def _local_forecasts(task: Task, baseline: Baseline, channel: int, tick: Callable[[], None]) -> FloatArray:
    horizon, keep = task.windows.horizon, task.local_rows
    histories = [_timed(task, history)[-keep:] for history in _histories(task, channel)]
    model = baseline.build(task.setting)
    anew = task.refit or not model.supports_transferable_series_prediction
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


def _histories(task: Task, channel: int) -> list[FloatArray]:
    """What is known of a column at every window, gaps filled."""
    return [fill_gaps(task.values[:origin, channel]) for origin in task.windows.origins]


def _timed(task: Task, history: FloatArray) -> Any:
    return _series(task.index[: len(history)], history)


def _unit(task: Task, channel: int) -> tuple[float, float]:
    """Mean and standard deviation of a column before the first window; 1 for a constant one."""
    history = fill_gaps(task.values[: task.windows.training_rows, channel])
    return float(history.mean()), float(history.std()) or 1.0


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
