"""Rows of results, written to a GeoTIFF as soon as they are whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError
from rasterio.rpc import RPC
from rasterio.transform import Affine
from rasterio.windows import Window

from dasha.errors import InvalidArgumentError
from torchgeo_dasha.prediction.scene import Scene

BLOCK = 256  # side of a block of the file; written once each
_ENDINGS = (".tif", ".tiff")
_BESIDE = (".ovr", ".msk", ".msk.ovr", ".aux.xml")  # of GDAL, about the file that they lie beside


class RowWriter:
    """Takes rows from the top to the bottom, and writes them in whole blocks.

    Args:
        opened: A raster open for writing.
    """

    def __init__(self, opened: Any) -> None:
        self._opened, self._row = opened, 0
        self._waiting: list[NDArray[Any]] = []

    def write(self, rows: NDArray[Any]) -> None:
        """Take the next rows, ``(bands, rows, width)``."""
        self._waiting.append(rows)
        self._flush(sum(part.shape[1] for part in self._waiting) // BLOCK * BLOCK)

    def finish(self) -> None:
        """Write what is left; every row of the file has been written then."""
        self._flush(sum(part.shape[1] for part in self._waiting))
        assert self._row == self._opened.height, "rows are missing"

    def _flush(self, count: int) -> None:
        if count == 0:
            return
        rows = np.concatenate(self._waiting, axis=1)
        self._opened.write(rows[:, :count], window=Window(0, self._row, self._opened.width, count))
        self._row += count
        self._waiting = [rows[:, count:].copy()]


def check_target(path: Path, *, checkpoint: Path | None = None) -> None:
    """Refuse a place where no GeoTIFF can be written, or none should be.

    Args:
        path: Of the file; a link stands for what it leads to.
        checkpoint: Must stay as it is.

    Raises:
        InvalidArgumentError: If it is a folder, or in none; if it is the checkpoint, or has the ending of another kind
            of file.
    """
    target = path.resolve()
    if path.is_dir():
        raise InvalidArgumentError(f"out={str(path)!r} is a folder; name a file, such as {path / 'map.tif'}")
    if not target.parent.is_dir():
        raise InvalidArgumentError(f"out={str(path)!r} cannot be written: its folder does not exist; make it first")
    if checkpoint is not None and target == checkpoint.resolve():
        raise InvalidArgumentError(f"out={str(path)!r} is the checkpoint itself; choose another file")
    if target.suffix.lower() not in _ENDINGS:
        led = "" if target.suffix == path.suffix else f" leads to {target}, which"
        raise InvalidArgumentError(
            f"out={str(path)!r}{led} does not end in {' or '.join(_ENDINGS)}, but a GeoTIFF is written; name it so, "
            f"such as {path.with_suffix(_ENDINGS[0])}"
        )


@contextmanager
def write_raster(
    path: Path, scene: Scene, *, bands: int, dtype: str, nodata: float, stride: int = 1, names: Sequence[str] = ()
) -> Iterator[RowWriter]:
    """Write a compressed, tiled GeoTIFF that lies where a scene lies; the file is whole, or as it was before.

    Args:
        path: The file; what is there is replaced, and what GDAL keeps beside it is deleted.
        scene: Gives coordinate system, position and size.
        bands: Number of bands.
        dtype: Type of the numbers.
        nodata: Number that stands for no data.
        stride: Pixels of the scene, along each axis, that a pixel of the file covers.
        names: Of the bands.

    Raises:
        InvalidArgumentError: If the file is the scene, or cannot be written.
    """
    target = Path(path).resolve()
    check_target(path)
    if target == Path(scene.path).resolve():
        raise InvalidArgumentError(f"out={str(path)!r} is the scene itself; choose another file")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}-", suffix=".tif", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise InvalidArgumentError(f"out={str(path)!r} cannot be written: {error.strerror}") from error
    working = Path(name)
    profile = {
        "driver": "GTiff",
        "height": -(-scene.height // stride),
        "width": -(-scene.width // stride),
        "count": bands,
        "dtype": dtype,
        "nodata": nodata,
        "compress": "deflate",
        "predictor": 3 if dtype.startswith("float") else 2,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "BIGTIFF": "IF_SAFER",
        **_position(scene, stride),
    }
    try:
        with rasterio.open(working, "w", **profile) as opened:
            for band, label in enumerate(names, start=1):
                opened.set_band_description(band, label)
            writer = RowWriter(opened)
            yield writer
            writer.finish()
        _replace(working, target)
    except RasterioError as error:
        raise InvalidArgumentError(f"out={str(path)!r} cannot be written: {error}") from error
    finally:
        working.unlink(missing_ok=True)


def _replace(working: Path, target: Path) -> None:
    """Put a file where an earlier one may be, and delete the overviews, masks and statistics of that one."""
    try:
        working.chmod(0o666 & ~_umask())
        working.replace(target)
        for suffix in _BESIDE:
            target.with_name(target.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise InvalidArgumentError(f"out={str(target)!r} cannot be written: {error.strerror or error}") from error


def _position(scene: Scene, stride: int) -> dict[str, Any]:
    """Where the file lies on Earth: by a transform or ground control points, and by rational polynomials."""
    polynomials = _scaled(scene.opened.rpcs, stride)
    points, system = scene.opened.gcps
    if points:
        scaled = [
            GroundControlPoint(point.row / stride, point.col / stride, point.x, point.y, point.z) for point in points
        ]
        return {"gcps": scaled, "crs": system, **polynomials}
    a, b, c, d, e, f = scene.opened.transform[:6]
    scaled_transform = Affine(a * stride, b * stride, c, d * stride, e * stride, f)
    return {"crs": scene.opened.crs, "transform": scaled_transform, **polynomials}


def _scaled(polynomials: RPC | None, stride: int) -> dict[str, RPC]:
    """Rational polynomials for larger pixels; they count lines and samples from the middle of the first."""
    if polynomials is None:
        return {}
    scaled = copy(polynomials)
    scaled.line_off, scaled.samp_off = (
        (offset + 0.5) / stride - 0.5 for offset in (polynomials.line_off, polynomials.samp_off)
    )
    scaled.line_scale, scaled.samp_scale = polynomials.line_scale / stride, polynomials.samp_scale / stride
    return {"rpcs": scaled}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
