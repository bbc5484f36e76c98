"""Scores of a comparison, each computed once over all windows and steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from darts_autoar.comparison import Outcome
from darts_autoar.tasks import Task
from dasha.types import FloatArray

SCALE_RULE = (
    "MAE and MSE are in units of each column's standard deviation before the first window, MASE in units of its "
    "seasonal naive error there; each is computed per column over all windows and steps, then averaged over columns"
)


@dataclass(frozen=True)
class Score:
    """One row of the table.

    Attributes:
        model: Name.
        mae: Mean absolute error, standardised.
        mse: Mean squared error, standardised.
        mase: Mean absolute scaled error.
        seconds: Time to fit and predict.
        fitted: How often the model was fitted.
        remark: What was chosen, or why the model failed.
    """

    model: str
    mae: float
    mse: float
    mase: float
    seconds: float
    fitted: str
    remark: str = ""

    @property
    def failed(self) -> bool:
        """Whether the model gave no forecasts to score."""
        return bool(np.isnan(self.mae))


def score_all(tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> list[Score]:
    """Score every outcome; see `SCALE_RULE`, and of several series the mean over them."""
    return [_score(tasks, outcome) for outcome in outcomes]


def describe_scores(tasks: Sequence[Task]) -> str:
    """Say in a sentence how the scores are computed."""
    return SCALE_RULE if len(tasks) == 1 else f"{SCALE_RULE}, then over series"


def _score(tasks: Sequence[Task], outcome: Outcome) -> Score:
    nan = float("nan")
    failure = Score(outcome.label, nan, nan, nan, outcome.seconds, outcome.fitted, outcome.error)
    if outcome.forecasts is None:
        return failure
    errors = [_errors(task, forecasts) for task, forecasts in zip(tasks, outcome.forecasts, strict=True)]
    if any(one is None for one in errors):
        return replace(failure, remark="gave forecasts that are no numbers")
    values = np.array([one for one in errors if one is not None])  # (N, 3)
    mae, mse, mase = (float(np.ma.filled(np.ma.masked_invalid(column).mean(), nan)) for column in values.T)
    return Score(outcome.label, mae, mse, mase, outcome.seconds, outcome.fitted, outcome.detail)


def _errors(task: Task, forecasts: FloatArray) -> tuple[float, float, float] | None:
    """MAE, MSE and MASE of one series; None if a forecast is missing where there is a value."""
    rows = np.add.outer(task.windows.origins, np.arange(task.windows.horizon))
    actual = task.values[rows]  # (W, H, C)
    errors = forecasts - actual
    unknown = np.isnan(actual)
    if np.isnan(errors[~unknown]).any():
        return None
    spread, naive = training_scales(task.values[: task.windows.training_rows], task.season_length)
    standard = errors / spread
    mae, mse = _mean(np.abs(standard), unknown), _mean(standard**2, unknown)
    return mae, mse, _mean(np.abs(errors) / naive, unknown | np.isnan(naive))


def training_scales(training: FloatArray, season_length: int) -> tuple[FloatArray, FloatArray]:
    """Scales from the rows before the first window.

    Returns:
        Standard deviation of every column, ``(C,)``, 1 for constant ones; mean absolute seasonal difference, ``(C,)``,
        NaN where it is zero or unknown (such columns do not count for MASE).
    """
    known = np.ma.masked_invalid(training)
    spread = np.ma.filled(known.std(axis=0), np.nan)
    differences = np.ma.masked_invalid(np.abs(training[season_length:] - training[:-season_length]))
    naive = np.ma.filled(differences.mean(axis=0), np.nan)
    return np.where(spread > 0, spread, 1.0), np.where(naive > 0, naive, np.nan)


def _mean(errors: FloatArray, left_out: np.ndarray) -> float:
    """Mean over windows and steps per column, then over the columns that have any value."""
    per_column = np.ma.array(errors, mask=left_out).mean(axis=(0, 1))
    return float(np.ma.filled(np.ma.mean(per_column), np.nan))


def mean_ranks(tables: Sequence[Sequence[Score]]) -> dict[str, float]:
    """Mean over tables of every model's rank by MASE; ties share a rank, models that failed come last."""
    ranks: dict[str, list[float]] = {}
    for table in tables:
        values = np.array([np.inf if np.isnan(score.mase) else score.mase for score in table])
        for score, value in zip(table, values, strict=True):
            ranks.setdefault(score.model, []).append(1.0 + (values < value).sum() + 0.5 * ((values == value).sum() - 1))
    return {model: float(np.mean(values)) for model, values in ranks.items()}
