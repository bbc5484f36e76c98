"""Images in folders: one folder for every class, in one of three layouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from dasha.data.sources import Pair, SourceData
from dasha.errors import InvalidArgumentError

SHARES = (0.70, 0.15)
"""Of every class, for training and for validation, where nothing says what is what; the rest is for test."""
_SUFFIXES = (".png", ".jpg", ".jpeg")
_VALIDATION = ("val", "valid", "validation")
_MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
_NAMED = 3  # files that a message names

Files = list[tuple[Path, str]]


def read_images(folder: Path) -> SourceData:
    """Read PNG and JPEG images, split by lists, by folders, or at random.

    Args:
        folder: Holds a folder for every class, and lists ``train.txt``, ``val.txt`` and perhaps ``test.txt`` of paths
            inside it; or ``train``, ``val`` and perhaps ``test`` with a folder for every class; or the folders of the
            classes alone, which are split by a fixed draw within every class.

    Raises:
        InvalidArgumentError: If a split is missing, or an image is missing, unreadable, or of another size.
    """
    lists = {name: folder / f"{name}.txt" for name in ("train", "val", "test")}
    named = [name for name, path in lists.items() if path.is_file()]
    inside = {name: folder / name for name in ("train", *_VALIDATION, "test") if (folder / name).is_dir()}
    if "train" in named:
        parts = {name: _listed(folder, lists[name]) for name in named}
        rule = f"by the lists {', '.join(f'{name}.txt' for name in named)}"
    elif "train" in inside:
        parts = {"val" if name in _VALIDATION else name: _found(path) for name, path in inside.items()}
        rule = f"by the folders {', '.join(inside)}"
    else:
        parts = _drawn(_found(folder))
        rule = "at random, 70 % of every class for training, 15 % for validation, 15 % for test (a fixed draw)"
    if "val" not in parts:
        raise InvalidArgumentError(
            f"{folder} is split {rule}, but nothing is for validation; add val.txt or a folder val"
        )
    names = tuple(sorted({name for _, name in parts["train"]}))
    read = _read_all(list(parts.values()), names)
    pairs = dict(zip(parts, read, strict=True))
    return SourceData(pairs["train"], pairs["val"], pairs.get("test"), str(folder), rule, class_names=names)


def read_classes(folder: Path, class_names: Sequence[str]) -> Pair:
    """Read all images of a folder with a folder for every class.

    Raises:
        InvalidArgumentError: If there is none, a class is not known, or an image is unreadable or of another size.
    """
    return _read_all([_found(folder)], class_names)[0]


def _found(folder: Path) -> Files:
    found = [
        (path, place.name)
        for place in sorted(folder.iterdir())
        if place.is_dir() and not place.name.startswith(".")
        for path in sorted(place.rglob("*"))
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    ]
    if not found:
        raise InvalidArgumentError(
            f"{folder} has no folders with {', '.join(_SUFFIXES)} images; put those of a class in a folder of its name"
        )
    return found


def _listed(folder: Path, path: Path) -> Files:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    outside = [
        line for line in lines if len(Path(line).parts) < 2 or Path(line).is_absolute() or ".." in Path(line).parts
    ]
    if outside or not lines:
        raise InvalidArgumentError(
            f"{path} must list images as class/file, relative to its folder, but holds {_some(outside) or 'nothing'}"
        )
    missing = [line for line in lines if not (folder / line).is_file()]
    if missing:
        raise InvalidArgumentError(f"{path} lists images that do not exist ({_some(missing)}); mend the list")
    return [(folder / line, Path(line).parts[0]) for line in lines]


def _drawn(files: Files) -> dict[str, Files]:
    """Split every class by a draw of its own; each of the parts gets one of three images or more."""
    parts: dict[str, Files] = {"train": [], "val": [], "test": []}
    generator = np.random.default_rng(0)
    for name, count in Counter(name for _, name in files).items():
        if count < 3:
            raise InvalidArgumentError(
                f"class {name!r} has {count} images, but three parts need 3; add some, or give train.txt, "
                "val.txt and test.txt"
            )
        own = [entry for entry in files if entry[1] == name]
        order = generator.permutation(count)
        validation = max(1, round(SHARES[1] * count))
        test = max(1, count - validation - round(SHARES[0] * count))
        bounds = {"val": order[:validation], "test": order[validation : validation + test]}
        bounds["train"] = order[validation + test :]
        for part, places in bounds.items():
            parts[part] += [own[place] for place in sorted(places)]
    return parts


def _read_all(parts: Sequence[Files], names: Sequence[str]) -> list[Pair]:
    """Read all images as bytes, with as many channels as the most colourful needs: 1 or 3."""
    unknown = sorted({name for part in parts for _, name in part} - set(names))
    if unknown:
        raise InvalidArgumentError(f"there are images of class {_some(unknown)}, but none to train on; add some")
    read, broken = {}, []
    for path in dict.fromkeys(path for part in parts for path, _ in part):
        try:
            read[path] = _pixels(path)
        except InvalidArgumentError:
            raise
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
            broken.append(str(path))
    if broken:
        raise InvalidArgumentError(f"{len(broken)} images cannot be read ({_some(broken)}); mend or delete them")
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
        f"images have unequal sizes: most {usual[1]} × {usual[0]}, but {_some(odd)}; resize or crop them to one size"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
