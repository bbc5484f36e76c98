"""Exponential smoothing with a season, as forecast maps: nothing of it is estimated but the length of the season."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.panel import Panel
from dasha.autoar.seasonality import common_period
from dasha.autoar.training import TrainingData, series_weights
from dasha.autoar.windows import equal_lengths
from dasha.types import FloatArray

# The season is looked for in so many of the latest steps, or in as many as half of the series have, of at most so many
# channels.
_STEPS = 512
_CHANNELS = 512


def smoothing_map(smoothing: float, season: int, *, horizon: int, context: int) -> Tensor:
    """Forecast every step by the mean of the past values at the same place in the season.

    A value counts ``1 - smoothing`` times as much as the one a season later (Brown 1959, for every place by itself).

    Args:
        smoothing: Weight of the latest season, above 0 and below 1.
        season: Steps in a season, at most ``context``; 1 for none.
        horizon: Steps ``H``.
        context: Values ``K`` that the map takes.

    Returns:
        Shape ``(H, K)``, newest value first; rows sum to one.
    """
    ahead, back = torch.arange(1, horizon + 1)[:, None], torch.arange(context)
    seasons = (back + ahead) // season - (ahead + season - 1) // season  # since the latest value at this place
    weights = torch.where((back + ahead) % season == 0, (1.0 - smoothing) ** seasons.to(torch.float64), 0.0)
    return weights / weights.sum(1, keepdim=True)


def season_of(data: TrainingData, fitting: Panel, context: int) -> int:
    """Length of the season that the channels have in common, at most ``context``; 1 for none."""
    lengths = np.array([_rows_from_the_first_value(fitting.channels[row]) for row in data.rows])
    steps = min(_STEPS, _median(lengths, series_weights(data.panel.offsets, data.rows)))
    if not steps:
        return 1
    rows = [row for row, length in zip(data.rows, lengths.tolist(), strict=True) if length >= steps]
    chosen = [rows[place] for place in np.linspace(0, len(rows) - 1, min(len(rows), _CHANNELS)).astype(int)]
    latest = Panel([fitting.channels[row][-steps:] for row in chosen], list(range(len(chosen) + 1)))
    windows = latest.block(range(len(chosen)), data.mean[chosen], data.std[chosen], data.device)
    period = common_period(piece for _, piece in equal_lengths(_with_a_first_value(windows), horizon=1))
    return period if 1 < period <= context else 1


def _rows_from_the_first_value(channel: FloatArray) -> int:
    known = ~np.isnan(channel)
    return len(channel) - int(known.argmax()) if known.any() else 0


def _median(values: np.ndarray, weights: FloatArray) -> int:
    """Largest value that at least half of the weight reaches."""
    order = np.argsort(-values)
    reached = weights[order].cumsum()
    return int(values[order][np.searchsorted(reached, 0.5 * reached[-1])])


def _with_a_first_value(windows: Tensor) -> Tensor:
    """Windows in which a gap at the beginning is filled with the value after it."""
    known = ~torch.isnan(windows)
    windows, known = windows[known.any(1)], known[known.any(1)]
    first = known.int().argmax(1, keepdim=True)
    is_before = torch.arange(windows.shape[1], device=windows.device) < first
    return torch.where(is_before, windows.gather(1, first), windows)
