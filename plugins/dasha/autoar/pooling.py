"""What a fit asks of many channel summaries together: units, differencing order, moments of windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.differencing import difference, kpss_order
from dasha.autoar.kpss import LEVEL, MAX_DIFF_ORDER
from dasha.autoar.moments import WindowMoments, cumulate_diagonals, window_moments
from dasha.autoar.panel import Panel
from dasha.autoar.residuals import residual_sums
from dasha.autoar.stretch import OpeningMoments, opening_moments, rejects_stationarity
from dasha.autoar.summary import ChannelSummary
from dasha.errors import InvalidArgumentError, InvalidSeriesError
from dasha.types import FloatArray

# Elements of the stretch ends that are multiplied at once.
_BLOCK_ELEMENTS = 1 << 20


def channel_scales(summaries: Sequence[ChannelSummary], names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of every channel, shape ``(C,)``; see `dasha.autoar.panel.Scale`.

    Args:
        summaries: One per channel.
        names: How messages call the series of each channel, the channels of one series in a row.

    Raises:
        InvalidSeriesError: If values are too large or too close together for their variance to be a float.
    """
    mean, std = np.full(len(summaries), np.nan), np.zeros(len(summaries))
    for index, summary in enumerate(summaries):
        _, mean[index], variance = summary.spread()
        varies = summary.varies
        std[index] = variance**0.5 if varies else 0.0
        if not np.isfinite(std[index]) or (varies and std[index] == 0.0):
            channel = index - list(names).index(names[index])
            raise InvalidSeriesError(
                f"channel {channel} of {names[index]} holds values from {summary.low:.3g} to {summary.high:.3g}, whose "
                "variance is not a positive finite number; rescale the series"
            )
    return mean, std


def summaries_kpss_order(summaries: Iterable[ChannelSummary], *, max_order: int = MAX_DIFF_ORDER) -> int:
    """Smallest differencing order at which no more than 5 % of the channels reject trend-stationarity at 5 %.

    Decides as `dasha.autoar.differencing.kpss_order` does from the rows.
    """
    order, channels = 0, list(summaries)
    while order < max_order and sum(_rejects(summary, order) for summary in channels) > LEVEL * len(channels):
        order += 1
    return order


def _rejects(summary: ChannelSummary, order: int) -> bool:
    if len(summary.lengths) == 0:
        return False
    longest = int(summary.lengths.argmax())
    place = int(np.searchsorted(summary.positions, longest))
    if summary.is_long(longest):
        return rejects_stationarity(summary.long[place], order)
    start = int(summary.lengths[:longest].sum()) - sum(stretch.count for stretch in summary.long[:place])
    values = summary.values[start : start + int(summary.lengths[longest])]
    return kpss_order([np.diff(values, n=order)], max_order=1) > 0


def pooled_window_moments(
    summaries: Sequence[ChannelSummary],
    length: int,
    *,
    diff_order: int,
    mean: FloatArray,
    std: FloatArray,
    device: torch.device | str = "cpu",
) -> WindowMoments:
    """Pool the moments of all gap-free windows of the standardised, then differenced channels.

    Equals `dasha.autoar.moments.window_moments` of the rows to rounding.

    Args:
        summaries: One per channel.
        length: Values per window, at most ``max_length`` of every summary.
        diff_order: Differencing order, 0, 1 or 2.
        mean: Of every channel, shape ``(C,)``.
        std: What to divide every channel by, shape ``(C,)``, not 0.
        device: Where the moments are computed.

    Raises:
        InvalidArgumentError: If a summary does not give windows of that length.
    """
    for summary in summaries:
        if not 1 <= length <= summary.max_length:
            raise InvalidArgumentError(
                f"length is {length}, but must lie between 1 and max_length={summary.max_length} of the summaries"
            )
    rows = [_short_stretches(summary, length + diff_order) for summary in summaries]
    chosen = [index for index, row in enumerate(rows) if len(row)]
    blocks = Panel(rows, [0]).blocks(chosen, mean, std, torch.device(device))
    moments = window_moments((difference(block, diff_order) for _, block in blocks), length, device=device)
    openings = [
        opening
        for index, summary in enumerate(summaries)
        for opening in _openings(summary, length, diff_order=diff_order, mean=mean[index], std=std[index])
    ]
    return moments + _moments_of(openings, length, torch.device(device)) if openings else moments


def summaries_residual_sums(
    summaries: Sequence[ChannelSummary],
    coefficients: Tensor,
    intercept: Tensor,
    *,
    diff_order: int,
    mean: FloatArray,
    std: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Number and sum of squares of the one-step residuals of every standardised, differenced channel.

    Equals `dasha.autoar.residuals.residual_sums` of the rows, but for rounding at the level of the values instead of
    the residuals.

    Args:
        summaries: One per channel.
        coefficients: Shape ``(p,)``, lag 1 first, ``p`` less than ``max_length`` of every summary.
        intercept: Shape ``()``.
        diff_order: Differencing order, 0, 1 or 2.
        mean: Of every channel, shape ``(C,)``.
        std: What to divide every channel by, shape ``(C,)``, not 0.
    """
    length = len(coefficients) + 1
    rows = [_short_stretches(summary, length + diff_order) for summary in summaries]
    chosen = [index for index, row in enumerate(rows) if len(row)]
    blocks = Panel(rows, [0]).blocks(chosen, mean, std, coefficients.device)
    differenced = ((numbers, difference(block, diff_order)) for numbers, block in blocks)
    count, squares = residual_sums(differenced, coefficients, intercept, channels=len(summaries))
    weights = torch.cat([coefficients.new_ones(1), -coefficients])
    for index, summary in enumerate(summaries):
        openings = _openings(summary, length, diff_order=diff_order, mean=mean[index], std=std[index])
        if openings:
            moments = _moments_of(openings, length, coefficients.device)
            explained = weights @ moments.gram @ weights - 2 * intercept * (weights @ moments.total)
            count[index] += moments.count
            squares[index] += max(0.0, float(explained + moments.count * intercept**2))
    return count, squares


def _openings(
    summary: ChannelSummary, length: int, *, diff_order: int, mean: float, std: float
) -> list[OpeningMoments]:
    return [
        opening_moments(stretch, length, diff_order=diff_order, mean=float(mean), std=float(std))
        for stretch in summary.long
    ]


def _short_stretches(summary: ChannelSummary, least: int) -> FloatArray:
    """Values of the short stretches of at least ``least`` rows, missing ones between them."""
    lengths = np.delete(summary.lengths, summary.positions) if len(summary.positions) else summary.lengths
    is_enough = lengths >= least
    if len(lengths) == 1 and is_enough[0]:
        return summary.values
    values = summary.values[np.repeat(is_enough, lengths)]
    return np.insert(values, lengths[is_enough].cumsum(), np.nan)


def _moments_of(openings: Sequence[OpeningMoments], length: int, device: torch.device) -> WindowMoments:
    """Move the opening moments of every stretch through the window, as `dasha.autoar.moments` does."""
    first_row = torch.from_numpy(np.sum([part.products for part in openings], axis=0)).to(device)
    first_total = first_row.new_tensor([sum(part.total for part in openings)])
    total, gram = first_row.new_zeros(length - 1), first_row.new_zeros(length - 1, length - 1)
    at_once = max(1, _BLOCK_ELEMENTS // length)
    for start in range(0, len(openings), at_once):
        chosen = openings[start : start + at_once]
        head, tail = (_stacked([getattr(part, end) for part in chosen], device) for end in ("head", "tail"))
        total += tail.sum(0) - head.sum(0)
        gram += tail.T @ tail - head.T @ head
    count = sum(part.count for part in openings)
    totals = torch.cat([first_total, total]).cumsum(0)
    return WindowMoments(count, totals.flip(0), cumulate_diagonals(first_row, gram).flip(0, 1))


def _stacked(rows: Sequence[FloatArray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(rows)).to(device)
