"""Stretches of a channel in a row, short gaps bridged: the long ones as sums, the short ones as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dasha.autoar.gaps import LONGEST_BRIDGE, bridge
from dasha.autoar.stretch import LongStretch, condensed, joined
from dasha.types import FloatArray

# A stretch of more than this many times its lags takes less memory as sums: three orders of lag products and two ends.
_NUMBERS_PER_LAG = 5

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChannelParts:
    """Rows of one channel, short gaps bridged, cut into stretches without a gap.

    Attributes:
        max_length: Longest window whose moments are wanted.
        lags: Lags of the sums that can still be joined, at least ``max_length``.
        lengths: Rows in every stretch, oldest first, shape ``(S,)``.
        gaps: Missing rows before every stretch and after the last, shape ``(S + 1,)``.
        values: Values of the short stretches one after the other.
        positions: Which stretches are long, shape ``(N,)``, rising.
        long: Those stretches.
        bridged: Rows that bridge a gap, counted from the newest row 0 on, falling; only of rows that are still kept.
        bridges: Number of all rows that bridge a gap.
    """

    max_length: int
    lags: int
    lengths: IntArray
    gaps: IntArray
    values: FloatArray
    positions: IntArray
    long: tuple[LongStretch, ...]
    bridged: IntArray
    bridges: int

    @property
    def rows(self) -> int:
        """Number of rows, missing ones included."""
        return int(self.lengths.sum() + self.gaps.sum())

    @property
    def kept_rows(self) -> int:
        """Number of last rows whose values are kept, at least ``max_length + 1`` or all."""
        if not len(self.positions):
            return self.rows
        newest = int(self.positions[-1])
        after = self.lengths[newest + 1 :].sum() + self.gaps[newest + 1 :].sum()
        return len(self.long[-1].tail) + int(after)

    @property
    def first(self) -> float:
        """Oldest observed value; NaN without any."""
        if len(self.lengths) == 0:
            return float("nan")
        return float(self.long[0].head[0] if self.is_long(0) else self.values[0])

    @property
    def last(self) -> float:
        """Newest observed value; NaN without any."""
        if len(self.lengths) == 0:
            return float("nan")
        return float(self.long[-1].tail[-1] if self.is_long(len(self.lengths) - 1) else self.values[-1])

    def is_long(self, index: int) -> bool:
        """Whether a stretch is held as sums."""
        place = int(np.searchsorted(self.positions, index))
        return place < len(self.positions) and int(self.positions[place]) == index


P = TypeVar("P", bound=ChannelParts)


def appended(earlier: P, later: P) -> P:
    """Rows of one channel followed by those of another, both of at least one row."""
    between = int(earlier.gaps[-1] + later.gaps[0])
    if between > LONGEST_BRIDGE or not len(earlier.lengths) or not len(later.lengths):
        return tidied(_side_by_side(earlier, later))
    if between:
        earlier, later = _bridged(earlier, later, between)
    return tidied(_seamless(earlier, later))


def tidied(parts: P) -> P:
    """Keep of every stretch what takes least memory, and of the bridges those among rows that are kept."""
    parts = _summed_up(parts)
    return replace(parts, bridged=parts.bridged[parts.bridged < parts.kept_rows]) if len(parts.bridged) else parts


def _summed_up(parts: P) -> P:
    """Sum up every stretch that takes less memory that way.

    Stretches that can still be joined keep all lags, and so does the longest of the others, for KPSS; the rest needs
    those of windows only.
    """
    lengths = parts.lengths
    if lengths.max(initial=0) <= _NUMBERS_PER_LAG * parts.max_length:
        return parts
    is_open = parts.gaps[[0, -1]] <= LONGEST_BRIDGE
    closed = np.arange(int(is_open[0]), len(lengths) - int(is_open[1]))
    wanted = np.full(len(lengths), parts.lags)
    if len(closed):
        wanted[closed] = parts.max_length
        wanted[closed[lengths[closed].argmax()]] = parts.lags
    wanted = np.where(lengths > _NUMBERS_PER_LAG * wanted, wanted, 0)
    present = np.zeros_like(wanted)
    present[parts.positions] = [stretch.lags for stretch in parts.long]
    if np.array_equal(present, wanted):
        return parts
    of_long = dict(zip(parts.positions.tolist(), parts.long, strict=True))
    stops = np.where(present == 0, lengths, 0).cumsum()
    is_kept = np.ones(len(parts.values), dtype=bool)
    long = []
    positions = np.flatnonzero(wanted)
    for index in positions.tolist():
        lags = int(wanted[index])
        if index not in of_long:
            part = slice(int(stops[index] - lengths[index]), int(stops[index]))
            is_kept[part] = False
            long.append(condensed(parts.values[part], lags))
        else:
            stretch = of_long[index]
            long.append(stretch if stretch.lags == lags else stretch.shortened(lags))
    return replace(parts, values=parts.values[is_kept], positions=positions, long=tuple(long))


def _bridged(earlier: P, later: P, between: int) -> tuple[P, P]:
    """The two with the gap between them filled, at the beginning of the later one."""
    filled = bridge(earlier.last, later.first, between)
    none = np.empty(0, dtype=np.int64)
    gap = replace(
        later,
        lengths=np.array([between]),
        gaps=np.zeros(2, dtype=np.int64),
        values=filled,
        positions=none,
        long=(),
        bridged=np.arange(between)[::-1],
        bridges=between,
    )
    before = replace(
        earlier,
        gaps=np.append(earlier.gaps[:-1], 0),
        bridged=earlier.bridged - earlier.gaps[-1],
    )
    return before, _seamless(gap, replace(later, gaps=np.append(0, later.gaps[1:])))


def _bridges(earlier: P, later: P) -> dict[str, Any]:
    """Rows of both that bridge a gap, counted from the newest."""
    rows = np.concatenate([earlier.bridged + later.rows, later.bridged])
    return {"bridged": rows, "bridges": earlier.bridges + later.bridges}


def _side_by_side(earlier: P, later: P) -> P:
    """Join where there are missing rows between the two."""
    between = earlier.gaps[-1:] + later.gaps[:1]
    return replace(
        earlier,
        lengths=np.concatenate([earlier.lengths, later.lengths]),
        gaps=np.concatenate([earlier.gaps[:-1], between, later.gaps[1:]]),
        values=np.concatenate([earlier.values, later.values]),
        positions=np.concatenate([earlier.positions, later.positions + len(earlier.lengths)]),
        long=earlier.long + later.long,
        **_bridges(earlier, later),
    )


def _seamless(earlier: P, later: P) -> P:
    """Join where the last stretch of one goes on in the first of the other."""
    seam = len(earlier.lengths) - 1
    before, after = int(earlier.lengths[-1]), int(later.lengths[0])
    long_before, long_after = earlier.is_long(seam), later.is_long(0)
    left, right = earlier.values, later.values
    joint: tuple[LongStretch, ...] = ()
    if long_before or long_after:
        first = earlier.long[-1] if long_before else condensed(left[-before:], earlier.lags)
        second = later.long[0] if long_after else condensed(right[:after], later.lags)
        joint = (joined(first, second),)
        left, right = left if long_before else left[:-before], right if long_after else right[after:]
    before_seam, after_seam = len(earlier.long) - long_before, int(long_after)
    return replace(
        earlier,
        lengths=np.concatenate([earlier.lengths[:-1], [before + after], later.lengths[1:]]),
        gaps=np.concatenate([earlier.gaps[:-1], later.gaps[1:]]),
        values=np.concatenate([left, right]),
        positions=np.concatenate(
            [earlier.positions[:before_seam], [seam] * len(joint), later.positions[after_seam:] + seam]
        ).astype(np.int64),
        long=earlier.long[:before_seam] + joint + later.long[after_seam:],
        **_bridges(earlier, later),
    )
