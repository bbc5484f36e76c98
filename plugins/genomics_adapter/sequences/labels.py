"""Labels as they are written in files: numbers, or words that name classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dasha.errors import InvalidArgumentError
from genomics_adapter.sequences.data import Source

# More different words than this share of the sequences are names rather than classes.
_MOST_CLASSES = 0.2
_MOST = 2**53  # up to here, floats have every whole number
# What pandas reads as missing.
_MISSING = {"#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
_TRUTH = {"TRUE": 1, "FALSE": 0}
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*,\d+([eE][+-]?\d+)?")
_NO_LABEL = "has no label; supply it or drop the row"


def parse_labels(
    columns: Sequence[Any], source: Source, class_names: Sequence[str] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read labels as numbers, or as words that name classes.

    Args:
        columns: One column or several of texts or numbers; in several, columns of true and false are 1 and 0.
        source: Where they are from.
        class_names: Names of the classes; by default the words that occur, in alphabetical order.

    Returns:
        int64 where all are whole numbers, also as ``1.0``, float32 otherwise, shape ``(N,)`` or ``(N, len(columns))``;
        and the names of the classes, none where labels are numbers.

    Raises:
        InvalidArgumentError: If a label is empty or says that it is missing (``NA`` and the like), is not finite, an
            unknown word, a word among numbers, or a number with a decimal comma.
    """
    parsed = [_column(column, source) for column in columns]
    if len(parsed) > 1:
        parsed = list(map(_without_truth_values, parsed))
    are_words = [column.dtype.kind == "O" for column in parsed]
    if len(parsed) == 1 and are_words[0]:
        return _classes(parsed[0], source, tuple(class_names))
    if any(are_words):
        place, value = source.place(0), parsed[are_words.index(True)][0]
        raise InvalidArgumentError(f"{place} has label {value!r}, but several label columns must all be numbers")
    return (parsed[0] if len(parsed) == 1 else np.stack(parsed, axis=1)), ()


def _column(column: Any, source: Source) -> np.ndarray:
    """Numbers as they are, or stripped words as objects."""
    values = pd.Series(column)
    if values.dtype.kind in "bui":
        return values.to_numpy(np.int64)
    if values.isna().any():
        raise InvalidArgumentError(f"{source.place(int(values.isna().argmax()))} {_NO_LABEL}")
    if values.dtype.kind == "f":
        return _finite(values.to_numpy(np.float64), values.astype(str), source)
    words = values.astype(str).str.strip()
    if (words == "").any():
        raise InvalidArgumentError(f"{source.place(int((words == '').argmax()))} {_NO_LABEL}")
    numbers = pd.to_numeric(words, errors="coerce")
    is_number = numbers.notna()
    if not is_number.any():
        return words.to_numpy(object)
    return _finite(numbers.to_numpy(), words, source)


def _without_truth_values(column: np.ndarray) -> np.ndarray:
    """A column of true and false as 1 and 0; any other as it is."""
    if column.dtype.kind != "O":
        return column
    numbers = pd.Series(column).str.upper().map(_TRUTH)
    return column if numbers.isna().any() else numbers.to_numpy(np.int64)


def _finite(numbers: np.ndarray, words: pd.Series[str], source: Source) -> np.ndarray:
    bad = ~np.isfinite(numbers)
    if bad.any():
        index = int(bad.argmax())
        raise InvalidArgumentError(
            f"{source.place(index)} has label {words.iloc[index]!r}, which is no finite number, although others are "
            "numbers; correct or drop it"
        )
    is_whole = (numbers == np.floor(numbers)).all() and np.abs(numbers).max(initial=0) < _MOST
    return numbers.astype(np.int64 if is_whole else np.float32)


def _classes(words: np.ndarray, source: Source, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    is_missing = np.isin(words, list(_MISSING.difference(names)))
    if is_missing.any():
        index = int(is_missing.argmax())
        raise InvalidArgumentError(
            f"{source.place(index)} has label {words[index]!r}, which says that it is missing; drop the row or rename "
            "the word, or where it is a class, name all in class_names="
        )
    if not names and all(map(_DECIMAL_COMMA.fullmatch, words)):
        plain = words[0].replace(".", "").replace(",", ".")
        raise InvalidArgumentError(
            f"{source.place(0)} has label {words[0]!r}, a number with a decimal comma; write {plain!r}, or where these "
            "are classes, name all in class_names="
        )
    known = names or tuple(sorted(set(words.tolist())))
    if not names and len(known) > max(10, _MOST_CLASSES * len(words)):
        raise InvalidArgumentError(
            f"{source} has {len(known)} different words as labels of {len(words)} sequences, such as {known[0]!r}; "
            "name the column of the labels"
        )
    numbers = pd.Index(known).get_indexer(pd.Index(words))
    if (numbers < 0).any():
        index = int((numbers < 0).argmax())
        raise InvalidArgumentError(
            f"{source.place(index)} has label {words[index]!r}, but the classes are {', '.join(known)}"
        )
    return numbers.astype(np.int64), known
