"""Gap-free stretches of a channel in a row: the long ones as sums, the short ones as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dasha.autoar.stretch import LongStretch, condensed, joined
from dasha.types import FloatArray

# A stretch of more than this many times its lags takes less memory as sums: three orders of lag products and two ends.
_NUMBERS_PER_LAG = 5

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChannelParts:
    """Rows of one channel, cut into gap-free stretches.

    Attributes:
        max_length: Longest window whose moments are wanted.
        lags: Lags of the sums that can still be joined, at least ``max_length``.
        lengths: Rows in every stretch, oldest first, shape ``(S,)``.
        gaps: Missing rows before every stretch and after the last, shape ``(S + 1,)``.
        values: Values of the short stretches one after the other.
        positions: Which stretches are long, shape ``(N,)``, rising.
        long: Those stretches.
    """

    max_length: int
    lags: int
    lengths: IntArray
    gaps: IntArray
    values: FloatArray
    positions: IntArray
    long: tuple[LongStretch, ...]

    def is_long(self, index: int) -> bool:
        """Whether a stretch is held as sums."""
        place = int(np.searchsorted(self.positions, index))
        return place < len(self.positions) and int(self.positions[place]) == index


P = TypeVar("P", bound=ChannelParts)


def appended(earlier: P, later: P) -> P:
    """Rows of one channel followed by those of another, both of at least one row."""
    if earlier.gaps[-1] or later.gaps[0] or not len(earlier.lengths) or not len(later.lengths):
        return tidied(_side_by_side(earlier, later))
    return tidied(_seamless(earlier, later))


def tidied(parts: P) -> P:
    """Sum up every stretch that takes less memory that way.

    Stretches that can still be joined keep all lags, and so does the longest of the others, for KPSS; the rest needs
    those of windows only.
    """
    lengths = parts.lengths
    if lengths.max(initial=0) <= _NUMBERS_PER_LAG * parts.max_length:
        return parts
    closed = np.arange(int(parts.gaps[0] == 0), len(lengths) - int(parts.gaps[-1] == 0))
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
    )
