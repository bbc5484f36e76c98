"""Names given on the command line, checked against those that there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from dasha.errors import InvalidArgumentError, UnknownNameError


def check_names(option: str, noun: str, names: Sequence[str], known: Collection[str]) -> None:
    """Refuse names that are unknown or repeated.

    Args:
        option: Where the names were given, such as ``"--against"``.
        noun: What they name, in the singular.
        names: What was given.
        known: What is allowed.

    Raises:
        UnknownNameError: If a name is not known; the message suggests one and lists all.
        InvalidArgumentError: If a name is repeated.
    """
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1) or get_close_matches(name.lower(), known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UnknownNameError(f"{option} has no {noun} {name!r}; {hint}known are {', '.join(known)}")
    if len(set(names)) < len(names):
        raise InvalidArgumentError(f"{option} names a {noun} twice: {', '.join(names)}; name each once")
