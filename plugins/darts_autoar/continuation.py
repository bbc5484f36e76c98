"""By which of its last rows a training series is recognised, in any host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dasha.types import FloatArray

# As many rows as it takes to see this many changes from row to row.
_PROBE_CHANGES = 16


def distinctive_end(values: FloatArray) -> FloatArray:
    """Last rows of a series ``(T, C)`` with enough changes to be unlike another's; all if there are not so many."""
    changes = np.flatnonzero(_is_change(values))
    start = int(changes[-_PROBE_CHANGES]) if len(changes) >= _PROBE_CHANGES else 0
    return values[start:].copy()


def best_match(
    values: FloatArray, probes: Sequence[FloatArray], candidates: Iterable[int], *, least_changes: int
) -> int | None:
    """Number of the candidate whose end ``values`` end with; of several, the one that more rows speak for.

    Args:
        values: Rows up to the time at which the candidates end, shape ``(T, C)``.
        probes: What `distinctive_end` gave for every training series.
        candidates: Numbers of the training series to look at.
        least_changes: Changes that ``values`` must show where they start within a probe; 0 where a name identifies the
            series already.
    """
    found = [number for number in candidates if _ends_with(values, probes[number], least_changes)]
    return max(found, key=lambda number: len(probes[number]), default=None)


def _ends_with(values: FloatArray, probe: FloatArray, least_changes: int) -> bool:
    if len(values) < len(probe):
        probe = probe[-len(values) :]
        if _is_change(probe).sum() < least_changes:
            return False
    return np.array_equal(probe, values[len(values) - len(probe) :], equal_nan=True)


def _is_change(values: FloatArray) -> np.ndarray:
    """Whether a row differs from the next one, shape ``(T - 1,)``."""
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    result: np.ndarray = ~same.all(axis=1)
    return result
