"""Whole numbers as arguments."""

from __future__ import annotations

from numbers import Integral

from dasha.errors import InvalidArgumentError


def whole_number(name: str, value: object, *, minimum: int) -> int:
    """Check that an argument is an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InvalidArgumentError(f"{name} is {value!r}, but must be an integer of at least {minimum}")
    return int(value)
