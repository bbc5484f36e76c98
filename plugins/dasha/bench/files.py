"""Where data files are: somewhere below one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dasha.errors import DashaError, InvalidTableError

T = TypeVar("T")


def find(name: str, endings: Sequence[str], data_dir: Path | None) -> Path:
    """Return the file with this name and one of these endings below a folder.

    Of several, it is that of the first ending, and of these the first by path.

    Raises:
        InvalidTableError: If there is no folder or no such file.
    """
    if data_dir is None:
        raise InvalidTableError("no folder given; pass --data-dir or set DASHA_DATA")
    for ending in endings:
        found = sorted(Path(data_dir).rglob(f"{name}{ending}"))
        if found:
            return found[0]
    raise InvalidTableError(f"no {' or '.join(name + ending for ending in endings)} under {data_dir}")


def find_folder(name: str, data_dir: Path | None) -> Path:
    """Return the folder with this name below a folder; the first by path if there are several.

    Raises:
        InvalidTableError: If there is no such folder.
    """
    found = sorted(path for path in _checked(data_dir).rglob(name) if path.is_dir())
    if not found:
        raise InvalidTableError(f"no folder {name} under {data_dir}")
    return found[0]


def folders_of(data_dir: Path | None, pattern: str) -> list[str]:
    """Return the names of all folders below a folder that match a pattern, such as ``gue_*``.

    Raises:
        InvalidTableError: If the folder is not given or is none.
    """
    return sorted({path.name for path in _checked(data_dir).rglob(pattern) if path.is_dir()})


def files_of(data_dir: Path | None, endings: Sequence[str]) -> list[str]:
    """Return the names, without their ending, of all files below a folder that have one of these endings.

    Raises:
        InvalidTableError: If the folder is not given or is none.
    """
    folder = _checked(data_dir)
    return sorted({path.name.removesuffix(ending) for ending in endings for path in folder.rglob(f"*{ending}")})


def those_there(
    named: Sequence[str], usual: Sequence[str], data_dir: Path | None, endings: Sequence[str]
) -> Sequence[str]:
    """Return the data sets to read: all that were named, or those of the usual ones whose files are there.

    Args:
        named: What was asked for by name; empty for the usual ones.
        usual: What is wanted otherwise.
        data_dir: Folder that holds the files, perhaps further down.
        endings: What the files end with, one of these.

    Raises:
        InvalidTableError: If a file that was asked for is missing, or all of the usual ones are.
    """
    there = files_of(data_dir, endings)
    for name in named:
        if name not in there:
            refuse(name, f"there is no {name}{endings[0]} under {data_dir}")
    found = named or [name for name in usual if name in there]
    if not found:
        wanted = ", ".join(f"{name}{endings[0]}" for name in usual)
        raise InvalidTableError(
            f"--data-dir {str(data_dir)!r} has none of the files {wanted}; put one there, or give the folder that "
            "holds them"
        )
    return found


def load_all(names: Sequence[str], load: Callable[[str], T], skip: Callable[[str, str], None]) -> Iterator[T]:
    """Load data sets one by one; ``skip`` is called with the name of one that cannot be had, and why."""
    for name in names:
        try:
            data = load(name)
        except DashaError as error:
            skip(name, str(error))
        else:
            yield data


def refuse(name: str, reason: str) -> None:
    """Skip nothing: what was asked for by name must be there.

    Raises:
        InvalidTableError: Always.
    """
    raise InvalidTableError(f"--datasets names {name!r}, but {reason}; leave it out, or mend what --data-dir names")


def _checked(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise InvalidTableError("--data-dir is not given and DASHA_DATA is not set; one of them must name the folder")
    if not data_dir.is_dir():
        what = "is a file" if data_dir.exists() else "does not exist"
        raise InvalidTableError(f"--data-dir is {str(data_dir)!r}, which {what}; give the folder with the data files")
    return data_dir
