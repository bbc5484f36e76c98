"""Columns as times: which column holds them, and how its values are read."""

from __future__ import annotations

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError

# Whole numbers are values like any other unless the column is called one of these.
_INTEGER_TIME_NAMES = {"date", "datetime", "ds", "index", "period", "step", "t", "time", "timestamp", "year"}
# A column whose name holds one of these words, and whose whole numbers may be seconds since 1970, holds just these.
_EPOCH_WORDS = {"date", "datetime", "ds", "epoch", "t", "time", "timestamp", "ts", "unix", "unixtime"}
EPOCH_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# Dates written as whole numbers: format, first and last that pandas can hold, and how messages call them.
_CALENDARS = {"%Y%m%d": (1677_09_22, 2262_04_11, "YYYYMMDD"), "%Y%m": (1677_10, 2262_04, "YYYYMM")}
_EPOCH_START, _EPOCH_END = (pd.Timestamp(year, 1, 1).timestamp() for year in (1990, 2100))
_SAMPLE = 5
_DAY_OR_MONTH_FIRST = re.compile(r"\s*\d{1,2}[./-]\d{1,2}[./-]\d")
_UTC_OFFSET = r"\s*(?:Z|UTC|[+-]\d{2}:?\d{2})$"


class Reading(NamedTuple):
    """One way to read a column as dates.

    Attributes:
        times: The dates, in the order of the file.
        note: What was assumed; empty if nothing was.
        order: ``"month first"`` or ``"day first"`` where it is open which of two numbers is the day; else empty.
    """

    times: pd.DatetimeIndex
    note: str = ""
    order: str = ""


def find_time_column(frame: pd.DataFrame, ids: pd.Series | None = None) -> str | None:
    """Return the first column that holds dates, else one of whole numbers that are times, else None.

    Whole numbers are times if they may be seconds since 1970 (or milliseconds and so on) and either come at even steps
    or are named so, if they may be dates written ``YYYYMMDD`` or ``YYYYMM`` and rise or are named so, or if they are
    named like a time.

    Args:
        frame: Every column but the ids.
        ids: What tells apart the series, in each of which times rise; None if there is one.
    """
    for name in frame.columns:
        if _holds_dates(frame[name]):
            return str(name)
    for name in frame.columns:
        if _holds_epoch(frame[name]) or _holds_rising_dates(frame[name], ids):
            return str(name)
    for name in frame.columns:
        if name.lower() in _INTEGER_TIME_NAMES and whole_numbers(frame[name]) is not None:
            return str(name)
    return None


def row_number_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns without a name that only count the rows, as pandas and R write them."""
    unnamed = [name for name in frame.columns if name == "" or name.startswith("Unnamed: ")]
    counts = {name: whole_numbers(frame[name]) for name in unnamed}
    return [name for name, count in counts.items() if count is not None and (np.diff(count) == 1).all()]


def whole_numbers(column: pd.Series) -> np.ndarray | None:
    """Return the column as int64, or None if a value is missing or is no whole number."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column) or column.isna().any():
        return None
    if pd.api.types.is_integer_dtype(column):
        return column.to_numpy(dtype=np.int64)  # nanoseconds since 1970 are more than a float holds
    values = column.to_numpy(dtype=np.float64)
    return values.astype(np.int64) if (values == np.floor(values)).all() and np.isfinite(values).all() else None


def readings(column: pd.Series) -> list[Reading]:
    """Every way to read a column as dates, the likeliest first.

    Raises:
        InvalidTableError: If a value is missing or cannot be read; the first such row is named.
    """
    missing = np.flatnonzero(column.isna().to_numpy())
    if missing.size:
        raise InvalidTableError(
            f"time column {column.name!r} is empty in data row {missing[0] + 1} ({missing.size} such rows in all); "
            "fill in the times or delete the rows"
        )
    if pd.api.types.is_datetime64_any_dtype(column):
        return _by_zone(pd.DatetimeIndex(column))
    numbers = whole_numbers(column)
    unit = None if numbers is None else epoch_unit(numbers)
    if numbers is not None and unit is not None:
        note = f"{str(column.name)!r} was read as {EPOCH_UNITS[unit]} since 1970, in UTC"
        return [Reading(pd.DatetimeIndex(numbers.astype(f"datetime64[{unit}]")).as_unit("ns"), note)]
    style = None if numbers is None else calendar_format(numbers)
    if numbers is not None and style is not None:
        note = f"{str(column.name)!r} was read as dates written {_CALENDARS[style][2]}"
        return _parse(pd.Series(numbers.astype(str)), note, format=style)
    text = column.astype(str).str.strip()
    if pd.api.types.is_numeric_dtype(column):
        text = text.str.removesuffix(".0")
    found = []
    if _DAY_OR_MONTH_FIRST.match(text.iloc[0]):
        for order in ("month first", "day first"):
            parsed = _parse(text, f"dates were read as {order}", dayfirst=order == "day first")
            found += [reading._replace(order=order) for reading in parsed]
    else:
        found += _parse(text, "") or _parse(text, "", format="ISO8601")
    if not found and text.str.contains(_UTC_OFFSET).all():  # offsets that change with the season
        found += _parse(text, "times carry different UTC offsets and were turned into UTC", utc=True)
        local = text.str.replace(_UTC_OFFSET, "", regex=True)
        found += _parse(local, "times carry different UTC offsets and are kept as local times")
    if not found:
        raise _unreadable(column, text)
    return found


def calendar_format(numbers: np.ndarray) -> str | None:
    """How whole numbers write dates, ``"%Y%m%d"`` or ``"%Y%m"``; None if not all of them do."""
    for style, (first, last, _) in _CALENDARS.items():
        if numbers.size > 0 and first <= numbers.min() and numbers.max() <= last:
            dates = pd.to_datetime(pd.Series(numbers.astype(str)), format=style, errors="coerce")
            return style if bool(dates.notna().all()) else None
    return None


def epoch_unit(numbers: np.ndarray) -> str | None:
    """Unit in which whole numbers are times since 1970 that lie between 1990 and 2100; None if in none."""
    if numbers.size == 0:
        return None
    for place, unit in enumerate(EPOCH_UNITS):
        scale = 1000**place
        if _EPOCH_START * scale <= numbers.min() and numbers.max() < _EPOCH_END * scale:
            return unit
    return None


def stand_for_dates(numbers: np.ndarray) -> bool:
    """Tell whether whole numbers are dates in disguise."""
    return calendar_format(numbers) is not None or epoch_unit(numbers) is not None


def _holds_epoch(column: pd.Series) -> bool:
    numbers = whole_numbers(column)
    if numbers is None or epoch_unit(numbers) is None:
        return False
    steps = np.diff(np.unique(numbers))
    is_even = steps.size > 1 and bool((steps == steps[0]).all())
    return is_even or bool(_EPOCH_WORDS & set(re.split(r"[^a-z]+", str(column.name).lower())))


def _holds_rising_dates(column: pd.Series, ids: pd.Series | None) -> bool:
    numbers = whole_numbers(column)
    if numbers is None or calendar_format(numbers) is None:
        return False
    steps = (column.diff() if ids is None else column.groupby(ids).diff()).dropna()
    return not steps.empty and bool((steps > 0).all())


def _holds_dates(column: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column):
        numbers = whole_numbers(column) if column.name and "date" in str(column.name).lower() else None
        return numbers is not None and calendar_format(numbers) is not None
    sample = column.dropna().head(_SAMPLE).astype(str)
    if sample.empty or pd.to_numeric(sample, errors="coerce").notna().any():
        return False
    parsed = _to_datetime(sample, format="mixed", errors="coerce", utc=True).notna() & sample.str.contains(r"\d")
    # Most, not all: one unreadable time makes a bad time column, not another kind of column.
    return bool(parsed.mean() > 0.5)


def _parse(text: pd.Series, note: str, **options: Any) -> list[Reading]:
    try:
        index = pd.DatetimeIndex(_to_datetime(text, **options))
    except (ValueError, TypeError, OverflowError):
        return []
    if options.get("utc"):
        return [Reading(index.tz_localize(None), note)]
    return [Reading(one.times, "; ".join(filter(None, (note, one.note)))) for one in _by_zone(index)]


def _by_zone(index: pd.DatetimeIndex) -> list[Reading]:
    if index.tz is None:
        return [Reading(index)]
    utc, local = index.tz_convert(None), index.tz_localize(None)
    if (utc == local).all():
        return [Reading(utc)]
    return [
        Reading(utc, f"times were turned from {index.tz} into UTC"),
        Reading(local, f"times are kept as local times of {index.tz}"),
    ]


def _to_datetime(text: pd.Series, **options: Any) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the format had to be guessed: every reading is checked afterwards
        result: pd.Series = pd.to_datetime(text, **options)
    return result


def _unreadable(column: pd.Series, text: pd.Series) -> InvalidTableError:
    for options in ({"format": "mixed", "utc": True}, {}):
        bad = np.flatnonzero(_to_datetime(text, errors="coerce", **options).isna().to_numpy())
        if bad.size:
            return InvalidTableError(
                f"time column {column.name!r} holds {str(column.iloc[bad[0]])!r} in data row {bad[0] + 1}, which is "
                "no date that can be read; write dates like 2024-01-31 23:00"
            )
    return InvalidTableError(f"time column {column.name!r} mixes ways to write dates; use one, like 2024-01-31 23:00")
