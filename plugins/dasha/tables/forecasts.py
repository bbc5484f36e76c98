"""Forecasts as one long table, and the quantile levels a user asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dasha.errors import InvalidArgumentError
from dasha.types import GaussianForecast


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


def forecast_frame(
    forecast: GaussianForecast, *, times: pd.Index, columns: Sequence[str], quantiles: Sequence[float]
) -> pd.DataFrame:
    """Lay a forecast out as one row per series and step, series by series.

    Args:
        forecast: Arrays ``(H, C)``.
        times: Times of the steps, length ``H``.
        columns: Names of the series, length ``C``.
        quantiles: Levels; each becomes a column named like ``q0.1``.

    Returns:
        Columns ``time, series, step, mean, std`` and the quantiles, ``H·C`` rows.
    """
    horizon, count = forecast.mean.shape
    frame = pd.DataFrame(
        {
            "time": np.tile(times.to_numpy(), count),
            "series": np.repeat(np.array(columns, dtype=object), horizon),
            "step": np.tile(np.arange(1, horizon + 1), count),
            "mean": forecast.mean.T.reshape(-1),
            "std": forecast.std.T.reshape(-1),
        }
    )
    for level in quantiles:
        frame[f"q{level:g}"] = forecast.quantile(level).T.reshape(-1)
    return frame
