"""What the fit asks of the data, whether its rows are in memory or only their sums."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.forecast import fill_missing
from dasha.autoar.moments import WindowMoments
from dasha.autoar.panel import Scale
from dasha.autoar.training import Stretches
from dasha.types import FloatArray


class Part(Protocol):
    """Some rows of every channel that takes part, in standard units."""

    def stretches(self, diff_order: int) -> Stretches:
        """Gap-free stretches after differencing."""

    def window_moments(self, length: int, *, diff_order: int = 0) -> WindowMoments:
        """Pooled moments of all gap-free windows of ``length`` differenced values."""


class FitData(Protocol):
    """Training and validation rows of all channels, and the units that the training rows give."""

    @property
    def mean(self) -> FloatArray:
        """Mean of the training rows of every channel, shape ``(C_total,)``; NaN without any value."""

    @property
    def std(self) -> FloatArray:
        """Their standard deviation; 0 for a constant channel."""

    @property
    def rows(self) -> list[int]:
        """Channels that take part: at least two training values differ."""

    @property
    def offsets(self) -> list[int]:
        """Channels ``offsets[i] … offsets[i+1]-1`` are those of series ``i``."""

    @property
    def device(self) -> torch.device:
        """Where to compute."""

    @property
    def everything(self) -> Part:
        """Training and validation rows."""

    @property
    def fitting(self) -> Part:
        """Rows that estimate while the lookback is chosen."""

    def scored(self, context: int) -> Part:
        """Rows whose forecasts choose the lookback, with the ``context`` rows before them."""

    def kpss_order(self) -> int:
        """Differencing order of training and validation rows by KPSS."""

    def residual_sums(
        self, coefficients: Tensor, intercept: Tensor, *, diff_order: int
    ) -> tuple[FloatArray, FloatArray]:
        """Number and sum of squares of the one-step residuals of every channel, shape ``(C_total,)``."""

    def tails(self, scales: list[Scale], levels: Tensor, intercept: Tensor, context: int) -> list[FloatArray]:
        """Last rows ``(context, C)`` of every series, gaps filled; see `filled_tail`."""


def filled_tail(matrix: FloatArray, scale: Scale, levels: Tensor, intercept: Tensor, context: int) -> FloatArray:
    """Last rows that a forecast needs, gaps filled from everything before them."""
    if np.isnan(matrix[-context:]).any():
        standardised = torch.from_numpy(np.ascontiguousarray(((matrix - scale.mean) / scale.unit).T)).to(levels.device)
        drift = intercept * torch.from_numpy(scale.std > 0).to(levels.device)  # a constant channel has none
        filled = fill_missing(standardised, levels, drift).T.cpu().numpy() * scale.unit + scale.mean
        matrix = np.where(np.isnan(matrix), filled, matrix)
    return matrix[-context:].copy()
