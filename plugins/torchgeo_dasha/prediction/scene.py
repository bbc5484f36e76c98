"""A scene that is read tile by tile."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from dasha.errors import InvalidArgumentError
from torchgeo_dasha.data.rasters import STRICT, image_bands, read_window

_CACHE = 2**28  # bytes of blocks that GDAL keeps


@dataclass(frozen=True)
class Scene:
    """An open raster.

    Attributes:
        opened: Of rasterio.
        path: Its file, or another name that GDAL knows, as it was given.
        bands: Numbers of the bands that are read, from 1.
    """

    opened: Any
    path: str | Path
    bands: tuple[int, ...]

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.opened.height)

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.opened.width)

    def read(self, rows: tuple[int, int], columns: tuple[int, int], tile: int) -> NDArray[np.float32]:
        """Read a tile, ``(C, tile, tile)``, with NaN where there is no data, mirrored where the scene is smaller.

        Args:
            rows: First row, and the one after the last.
            columns: Likewise.
            tile: Height and width.

        Raises:
            InvalidArgumentError: If the file is damaged there.
        """
        window = Window.from_slices(rows, columns)
        try:
            pixels = read_window(self.opened, self.bands, window=window)
        except RasterioError as error:
            raise InvalidArgumentError(
                f"{self.path} cannot be read at rows {rows}, columns {columns}: {error}"
            ) from error
        missing = [(0, tile - size) for size in pixels.shape[1:]]
        return np.pad(pixels, [(0, 0), *missing], mode="symmetric") if any(size for _, size in missing) else pixels


@contextmanager
def open_scene(path: str | Path, bands: Sequence[int] | None) -> Iterator[Scene]:
    """Open a scene.

    Args:
        path: Any file that rasterio reads; names of other kinds, such as ``https://…`` or ``/vsizip/…``, as text.
        bands: Numbers of bands to read, from 1; by default all, without transparency.

    Raises:
        InvalidArgumentError: If it cannot be read, or has no such band.
    """
    with rasterio.Env(GDAL_CACHEMAX=_CACHE, **STRICT), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            opened = rasterio.open(path)
        except (RasterioError, OSError) as error:
            raise InvalidArgumentError(f"{path} cannot be read as a raster: {error}") from error
        with opened:
            chosen = tuple(bands or image_bands(opened))
            lacking = [band for band in chosen if band not in opened.indexes]
            if lacking:
                raise InvalidArgumentError(
                    f"{path} has bands 1 to {opened.count}, but bands={list(chosen)} are asked for"
                )
            yield Scene(opened, path, chosen)
