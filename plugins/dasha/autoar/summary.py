"""A channel without its rows: all that scale, differencing order and moments of windows need, and it adds up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from dasha.arguments import whole_number
from dasha.autoar.gaps import bridged
from dasha.autoar.matrices import as_array
from dasha.autoar.parts import ChannelParts, appended, tidied
from dasha.errors import InvalidArgumentError, InvalidSeriesError
from dasha.types import FloatArray

# Lags kept for the KPSS statistic: with positive autocorrelation enough for some 60 million gap-free steps.
KPSS_LAGS = 4096
# The lag rule of KPSS looks at steps^(2/9) lags: fewer than this for two billion steps.
_MIN_LAGS = 128
# Rows summed up at once; what lies in between stays in the cache.
_BLOCK_ROWS = 1 << 17


class ChannelSummary(ChannelParts):
    """Rows of one channel in a row, without most of them.

    Made by `summarise`; ``a + b`` is the summary of the rows of ``a`` followed by those of ``b``, and equals the
    summary of all rows at once to rounding. Short gaps are bridged (`dasha.autoar.gaps`); others cut the channel into
    stretches. A long stretch is held as sums, a short one as its values, so that a summary is never larger than the
    rows; it grows with the number of these gaps, not with that of rows.
    """

    @property
    def count(self) -> int:
        """Number of observed values."""
        return int(self.lengths.sum()) - self.bridges

    @property
    def low(self) -> float:
        """Smallest observed value; infinite without any."""
        return float(min([self.values.min(initial=np.inf), *(part.orders[0].low for part in self.long)]))

    @property
    def high(self) -> float:
        """Largest observed value; minus infinity without any."""
        return float(max([self.values.max(initial=-np.inf), *(part.orders[0].high for part in self.long)]))

    @property
    def varies(self) -> bool:
        """Whether at least two observed values differ."""
        return self.high > self.low

    @property
    def mean(self) -> float:
        """Mean of the values, bridged gaps included; NaN without any."""
        return self.spread()[1]

    @property
    def std(self) -> float:
        """Standard deviation (``ddof=0``) of the same values; 0 for a constant channel or an empty one."""
        return math.sqrt(self.spread()[2]) if self.varies else 0.0

    def __add__(self, later: ChannelSummary) -> ChannelSummary:
        """Append the rows of ``later``; see `merge`."""
        return merge(self, later)

    def last_values(self, count: int) -> FloatArray:
        """Last rows; missing ones are NaN.

        Args:
            count: How many; at least ``max_length + 1`` of them are always there to give.

        Returns:
            Shape ``(min(count, rows),)``.

        Raises:
            InvalidArgumentError: If ``count`` reaches back to rows that are only held as sums.
        """
        count = min(whole_number("count", count, minimum=0), self.rows)
        result = np.full(count, np.nan)
        stop, stop_value, long = count - int(self.gaps[-1]), len(self.values), list(self.long)
        for index in range(len(self.lengths) - 1, -1, -1):
            if stop <= 0:
                break
            wanted = min(stop, int(self.lengths[index]))
            if long and self.is_long(index):
                tail = long.pop().tail
                if wanted > len(tail):
                    raise InvalidArgumentError(
                        f"the last {count} rows were asked for, but only {count - stop + len(tail)} are kept; ask for "
                        "fewer, or summarise with a larger max_length"
                    )
                result[stop - wanted : stop] = tail[len(tail) - wanted :]
            else:
                result[stop - wanted : stop] = self.values[stop_value - wanted : stop_value]
                stop_value -= int(self.lengths[index])
            stop -= int(self.lengths[index] + self.gaps[index])
        result[count - 1 - self.bridged[self.bridged < count]] = np.nan
        return result

    def tail(self, count: int) -> ChannelSummary:
        """Summary of the last rows alone; arguments and errors are those of `last_values`."""
        return summarise(self.last_values(count), self.max_length, kpss_lags=self.lags)

    def spread(self) -> tuple[int, float, float]:
        """Count, mean (NaN without any) and variance of the values, bridged gaps included, in one go."""
        if len(self.lengths) == 0:
            return 0, math.nan, 0.0
        reference = self.first  # sums and differences of means far from zero would cancel
        parts = [stretch.spread(reference) for stretch in self.long]
        if len(self.values):
            with np.errstate(over="ignore", invalid="ignore"):
                values = self.values - reference
                parts.append((len(values), float(values.mean()), float(values.var())))
        count, mean, variance = reduce(_pooled, parts)
        return count, reference + mean, variance


def summarise(values: ArrayLike, max_length: int, *, kpss_lags: int = KPSS_LAGS) -> ChannelSummary:
    """Sum up consecutive rows of one channel.

    Args:
        values: Shape ``(T,)``, oldest first; NaN marks a missing value. Read in blocks: may be a memory map.
        max_length: Longest window whose moments will be wanted, at least 1.
        kpss_lags: Lags up to which the KPSS statistic of a long channel is exact. Memory and time of the sums grow
            with it.

    Raises:
        InvalidSeriesError: If the values are not real numbers in one dimension, or are infinite.
    """
    return _summarised(values, gap(0, max_length, kpss_lags=kpss_lags))


def summarise_many(
    channels: Iterable[ArrayLike], max_length: int, *, kpss_lags: int = KPSS_LAGS
) -> list[ChannelSummary]:
    """Sum up several channels; a matrix ``(T, C)`` is passed as its transpose. See `summarise`."""
    empty = gap(0, max_length, kpss_lags=kpss_lags)
    return [_summarised(values, empty) for values in channels]


def gap(rows: int, max_length: int, *, kpss_lags: int = KPSS_LAGS) -> ChannelSummary:
    """Summary of missing rows; without any, the neutral element of the addition."""
    rows = whole_number("rows", rows, minimum=0)
    max_length = whole_number("max_length", max_length, minimum=1)
    lags = max(max_length, whole_number("kpss_lags", kpss_lags, minimum=0), _MIN_LAGS)
    none = np.empty(0, dtype=np.int64)
    return ChannelSummary(max_length, lags, none, np.array([rows]), np.empty(0), none, (), none, 0)


def merge(earlier: ChannelSummary, later: ChannelSummary) -> ChannelSummary:
    """Summary of the rows of one summary followed by those of another.

    Raises:
        InvalidArgumentError: If the two were not made for the same lengths.
        InvalidSeriesError: If squares of the values are not finite.
    """
    for name in ("max_length", "lags"):
        ours, theirs = getattr(earlier, name), getattr(later, name)
        if ours != theirs:
            raise InvalidArgumentError(
                f"summaries with {name}={ours} and {name}={theirs} cannot be merged; make both with the same "
                "max_length and kpss_lags"
            )
    if earlier.rows == 0 or later.rows == 0:
        return later if earlier.rows == 0 else earlier
    return appended(earlier, later)


def _summarised(values: ArrayLike, empty: ChannelSummary) -> ChannelSummary:
    channel = as_array(values)
    if channel.ndim != 1 or channel.dtype.kind not in "fiub":
        raise InvalidSeriesError(
            f"values have shape {channel.shape} and dtype {channel.dtype}, but must be real numbers of shape (T,)"
        )
    starts = range(0, len(channel), _BLOCK_ROWS)
    blocks = (_of_block(channel[start : start + _BLOCK_ROWS], empty, start) for start in starts)
    return reduce(merge, blocks) if len(channel) else empty


def _of_block(block: np.ndarray, empty: ChannelSummary, start: int) -> ChannelSummary:
    """Sum up rows of shape ``(T,)``, ``T >= 1``; ``start`` is the number of the first, for messages."""
    values = block.astype(np.float64)  # always a copy: a summary must not keep a large array alive
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise InvalidSeriesError(
            f"values are infinite at step {start + infinite[0]}; replace them by NaN to treat them as missing"
        )
    filled = bridged(values)
    known = ~np.isnan(filled)
    edges = np.flatnonzero(np.diff(known, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    rows = np.flatnonzero(known & np.isnan(values))
    parts = replace(
        empty,
        lengths=stops - starts,
        gaps=np.append(starts, len(values)) - np.append(0, stops),
        values=filled if known.all() else filled[known],
        bridged=len(values) - 1 - rows,
        bridges=len(rows),
    )
    return tidied(parts)


def _pooled(a: tuple[int, float, float], b: tuple[int, float, float]) -> tuple[int, float, float]:
    """Count, mean and variance of two samples together."""
    count = a[0] + b[0]
    share = b[0] / count
    distance = b[1] - a[1]
    return count, a[1] + share * distance, (1 - share) * a[2] + share * b[2] + share * (1 - share) * distance**2
