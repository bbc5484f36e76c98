"""A class for every pixel or patch of a scene; only the rows at work are in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dasha.arguments import whole_number
from dasha.search.progress import Silent, Stage
from torchgeo_dasha.prediction.decision import Decision
from torchgeo_dasha.prediction.network import PredictTile
from torchgeo_dasha.prediction.output import RowWriter
from torchgeo_dasha.prediction.scene import Scene
from torchgeo_dasha.prediction.windows import Cell, Stretch, cells, check_tile, stretches

Place = TypeVar("Place", Cell, Stretch)


@dataclass(frozen=True)
class Tiling:
    """How a scene is cut.

    Attributes:
        tile: Height and width of a tile in pixels.
        overlap: Of neighbouring tiles, in pixels.
        batch_size: Tiles that the network gets at once.

    Raises:
        InvalidArgumentError: If a value is not allowed.
    """

    tile: int
    overlap: int
    batch_size: int

    def __post_init__(self) -> None:
        """Check the values."""
        check_tile(self.tile, self.overlap)
        whole_number("batch_size", self.batch_size, minimum=1)

    @property
    def stride(self) -> int:
        """Pixels from tile to tile."""
        return self.tile - self.overlap

    def count(self, scene: Scene, *, is_dense: bool) -> int:
        """Number of tiles of a scene."""
        places = stretches if is_dense else cells
        lengths = [len(places(length, self.tile, self.overlap)) for length in (scene.height, scene.width)]
        return lengths[0] * lengths[1]


def segment(
    scene: Scene,
    predict_tile: PredictTile,
    writer: RowWriter,
    *,
    tiling: Tiling,
    decision: Decision,
    stage: Stage | None = None,
) -> None:
    """Write a result for every pixel, from probabilities that fade from tile to tile.

    Args:
        scene: What is read.
        predict_tile: Gives outputs ``(N, K, tile, tile)``.
        writer: Takes ``(bands, rows, width)``.
        tiling: How the scene is cut.
        decision: How outputs are read.
        stage: Is told how many tiles are done.
    """
    rows, columns = (stretches(length, tiling.tile, tiling.overlap) for length in (scene.height, scene.width))
    work = _Work(scene, predict_tile, tiling, decision, stage or Silent())
    depth = min(tiling.tile, scene.height)
    held = np.zeros((decision.outputs, depth, scene.width), np.float32)
    is_empty = np.ones((depth, scene.width), bool)
    ends = [following.start for _, following in pairwise(rows)] + [scene.height]
    for row, end in zip(rows, ends, strict=True):
        height = row.stop - row.start
        for column, gaps, probabilities in work.along(row, columns):
            inside = slice(column.start, column.stop)
            gaps = gaps[:height, : column.stop - column.start]
            is_empty[:height, inside] &= gaps
            if probabilities is not None:
                weight = row.weight[:, None] * column.weight
                held[:, :height, inside] += weight * probabilities[:, : gaps.shape[0], : gaps.shape[1]]
        done = end - row.start
        writer.write(decision.result(held[:, :done], is_empty[:done]))
        _move_up(held, done, 0.0)
        _move_up(is_empty[None], done, True)


def classify(
    scene: Scene,
    predict_tile: PredictTile,
    writer: RowWriter,
    *,
    tiling: Tiling,
    decision: Decision,
    stage: Stage | None = None,
) -> None:
    """Write a result for every cell of ``tiling.stride`` pixels, from the patch around it.

    Args:
        scene: What is read.
        predict_tile: Gives outputs ``(N, K)``.
        writer: Takes ``(bands, 1, cells)``.
        tiling: How the scene is cut.
        decision: How outputs are read.
        stage: Is told how many patches are done.
    """
    rows, columns = (cells(length, tiling.tile, tiling.overlap) for length in (scene.height, scene.width))
    work = _Work(scene, predict_tile, tiling, decision, stage or Silent())
    for row in rows:
        found = np.zeros((decision.outputs, 1, len(columns)), np.float32)
        is_empty = np.ones((1, len(columns)), bool)
        for place, (column, gaps, probabilities) in enumerate(work.along(row, columns)):
            is_empty[0, place] = gaps[row.inner, column.inner].all()
            if probabilities is not None:
                found[:, 0, place] = probabilities
        writer.write(decision.result(found, is_empty))


class _Work:
    """Reads tiles and hands them to the network, many at once."""

    def __init__(
        self, scene: Scene, predict_tile: PredictTile, tiling: Tiling, decision: Decision, stage: Stage
    ) -> None:
        self._scene, self._predict, self._tiling, self._decision, self._stage = (
            scene,
            predict_tile,
            tiling,
            decision,
            stage,
        )
        self._done = 0

    def along(
        self, row: Place, columns: Sequence[Place]
    ) -> Iterator[tuple[Place, NDArray[np.bool_], NDArray[np.float32] | None]]:
        """For every tile of a row, where it is without data, and its probabilities, if it has any data."""
        size = self._tiling.batch_size
        for first in range(0, len(columns), size):
            chosen = columns[first : first + size]
            tiles = [self._read(row, column) for column in chosen]
            gaps = [_gaps(tile) for tile in tiles]
            full = [place for place, gap in enumerate(gaps) if not gap.all()]
            found: dict[int, NDArray[np.float32]] = {}
            if full:
                outputs = self._predict(torch.from_numpy(np.stack([tiles[place] for place in full])))
                found = dict(zip(full, self._decision.probabilities(outputs).cpu().numpy(), strict=True))
            for place, column in enumerate(chosen):
                yield column, gaps[place], found.get(place)
            self._done += len(chosen)
            self._stage.advance(self._done)

    def _read(self, row: Place, column: Place) -> NDArray[np.float32]:
        return self._scene.read((row.start, row.stop), (column.start, column.stop), self._tiling.tile)


def _move_up(held: NDArray[np.generic], count: int, value: float) -> None:
    """Drop rows from the top, in place, and start new ones at the bottom."""
    left = held.shape[1] - count
    for band in held:
        band[:left] = band[count:].copy()
        band[left:] = value


def _gaps(tile: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where no band of a tile has data, ``(H, W)``."""
    return np.asarray(np.isnan(tile).all(0))
