"""Images in folders: one folder for every class, in one of three layouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from dasha.data.image_files import Files, check_classes, find_images, split_images
from dasha.data.names import some
from dasha.data.sources import Pair, SourceData
from dasha.errors import InvalidArgumentError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
_MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}


def read_images(folder: Path) -> SourceData:
    """Read PNG and JPEG images, split by lists, by folders, or at random.

    Args:
        folder: As `dasha.data.image_files.split_images` takes it.

    Raises:
        InvalidArgumentError: If a split is missing, or an image is missing, unreadable, or of another size.
    """
    files = split_images(folder, _SUFFIXES)
    read = _read_all(list(files.parts.values()), files.class_names)
    pairs = dict(zip(files.parts, read, strict=True))
    return SourceData(
        pairs["train"], pairs["val"], pairs.get("test"), str(folder), files.rule, class_names=files.class_names
    )


def read_classes(folder: Path, class_names: Sequence[str]) -> Pair:
    """Read all images of a folder with a folder for every class.

    Raises:
        InvalidArgumentError: If there is none, a class is not known, or an image is unreadable or of another size.
    """
    return _read_all([find_images(folder, _SUFFIXES)], class_names)[0]


def _read_all(parts: Sequence[Files], names: Sequence[str]) -> list[Pair]:
    """Read all images as bytes, with as many channels as the most colourful needs: 1 or 3."""
    check_classes(parts, names)
    read, broken = {}, []
    for path in dict.fromkeys(path for part in parts for path, _ in part):
        try:
            read[path] = _pixels(path)
        except InvalidArgumentError:
            raise
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
            broken.append(str(path))
    if broken:
        raise InvalidArgumentError(f"{len(broken)} images cannot be read ({some(broken)}); mend or delete them")
    _check_sizes(read)
    has_colour = any(array.ndim == 3 for array in read.values())
    return [_stacked(part, read, names, has_colour=has_colour) for part in parts]


def _pixels(path: Path) -> np.ndarray:
    """Bytes of one image, ``(H, W)`` or ``(H, W, 3)``."""
    with Image.open(path) as image:
        if image.mode not in _MODES:
            raise InvalidArgumentError(
                f"{path} has pixels of mode {image.mode}, but 8-bit images are needed; convert it, or pass arrays in "
                "an .npz file"
            )
        return np.asarray(image.convert(_MODES[image.mode]))


def _stacked(part: Files, read: dict[Path, np.ndarray], names: Sequence[str], *, has_colour: bool) -> Pair:
    def channels_first(array: np.ndarray) -> np.ndarray:
        if array.ndim == 3:
            return array.transpose(2, 0, 1)
        return np.broadcast_to(array, (3, *array.shape)) if has_colour else array[None]

    places = {name: place for place, name in enumerate(names)}
    inputs = np.stack([channels_first(read[path]) for path, _ in part])
    return inputs, np.array([places[name] for _, name in part], dtype=np.int64)


def _check_sizes(read: dict[Path, np.ndarray]) -> None:
    sizes = Counter(array.shape[:2] for array in read.values())
    if len(sizes) == 1:
        return
    usual = sizes.most_common(1)[0][0]
    odd = [
        f"{path} with {array.shape[1]} × {array.shape[0]}" for path, array in read.items() if array.shape[:2] != usual
    ]
    raise InvalidArgumentError(
        f"images have unequal sizes: most {usual[1]} × {usual[0]}, but {some(odd)}; resize or crop them to one size"
    )
