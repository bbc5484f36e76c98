"""What is fitted, how it is scored, and what is drawn of it: no choice in here depends on a test value."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from darts_autoar.bench.ltsf.data import Dataset
from dasha.autoar import AutoAR
from dasha.types import FloatArray

CONTEXT = 512
"""Rows that a forecast sees at most."""
LEVELS = (0.05, 0.25, 0.75, 0.95)
"""Quantiles that are drawn."""
_PAPER: dict[str, Any] = {
    "strategy": "recursive",
    "pooling": None,
    "criterion": "horizon_bic",
    "max_lookback": 512,
    "diff_order": "kpss",
    "lookback": None,
}
PRESETS: dict[str, dict[str, Any]] = {
    "paper": _PAPER,
    "auto": {**_PAPER, "strategy": "auto"},
    "direct": {**_PAPER, "strategy": "direct", "pooling": "pooled"},
    "average": {**_PAPER, "strategy": "average"},
    "zero-shot": {"mode": "zero-shot", "max_lookback": CONTEXT},
}
"""Settings of Auto-AR by name."""
# Forecast values held at once.
_CHUNK_ELEMENTS = 1 << 24


@dataclass(frozen=True)
class Score:
    """One preset on one data set and horizon.

    Attributes:
        mse: Mean squared error, standardised with the training part.
        mae: Mean absolute error on the same scale.
        seconds: Of forecasting from all origins.
    """

    mse: float
    mae: float
    seconds: float


@dataclass(frozen=True)
class Picture:
    """Forecasts from the first origin of the test part: ``K`` channels, ``R`` rows before, ``H`` steps.

    Attributes:
        channels: Names.
        times: Shape ``(R + H,)``, times or numbers of rows.
        values: What was observed, shape ``(K, R + H)``.
        mean: Expected values, shape ``(K, H)``.
        quantiles: For `LEVELS`, shape ``(L, K, H)``.
    """

    channels: np.ndarray
    times: np.ndarray
    values: FloatArray
    mean: FloatArray
    quantiles: FloatArray


def fit(dataset: Dataset, settings: dict[str, Any], horizon: int) -> AutoAR:
    """Model of the training and validation rows; there is nothing to fit without training."""
    model = AutoAR(**settings)
    if model.config.is_zero_shot:
        return model
    train = dataset.values[: dataset.train]
    return AutoAR(**settings, horizon=horizon).fit(train, validation=dataset.values[dataset.train : dataset.validation])


def is_fitted_by_horizon(settings: dict[str, Any]) -> bool:
    """Whether these settings choose, or estimate, something else for another horizon."""
    config = AutoAR(**settings).config
    return config.needs_maps or (config.lookback is None and config.criterion in ("horizon_bic", "validation"))


def evaluate(model: AutoAR, dataset: Dataset, horizon: int) -> Score:
    """Score all origins of the test part, accumulated once over all predictions."""
    started = time.perf_counter()
    context = min(CONTEXT, dataset.validation)
    rows = dataset.values[dataset.validation - context : dataset.test]
    std = dataset.values[: dataset.train].std(0)
    std[std == 0] = 1.0
    origins = np.arange(context, len(rows) - horizon + 1)
    chunk = max(1, _CHUNK_ELEMENTS // (horizon * rows.shape[1]))
    squares = absolutes = 0.0
    for start in range(0, len(origins), chunk):
        chosen = origins[start : start + chunk]
        actual = rows[chosen[:, None] + np.arange(horizon)]  # (N, H, C)
        errors = (model.predict_origins(horizon, rows[: chosen[-1]], chosen).mean - actual) / std
        squares += float((errors**2).sum())
        absolutes += float(np.abs(errors).sum())
    count = len(origins) * horizon * rows.shape[1]
    return Score(squares / count, absolutes / count, time.perf_counter() - started)


def picture(model: AutoAR, dataset: Dataset, horizon: int) -> Picture:
    """Forecast the first and the last channel from the first origin, after as many rows as there are steps."""
    origin, context = dataset.validation, min(CONTEXT, dataset.validation)
    forecast = model.predict_origins(horizon, dataset.values[origin - context : origin], [context])
    channels = sorted({0, dataset.values.shape[1] - 1})
    shown = slice(origin - min(max(horizon, 60), origin), origin + horizon)
    return Picture(
        np.array([dataset.columns[channel] for channel in channels]),
        dataset.times[shown].to_numpy(),
        dataset.values[shown][:, channels].T,
        forecast.mean[0][:, channels].T,
        np.stack([forecast.quantile(level)[0][:, channels].T for level in LEVELS]),
    )
