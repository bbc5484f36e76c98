"""Local models of a comparison: each is fitted on the one column of one series that it forecasts.

The work falls into pieces that do not depend on each other, so that it is the same wherever they are done.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from darts_autoar.baselines import Baseline
from darts_autoar.tasks import Task, histories, timed
from dasha.types import FloatArray

# Is told how many windows were forecast since its last call.
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Piece:
    """Windows of one column that are forecast by themselves.

    Attributes:
        series: Number of the series.
        column: Number of the column.
        origins: Rows known at each of the windows.
    """

    series: int
    column: int
    origins: tuple[int, ...]


@dataclass(frozen=True)
class Fit:
    """What came out of one piece.

    Attributes:
        forecasts: Shape ``(W, H)``; None if the model failed.
        seconds: Time to fit and predict.
        error: Why it failed, one line: an exception of another library may not come back from another process.
    """

    forecasts: FloatArray | None
    seconds: float
    error: str = ""


class FitAll(Protocol):
    """Fits a model on all pieces, in this process or elsewhere."""

    def __call__(self, tasks: Sequence[Task], pieces: Sequence[Piece], baseline: Baseline, *, tick: Tick) -> list[Fit]:
        """Return what came out of the pieces, in their order, up to the first that failed."""
        ...


def pieces_of(tasks: Sequence[Task]) -> list[Piece]:
    """Return all pieces, column by column, those of a column series by series.

    With ``refit`` every window is a piece. Without, those of a column stay together, because one model may do for them.
    """
    pieces = []
    for column in range(tasks[0].values.shape[1]):
        for number, task in enumerate(tasks):
            origins = task.windows.origins
            cuts = [(origin,) for origin in origins] if task.refit else [origins]
            pieces += [Piece(number, column, cut) for cut in cuts]
    return pieces


def fit_here(tasks: Sequence[Task], pieces: Sequence[Piece], baseline: Baseline, *, tick: Tick) -> list[Fit]:
    """Fit in this process, one after the other; see `FitAll`."""
    fits = []
    for piece in pieces:
        fits.append(fit(tasks[piece.series], piece.column, piece.origins, baseline, tick=tick))
        if fits[-1].error:
            break
    return fits


def fit(task: Task, column: int, origins: Sequence[int], baseline: Baseline, *, tick: Tick = lambda count: None) -> Fit:
    """Forecast windows of one column."""
    started = time.perf_counter()
    try:
        forecasts = _forecasts(task, column, origins, baseline, tick)
    except Exception as error:
        return Fit(None, time.perf_counter() - started, in_one_line(error))
    return Fit(forecasts, time.perf_counter() - started)


def joined(tasks: Sequence[Task], pieces: Sequence[Piece], fits: Sequence[Fit]) -> list[FloatArray]:
    """Return one array ``(W, H, C)`` per series of pieces that all came out well."""
    blocks: list[list[list[FloatArray]]] = [[[] for _ in range(task.values.shape[1])] for task in tasks]
    for piece, one in zip(pieces, fits, strict=True):
        assert one.forecasts is not None
        blocks[piece.series][piece.column].append(one.forecasts)
    return [np.stack([np.concatenate(own) for own in columns], axis=-1) for columns in blocks]


def in_one_line(error: BaseException) -> str:
    """Return type and message of an error."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def load_libraries() -> None:
    """Load the libraries before any clock runs, so that the first model does not pay for all."""
    importlib.import_module("statsmodels.tsa.stattools")
    models = importlib.import_module("darts.models")
    for name in ("AutoARIMA", "NaiveSeasonal"):
        getattr(models, name)  # imported by Darts on first use


def _forecasts(task: Task, column: int, origins: Sequence[int], baseline: Baseline, tick: Tick) -> FloatArray:
    horizon, keep = task.windows.horizon, task.local_rows
    known = [timed(task, history)[-keep:] for history in histories(task, column, origins)]
    model = baseline.build(task.setting)
    anew = task.refit or not model.supports_transferable_series_prediction
    if not anew:
        model.fit(known[0])
    forecasts = []
    for history in known:
        if anew:
            forecast = model.untrained_model().fit(history).predict(horizon)
        else:
            forecast = model.predict(horizon, series=history)
        forecasts.append(forecast.values()[:, 0])
        tick(1)
    return np.stack(forecasts)
