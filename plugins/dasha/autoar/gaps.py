"""Short gaps are bridged before anything is estimated.

A window that holds a missing value teaches nothing, and where values are missing here and there hardly a long window is
left: lookbacks that the rows would carry could not even be tried. Forecasts do not use the bridges: a context is filled
from the past alone, see `dasha.autoar.forecast.fill_missing`.
"""

from __future__ import annotations

import numpy as np

from dasha.types import FloatArray

# Missing steps in a row. A straight line over many more hides a season of a day of hours or a year of months.
LONGEST_BRIDGE = 6


def bridged(values: FloatArray) -> FloatArray:
    """A channel with straight lines across gaps of at most `LONGEST_BRIDGE` steps between two observed values.

    Args:
        values: Shape ``(T,)``, oldest first; NaN marks a missing value.

    Returns:
        Shape ``(T,)``; ``values`` itself if there is nothing to bridge.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    edges = np.flatnonzero(np.diff(missing, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    is_short = (stops - starts <= LONGEST_BRIDGE) & (starts > 0) & (stops < len(values))
    if not is_short.any():
        return values
    at = np.zeros(len(values) + 1, dtype=np.int64)
    at[starts[is_short]], at[stops[is_short]] = 1, -1
    rows, known = np.flatnonzero(at.cumsum()), np.flatnonzero(~missing)
    result = values.copy()
    with np.errstate(over="ignore", invalid="ignore"):  # values near the float limit are refused with the variance
        result[rows] = np.interp(rows, known, values[known])
    return result


def bridge(before: float, after: float, steps: int) -> FloatArray:
    """Values of a gap of so many steps between two observed values, shape ``(steps,)``."""
    return bridged(np.concatenate([[before], np.full(steps, np.nan), [after]]))[1:-1]
