"""Images and their masks in two folders, split by scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dasha.data.groups import PARTS, GroupOf, check_groups, draw_groups
from dasha.data.image_files import Draw, files_below, require_validation, split_folders, unread
from dasha.data.names import listed_before, read_list, some
from dasha.errors import InvalidArgumentError
from torchgeo_dasha.data.rasters import SUFFIXES

Tiles = dict[str, tuple[Path, Path]]
"""Image and mask by name: the path inside its folder, without suffix."""


@dataclass(frozen=True)
class TileFolders:
    """Where images and masks are.

    Attributes:
        root: Everything is inside it.
        image_dir: Of the images.
        mask_dir: Of the masks.
        image_suffix: End of the name of an image, such as ``"_sat.jpg"``; by default any known suffix.
        mask_suffix: End of the name of a mask, likewise.
    """

    root: Path
    image_dir: str
    mask_dir: str
    image_suffix: str | None = None
    mask_suffix: str | None = None

    def at(self, place: Path, inside: str = "") -> Tiles:
        """The tiles of one pair of folders.

        Raises:
            InvalidArgumentError: If there are none, or an image or a mask is alone.
        """
        images = _by_name(place / self.image_dir / inside, self.image_suffix)
        masks = _by_name(place / self.mask_dir / inside, self.mask_suffix)
        alone = [str(path) for name, path in images.items() if name not in masks]
        if alone:
            raise InvalidArgumentError(
                f"{len(alone)} images have no mask in {place / self.mask_dir / inside} ({some(alone)}); add them, or "
                "set image_suffix and mask_suffix"
            )
        alone = [str(path) for name, path in masks.items() if name not in images]
        if alone:
            raise InvalidArgumentError(
                f"{len(alone)} masks have no image in {place / self.image_dir / inside} ({some(alone)}); add them, or "
                "set image_suffix and mask_suffix"
            )
        return {name: (path, masks[name]) for name, path in images.items()}


@dataclass(frozen=True)
class TileFiles:
    """The tiles of every part, and how they were split."""

    parts: Mapping[str, Tiles] = field(repr=False)
    rule: str


def split_tiles(folders: TileFolders, *, draw: Draw, group_of: GroupOf | None) -> TileFiles:
    """Find tiles and split them by lists, by folders, or at random by group.

    Args:
        folders: Where they are. ``train.txt``, ``val.txt`` and perhaps ``test.txt`` in the root list names; otherwise
            ``train``, ``val`` and perhaps ``test`` are folders with both folders inside, or are inside both.
        draw: How to split otherwise.
        group_of: Scene of a name.

    Raises:
        InvalidArgumentError: If tiles are missing, a scene is in two parts, or nothing says how to split.
    """
    root = folders.root
    lists = {name: root / f"{name}.txt" for name in PARTS if (root / f"{name}.txt").is_file()}
    if "train" in lists:
        parts, rule = _listed(folders, lists)
    elif "train" in (outside := split_folders(root)):
        parts = {part: folders.at(path) for part, path in outside.items()}
        rule = f"by the folders {', '.join(path.name for path in outside.values())}"
    elif "train" in (inside := split_folders(root / folders.image_dir)):
        parts = {part: folders.at(root, path.name) for part, path in inside.items()}
        rule = f"by the folders {', '.join(path.name for path in inside.values())}"
    elif group_of is None:
        raise InvalidArgumentError(
            f"nothing says how to split {root}: pass groups, a regular expression that finds the scene in a name, so "
            "that no scene is in two parts ('.+' if every file is a scene), or add train.txt, val.txt and test.txt"
        )
    else:
        parts, rule = _drawn(folders.at(root), draw, group_of), f"by group {draw.describe('the tiles')}"
    rule += _left_out(root, parts)
    require_validation(parts, root, rule)
    check_groups({part: [str(image) for image, _ in tiles.values()] for part, tiles in parts.items()}, what="images")
    if group_of is not None:
        check_groups({part: _groups(tiles, group_of) for part, tiles in parts.items()})
    return TileFiles(parts, rule)


def _by_name(folder: Path, suffix: str | None) -> dict[str, Path]:
    """Files of a folder by their names without suffix."""
    if not folder.is_dir():
        raise InvalidArgumentError(f"{folder} is no folder; set root, image_dir and mask_dir")
    found: dict[str, Path] = {}
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        if suffix is None and path.suffix.lower() in SUFFIXES:
            name = name[: -len(path.suffix)]
        elif suffix and path.name.endswith(suffix):
            name = name[: -len(suffix)]
        else:
            continue
        if name in found:
            raise InvalidArgumentError(f"{found[name]} and {path} have the same name; delete one, or set its suffix")
        found[name] = path
    if not found:
        raise InvalidArgumentError(f"{folder} has no files that end in {suffix or ', '.join(SUFFIXES)}")
    return found


def _left_out(root: Path, parts: Mapping[str, Tiles]) -> str:
    """Words about the images and masks that no part has."""
    known = {path for tiles in parts.values() for pair in tiles.values() for path in pair}
    others = [path for path in files_below(root) if path not in known]
    names = [path.relative_to(root).as_posix() for path in others if path.suffix.lower() in SUFFIXES]
    notes = [f"{len(names)} images or masks are in no part: {some(names)}" if names else "", unread(others, SUFFIXES)]
    return "".join(f" ({note})" for note in notes if note)


def _listed(folders: TileFolders, lists: Mapping[str, Path]) -> tuple[dict[str, Tiles], str]:
    tiles = folders.at(folders.root)
    names_of = _names_of(folders, tiles)
    parts = {}
    for part, path in lists.items():
        lines = read_list(path, form="names", parts=1)
        missing = [line for line in lines if line not in names_of]
        if missing:
            raise InvalidArgumentError(f"{path} lists images that do not exist ({some(missing)}); mend the list")
        double = [f"{line} for {' and '.join(names_of[line])}" for line in lines if len(names_of[line]) > 1]
        if double:
            raise InvalidArgumentError(
                f"{path} lists names of several images ({some(double)}); write their folders, too"
            )
        names = [names_of[line][0] for line in lines]
        if twice := listed_before(lines, names):
            raise InvalidArgumentError(f"{path} lists {some(twice)} under another name before; keep one of the lines")
        parts[part] = {name: tiles[name] for name in names}
    return parts, f"by the lists {', '.join(path.name for path in lists.values())}"


def _names_of(folders: TileFolders, tiles: Tiles) -> dict[str, list[str]]:
    """The tiles that a line may mean: one by its path, with or without suffix; or those of that file name or stem."""
    found: dict[str, list[str]] = {}
    for name, (image, _) in tiles.items():
        for key in {image.name, image.stem}:
            found.setdefault(key, []).append(name)
    for name, (image, _) in tiles.items():
        found[name] = found[image.relative_to(folders.root / folders.image_dir).as_posix()] = [name]
    return found


def _groups(tiles: Tiles, group_of: GroupOf) -> list[str]:
    """Scene of every tile, by its name or by the path of its image."""
    paths = {name: PurePosixPath(name).with_name(image.name) for name, (image, _) in tiles.items()}
    return [group_of(name, str(path)) for name, path in paths.items()]


def _drawn(tiles: Tiles, draw: Draw, group_of: GroupOf) -> dict[str, Tiles]:
    names = list(tiles)
    places = draw_groups(_groups(tiles, group_of), [""] * len(names), shares=draw.shares, seed=draw.seed)
    return {part: {names[place]: tiles[names[place]] for place in chosen} for part, chosen in places.items()}
