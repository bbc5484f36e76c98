"""Shuffled sequences that contributions are measured against; bases that are not known stay where they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dasha._optional import require

_LEAST = 4  # bases of a stretch that can change: the first and the last one stay
_UNKNOWN = "X must be one-hot encoded"  # what tangermeme says of columns that are not certain


def reference_maker(inputs: Tensor) -> Callable[..., Tensor]:
    """What makes the references of DeepLIFT, as ``references=`` of tangermeme takes it.

    Args:
        inputs: All sequences that will be explained, ``(N, 4, L)``.

    Returns:
        tangermeme's dinucleotide shuffle where every base is known; otherwise `stretches_shuffled`.
    """
    shuffle: Callable[..., Tensor] = require("tangermeme.ersatz", extra="genomics").dinucleotide_shuffle
    return shuffle if bool(_is_certain(inputs).all()) else stretches_shuffled


def stretches_shuffled(inputs: Tensor, *, n: int, random_state: int) -> Tensor:
    """Shuffle every stretch of known bases by itself, so that it keeps its dinucleotides.

    Args:
        inputs: Shape ``(N, 4, L)``; columns of zeros or shares are bases that are not certain.
        n: Shuffles of every sequence.
        random_state: Seed of the first shuffle; that of the next is one more.

    Returns:
        Shape ``(N, n, 4, L)``. Columns that are not certain are as they were; so are the first and the last base of a
        stretch.
    """
    shuffle = require("tangermeme.ersatz", extra="genomics").dinucleotide_shuffle
    references = inputs[:, None].repeat(1, n, 1, 1)
    for row, is_certain in enumerate(_is_certain(inputs)):
        for start, stop in _stretches(is_certain):
            stretch = inputs[row, :, start:stop].repeat(n, 1, 1)
            seeds = list(range(random_state, random_state + n))
            references[row, :, :, start:stop] = shuffle(stretch, n=1, random_state=seeds)[:, 0]
    return references


@contextmanager
def uncertain_allowed() -> Iterator[None]:
    """Keep tangermeme quiet about columns that are not certain, with ``only_warn=True``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _UNKNOWN)
        yield


def _is_certain(inputs: Tensor) -> Tensor:
    """Which columns ``(N, L)`` are one base."""
    return inputs.amax(1) == 1


def _stretches(is_certain: Tensor) -> Iterator[tuple[int, int]]:
    """First base, and the one after the last, of every stretch of known bases that can change."""
    edges = torch.nn.functional.pad(is_certain.int(), (1, 1)).diff()
    for start, stop in zip(edges.eq(1).nonzero(), edges.eq(-1).nonzero(), strict=True):
        if stop - start >= _LEAST:
            yield int(start), int(stop)
