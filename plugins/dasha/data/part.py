"""A share of a split: the first batches of every pass."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dasha.data.split import Batch, Split


class Part:
    """The first batches of a pass, up to a share of the samples; shuffled passes see others every time.

    Where nobody knows how many samples there are, it is the whole pass.

    Args:
        split: The whole.
        fraction: Share of the samples of a pass, above 0 and at most 1.
    """

    def __init__(self, split: Split, fraction: float) -> None:
        self._split, self._fraction = split, fraction

    @property
    def size(self) -> int | None:
        """Number of samples of one pass, but for the rest of its last batch."""
        whole = self._split.size
        return None if whole is None else max(1, math.ceil(self._fraction * whole))

    @property
    def is_partial(self) -> bool:
        """Whether samples are left out."""
        return self._fraction < 1 or self._split.is_partial

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """Batches until there are enough samples; see `dasha.data.split.Split`."""
        wanted, seen = self.size, 0
        for inputs, targets in self._split.batches(size, shuffle=shuffle):
            yield inputs, targets
            seen += len(inputs)
            if wanted is not None and seen >= wanted:
                return

    def joined(self, other: Split) -> Split:
        """The samples of both."""
        return Part(self._split.joined(other), self._fraction)
