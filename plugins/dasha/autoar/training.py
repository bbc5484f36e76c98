"""The data of a fit: standardised channels, the parts they are cut into, and how much there is of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.config import AutoARConfig
from dasha.autoar.differencing import difference
from dasha.autoar.panel import Panel, gap_free_lengths
from dasha.types import FloatArray

# With fewer time steps per unknown than this, in-sample criteria overfit, above all the one at the horizon. Channels of
# one series move together: a step of all of them counts once.
STEPS_PER_COEFFICIENT = 4
# Steps that carry one past value and an intercept. Shorter series have no say in how many there are.
SMALLEST_SERIES = 3 * STEPS_PER_COEFFICIENT


@dataclass(frozen=True)
class TrainingData:
    """The panel with its units and the channels that take part.

    Attributes:
        observed: All rows as they came.
        rows: Channels that take part.
        mean: What to subtract from every channel, shape ``(C_total,)``.
        std: What to divide it by.
        device: Where to compute.
    """

    observed: Panel
    rows: list[int]
    mean: FloatArray
    std: FloatArray
    device: torch.device

    @cached_property
    def panel(self) -> Panel:
        """All rows, short gaps bridged."""
        return self.observed.bridged()

    def blocks(self, panel: Panel | None = None, *, diff_order: int = 0) -> Iterator[tuple[list[int], Tensor]]:
        """Channel numbers and standardised, differenced values of all channels that take part."""
        for rows, block in (panel or self.panel).blocks(self.rows, self.mean, self.std, self.device):
            yield rows, difference(block, diff_order)

    def block(self, panel: Panel, rows: list[int], *, diff_order: int = 0) -> Tensor:
        """Standardised, differenced values of some channels, shape ``(len(rows), T)``, padded with NaN."""
        return difference(panel.block(rows, self.mean, self.std, self.device), diff_order)

    def cut(self, start: np.ndarray, stop: np.ndarray) -> Panel:
        """Part ``start[i]:stop[i]`` of every channel, short gaps bridged from what is inside of it alone."""
        return self.observed.cut(start, stop).bridged()

    def stretches(self, panel: Panel, diff_order: int) -> Stretches:
        """Gap-free stretches, after differencing, of all channels that take part."""
        weights = series_weights(panel.offsets, self.rows)
        lengths = [gap_free_lengths(panel.channels[row]) - diff_order for row in self.rows]
        return Stretches.of(lengths, weights, diff_order)


def series_weights(offsets: list[int], rows: list[int]) -> FloatArray:
    """One over the number of channels that take part in the same series, for every channel that does."""
    series = np.searchsorted(offsets, rows, side="right")
    weights: FloatArray = 1.0 / np.bincount(series)[series]
    return weights


@dataclass(frozen=True)
class Stretches:
    """Gap-free stretches of differenced channels.

    Attributes:
        lengths: Steps in each.
        weights: One over the number of channels that take part in the same series.
        largest: Steps in the longest stretch of every channel.
        totals: Steps in all stretches of every channel.
        shares: The weight of every channel.
        diff_order: Differencing order ``d``.
    """

    lengths: FloatArray
    weights: FloatArray
    largest: FloatArray
    totals: FloatArray
    shares: FloatArray
    diff_order: int

    @classmethod
    def of(cls, lengths: Sequence[np.ndarray], weights: FloatArray, diff_order: int) -> Stretches:
        """The stretches of some channels, given channel by channel."""
        largest = np.array([part.max(initial=0.0) for part in lengths])
        totals = np.array([np.maximum(part, 0.0).sum() for part in lengths])
        counts = [len(part) for part in lengths]
        every = np.concatenate([np.empty(0), *lengths])
        return cls(every, np.repeat(weights, counts), largest, totals, weights, diff_order)

    def without_gaps(self) -> Stretches:
        """The same steps, those of every channel in one stretch."""
        return Stretches(self.totals, self.shares, self.totals, self.totals, self.shares, self.diff_order)

    def windows(self, length: int) -> int:
        """Windows of ``length`` values in all stretches together."""
        return int(np.maximum(self.lengths - length + 1, 0).sum())

    def steps(self, length: int) -> float:
        """The same, where windows of the channels of one series at one time count as one."""
        return float((self.weights * np.maximum(self.lengths - length + 1, 0)).sum())

    def series(self, length: int) -> float:
        """Series with a window of ``length`` values; of one, as large a share as its channels that have one."""
        return float(self.shares[self.largest >= length].sum())

    @property
    def longest(self) -> int:
        """Levels in the longest stretch."""
        return int(self.lengths.max(initial=-self.diff_order)) + self.diff_order


def largest_that(is_enough: Callable[[int], bool], low: int, high: int) -> int:
    """Largest number in ``low … high`` that passes a test which all smaller ones pass; ``low`` if none does."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_enough(middle) else (low, middle - 1)
    return low


def held_out_rows(config: AutoARConfig, train: list[FloatArray], validation: list[FloatArray] | None) -> np.ndarray:
    """Rows at the end of every channel that only score what is chosen."""
    if config.criterion != "validation" and not config.needs_maps:
        rows = [0] * len(train)
    elif validation is not None:
        rows = [len(matrix) for matrix in validation]
    else:
        wanted = [max(config.horizon, round(config.validation_fraction * len(matrix))) for matrix in train]
        # A series that would lose more than half of its rows is left to the estimation.
        rows = [count if 2 * count <= len(matrix) else 0 for count, matrix in zip(wanted, train, strict=True)]
    return np.repeat(rows, [matrix.shape[1] for matrix in train])
