"""Groups of files that must stay together, such as the crops of one scene."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from dasha.data.names import some
from dasha.errors import InvalidArgumentError

PARTS = ("train", "val", "test")
_TABLES = (".csv", ".txt")


GroupOf = Callable[..., str]
"""Group of a file by its path, with ``/``; further paths are others that a table may have for it."""


def group_function(groups: str | Path, folder: Path) -> GroupOf:
    """Make the function that tells the group of a file by its path, relative to ``folder``.

    Args:
        groups: A regular expression that is searched in the path; what its parentheses hold, or without any the whole
            match, names the group. Or a ``.csv`` or ``.txt`` file with lines ``file,group``, where a file is given by
            path, name or stem.
        folder: Where a file of that name is looked for first.

    Raises:
        InvalidArgumentError: If it is neither. The function raises it for a file without a group.
    """
    groups = str(groups)
    if groups.lower().endswith(_TABLES):
        return _by_table(folder / groups if (folder / groups).is_file() else Path(groups))
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise InvalidArgumentError(
            f"groups={groups!r} is no regular expression ({error}), nor a .csv or .txt file"
        ) from error

    def group_of(path: str, *_: str) -> str:
        found = pattern.search(path)
        if found is None:
            raise InvalidArgumentError(f"groups={groups!r} does not match {path}; widen the regular expression")
        return "/".join(text or "" for text in found.groups()) if pattern.groups else found.group()

    return group_of


def check_groups(groups: Mapping[str, Sequence[str]], *, what: str = "groups") -> None:
    """Check that no group is in two parts.

    Args:
        groups: Groups of the files of every part.
        what: What they are, for messages.

    Raises:
        InvalidArgumentError: If one is.
    """
    sets = {part: set(names) for part, names in groups.items()}
    for place, part in enumerate(sets):
        for other in list(sets)[place + 1 :]:
            common = sorted(sets[part] & sets[other])
            if common:
                raise InvalidArgumentError(
                    f"{what} are in {part} and in {other}, but must be in one part ({some(common)}); mend the split"
                )


def draw_groups(
    groups: Sequence[str], classes: Sequence[str], *, shares: tuple[float, float], seed: int
) -> dict[str, list[int]]:
    """Split files at random so that every group is in one part, and every class is shared out as wished, roughly.

    Large groups come first, each into the part that it brings closest to its share of every class.

    Args:
        groups: Of every file.
        classes: Of every file.
        shares: For training and for validation; the rest is for test.
        seed: Decides among groups of one size.

    Returns:
        Places of the files of every part.

    Raises:
        InvalidArgumentError: If there are fewer than three groups.
    """
    names, owner = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < len(PARTS):
        raise InvalidArgumentError(
            f"there are {len(names)} groups ({some(names.tolist())}), but three parts need 3; take smaller ones"
        )
    counts = np.zeros((len(names), len(set(classes))))
    np.add.at(counts, (owner, np.unique(np.asarray(classes), return_inverse=True)[1]), 1.0)
    counts /= counts.sum(0)
    wanted = np.array([*shares, 1.0 - sum(shares)])[:, None]
    held = np.zeros((len(PARTS), counts.shape[1]))
    part_of = np.full(len(names), -1)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    for done, group in enumerate(order):
        cost = ((held + counts[group] - wanted) ** 2 - (held - wanted) ** 2).sum(1)
        empty = held.sum(1) == 0
        if len(order) - done <= empty.sum():
            cost[~empty] = np.inf
        part_of[group] = cost.argmin()
        held[part_of[group]] += counts[group]
    return {part: np.flatnonzero(part_of[owner] == place).tolist() for place, part in enumerate(PARTS)}


def _by_table(path: Path) -> GroupOf:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgumentError(f"groups={str(path)!r} cannot be read: {error}") from error
    table: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 or not all(row):
            raise InvalidArgumentError(f"line {number} of groups={str(path)!r} is {','.join(row)!r}, not file,group")
        if table.setdefault(row[0], row[1]) != row[1]:
            raise InvalidArgumentError(f"groups={str(path)!r} puts {row[0]} into {table[row[0]]} and into {row[1]}")

    def group_of(name: str, *others: str) -> str:
        places = [PurePosixPath(path) for path in (name, *others)]
        keys = [name, *others, *(place.name for place in places), *(place.stem for place in places)]
        group = next((table[key] for key in keys if key in table), None)
        if group is None:
            raise InvalidArgumentError(f"groups={str(path)!r} has no line for {name}; add one")
        return group

    return group_of
