"""Names and chromosomes as they are written in files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from dasha.errors import InvalidArgumentError
from genomics_adapter.sequences.data import Source

_FLOAT = re.compile(r"^(\d+)\.0+$")  # how columns with a gap come to hold whole numbers


def names_of(values: Iterable[Any], source: Source) -> np.ndarray:
    """Names ``(N,)`` without blanks around them; what has none is called by its place."""
    return np.array([word or source.place(index) for index, word in enumerate(map(_word, values))], dtype=str)


def chromosomes_of(values: Iterable[Any], source: Source) -> np.ndarray:
    """Chromosomes ``(N,)`` without blanks around them; numbers are texts, 2.0 as 2.

    Raises:
        InvalidArgumentError: If one is missing; the message names its place.
    """
    words = [_FLOAT.sub(r"\1", _word(value)) for value in values]
    if "" in words:
        raise InvalidArgumentError(
            f"{source.place(words.index(''))} has no chromosome ({words.count('')} sequences have none); supply it, "
            "drop the row, or leave chromosome= out"
        )
    return np.array(words, dtype=str)


def _word(value: Any) -> str:
    """A value as text; empty for what is missing."""
    is_missing = value is None or value != value  # NaN
    return "" if is_missing else str(value).strip()
