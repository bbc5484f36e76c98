"""Forecasts as one long table, and the quantile levels a user asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dasha.errors import InvalidArgumentError
from dasha.types import FloatArray, GaussianForecast

_COLUMNS = ("time", "target", "step", "mean", "std")
_QUANTILE_COLUMN = re.compile(r"q[\d.e-]+")


def parse_quantiles(text: str) -> tuple[float, ...]:
    """Read levels such as ``".1,.5,.9"``, each strictly between 0 and 1, and sort them.

    Raises:
        InvalidArgumentError: If a level is no number, lies outside, or is repeated.
    """
    levels = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        try:
            level = float(item)
        except ValueError:
            level = float("nan")
        if not 0.0 < level < 1.0:
            raise InvalidArgumentError(
                f"--quantiles holds {item!r}, but every level must lie strictly between 0 and 1, as in .1,.5,.9"
            )
        levels.append(level)
    if len(set(levels)) < len(levels):
        raise InvalidArgumentError(f"--quantiles names a level twice: {text}")
    return tuple(sorted(levels))


def check_id_column(name: str | None) -> None:
    """Refuse an id column that is called like a column of the forecast table.

    Raises:
        InvalidArgumentError: If it is.
    """
    if name in _COLUMNS or (name is not None and _QUANTILE_COLUMN.fullmatch(name)):
        raise InvalidArgumentError(
            f"--id-column is {name!r}, which is a column of the forecast table too ({', '.join(_COLUMNS)} and "
            "quantiles such as q0.1 are taken); rename the column"
        )


def forecast_frame(
    forecasts: Sequence[GaussianForecast],
    *,
    times: Sequence[pd.Index],
    columns: Sequence[str],
    quantiles: Sequence[float],
    ids: Sequence[str | int | None],
    id_column: str | None,
) -> pd.DataFrame:
    """Lay forecasts out as one row per series, column and step, series by series.

    Args:
        forecasts: One for each of ``N`` series, arrays ``(H, C)``.
        times: Times of the steps of every series, length ``H`` each.
        columns: Names of the columns, length ``C``.
        quantiles: Levels; each becomes a column named like ``q0.1``.
        ids: What tells the series apart, length ``N``.
        id_column: Name of the column of the ids; None if there is a single series, whose columns are the series.

    Returns:
        ``N·C·H`` rows of columns ``time, series, step, mean, std`` and the quantiles; with ids, the ids, ``time,
        target, step, mean, std`` and the quantiles.
    """
    horizon, count = forecasts[0].mean.shape
    content: dict[str, Any] = {} if id_column is None else {id_column: np.repeat(np.array(ids), count * horizon)}
    content |= {
        "time": np.concatenate([np.tile(index.to_numpy(), count) for index in times]),
        "series" if id_column is None else "target": np.tile(
            np.repeat(np.array(columns, dtype=object), horizon), len(forecasts)
        ),
        "step": np.tile(np.arange(1, horizon + 1), count * len(forecasts)),
        "mean": _stack([forecast.mean for forecast in forecasts]),
        "std": _stack([forecast.std for forecast in forecasts]),
    }
    for level in quantiles:
        content[f"q{level:g}"] = _stack([forecast.quantile(level) for forecast in forecasts])
    return pd.DataFrame(content)


def _stack(arrays: Sequence[FloatArray]) -> FloatArray:
    """Arrays ``(H, C)`` as one column, step by step within column within series."""
    return np.concatenate([array.T.reshape(-1) for array in arrays])
