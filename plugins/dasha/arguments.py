"""Numbers as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from dasha.errors import InvalidArgumentError


def whole_number(name: str, value: object, *, minimum: int) -> int:
    """Check that an argument is an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InvalidArgumentError(f"{name} is {value!r}, but must be an integer of at least {minimum}")
    return int(value)


def plain(value: Any) -> Any:
    """The value with Python's own numbers in the place of those of NumPy, in tuples, lists and mappings, too."""
    if isinstance(value, Mapping):
        return {name: plain(entry) for name, entry in value.items()}
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def make_plain(owner: Any) -> None:
    """Store `plain` values in all fields of a dataclass that is being made."""
    for field in fields(owner):
        object.__setattr__(owner, field.name, plain(getattr(owner, field.name)))
