"""Columns as numbers: which can be forecast, and why another cannot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.types import FloatArray

_THOUSANDS_COMMA = r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?"
_DECIMAL_COMMA = r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?"
# Swiss and French thousands: apostrophes, and spaces at which no line breaks.
_MARKED_THOUSANDS = re.compile("(?<!\\d)\\d{1,3}(?:['\u2019\u00a0\u202f]\\d{3})+(?!\\d)")
_SHOWN = 10


def choose_targets(
    frame: pd.DataFrame, targets: Sequence[str] | None, *, separator: str
) -> tuple[tuple[str, ...], FloatArray, list[str]]:
    """Pick the columns to forecast.

    Args:
        frame: Every column but the times.
        targets: Names wanted; None stands for every numeric column.
        separator: Field separator of the file, which tells what a comma inside a number means.

    Returns:
        Names, values of shape ``(T, C)`` with NaN for missing ones, and notes for the reader.

    Raises:
        InvalidTableError: If a name is unknown or repeated, a wanted column is not numeric, or none is.
    """
    if targets is not None:
        _check_names(frame, targets)
    names, columns, notes, left_out = [], [], [], []
    for name in frame.columns if targets is None else targets:
        values, remark = _as_numbers(frame[name], separator)
        if values is not None and np.isnan(values).all():
            values, remark = None, "holds no value at all"
        if values is None:
            if targets is not None:
                raise InvalidTableError(f"target {name!r} {remark}; repair the column or leave it out of --targets")
            left_out.append(f"{name!r} {remark}")
            continue
        if remark:
            notes.append(f"{name!r} {remark}")
        _check_finite(name, values)
        names.append(name)
        columns.append(values)
    if not names:
        raise InvalidTableError(f"the file has no numeric column to forecast ({_list(left_out) or 'only times'})")
    if left_out:
        notes.append(f"left out: {_list(left_out)}")
    return tuple(names), np.column_stack(columns), notes


def unknown_name(kind: str, name: str, known: Sequence[str]) -> InvalidTableError:
    """Return the error for a column that is not there, with the names that come close."""
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    folded = [column for column in known if column.lower() == name.lower()]
    hint = f"did you mean {_list([repr(column) for column in folded or close])}?" if folded or close else ""
    return InvalidTableError(
        f"{kind} {name!r} is not a column of the file; {hint or f'its columns are {_list([repr(c) for c in known])}'}"
    )


def _check_names(frame: pd.DataFrame, targets: Sequence[str]) -> None:
    for name in targets:
        if name not in frame.columns:
            raise unknown_name("target", name, list(frame.columns))
    if len(set(targets)) < len(targets):
        raise InvalidTableError(f"--targets names a column twice: {', '.join(targets)}")


def _check_finite(name: str, values: FloatArray) -> None:
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise InvalidTableError(
            f"column {name!r} is infinite in data row {infinite[0] + 1} ({infinite.size} such values in all); "
            "leave the field empty to treat it as missing"
        )


def _as_numbers(column: pd.Series, separator: str) -> tuple[FloatArray | None, str]:
    """Return the values, or None; and a remark that ends a sentence starting with the column's name."""
    if pd.api.types.is_bool_dtype(column):
        return None, "holds true and false"
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), ""
    if pd.api.types.is_datetime64_any_dtype(column) or not _is_text(column):
        return None, f"is of type {column.dtype}"
    text = column.astype("string").str.strip()
    text = text.mask(text == "")
    unmarked = text.str.replace(_MARKED_THOUSANDS, lambda match: re.sub(r"\D", "", match[0]), regex=True)
    for written, marks in ((text, ""), (unmarked, "has marks between thousands")):
        values = pd.to_numeric(written, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(np.isnan(values) & written.notna().to_numpy())
        if bad.size == 0:
            return values, marks
        converted, how = _with_commas(written, separator)
        if converted is not None:
            return converted, " and ".join(filter(None, (marks, how)))
    return None, f"is not numeric (data row {bad[0] + 1} holds {str(column.iloc[bad[0]])!r})"


def _with_commas(text: pd.Series, separator: str) -> tuple[FloatArray | None, str]:
    """Read ``1,234.5`` or ``1.234,5``; a lone ``1,234`` counts as 1234 in files separated by commas, else as 1.234."""
    styles = [
        (_THOUSANDS_COMMA, ",", ".", "has commas between thousands"),
        (_DECIMAL_COMMA, ".", ",", "has decimal commas"),
    ]
    for pattern, thousands, decimal, how in styles if separator == "," else styles[::-1]:
        if text.dropna().map(lambda value, pattern=pattern: re.fullmatch(pattern, value) is not None).all():
            plain = text.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
            return pd.to_numeric(plain).to_numpy(dtype=np.float64, na_value=np.nan), how
    return None, ""


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)


def _list(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
