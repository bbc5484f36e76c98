"""Rolling backtest of several Darts models on the same windows, and their scores.

Auto-AR and other global models are fitted once, on the rows before the first window; in zero-shot mode, Auto-AR is not
fitted at all. Local models are fitted anew at every window, or once as well where ``refit`` is off and Darts can carry
the fitted model to a longer history; they may be fitted on the workers of a Ray cluster.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from darts_autoar.baselines import Baseline
from darts_autoar.local_models import FitAll, Tick, fit_here, in_one_line, joined, load_libraries, pieces_of
from darts_autoar.quiet import quiet
from darts_autoar.tasks import Task, darts_series, fill_gaps, histories, timed
from dasha._ray import Engine
from dasha.autoar.fitted import Selection
from dasha.report.selection import describe_weights
from dasha.types import FloatArray

AUTO_AR = "Auto-AR"


@dataclass(frozen=True)
class Outcome:
    """What one model did.

    Attributes:
        label: Name of the model.
        forecasts: One array ``(W, H, C)`` per series; None if the model failed.
        seconds: Time to fit and predict; of a local model the sum over all its fits and forecasts, whether they were
            made one after the other or side by side on workers of Ray.
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


@dataclass(frozen=True)
class _Result:
    """What comes out of running one model; see `Outcome`. Without ``seconds``, those count that have passed."""

    forecasts: list[FloatArray] | None
    detail: str = ""
    selection: Selection | None = None
    seconds: float | None = None
    error: str = ""


def compare(
    tasks: Sequence[Task],
    baselines: Sequence[Baseline],
    *,
    model_options: dict[str, Any] | None = None,
    engine: Engine = "local",
    advance: Callable[[str, float], None] = lambda label, amount: None,
) -> list[Outcome]:
    """Backtest Auto-AR and the baselines; a model that fails does not stop the others.

    Of several series, Auto-AR and other global models learn together, local models each by itself.

    Args:
        tasks: Data and windows of every series, with the same number of columns and the same settings.
        baselines: Models to compare with.
        model_options: Arguments of `darts_autoar.AutoARModel` besides ``output_chunk_length``.
        engine: Where local models are fitted: "local", in this process, or "ray", on the workers of a Ray cluster. The
            forecasts are the same.
        advance: Called with the name of the model that runs and the part of its work that was done since the last
            call; the parts of one model add up to 1.

    Raises:
        OptionalDependencyError: If Ray is asked for and not installed.
        InvalidArgumentError: If there is no Ray at the address that is asked for.
        DashaError: If workers of Ray cannot import what local models need.
    """
    with quiet():
        _import_everything()
    options = model_options or {}
    fitted = "never" if options.get("mode") == "zero-shot" else "once"
    # Before Auto-AR is fitted: that no cluster can be reached should not come out after the first model.
    with _fitting(engine if any(baseline.is_local for baseline in baselines) else "local") as fit_all:
        advance(AUTO_AR, 0.0)
        outcomes = [_attempt(AUTO_AR, fitted, partial(_auto_ar, tasks, options))]
        advance(AUTO_AR, 1.0)
        for baseline in baselines:
            often = "at every window" if baseline.is_local and tasks[0].refit else "once"
            outcomes.append(_attempt(baseline.label, often, partial(_baseline, tasks, baseline, fit_all, advance)))
    return outcomes


def _fitting(engine: Engine) -> AbstractContextManager[FitAll]:
    if engine == "local":
        return nullcontext(fit_here)
    from darts_autoar.ray_engine import workers

    return workers()


def _import_everything() -> None:
    """Load the libraries before any clock runs, so that the first model does not pay for all."""
    importlib.import_module("darts_autoar.darts_model")
    load_libraries()
    importlib.import_module("darts.models").LinearRegressionModel  # noqa: B018


def _attempt(label: str, fitted: str, run: Callable[[], _Result]) -> Outcome:
    with quiet():
        started = time.perf_counter()
        try:
            result = run()
        except Exception as error:
            result = _Result(None, error=in_one_line(error))
        seconds = time.perf_counter() - started if result.seconds is None else result.seconds
    return Outcome(label, result.forecasts, seconds, fitted, result.error, result.detail, result.selection)


def _auto_ar(tasks: Sequence[Task], options: dict[str, Any]) -> _Result:
    from darts_autoar.darts_model import AutoARModel

    selection = None
    horizon = tasks[0].windows.horizon
    whole = [darts_series(task.index, task.values) for task in tasks]
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
    return _Result(forecasts, "; ".join(details), selection)


def _baseline(
    tasks: Sequence[Task], baseline: Baseline, fit_all: FitAll, advance: Callable[[str, float], None]
) -> _Result:
    windows = tasks[0].values.shape[1] * sum(len(task.windows.origins) for task in tasks)

    def tick(count: int) -> None:
        advance(baseline.label, count / windows)

    advance(baseline.label, 0.0)
    return _local(tasks, baseline, fit_all, tick) if baseline.is_local else _global(tasks, baseline, tick)


def _local(tasks: Sequence[Task], baseline: Baseline, fit_all: FitAll, tick: Tick) -> _Result:
    """Forecasts by a model for every column of every series."""
    pieces = pieces_of(tasks)
    fits = fit_all(tasks, pieces, baseline, tick=tick)
    seconds = sum(one.seconds for one in fits)
    error = fits[-1].error
    if error:
        name = tasks[pieces[len(fits) - 1].series].name
        whole = error if len(tasks) == 1 else f"RuntimeError: failed on series {name!r}: {error}"
        return _Result(None, seconds=seconds, error=whole)
    return _Result(joined(tasks, pieces, fits), seconds=seconds)


def _global(tasks: Sequence[Task], baseline: Baseline, tick: Tick) -> _Result:
    """Forecasts by a model for every column, fitted on all series."""
    columns = [_global_column(tasks, baseline, column, tick) for column in range(tasks[0].values.shape[1])]
    return _Result([np.stack(blocks, axis=-1) for blocks in zip(*columns, strict=True)])


def _global_column(tasks: Sequence[Task], baseline: Baseline, column: int, tick: Tick) -> list[FloatArray]:
    """Forecasts of one column of every series by one model, shape ``(W, H)`` each."""
    units = [_unit(task, column) if len(tasks) > 1 else (0.0, 1.0) for task in tasks]
    known = [
        [(history - mean) / std for history in histories(task, column, task.windows.origins)]
        for task, (mean, std) in zip(tasks, units, strict=True)
    ]
    shortest = min(tasks, key=lambda task: task.windows.training_rows)
    model = baseline.build(shortest.setting)
    model.fit([timed(task, one[0]) for task, one in zip(tasks, known, strict=True)])
    blocks = []
    for task, own, (mean, std) in zip(tasks, known, units, strict=True):
        rows = []
        for history in own:
            forecast = model.predict(task.windows.horizon, series=timed(task, history))
            rows.append(forecast.values()[:, 0] * std + mean)
            tick(1)
        blocks.append(np.stack(rows))
    return blocks


def _unit(task: Task, column: int) -> tuple[float, float]:
    """Mean and standard deviation of a column before the first window; 1 for a constant one."""
    history = fill_gaps(task.values[: task.windows.training_rows, column])
    return float(history.mean()), float(history.std()) or 1.0
