"""Second moments of every window of a series in one pass, without a design matrix.

For windows ``w_t = [y(t), y(t-1), …, y(t-L+1)]`` the entries of ``sum_t w_t w_t'`` along a diagonal differ only by
the values that enter and leave at the ends of the gap-free stretches. One correlation (by FFT) gives the first row;
two outer products of the stretch ends and a cumulative sum along the diagonals give everything else. Moments of
channels, series, stretches and partitions simply add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from dasha.errors import InvalidArgumentError

# Elements of a float64 work array; keeps the FFT buffers at some 50 MB whatever the size of the data.
_BLOCK_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class WindowMoments:
    """Pooled first and second moments of windows of one length, newest value first.

    Attributes:
        count: Number of windows.
        total: Sum of the windows, shape ``(L,)``; ``total[i]`` sums ``y(t-i)``.
        gram: Sum of their outer products, shape ``(L, L)``; ``gram[i, j]`` sums ``y(t-i)·y(t-j)``.
    """

    count: int
    total: Tensor
    gram: Tensor

    @property
    def length(self) -> int:
        """Number of consecutive values in a window."""
        return self.total.shape[0]

    @staticmethod
    def zeros(length: int, device: torch.device | str = "cpu") -> WindowMoments:
        """Moments of no windows at all: the neutral element of the addition."""
        total = torch.zeros(length, dtype=torch.float64, device=device)
        return WindowMoments(0, total, total.new_zeros(length, length))

    def as_channel(self) -> ChannelMoments:
        """The same as moments of a single channel."""
        return ChannelMoments(self.total.new_tensor([float(self.count)]), self.total[None], self.gram[None])

    def __add__(self, other: WindowMoments) -> WindowMoments:
        """Pool two sets of windows of the same length.

        Raises:
            InvalidArgumentError: If the windows differ in length.
        """
        if self.length != other.length:
            raise InvalidArgumentError(
                f"moments of windows of {self.length} and of {other.length} values cannot be added; "
                "compute both with the same length"
            )
        return WindowMoments(self.count + other.count, self.total + other.total, self.gram + other.gram)


@dataclass(frozen=True)
class ChannelMoments:
    """What `WindowMoments` holds, for every channel on its own.

    Attributes:
        count: Number of windows, float64, shape ``(C,)``.
        total: Shape ``(C, L)``.
        gram: Shape ``(C, L, L)``.
    """

    count: Tensor
    total: Tensor
    gram: Tensor

    @property
    def length(self) -> int:
        """Number of consecutive values in a window."""
        return self.total.shape[1]

    def pool(self) -> WindowMoments:
        """Moments of all channels together."""
        return WindowMoments(int(self.count.sum()), self.total.sum(0), self.gram.sum(0))


def window_moments(blocks: Iterable[Tensor], length: int, *, device: torch.device | str = "cpu") -> WindowMoments:
    """Pool the moments of all gap-free windows of ``length`` consecutive values.

    Costs one FFT correlation per channel and ``O(length²)`` per gap-free stretch, whatever the number of windows.

    Args:
        blocks: Tensors of shape ``(C, T)``, float64, oldest first; NaN marks a missing value. Channels are pooled.
        length: Values per window, at least 1.
        device: Device of the result when there is no block.

    Returns:
        Moments with ``gram`` of shape ``(length, length)``; windows that hold a missing value do not count.
    """
    moments: WindowMoments | None = None
    for block in blocks:
        for _, part in _parts(block, length):
            addition = _part_moments(part, length)
            moments = addition if moments is None else moments + addition
    return WindowMoments.zeros(length, device) if moments is None else moments


def channel_moments(block: Tensor, length: int) -> ChannelMoments:
    """Moments of every channel on its own; see `window_moments`.

    Args:
        block: Shape ``(C, T)``, float64, oldest first; NaN marks a missing value.
        length: Values per window, at least 1.

    Returns:
        Moments with ``gram`` of shape ``(C, length, length)``.
    """
    channels = block.shape[0]
    count, total = block.new_zeros(channels), block.new_zeros(channels, length)
    gram = block.new_zeros(channels, length, length)
    for rows, part in _parts(block, length):
        opening, is_start, values = _windows(part, length)
        totals_change, gram_change = _channel_displacement(values, is_start, length)
        count[rows] += is_start.sum(1)
        total[rows] += torch.cat([opening.sum(1, keepdim=True), totals_change], dim=1).cumsum(1).flip(1)
        gram[rows] += cumulate_diagonals(_correlation(opening, values, length), gram_change).flip(1, 2)
    return ChannelMoments(count, total, gram)


def _parts(block: Tensor, length: int) -> Iterable[tuple[slice, Tensor]]:
    """Cut a block into pieces of bounded size that hold every window exactly once: their channels and values."""
    channels, steps = block.shape
    windows = steps - length + 1
    if windows <= 0:
        return
    width = min(windows, max(_BLOCK_ELEMENTS // 8, 4 * length))
    height = max(1, _BLOCK_ELEMENTS // (width + length))
    for start in range(0, windows, width):
        stop = min(start + width, windows) + length - 1
        for first in range(0, channels, height):
            rows = slice(first, min(first + height, channels))
            yield rows, block[rows, start:stop]


def _windows(y: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Oldest values of the windows ``(C, windows)``, 0 where there is none; which are there; values without gaps."""
    missing = torch.isnan(y)
    is_start = missing.new_ones(y.shape[0], y.shape[1] - length + 1)
    opening = y[:, : is_start.shape[1]]
    if bool(missing.any()):
        seen = torch.nn.functional.pad(missing.cumsum(1), (1, 0))
        is_start = seen[:, length:] == seen[:, :-length]  # (C, windows): no missing value in the window
        y = torch.where(missing, 0.0, y)
        opening = torch.where(is_start, y[:, : is_start.shape[1]], 0.0)
    return opening, is_start, y


def _part_moments(part: Tensor, length: int) -> WindowMoments:
    opening, is_start, y = _windows(part, length)
    first_row = _correlation(opening, y, length, pooled=True)
    totals_change, gram_change = _displacement(y, is_start, length)
    total = torch.cat([opening.sum().reshape(1), totals_change]).cumsum(0)
    gram = cumulate_diagonals(first_row, gram_change)
    return WindowMoments(int(is_start.sum()), total.flip(0), gram.flip(0, 1))


def _correlation(opening: Tensor, y: Tensor, length: int, *, pooled: bool = False) -> Tensor:
    """``sum_t opening[c, t]·y[c, t+k]`` for ``k = 0 … length-1``, shape ``(C, length)``, or summed over channels."""
    size = next_fast_len(y.shape[1], real=True)  # the negative lags wrap to the far end, beyond `length`
    spectrum = torch.fft.rfft(opening, size).conj() * torch.fft.rfft(y, size)
    correlation: Tensor = torch.fft.irfft(spectrum.sum(0) if pooled else spectrum, size)
    return correlation[..., :length]


def _displacement(y: Tensor, is_start: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """What moving every window one step on adds to the sums, shapes ``(L-1,)`` and ``(L-1, L-1)``, oldest first."""
    total = y.new_zeros(length - 1)
    gram = y.new_zeros(length - 1, length - 1)
    if length == 1:
        return total, gram
    channel, position, signs = _edges(is_start)
    rows_at_once = max(1, _BLOCK_ELEMENTS // length)
    windows = y.unfold(1, length - 1, 1)  # (C, T - L + 2, L - 1), a view
    for start in range(0, len(channel), rows_at_once):
        chosen = slice(start, start + rows_at_once)
        rows, sign = windows[channel[chosen], position[chosen]], signs[chosen].to(y.dtype)
        total += sign @ rows
        gram.addmm_(rows.T, sign[:, None] * rows)
    return total, gram


def _channel_displacement(y: Tensor, is_start: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """`_displacement` of every channel on its own, shapes ``(C, L-1)`` and ``(C, L-1, L-1)``."""
    total, gram = y.new_zeros(len(y), length - 1), y.new_zeros(len(y), length - 1, length - 1)
    if length == 1:
        return total, gram
    channels, positions, signs = _edges(is_start)
    windows = y.unfold(1, length - 1, 1)  # (C, T - L + 2, L - 1), a view
    counts = torch.bincount(channels, minlength=len(y))
    for edges in sorted(set(counts.tolist()) - {0}):
        alike = (counts == edges).nonzero()[:, 0]  # channels with as many edges go through together
        own = (counts == edges)[channels]
        position, sign = positions[own].view(-1, edges), signs[own].view(-1, edges).to(y.dtype)
        at_once = max(1, _BLOCK_ELEMENTS // (edges * length))
        for start in range(0, len(alike), at_once):
            chosen = slice(start, start + at_once)
            rows = windows[alike[chosen][:, None], position[chosen]]  # (C, edges, L - 1)
            total[alike[chosen]] = (sign[chosen][:, None] @ rows)[:, 0]
            gram[alike[chosen]] = rows.transpose(1, 2) @ (sign[chosen][..., None] * rows)
    return total, gram


def _edges(is_start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where windows of a channel begin and cease to exist, by channel: channels, positions and signs."""
    edges = torch.nn.functional.pad(is_start.to(torch.int8), (1, 1)).diff(dim=1)  # (C, windows + 1)
    channel, position = torch.nonzero(edges, as_tuple=True)
    # A window opens: leave its values out; one has closed: keep them.
    return channel, position, -edges[channel, position]


def cumulate_diagonals(first_row: Tensor, change: Tensor) -> Tensor:
    """Symmetric ``G`` with ``G[0] = first_row``, ``G[i+1, j+1] = G[i, j] + change[i, j]``, for every leading index."""
    length = first_row.shape[-1]
    gram = first_row.new_empty(*first_row.shape, length)
    gram[..., 0, :] = gram[..., :, 0] = first_row
    gram[..., 1:, 1:] = change
    if gram.device.type == "cpu":
        rows = gram.numpy()  # torch takes longer to start an operation than a row takes
        for row in range(1, length):
            rows[..., row, 1:] += rows[..., row - 1, :-1]
        return gram
    # Prefix sums by doubling: log2(L) passes of whole-matrix additions.
    step = 1
    while step < length:
        gram[..., step:, step:] += gram[..., :-step, :-step].clone()
        step *= 2
    return gram
