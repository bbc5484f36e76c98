"""A share of a split: some batches of every pass."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from dasha.data.split import Batch, Split, keeps_order


class Part:
    """The first batches of a pass, up to a share of the samples; shuffled passes see others every time.

    Of a split that keeps its order, shuffled passes have batches drawn from the whole pass. Where nobody knows how many
    samples there are, it is the whole pass.

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

    @property
    def keeps_order(self) -> bool:
        """Whether shuffled passes of the whole may have the same order; see `dasha.data.split.keeps_order`."""
        return keeps_order(self._split)

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """Batches until there are enough samples; see `dasha.data.split.Split`."""
        wanted, whole, seen = self.size, self._split.size, 0
        batches = self._split.batches(size, shuffle=shuffle)
        if shuffle and self.keeps_order and wanted is not None and whole is not None:
            batches = _drawn(batches, wanted, whole)
        for inputs, targets in batches:
            yield inputs, targets
            seen += len(inputs)
            if wanted is not None and seen >= wanted:
                return

    def joined(self, other: Split) -> Split:
        """The samples of both."""
        return Part(self._split.joined(other), self._fraction)


def _drawn(batches: Iterator[Batch], wanted: int, left: int) -> Iterator[Batch]:
    """Batches of about as many samples as wanted, every one as likely as the others; at least one.

    Args:
        batches: One pass.
        wanted: Samples.
        left: Samples of the pass.
    """
    spare: Batch | None = None
    is_empty = True
    for batch in batches:
        size = max(1, len(batch[0]))
        # Selection sampling (Knuth, The Art of Computer Programming, 3.4.2, algorithm S), of batches of this size.
        if float(torch.rand(())) * math.ceil(left / size) < math.ceil(wanted / size):
            yield batch
            wanted, is_empty = wanted - size, False
        else:
            spare = batch
        left -= size
    # A loader may have fewer batches than its samples would fill.
    if is_empty and spare is not None:
        yield spare
