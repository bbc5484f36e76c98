"""The files of the long-term forecasting benchmark and their published splits."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dasha.bench.files import find
from dasha.errors import InvalidTableError
from dasha.types import FloatArray

NAMES = (
    "ETTh1",
    "ETTh2",
    "ETTm1",
    "ETTm2",
    "weather",
    "exchange_rate",
    "national_illness",
    "electricity",
    "traffic",
)
"""The files, by the name that every public copy has."""
_ETT_ROWS = (8640, 2880, 2880)  # of the hourly files; the quarter-hourly ones have four times as many


@dataclass(frozen=True)
class Dataset:
    """A file and its published split.

    Attributes:
        name: File name without ending.
        values: Shape ``(T, C)``, oldest first.
        train: Rows ``0 … train`` are the training part.
        validation: Rows ``train … validation`` are the validation part.
        test: Rows ``validation … test`` are the test part.
        columns: Names of the channels.
        times: Times of the rows, or their numbers where the file has none that can be read.
        sha256: Hash of the file.
    """

    name: str
    values: FloatArray
    train: int
    validation: int
    test: int
    columns: tuple[str, ...]
    times: pd.Index
    sha256: str


def horizons_of(name: str) -> tuple[int, ...]:
    """Published horizons of a data set."""
    return (24, 36, 48, 60) if name == "national_illness" else (96, 192, 336, 720)


def load(name: str, data_dir: Path | None) -> Dataset:
    """Read a data set.

    Args:
        name: File name without ending.
        data_dir: Folder that holds it, perhaps further down.

    Raises:
        InvalidTableError: If there is no such file, or it is no table of numbers, or shorter than its published split.
    """
    path = find(name, [".csv"], data_dir)
    content = path.read_bytes()
    try:
        # weather.csv has a degree sign in latin-1; its -9999 sentinels stay as every public copy has them.
        table = pd.read_csv(io.BytesIO(content), encoding="latin-1")
        values = table.iloc[:, 1:].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise InvalidTableError(
            f"{path} is not the table of the benchmark, dates and then numbers ({error}); get another copy"
        ) from error
    if name.startswith("ETT"):
        parts = np.cumsum(_ETT_ROWS) * (4 if name.startswith("ETTm") else 1)
        if len(values) < parts[-1]:
            raise InvalidTableError(
                f"{name}.csv has {len(values)} rows, but the published split needs {parts[-1]}; get another copy"
            )
        train, validation, test = parts.tolist()
    else:
        train, test = int(0.7 * len(values)), len(values)
        validation = test - int(0.2 * test)
    columns = tuple(map(str, table.columns[1:]))
    digest = hashlib.sha256(content).hexdigest()
    return Dataset(name, values, train, validation, test, columns, _times(table.iloc[:, 0]), digest)


def _times(column: pd.Series) -> pd.Index:
    times = pd.to_datetime(column, errors="coerce")
    if times.isna().any() or not times.is_monotonic_increasing:
        return pd.RangeIndex(len(column))
    return pd.DatetimeIndex(times)
