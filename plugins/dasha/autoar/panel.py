"""Series as a flat panel of channels, scaled and blocked for the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.gaps import bridged
from dasha.autoar.matrices import as_matrices as as_matrices
from dasha.autoar.matrices import as_matrix as as_matrix
from dasha.errors import InvalidSeriesError
from dasha.types import FloatArray

# Elements of one block of channels (8 MB in float64): larger ones only fall out of the cache.
_BLOCK_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Scale:
    """Units of channels.

    Attributes:
        mean: Mean of the values, shape ``(…, C)``; NaN for a channel without any.
        std: Standard deviation (``ddof=0``), shape ``(…, C)``; 0 for a constant channel.
        sigma: Standard deviation of one-step innovations in the units of the series, shape ``(…, C)``.
    """

    mean: FloatArray
    std: FloatArray
    sigma: FloatArray

    @property
    def unit(self) -> FloatArray:
        """What to divide by: the standard deviation, and 1 for a constant channel."""
        return np.where(self.std > 0, self.std, 1.0)


@dataclass(frozen=True)
class Panel:
    """Channels of all series in a row.

    Attributes:
        channels: One array ``(T_i,)`` per channel, oldest first.
        offsets: ``channels[offsets[i]:offsets[i+1]]`` are those of series ``i``.
    """

    channels: list[FloatArray]
    offsets: list[int]

    @staticmethod
    def of(matrices: Sequence[FloatArray]) -> Panel:
        """Flatten series of shape ``(T, C)``."""
        channels = [channel for matrix in matrices for channel in np.ascontiguousarray(matrix.T)]
        return Panel(channels, np.cumsum([0, *(matrix.shape[1] for matrix in matrices)]).tolist())

    def bridged(self) -> Panel:
        """The same with short gaps bridged, see `dasha.autoar.gaps`."""
        return Panel([bridged(channel) for channel in self.channels], self.offsets)

    def cut(self, start: np.ndarray, stop: np.ndarray) -> Panel:
        """Part ``start[i]:stop[i]`` of every channel."""
        parts = zip(self.channels, start.tolist(), stop.tolist(), strict=True)
        return Panel([channel[first:last] for channel, first, last in parts], self.offsets)

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of every channel, shape ``(C_total,)``; see `Scale`.

        Raises:
            InvalidSeriesError: If values are too large or too close together for their variance to be a float.
        """
        mean, std = np.full(len(self.channels), np.nan), np.zeros(len(self.channels))
        for index, channel in enumerate(self.channels):
            observed = channel[~np.isnan(channel)]
            if observed.size == 0:
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                mean[index] = observed.mean()
                varies = observed.max() > observed.min()
                std[index] = observed.std() if varies else 0.0
            if not np.isfinite(std[index]) or (varies and std[index] == 0.0):
                raise InvalidSeriesError(
                    f"{self._place(index)} holds values from {observed.min():.3g} to {observed.max():.3g}, whose "
                    "variance is not a positive finite number; rescale the series"
                )
        return mean, std

    def _place(self, index: int) -> str:
        """How messages call a channel: by its series, as callers number them, and its number there."""
        series = int(np.searchsorted(self.offsets, index, side="right")) - 1
        name = "series" if len(self.offsets) == 2 else f"series[{series}]"
        return f"channel {index - self.offsets[series]} of {name}"

    def varying(self) -> list[int]:
        """Channels that can teach something: at least two different observed values."""
        observed = ((index, channel[~np.isnan(channel)]) for index, channel in enumerate(self.channels))
        return [index for index, values in observed if values.size and values.max() > values.min()]

    def blocks(
        self, rows: Sequence[int], mean: FloatArray, std: FloatArray, device: torch.device
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Standardised channels in blocks of bounded size.

        Args:
            rows: Channels wanted.
            mean: Mean of every channel of the panel.
            std: Standard deviation of every channel of the panel.
            device: Where the blocks are made.

        Yields:
            Numbers of the channels in the block, and their values, shape ``(C, T)``, float64; channels of unequal
            length are padded with NaN at the end.
        """
        by_length = sorted(rows, key=lambda row: -len(self.channels[row]))
        start = 0
        while start < len(by_length):
            width = len(self.channels[by_length[start]])
            stop = start
            # Channels much shorter than the first wait for the next block rather than carry padding.
            while (
                stop < len(by_length)
                and (stop - start) * width < _BLOCK_ELEMENTS
                and 2 * len(self.channels[by_length[stop]]) >= width
            ):
                stop += 1
            chosen = by_length[start:stop]
            yield chosen, self.block(chosen, mean, std, device)
            start = stop

    def block(self, rows: Sequence[int], mean: FloatArray, std: FloatArray, device: torch.device) -> Tensor:
        """Some standardised channels, shape ``(len(rows), T)``, padded with NaN at the end; see `blocks`."""
        block = np.full((len(rows), max(len(self.channels[row]) for row in rows)), np.nan)
        for position, row in enumerate(rows):
            block[position, : len(self.channels[row])] = (self.channels[row] - mean[row]) / std[row]
        return torch.from_numpy(block).to(device)


def gap_free_lengths(channel: FloatArray) -> FloatArray:
    """Lengths of the gap-free stretches of a channel ``(T,)``, as a float array."""
    bounds = np.concatenate([[-1], np.flatnonzero(np.isnan(channel)), [len(channel)]])
    lengths = np.diff(bounds) - 1.0
    return lengths[lengths > 0]
