"""Windows of unequal length, with gaps and sentinels, made ready for batched work."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Values of the windows worked on at once: small enough for the cache of a processor, large enough to keep a GPU busy.
_CHUNK_ELEMENTS = {"cpu": 1 << 19, "cuda": 1 << 23}
# Range of all but the extreme hundredths, on either side of which a value counts as a sentinel or a slip.
_OUTLIER_RANGES = 3.0
_MIN_OUTLIER_LENGTH = 8


def equal_lengths(windows: Tensor, *, horizon: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Sort windows by length, counted from the first value, and bridge their gaps.

    Args:
        windows: Shape ``(N, K)``, oldest first; NaN marks a missing value.
        horizon: Steps that will be forecast; together with the length it bounds the size of a piece.

    Yields:
        Row numbers ``(n,)`` and gap-free windows ``(n, length)``, float64, in pieces of bounded size. Windows without
        any value are left out.
    """
    elements = _CHUNK_ELEMENTS.get(windows.device.type, _CHUNK_ELEMENTS["cuda"])
    known = ~torch.isnan(windows)
    length = torch.where(known.any(1), windows.shape[1] - known.int().argmax(1), 0)
    for steps in torch.unique(length[length > 0]).tolist():
        members = torch.nonzero(length == steps)[:, 0]
        for rows in torch.split(members, max(1, elements // max(steps, horizon))):
            y = windows[rows, windows.shape[1] - steps :].to(torch.float64)
            yield rows, _bridged(y)


def _bridged(y: Tensor) -> Tensor:
    """Windows whose first value is known, gaps bridged by straight lines and held after the last value."""
    known = ~torch.isnan(y)
    if bool(known.all()):
        return y
    steps = y.shape[1]
    time = torch.arange(steps, device=y.device).expand_as(y)
    before = torch.where(known, time, 0).cummax(1).values
    after = torch.where(known, time, steps).flip(1).cummin(1).values.flip(1)
    after = torch.where(after < steps, after, before)
    share = (time - before) / (after - before).clamp(min=1)
    filled = torch.where(known, y, 0.0)
    left, right = filled.gather(1, before), filled.gather(1, after)
    return left + share * (right - left)


def without_outliers(y: Tensor) -> Tensor:
    """Move values far from the bulk of their window nearer.

    The bulk lies between the second smallest and the second largest value, or further in by a hundredth of the
    values; values more than three times its width from it are moved to that distance.

    Args:
        y: Gap-free windows, shape ``(N, n)``; fewer than 8 values stay as they are.
    """
    steps = y.shape[1]
    if steps < _MIN_OUTLIER_LENGTH:
        return y
    ordered = y.sort(1).values
    extremes = 1 + steps // 100
    low, high = ordered[:, extremes, None], ordered[:, steps - 1 - extremes, None]
    reach = _OUTLIER_RANGES * (high - low)
    # Counts that are nearly always zero have no bulk to be far from.
    reach = torch.where(reach > 0, reach, torch.inf)
    return y.clamp(low - reach, high + reach)
