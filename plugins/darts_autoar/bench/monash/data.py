"""Data sets of the archive, split into what the methods see and what they are to forecast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darts_autoar.bench.monash.prediction import Setting
from dasha.bench.files import find
from dasha.errors import InvalidTableError
from dasha.tables.tsf import SUFFIXES, TsfSeries, read_tsf
from dasha.types import FloatArray

NAMES = ("hospital_dataset", "tourism_monthly_dataset", "m4_hourly_dataset")
"""Data sets of the comparison; any other file of the archive can be named."""
# Official horizons of files that do not state theirs.
HORIZONS = {"hospital_dataset": 12}


@dataclass(frozen=True)
class Case:
    """One data set, split.

    Attributes:
        name: File name without ending, and how many series were taken if not all.
        sha256: Hash of the file.
        series: Names of the series, length ``N``.
        train: What the methods see, ``(T_i,)`` each; NaN marks a missing value.
        actual: What is held out, shape ``(N, H)``.
        setting: What the methods are told.
        left_out: Series too short to be split, or without a value before what is held out.
    """

    name: str
    sha256: str
    series: tuple[str, ...]
    train: list[FloatArray]
    actual: FloatArray
    setting: Setting
    left_out: tuple[str, ...]

    def describe(self) -> str:
        """Say in a line what there is to forecast."""
        lengths = sorted({len(part) for part in self.train})
        span = f"{lengths[0]} to {lengths[-1]}" if len(lengths) > 1 else f"{lengths[0]}"
        short = f"; {len(self.left_out)} series have too few values to be split" if self.left_out else ""
        return (
            f"{len(self.series)} series of {span} training steps; "
            f"horizon {self.setting.horizon}, season {self.setting.season}{short}"
        )


def load(
    name: str,
    data_dir: Path | None,
    *,
    horizon: int | None = None,
    max_series: int | None = None,
    device: str = "cpu",
) -> Case:
    """Read a data set.

    Args:
        name: File name without ending.
        data_dir: Folder that holds it, perhaps further down.
        horizon: Steps held out of a file that states none.
        max_series: The first series only; None for all.
        device: Where Auto-AR computes.

    Raises:
        InvalidTableError: If there is no such file, it cannot be read, or there is nothing to hold out.
    """
    path = find(name, SUFFIXES, data_dir)
    data = read_tsf(path)
    steps = data.horizon or HORIZONS.get(name) or horizon
    if steps is None:
        raise InvalidTableError(f"{path.name} states no horizon; pass --horizon")
    chosen = data.series[:max_series]
    known = [series for series in chosen if _has_past(series, steps)]
    if not known:
        raise InvalidTableError(f"no series of {path.name} has a value before its last {steps}, the horizon")
    train = [series.values[:-steps] for series in known]
    return Case(
        name if len(chosen) == len(data.series) else f"{name}-first-{len(chosen)}",
        data.sha256,
        tuple(series.name for series in known),
        train,
        np.stack([series.values[-steps:] for series in known]),
        Setting(steps, data.season_length, min(map(len, train)), device),
        tuple(series.name for series in chosen if not _has_past(series, steps)),
    )


def _has_past(series: TsfSeries, steps: int) -> bool:
    return not bool(np.isnan(series.values[:-steps]).all())
