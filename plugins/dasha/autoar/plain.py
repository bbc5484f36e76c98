"""Ids, times and paces of series as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from dasha.autoar.pace import Pace
from dasha.errors import InvalidArgumentError


def plain(value: Any) -> Any:
    """An id or a time as JSON knows it.

    Raises:
        InvalidArgumentError: If an id is neither text nor a number nor a time.
    """
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, date | np.datetime64):  # datetime and Timestamp are dates, too
        time = pd.Timestamp(value)
        return {"time": time.isoformat(), "zone": None if time.tz is None else str(time.tz)}
    raise InvalidArgumentError(
        f"the series id {value!r} is a {type(value).__name__}, which cannot be saved; use text or numbers as ids"
    )


def restored(value: Any) -> Any:
    """Inverse of `plain`."""
    if not isinstance(value, dict):
        return value
    time = pd.Timestamp(value["time"])
    return time if value["zone"] is None else time.tz_convert(value["zone"])


def pace_to_plain(pace: Pace | None) -> dict[str, Any] | None:
    """A pace as JSON values."""
    if pace is None:
        return None
    lost = {way: [plain(time) for time in pair] for way, pair in pace.lost.items()}
    return {"first": plain(pace.first), "second": plain(pace.second), "lost": lost}


def pace_from_plain(values: Mapping[str, Any] | None) -> Pace | None:
    """Inverse of `pace_to_plain`."""
    if values is None:
        return None
    lost = {way: (restored(before), restored(time)) for way, (before, time) in values["lost"].items()}
    return Pace(restored(values["first"]), restored(values["second"]), lost)
