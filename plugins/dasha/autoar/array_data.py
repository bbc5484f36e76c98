"""The data of a fit with all rows in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.config import AutoARConfig
from dasha.autoar.device import resolve_device
from dasha.autoar.differencing import kpss_order
from dasha.autoar.fit_data import filled_tail
from dasha.autoar.moments import WindowMoments, window_moments
from dasha.autoar.panel import Panel, Scale
from dasha.autoar.residuals import residual_sums
from dasha.autoar.training import Stretches, TrainingData, held_out_rows
from dasha.types import FloatArray


@dataclass(frozen=True)
class ArrayPart:
    """A `dasha.autoar.fit_data.Part` of arrays."""

    training: TrainingData
    panel: Panel

    def stretches(self, diff_order: int) -> Stretches:
        """Gap-free stretches after differencing."""
        return self.training.stretches(self.panel, diff_order)

    def window_moments(self, length: int, *, diff_order: int = 0) -> WindowMoments:
        """Pooled moments of all gap-free windows."""
        blocks = (block for _, block in self.training.blocks(self.panel, diff_order=diff_order))
        return window_moments(blocks, length, device=self.training.device)


@dataclass(frozen=True)
class ArrayData:
    """A `dasha.autoar.fit_data.FitData` of arrays.

    Attributes:
        training: All rows, with the units of the training rows.
        joined: The same, as series ``(T, C)``.
        held_out: Rows at the end of every channel that only choose the lookback, shape ``(C_total,)``.
    """

    training: TrainingData
    joined: list[FloatArray]
    held_out: np.ndarray

    @staticmethod
    def of(config: AutoARConfig, train: list[FloatArray], validation: list[FloatArray] | None) -> ArrayData:
        """Units of the training series, all rows, and what is held out for the criterion."""
        panel = Panel.of(train).bridged()
        mean, std = panel.moments()
        joined = train if validation is None else [np.vstack(pair) for pair in zip(train, validation, strict=True)]
        training = TrainingData(Panel.of(joined), panel.varying(), mean, std, resolve_device(config.device))
        return ArrayData(training, joined, held_out_rows(config, train, validation))

    @property
    def mean(self) -> FloatArray:
        """Mean of every channel."""
        return self.training.mean

    @property
    def std(self) -> FloatArray:
        """Standard deviation of every channel."""
        return self.training.std

    @property
    def rows(self) -> list[int]:
        """Channels that take part."""
        return self.training.rows

    @property
    def offsets(self) -> list[int]:
        """Bounds of the series among the channels."""
        return self.training.panel.offsets

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        return self.training.device

    @property
    def everything(self) -> ArrayPart:
        """Training and validation rows."""
        return ArrayPart(self.training, self.training.panel)

    @property
    def fitting(self) -> ArrayPart:
        """All rows but those held out."""
        return ArrayPart(self.training, self.training.cut(np.zeros_like(self._lengths), self._lengths - self.held_out))

    def scored(self, context: int) -> ArrayPart:
        """Rows held out and the context before them."""
        start = np.maximum(self._lengths - self.held_out - context, 0)
        return ArrayPart(self.training, self.training.cut(start, np.where(self.held_out > 0, self._lengths, 0)))

    def kpss_order(self) -> int:
        """Differencing order by KPSS."""
        return kpss_order(self.training.panel.channels[row] for row in self.rows)

    def residual_sums(
        self, coefficients: Tensor, intercept: Tensor, *, diff_order: int
    ) -> tuple[FloatArray, FloatArray]:
        """Number and sum of squares of the one-step residuals of every channel."""
        blocks = self.training.blocks(diff_order=diff_order)
        return residual_sums(blocks, coefficients, intercept, channels=len(self.std))

    def tails(self, scales: list[Scale], levels: Tensor, intercept: Tensor, context: int) -> list[FloatArray]:
        """Last rows of every series, gaps filled."""
        pairs = zip(self.joined, scales, strict=True)
        return [filled_tail(matrix, scale, levels, intercept, context) for matrix, scale in pairs]

    @property
    def _lengths(self) -> np.ndarray:
        return np.array([len(channel) for channel in self.training.panel.channels])
