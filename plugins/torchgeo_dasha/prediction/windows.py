"""Where tiles lie along an axis, and how much each of them counts at every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dasha.errors import InvalidArgumentError

_MARGIN = 0.25  # share of the overlap, at the edge of a tile, in which it does not count


@dataclass(frozen=True)
class Stretch:
    """A tile along one axis.

    Attributes:
        start: First pixel.
        stop: Pixel after the last, inside the scene.
        weight: How much the tile counts at its pixels, ``(stop - start,)``, float32; those of all tiles add up to 1.
    """

    start: int
    stop: int
    weight: NDArray[np.float32]


def check_tile(tile: int, overlap: int) -> None:
    """Refuse an overlap that leaves no progress from tile to tile."""
    if tile < 1 or not 0 <= overlap < tile:
        raise InvalidArgumentError(
            f"tile={tile} and overlap={overlap} must be at least 1, and at least 0 and below the tile"
        )


def stretches(length: int, tile: int, overlap: int) -> list[Stretch]:
    """Tiles that cover an axis, the last one moved back to end with it.

    A tile does not count in the outer quarter of its overlap with another, where its edge shows, and fades over the
    rest by a raised cosine.

    Args:
        length: Of the axis, in pixels.
        tile: Length of a tile.
        overlap: Of two tiles, in pixels.
    """
    check_tile(tile, overlap)
    last = max(length - tile, 0)
    starts = [*range(0, last, tile - overlap), last]
    total = np.zeros(length)
    weights = []
    for place, start in enumerate(starts):
        stop = min(start + tile, length)
        weight = np.ones(stop - start)
        if place > 0:
            weight *= _ramp(stop - start, starts[place - 1] + tile - start)
        if place + 1 < len(starts):
            weight *= _ramp(stop - start, stop - starts[place + 1])[::-1]
        total[start:stop] += weight
        weights.append((start, stop, weight))
    return [Stretch(a, b, (weight / total[a:b]).astype(np.float32)) for a, b, weight in weights]


def _ramp(length: int, overlap: int) -> NDArray[np.float64]:
    """From 0 to 1 over an overlap at the beginning, never 0 in both of two tiles."""
    margin = int(_MARGIN * overlap)
    place = (np.arange(length) - margin + 0.5) / max(overlap - 2 * margin, 1)
    ramp: NDArray[np.float64] = np.sin(0.5 * np.pi * np.clip(place, 0.0, 1.0)) ** 2
    return ramp


@dataclass(frozen=True)
class Cell:
    """A patch along one axis, and the pixels that its class is written for.

    Attributes:
        start: First pixel of the patch.
        stop: Pixel after its last, inside the scene.
        inner: The pixels that it stands for, counted from ``start``.
    """

    start: int
    stop: int
    inner: slice


def cells(length: int, tile: int, overlap: int) -> list[Cell]:
    """Cells of ``tile - overlap`` pixels that cover an axis, each with the patch around it.

    Args:
        length: Of the axis, in pixels.
        tile: Length of a patch.
        overlap: Of two patches, in pixels.
    """
    check_tile(tile, overlap)
    stride = tile - overlap
    found = []
    for begin in range(0, length, stride):
        start = min(max(begin - overlap // 2, 0), max(length - tile, 0))
        end = min(begin + stride, length)
        found.append(Cell(start, min(start + tile, length), slice(begin - start, end - start)))
    return found
