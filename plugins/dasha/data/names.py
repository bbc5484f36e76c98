"""Names of files: in messages, and in lists."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path, PurePosixPath

from dasha.errors import InvalidArgumentError

_NAMED = 3  # files that a message names


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def listed_before(lines: Sequence[str], meant: Sequence[Hashable]) -> list[str]:
    """The lines that mean what an earlier one does.

    Args:
        lines: Of a list.
        meant: What every line stands for.
    """
    seen: set[Hashable] = set()
    found = []
    for line, what in zip(lines, meant, strict=True):
        if what in seen:
            found.append(line)
        seen.add(what)
    return found


def text_lines(path: Path) -> list[str]:
    """Lines of a text file without the space around them; blank ones are left out.

    Raises:
        InvalidArgumentError: If it is no UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{path} is no text in UTF-8 ({error.reason}); save it as UTF-8") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_list(path: Path, *, form: str, parts: int) -> list[str]:
    """Lines of a list of files; blank ones are left out.

    Args:
        path: The list.
        form: What a line looks like, for messages.
        parts: Least number of names in a line that are separated by ``/``.

    Raises:
        InvalidArgumentError: If it is no text or has no lines, or one leads out of the folder, is too short or is there
            twice.
    """
    lines = text_lines(path)
    places = [PurePosixPath(line) for line in lines]
    outside = [str(place) for place in places if len(place.parts) < parts or place.is_absolute() or ".." in place.parts]
    if outside or not lines:
        raise InvalidArgumentError(
            f"{path} must list images as {form}, relative to its folder, but holds {some(outside) or 'nothing'}"
        )
    if twice := listed_before(lines, places):
        raise InvalidArgumentError(f"{path} lists {some(twice)} more than once; every image needs one line")
    return lines
