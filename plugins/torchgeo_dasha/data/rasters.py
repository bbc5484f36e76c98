"""One file of pixels: JPEG, PNG or GeoTIFF, any number of bands, any type of numbers."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from dasha.data.names import some
from dasha.errors import InvalidArgumentError
from torchgeo_dasha.inputs import plain_value

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff")
# How content begins decides, not the suffix; anything else, such as a virtual raster, could lead to any other file.
_DRIVERS = {b"\xff\xd8": "JPEG", b"\x89P": "PNG", b"II": "GTiff", b"MM": "GTiff"}
_REAL = "convert them to bands of real numbers, such as amplitude and phase"
STRICT = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
"""Options of `rasterio.Env`: GDAL's way to read a PNG image at once takes what a damaged file lacks from memory."""


@dataclass(frozen=True)
class RasterInfo:
    """What the header of a file says.

    Attributes:
        bands: Number of bands, without transparency.
        all_bands: Number of bands, with it.
        height: In pixels.
        width: In pixels.
        dtype: Type of the numbers.
        is_palette: Whether they are those of colours in a palette.
    """

    bands: int
    all_bands: int
    height: int
    width: int
    dtype: str
    is_palette: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


def band_numbers(name: str, given: object) -> list[int] | None:
    """Numbers of bands as a list; None stays None.

    Args:
        name: Of the argument.
        given: A list, a tuple or an array.

    Raises:
        InvalidArgumentError: If it is empty, or holds anything but whole numbers.
    """
    if given is None:
        return None
    numbers = plain_value(given)
    if not isinstance(numbers, list) or any(type(number) is not int for number in numbers):
        raise InvalidArgumentError(f"{name}={given!r} must be a list of whole numbers from 1, such as [3, 2, 1]")
    if not numbers:
        raise InvalidArgumentError(f"{name} is empty; name at least one band, or leave {name} out")
    return numbers


def image_bands(opened: Any) -> list[int]:
    """Numbers of the bands of an open raster, from 1, without transparency."""
    return [band for band, kind in zip(opened.indexes, opened.colorinterp, strict=True) if kind != ColorInterp.alpha]


def read_window(opened: Any, bands: Sequence[int], **options: Any) -> NDArray[np.float32]:
    """Read from an open raster.

    Args:
        opened: The raster.
        bands: Numbers of bands, from 1.
        **options: Of rasterio's ``read``, such as ``window``.

    Returns:
        Shape ``(C, H, W)``; NaN where the file says that there is no data: by its nodata value, by a mask, by
        transparency, or by a value that is not finite.

    Raises:
        InvalidArgumentError: If it holds complex numbers.
    """
    pixels = opened.read(list(bands), **options)
    if np.iscomplexobj(pixels):
        raise InvalidArgumentError(f"{opened.name} holds complex numbers; {_REAL}")
    values: NDArray[np.float32] = pixels.astype(np.float32)
    if not np.issubdtype(pixels.dtype, np.integer):
        values[~np.isfinite(values)] = np.nan
    known = opened.mask_flag_enums
    flags = {flag for band in bands for flag in known[band - 1]}
    # GDAL takes the fourth band of bytes for transparency, unless told otherwise; who asks for it knows better.
    is_transparency_used = not set(bands) <= set(image_bands(opened))
    if flags - {MaskFlags.all_valid} and not (is_transparency_used and MaskFlags.alpha in flags):
        values[opened.read_masks(list(bands), **options) == 0] = np.nan
    return values


def read_info(path: Path) -> RasterInfo:
    """Read the header of a file.

    Raises:
        InvalidArgumentError: If it cannot be read.
    """
    with _opened(path) as opened:
        size, dtype = (opened.height, opened.width), opened.dtypes[0]
        return RasterInfo(len(image_bands(opened)), opened.count, *size, dtype, _is_palette(opened))


def read_image(path: Path, bands: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Read an image, ``(C, H, W)``, with NaN where there is no data.

    Args:
        path: The file.
        bands: Numbers of bands, from 1, in the order wanted; by default all, without transparency.

    Raises:
        InvalidArgumentError: If it cannot be read, or its pixels are numbers of colours in a palette.
    """
    with _opened(path) as opened:
        if _is_palette(opened):
            raise InvalidArgumentError(f"{path} holds numbers of colours in a palette; convert it to RGB")
        return read_window(opened, bands or image_bands(opened))


def read_mask(path: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read a mask of classes.

    Returns:
        Classes ``(H, W)``, 0 where there is no data, and where there is data.

    Raises:
        InvalidArgumentError: If it cannot be read, has several bands, or values that are no whole numbers.
    """
    with _opened(path) as opened:
        bands = image_bands(opened)
        if len(bands) != 1:
            raise InvalidArgumentError(
                f"{path} has {len(bands)} bands, but a mask has one, of class numbers; convert colours to numbers"
            )
        pixels, is_valid = opened.read(bands[0]), opened.read_masks(bands[0]) > 0
        if opened.driver == "PNG" and _is_palette(opened):
            is_valid[:] = True  # a colour that is drawn transparent is a class like the others
    classes = np.where(is_valid, pixels, 0)
    if not np.issubdtype(pixels.dtype, np.integer) and not np.array_equal(classes, np.floor(classes)):
        raise InvalidArgumentError(f"{path} has values that are no whole numbers, which classes must be")
    return classes.astype(np.int64), is_valid


def check_headers(paths: Iterable[Path], *, bands: Sequence[int] | None, is_resized: bool) -> tuple[RasterInfo, bool]:
    """Read the headers of all files; damage behind them is found by `check_pixels`.

    Args:
        paths: The files.
        bands: Numbers of bands that will be read, from 1.
        is_resized: Whether sizes may differ.

    Returns:
        What most have in common, and whether all have one size.

    Raises:
        InvalidArgumentError: If files cannot be read, have a palette or complex numbers, lack a band, or differ in
            bands, type or size.
    """
    infos: dict[Path, RasterInfo] = {}
    broken = []
    for path in paths:
        try:
            infos[path] = read_info(path)
        except InvalidArgumentError:
            broken.append(path)
    refuse_broken(broken)
    if coloured := [str(path) for path, info in infos.items() if info.is_palette]:
        raise InvalidArgumentError(
            f"{len(coloured)} images hold numbers of colours in a palette ({some(coloured)}); convert them to RGB"
        )
    if complex_ones := [str(path) for path, info in infos.items() if info.dtype.startswith("complex")]:
        raise InvalidArgumentError(f"{len(complex_ones)} images hold complex numbers ({some(complex_ones)}); {_REAL}")
    _check_equal({path: info.bands for path, info in infos.items()}, "numbers of bands", "convert them to one number")
    _check_equal({path: info.dtype for path, info in infos.items()}, "types of numbers", "convert them to one type")
    if not is_resized:
        sizes = {path: f"{info.height} × {info.width}" for path, info in infos.items()}
        _check_equal(sizes, "sizes (height × width)", "crop them, or pass image_size to resize them")
    usual = Counter(infos.values()).most_common(1)[0][0]
    lacking = [band for band in bands or () if not 1 <= band <= usual.all_bands]
    if lacking:
        raise InvalidArgumentError(
            f"bands={list(bands or ())} asks for {lacking}, but the images have bands 1 to {usual.all_bands}"
        )
    return usual, len({info.size for info in infos.values()}) == 1


def refuse_broken(paths: Sequence[Path]) -> None:
    """Name the images that cannot be read, if there are any.

    Raises:
        InvalidArgumentError: If there are.
    """
    if paths:
        shown = some([str(path) for path in paths])
        raise InvalidArgumentError(f"{len(paths)} images cannot be read ({shown}); mend or delete them")


def _is_palette(opened: Any) -> bool:
    return bool(opened.colorinterp[0] == ColorInterp.palette)


def _check_equal(values: Mapping[Path, object], what: str, way_out: str) -> None:
    counts = Counter(values.values())
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = [f"{path} with {value}" for path, value in values.items() if value != usual]
        raise InvalidArgumentError(f"images have unequal {what}: most {usual}, but {some(odd)}; {way_out}")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file; what rasterio raises names the file."""
    try:
        with path.open("rb") as file:
            driver = _DRIVERS.get(file.read(2))
        if driver is None:
            raise InvalidArgumentError(f"{path} is neither JPEG, PNG nor TIFF; convert or delete it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.Env(**STRICT), rasterio.open(path, driver=driver) as opened:
                yield opened
    except (RasterioError, OSError) as error:
        raise InvalidArgumentError(f"{path} cannot be read ({error}); mend or delete it") from error
