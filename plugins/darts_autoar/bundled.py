"""Real series that are installed with statsmodels, so that the demo needs no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dasha.types import FloatArray

# Horizons of the M3 and M4 competitions.
YEARLY, QUARTERLY, MONTHLY, HOURLY = 6, 8, 18, 48


@dataclass(frozen=True)
class BundledSeries:
    """One data set of the demo.

    Attributes:
        name: One word for it.
        title: What it is.
        source: Where it comes from, and which statsmodels data set holds it.
        season_length: Steps in a season; 1 for none.
        horizon: Steps to forecast.
        columns: Names of the series.
        index: Times, length ``T``.
        values: Shape ``(T, C)``; NaN marks a missing value.
    """

    name: str
    title: str
    source: str
    season_length: int
    horizon: int
    columns: tuple[str, ...]
    index: pd.DatetimeIndex | pd.RangeIndex
    values: FloatArray


def load_bundled() -> list[BundledSeries]:
    """Load every regular time series of at least 100 steps that statsmodels brings along."""
    loaders: list[Callable[[], BundledSeries]] = [
        _sunspots,
        _nile,
        _co2,
        _elnino,
        _elec_equip,
        _macrodata,
        _rates,
        _demand,
    ]
    return [load() for load in loaders]


def _sunspots() -> BundledSeries:
    from statsmodels.datasets import sunspots

    data = sunspots.load_pandas().data
    return BundledSeries(
        "sunspots",
        "Sunspots, yearly",
        "NOAA National Geophysical Data Center, 1700–2008 (statsmodels: sunspots)",
        season_length=11,  # the solar cycle
        horizon=YEARLY,
        columns=("sunspot number",),
        index=_years(data["YEAR"]),
        values=_matrix(data[["SUNACTIVITY"]]),
    )


def _nile() -> BundledSeries:
    from statsmodels.datasets import nile

    data = nile.load_pandas().data
    return BundledSeries(
        "Nile",
        "Flow of the Nile at Aswan, yearly",
        "Durbin and Koopman, Time Series Analysis by State Space Methods, 1871–1970 (statsmodels: nile)",
        season_length=1,
        horizon=YEARLY,
        columns=("10⁸ m³",),
        index=_years(data["year"]),
        values=_matrix(data[["volume"]]),
    )


def _co2() -> BundledSeries:
    from statsmodels.datasets import co2

    monthly = co2.load_pandas().data.resample("MS").mean()
    return BundledSeries(
        "CO₂",
        "CO₂ in the air at Mauna Loa, monthly means",
        "Keeling and Whorf 2004, Carbon Dioxide Information Analysis Center, 1958–2001, with missing months "
        "(statsmodels: co2)",
        season_length=12,
        horizon=MONTHLY,
        columns=("ppm",),
        index=pd.DatetimeIndex(monthly.index, freq="MS"),
        values=_matrix(monthly),
    )


def _elnino() -> BundledSeries:
    from statsmodels.datasets import elnino

    data = elnino.load_pandas().data
    values = _matrix(data.drop(columns="YEAR")).reshape(-1, 1)  # twelve months per row, one after the other
    return BundledSeries(
        "El Niño",
        "Sea surface temperature, Niño 1+2, monthly",
        "NOAA National Weather Service, ERSST V3B, 1950–2010 (statsmodels: elnino)",
        season_length=12,
        horizon=MONTHLY,
        columns=("°C",),
        index=pd.date_range(f"{int(data['YEAR'].iloc[0])}-01-01", periods=len(values), freq="MS"),
        values=values,
    )


def _elec_equip() -> BundledSeries:
    from statsmodels.datasets import elec_equip

    data = elec_equip.load_pandas().data
    return BundledSeries(
        "turnover",
        "Turnover of electrical equipment makers, euro area, monthly",
        "Eurostat, working-day adjusted, 1995–2016 (statsmodels: elec_equip)",
        season_length=12,
        horizon=MONTHLY,
        columns=("index",),
        index=pd.DatetimeIndex(data.index, freq="MS"),
        values=_matrix(data),
    )


def _macrodata() -> BundledSeries:
    from statsmodels.datasets import macrodata

    data = macrodata.load_pandas().data
    return BundledSeries(
        "macro",
        "Real product, consumption and investment, United States, quarterly",
        "Federal Reserve Bank of St. Louis, seasonally adjusted, 1959–2009 (statsmodels: macrodata)",
        season_length=4,
        horizon=QUARTERLY,
        columns=("realgdp", "realcons", "realinv"),
        index=_quarters(data),
        values=_matrix(data[["realgdp", "realcons", "realinv"]]),
    )


def _rates() -> BundledSeries:
    from statsmodels.datasets import interest_inflation

    data = interest_inflation.load_pandas().data
    return BundledSeries(
        "rates",
        "Inflation and long-term interest rate, West Germany, quarterly",
        "Lütkepohl, New Introduction to Multiple Time Series Analysis, 1972–1998 (statsmodels: interest_inflation)",
        season_length=4,
        horizon=QUARTERLY,
        columns=("Dp", "R"),
        index=_quarters(data),
        values=_matrix(data[["Dp", "R"]]),
    )


def _demand() -> BundledSeries:
    import statsmodels.tsa.stl

    folder = Path(statsmodels.tsa.stl.__file__).parent / "tests" / "results"
    data = pd.read_csv(folder / "mstl_elec_vic.csv", parse_dates=["ds"])
    return BundledSeries(
        "demand",
        "Electricity demand of Victoria, Australia, hourly",
        "Australian Energy Market Operator, January to May 2012 (statsmodels: data of its MSTL tests)",
        season_length=24,
        horizon=HOURLY,
        columns=("MW",),
        index=pd.DatetimeIndex(data["ds"], freq="h"),
        values=_matrix(data[["y"]]),
    )


def _matrix(frame: pd.DataFrame) -> FloatArray:
    return frame.to_numpy(dtype=np.float64)


def _years(column: pd.Series) -> pd.RangeIndex:
    return pd.RangeIndex(int(column.iloc[0]), int(column.iloc[-1]) + 1)


def _quarters(data: pd.DataFrame) -> pd.DatetimeIndex:
    first = pd.Period(year=int(data["year"].iloc[0]), quarter=int(data["quarter"].iloc[0]), freq="Q")
    return pd.date_range(first.start_time, periods=len(data), freq="QS")
