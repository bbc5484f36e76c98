"""Inputs that are kept as codes, one byte for every position, and need not be unfolded to be looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from dasha.data.moments import ChannelMoments
from dasha.data.split import Split
from dasha.errors import InvalidArgumentError

_AT_ONCE = 1 << 22  # codes that are worked on together


@runtime_checkable
class CodedSplit(Split, Protocol):
    """A split whose inputs are columns of a table, one of a few at every position: ``columns[codes]``.

    Attributes:
        codes: uint8, shape ``(N, …)``.
        columns: What every code stands for, float32, shape ``(K, C)``.
        targets: Shape ``(N, …)``.
    """

    codes: Tensor
    columns: Tensor
    targets: Tensor


class CodeTable:
    """The codes of a split, counted.

    Args:
        codes: uint8, shape ``(N, …)``.
        columns: Shape ``(K, C)``.

    Attributes:
        shape: Of all inputs, ``(N, C, …)``.
        is_finite: Whether every value that occurs is a number.

    Raises:
        InvalidArgumentError: If there is a code without a column.
    """

    def __init__(self, codes: Tensor, columns: Tensor) -> None:
        self._codes, self._columns = codes.cpu().numpy(), columns.cpu().numpy()
        self.shape = (len(codes), columns.shape[1], *codes.shape[1:])
        self._counts = _counted(self._codes, len(self._columns))
        self._used = np.flatnonzero(self._counts)
        self.is_finite = bool(np.isfinite(self._columns[self._used]).all())

    @property
    def moments(self) -> ChannelMoments:
        """Mean and variance of every channel, exact."""
        counts = torch.from_numpy(self._counts[self._used]).double()[:, None]
        values = torch.from_numpy(self._columns[self._used]).double()
        total = counts.sum(0).expand(values.shape[1])
        mean = (counts * values).sum(0) / total
        moments = ChannelMoments(values.shape[1])
        moments.merge(total, mean, (counts * (values - mean) ** 2).sum(0) / total)
        return moments

    def digest(self) -> bytes:
        """A hash of the values: codes for the same column count as one, columns that do not occur not at all."""
        values, places = np.unique(self._columns[self._used] + 0.0, axis=0, return_inverse=True)
        table = np.zeros(256, np.uint8)
        table[self._used] = places.reshape(-1)
        digest = hashlib.sha256(repr(values.shape).encode() + values.astype("<f4").tobytes())
        for part in _parts(self._codes):
            digest.update(part.tobytes().translate(table.tobytes()))
        return digest.digest()


def _counted(codes: np.ndarray, size: int) -> np.ndarray:
    """How often every code occurs, int64 of shape ``(size,)``; small codes are looked for first, and most are small."""
    counts = np.zeros(size, np.int64)
    for part in _parts(codes):
        left = part.size
        for code in range(size):
            found = int(np.count_nonzero(part == code))
            counts[code] += found
            left -= found
            if not left:
                break
        if left:
            raise InvalidArgumentError(f"codes go up to {int(part.max())}, but there are columns for {size} only")
    return counts


def _parts(codes: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, _AT_ONCE // max(codes[:1].size, 1))
    for start in range(0, len(codes), rows):
        yield codes[start : start + rows]
