"""Files of images in folders of classes, and what is for training, for validation and for test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dasha.data.groups import PARTS, GroupOf, check_groups, draw_groups
from dasha.data.names import read_list, some
from dasha.errors import InvalidArgumentError

SHARES = (0.70, 0.15)
"""Of every class, for training and for validation, where nothing says what is what; the rest is for test."""
_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}  # names that the folder of a part may have, in small or capital letters, if none has the first
_ENDINGS = (
    *(".avif", ".bmp", ".gif", ".heic", ".img", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png"),
    *(".pnm", ".ppm", ".tga", ".tif", ".tiff", ".vrt", ".webp"),
)  # of what looks like an image, read or not

Files = list[tuple[Path, str]]
"""Images, and the names of their classes."""


@dataclass(frozen=True)
class ImageFiles:
    """The files of every part.

    Attributes:
        parts: Of ``"train"``, ``"val"`` and perhaps ``"test"``.
        rule: How they were split, and how many images were left out.
        class_names: Those that train has, in alphabetical order.
    """

    parts: Mapping[str, Files] = field(repr=False)
    rule: str
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Draw:
    """How files are drawn where neither lists nor folders split them.

    Attributes:
        shares: Of every class, for training and for validation; the rest is for test.
        seed: Of the draw.

    Raises:
        InvalidArgumentError: If a part has no share.
    """

    shares: tuple[float, float] = SHARES
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the shares."""
        if min(self.shares) <= 0 or round(1 - sum(self.shares), 12) <= 0:
            raise InvalidArgumentError(
                f"the shares of training and validation are {self.shares}, but must be above 0 and together below 1"
            )

    @classmethod
    def of_fractions(cls, validation: float, test: float, seed: int) -> Draw:
        """The draw that leaves the rest for training.

        Raises:
            InvalidArgumentError: If a part gets nothing.
        """
        if not (validation > 0 and test > 0 and validation + test < 1):
            raise InvalidArgumentError(
                f"val_fraction={validation} and test_fraction={test} must be above 0 and together below 1; without "
                "test data, give lists train.txt and val.txt, or folders train and val"
            )
        # Rounded, so that 0.15 twice leaves exactly 0.7.
        return cls((round(1 - validation - test, 12), validation), seed)

    def describe(self, unit: str) -> str:
        """The rule in words."""
        train, validation, test = (f"{100 * share:.3g} %" for share in (*self.shares, 1 - sum(self.shares)))
        draw = "a fixed draw" if self.seed == 0 else f"draw {self.seed}"
        return f"at random, {train} of {unit} for training, {validation} for validation, {test} for test ({draw})"


def split_images(
    folder: Path,
    suffixes: Sequence[str],
    *,
    draw: Draw | None = None,
    group_of: GroupOf | None = None,
) -> ImageFiles:
    """Find images and split them by lists, by folders, or at random.

    Args:
        folder: Holds a folder for every class, and lists ``train.txt``, ``val.txt`` and perhaps ``test.txt`` of paths
            inside it; or ``train``, ``val`` and perhaps ``test`` with a folder for every class, see `split_folders`; or
            the folders of the classes alone.
        suffixes: Of images, in small letters.
        draw: How to split the last of these.
        group_of: Group of a path inside the folder; no group is in two parts.

    Raises:
        InvalidArgumentError: If a part or a listed image is missing, the folder of a class has no image, train lacks a
            class, or an image or a group is in two parts.
    """
    draw = draw or Draw()
    lists = {name: folder / f"{name}.txt" for name in PARTS}
    named = [name for name, path in lists.items() if path.is_file()]
    if "train" in named:
        _refuse_empty(folder)
        parts = {name: _listed(folder, lists[name]) for name in named}
        rule = f"by the lists {', '.join(f'{name}.txt' for name in named)}"
    elif "train" in (inside := split_folders(folder)):
        parts = {name: find_images(path, suffixes) for name, path in inside.items()}
        rule = f"by the folders {', '.join(path.name for path in inside.values())}"
        others = [path.name for path in _folders(folder) if path not in inside.values()]
        rule += f", without {some(others)}" if others else ""
    else:
        _refuse_parts(folder)
        found = find_images(folder, suffixes)
        parts = _drawn(found, draw) if group_of is None else _drawn_by_group(folder, found, draw, group_of)
        rule = ("" if group_of is None else "by group ") + draw.describe("every class")
    rule += _left_out(folder, parts, suffixes)
    require_validation(parts, folder, rule)
    check_groups({part: [str(path) for path, _ in files] for part, files in parts.items()}, what="images")
    if group_of is not None:
        check_groups({part: _groups(folder, files, group_of) for part, files in parts.items()})
    names = tuple(sorted({name for _, name in parts["train"]}))
    check_classes(parts.values(), names)
    return ImageFiles(parts, rule, names)


def split_folders(folder: Path) -> dict[str, Path]:
    """Folders for the parts, in their order.

    They are ``train``, ``val`` and ``test``. Others that mean the same, such as ``Training`` or ``validation``, stand
    for those that are missing, but only if training and validation data are found with them: classes may have such
    names.

    Raises:
        InvalidArgumentError: If several of the others stand for one part.
    """
    places = {place.name: place for place in _folders(folder)} if folder.is_dir() else {}
    exact = {part: places[part] for part in PARTS if part in places}
    usual = {part: [place for name, place in places.items() if name.lower() in _FOLDERS[part]] for part in PARTS}
    found = {part: [exact[part]] if part in exact else usual[part] for part in PARTS}
    if not found["train"] or not found["val"]:
        return exact
    double = [place.name for own in found.values() if len(own) > 1 for place in own]
    if double:
        raise InvalidArgumentError(f"{folder} has the folders {', '.join(double)}, which mean the same; keep one")
    return {part: own[0] for part, own in found.items() if own}


def require_validation(parts: Mapping[str, object], folder: Path, rule: str) -> None:
    """Refuse a split without validation data."""
    if "val" not in parts:
        raise InvalidArgumentError(
            f"{folder} is split {rule}, but nothing is for validation; add val.txt or a folder val"
        )


def find_images(folder: Path, suffixes: Sequence[str]) -> Files:
    """All images of a folder with a folder for every class.

    Raises:
        InvalidArgumentError: If there are none, or the folder of a class has none or a name that is no text.
    """
    found = [
        (path, place.name)
        for place in _folders(folder)
        for path in files_below(place)
        if path.suffix.lower() in suffixes
    ]
    _refuse_unreadable_names(folder, {name for _, name in found})
    if not found:
        raise InvalidArgumentError(
            f"{folder} has no folders with {', '.join(suffixes)} images; put those of a class in a folder of its name"
        )
    _refuse_empty(folder, suffixes)
    return found


def unread(paths: Iterable[Path], suffixes: Sequence[str]) -> str:
    """Number and endings of the files that look like images, but are not read; empty if none do."""
    foreign = [path.suffix.lower() for path in paths if _is_unread(path, suffixes)]
    return f"{len(foreign)} files are not read: {', '.join(sorted(set(foreign)))}" if foreign else ""


def files_below(folder: Path) -> list[Path]:
    """All files below a folder that are not hidden, those in linked folders, too.

    A link that leads nowhere is a file that cannot be read; one that leads back to a folder that it is in is left out.
    """
    real = folder.resolve()
    return sorted(_walk(folder, (real, *real.parents)))


def check_classes(parts: Iterable[Files], names: Sequence[str]) -> None:
    """Refuse images of classes that are not among ``names``."""
    unknown = sorted({name for part in parts for _, name in part} - set(names))
    if unknown:
        raise InvalidArgumentError(f"there are images of class {some(unknown)}, but none to train on; add some")


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Files of a folder and of those inside, which are not among the real paths ``above``."""
    for path in folder.iterdir():
        if _is_hidden(path.name):
            continue
        if path.is_dir():
            if (real := path.resolve()) not in above:
                yield from _walk(path, (*above, real))
        elif path.is_file() or (path.is_symlink() and not path.exists()):
            yield path


def _folders(folder: Path) -> list[Path]:
    return [place for place in sorted(folder.iterdir()) if place.is_dir() and not _is_hidden(place.name)]


def _is_hidden(name: str) -> bool:
    """Whether a name is not for people; macOS puts ``__MACOSX`` into its archives."""
    return name.startswith(".") or name == "__MACOSX"


def _is_unread(path: Path, suffixes: Sequence[str]) -> bool:
    ending = path.suffix.lower()
    return ending in _ENDINGS and ending not in suffixes


def _refuse_unreadable_names(folder: Path, names: Iterable[str]) -> None:
    """Refuse classes that no report could show: bytes of a name that are no UTF-8 are surrogates in Python."""
    unreadable = sorted(repr(name) for name in names if any("\ud800" <= letter <= "\udfff" for letter in name))
    if unreadable:
        raise InvalidArgumentError(
            f"{folder} has folders of classes whose names are no UTF-8 ({some(unreadable)}); rename them"
        )


def _refuse_empty(folder: Path, suffixes: Sequence[str] | None = None) -> None:
    """Refuse folders without images that are read; where lists say what is read, those without files."""
    empty = [
        str(place)
        for place in _folders(folder)
        if not any(suffixes is None or path.suffix.lower() in suffixes for path in files_below(place))
    ]
    if empty:
        are = "1 folder has" if len(empty) == 1 else f"{len(empty)} folders have"
        raise InvalidArgumentError(
            f"{are} no images that are read ({some(empty)}), which those of classes need; add or convert some, or move "
            "or delete what is no class"
        )


def _refuse_parts(folder: Path) -> None:
    """Refuse folders of parts, which have folders inside, as classes."""
    usual = {name for names in _FOLDERS.values() for name in names}
    parts = [place.name for place in _folders(folder) if place.name.lower() in usual and _folders(place)]
    if parts:
        raise InvalidArgumentError(
            f"{folder} has {', '.join(parts)} with folders inside, which are parts and no classes, but not both train "
            "and val, which say what the classes are; add these, or move the folders of the classes to the top"
        )


def _left_out(folder: Path, parts: Mapping[str, Files], suffixes: Sequence[str]) -> str:
    """Words about the images of a folder that no part has."""
    known = {path for files in parts.values() for path, _ in files}
    others = [path for path in files_below(folder) if path not in known]
    count = sum(path.suffix.lower() in suffixes for path in others)
    notes = [f"{count} images are in none of them" if count else "", unread(others, suffixes)]
    return "".join(f" ({note})" for note in notes if note)


def _listed(folder: Path, path: Path) -> Files:
    lines = read_list(path, form="class/file", parts=2)
    missing = [line for line in lines if not (folder / line).is_file()]
    if missing:
        raise InvalidArgumentError(f"{path} lists images that do not exist ({some(missing)}); mend the list")
    return [(folder / line, Path(line).parts[0]) for line in lines]


def _drawn(files: Files, draw: Draw) -> dict[str, Files]:
    """Split every class by a draw of its own; each of the parts gets one of three images or more."""
    parts: dict[str, Files] = {part: [] for part in PARTS}
    generator = np.random.default_rng(draw.seed)
    for name, count in Counter(name for _, name in files).items():
        if count < len(PARTS):
            raise InvalidArgumentError(
                f"class {name!r} has {count} images, but three parts need 3; add some, or give train.txt, "
                "val.txt and test.txt"
            )
        own = [entry for entry in files if entry[1] == name]
        order = generator.permutation(count)
        validation = max(1, round(draw.shares[1] * count))
        test = max(1, count - validation - round(draw.shares[0] * count))
        bounds = {"val": order[:validation], "test": order[validation : validation + test]}
        bounds["train"] = order[validation + test :]
        for part, places in bounds.items():
            parts[part] += [own[place] for place in sorted(places)]
    return parts


def _drawn_by_group(folder: Path, files: Files, draw: Draw, group_of: GroupOf) -> dict[str, Files]:
    groups, classes = _groups(folder, files, group_of), [name for _, name in files]
    places = draw_groups(groups, classes, shares=draw.shares, seed=draw.seed)
    return {part: [files[place] for place in chosen] for part, chosen in places.items()}


def _groups(folder: Path, files: Files, group_of: GroupOf) -> list[str]:
    return [group_of(path.relative_to(folder).as_posix()) for path, _ in files]
