"""GluonTS data entries to arrays, and how an entry is recognised as the continuation of a training series."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from darts_autoar.continuation import best_match, distinctive_end
from dasha.autoar.matrices import as_array, as_matrix
from dasha.errors import InvalidArgumentError, InvalidSeriesError
from dasha.types import FloatArray

# Steps that may be missing between training data and what follows; more would be a mistaken start.
_LONGEST_GAP = 10_000_000


@dataclass(frozen=True)
class EntrySeries:
    """Target of a data entry.

    Attributes:
        name: How messages call it.
        item_id: As text; None if the entry has none.
        start: Time of the first row.
        values: Shape ``(T, C)``, float64; ``T`` may be 0.
        is_univariate: Whether the target has no channel axis.
    """

    name: str
    item_id: str | None
    start: pd.Period
    values: FloatArray
    is_univariate: bool

    @staticmethod
    def of(entry: Mapping[str, Any], number: int, freq: str | None) -> EntrySeries:
        """Read an entry.

        Args:
            entry: Data entry of GluonTS, ``target`` of shape ``(T,)`` or ``(C, T)``.
            number: Position in its dataset.
            freq: Frequency that it must have, as `period_freq` gives it; None allows any.

        Raises:
            InvalidSeriesError: If a field is missing or cannot be used.
        """
        item_id = None if entry.get("item_id") is None else str(entry["item_id"])
        name = _name_of(item_id, number)
        for field in ("start", "target"):
            if field not in entry:
                raise InvalidSeriesError(f"{name} has no field {field!r}; build the dataset with PandasDataset")
        start = entry["start"]
        if not isinstance(start, pd.Period):
            raise InvalidSeriesError(
                f"start of {name} is {start!r}, but must be a pandas.Period; build the dataset with PandasDataset or "
                "ListDataset"
            )
        if freq is not None and not _has_freq(start, freq):
            raise InvalidSeriesError(
                f"{name} has frequency {start.freqstr!r}, but freq is {freq!r}; leave out freq, or keep the series of "
                "each frequency in a dataset of their own"
            )
        target = as_array(entry["target"])
        if target.shape[-1:] == (0,):
            values = np.empty((0, target.shape[0] if target.ndim == 2 else 1))
        else:
            values = as_matrix(target.T, name)  # (C, T) -> (T, C)
        return EntrySeries(name, item_id, start, values, target.ndim == 1)

    @property
    def end(self) -> pd.Period:
        """Time after the last row."""
        return self.start + len(self.values)

    def position(self, ordinal: int) -> int | None:
        """Number of rows before the period with this ordinal; None if it is not on the grid of the series."""
        rows, rest = divmod(ordinal - self.start.ordinal, self.start.freq.n)  # ordinals of "15min" count minutes
        return None if rest else rows

    def has_values(self) -> bool:
        """Tell whether anything was observed."""
        return not bool(np.isnan(self.values).all())

    def steps_after(self, end: pd.Period, name: str) -> FloatArray:
        """Rows from the period ``end`` on, NaN for steps between the two, shape ``(N, C)``; ``N`` may be 0."""
        known = self.position(end.ordinal) if end.freqstr == self.start.freqstr else None
        if known is None:
            raise InvalidSeriesError(
                f"{name} of {self.name} starts at {self.start} with frequency {self.start.freqstr!r}, which does not "
                f"continue the training series, whose next step is {end} with frequency {end.freqstr!r}"
            )
        if -known > _LONGEST_GAP:
            raise InvalidSeriesError(
                f"{name} of {self.name} starts at {self.start}, {-known:,} steps after the training series, whose next "
                f"step is {end}; check its start, or train on it alone"
            )
        between = np.full((max(0, -known), self.values.shape[1]), np.nan)
        return np.vstack([between, self.values[max(0, known) :]])


def _name_of(item_id: str | None, number: int) -> str:
    return f"series number {number}" if item_id is None else f"series {item_id!r}"


def period_freq(freq: str) -> str:
    """Name of a frequency as ``Period.freqstr`` gives it: ``"ME"`` and ``"MS"`` become ``"M"``.

    Weeks that name no day, ``"W"``, stay as they are, and stand for those of any day.

    Raises:
        InvalidArgumentError: If pandas does not know the frequency.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "H": metadata of GluonTS datasets still use upper case
        try:
            name = str(pd.Period("2000-01-01", freq=freq).freqstr)
            return name if "-" in str(freq) else name.replace("W-SUN", "W")
        except ValueError:
            pass
        try:
            return str(pd.date_range("2000-01-01", periods=2, freq=freq).to_period().freqstr)
        except ValueError as error:
            raise InvalidArgumentError(
                f"freq is {freq!r}, but must be a frequency of pandas such as 'h', 'D', 'W' or 'M'; leave it out to "
                "take that of the data"
            ) from error


def _has_freq(start: pd.Period, freq: str) -> bool:
    """Whether a period has a frequency that `period_freq` named: ``"60min"`` is ``"h"``, and ``"W"`` is any week."""
    if freq.endswith("W"):
        return bool(start.freqstr.split("-")[0] == freq)
    return bool(start.freqstr == freq or start.freq == pd.Period("2000-01-01", freq=freq).freq)


def continuations(train: Sequence[EntrySeries], later: Sequence[EntrySeries], *, name: str) -> list[FloatArray]:
    """Rows that follow each training series.

    Series are paired by item id, and by position where there are no ids, or the same one twice.

    Args:
        train: Training series, or their last rows.
        later: Their continuations, with or without the training rows in front, which do not count again.
        name: How messages call ``later``.

    Returns:
        One array ``(N, C)`` per training series; ``N`` is 0 where nothing follows.

    Raises:
        InvalidSeriesError: If the two do not belong together.
    """
    following = []
    for one, partner in zip(train, _partners(train, later, name), strict=True):
        channels = one.values.shape[1]
        if partner is not None and partner.values.shape[1] != channels:
            raise InvalidSeriesError(
                f"{name} of {one.name} has {partner.values.shape[1]} channels, but the training series has {channels}"
            )
        following.append(np.empty((0, channels)) if partner is None else partner.steps_after(one.end, name))
    return following


def has_ids(series: Sequence[EntrySeries]) -> bool:
    """Tell whether every series has an item id of its own."""
    ids = {one.item_id for one in series}
    return None not in ids and len(ids) == len(series)


def _partners(train: Sequence[EntrySeries], later: Sequence[EntrySeries], name: str) -> list[EntrySeries | None]:
    if has_ids(train) and has_ids(later):
        known = {one.item_id for one in train}
        unknown = sorted(str(one.item_id) for one in later if one.item_id not in known)
        if unknown:
            raise InvalidSeriesError(
                f"{name} holds {len(unknown)} series that were not trained on (the first is {unknown[0]!r}); pass the "
                "continuation of training series only"
            )
        by_id = {one.item_id: one for one in later}
        return [by_id.get(one.item_id) for one in train]
    if [one.item_id for one in train] != [one.item_id for one in later]:
        raise InvalidSeriesError(
            f"{name} has {len(later)} series and {len(train)} were trained on, not all with an item_id of their own "
            "that says which belong together; pass one for each, in the same order and with the same ids"
        )
    return list(later)


class KnownSeries:
    """Finds which training series, if any, a given series continues.

    A series continues a training series when it has the same item id, frequency and channels and holds the last rows
    of the training series, at the same times and with the same values.
    """

    def __init__(self, ends: Mapping[str, Any]) -> None:
        """Index what `training_ends` returned."""
        shapes = np.asarray(ends["shapes"])
        pieces = np.split(np.asarray(ends["rows"]), np.cumsum(shapes.prod(1))[:-1])
        self._probes = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
        self._candidates: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        self._ordinals: dict[tuple[Any, ...], set[int]] = defaultdict(set)
        self._kinds = list(zip(ends["item_ids"], ends["freqs"], shapes[:, 1].tolist(), strict=True))
        self._last = ends["ordinals"].tolist()
        for number, (kind, ordinal) in enumerate(zip(self._kinds, self._last, strict=True)):
            self._ordinals[kind].add(ordinal)
            self._candidates[(kind, ordinal, self._probes[number][-1].tobytes())].append(number)

    def ends(self) -> list[EntrySeries]:
        """The last rows of every training series, at their times, in the order of the training series."""
        ends = []
        for number, ((item_id, freq, width), ordinal) in enumerate(zip(self._kinds, self._last, strict=True)):
            rows = self._probes[number]
            start = pd.Period(ordinal=ordinal, freq=freq) - (len(rows) - 1)
            ends.append(EntrySeries(_name_of(item_id, number), item_id, start, rows, width == 1))
        return ends

    def find(self, series: EntrySeries) -> int | None:
        """Number of the training series that this one continues; None if there is none."""
        kind = (series.item_id, series.start.freqstr, series.values.shape[1])
        for ordinal in sorted(self._ordinals.get(kind, ()), reverse=True):
            position = series.position(ordinal)
            if position is None or not 0 <= position < len(series.values):
                continue
            known = series.values[: position + 1]
            candidates = self._candidates.get((kind, ordinal, known[-1].tobytes()), ())
            number = best_match(known, self._probes, candidates, least_changes=0)
            if number is not None:
                return number
        return None


def training_ends(series: Sequence[EntrySeries]) -> dict[str, Any]:
    """Last rows and times of the training series in plain lists and arrays, for `KnownSeries`.

    Args:
        series: At least one, each of at least one row.
    """
    probes = [distinctive_end(one.values) for one in series]
    return {
        "item_ids": [one.item_id for one in series],
        "freqs": [one.start.freqstr for one in series],
        "ordinals": np.array([(one.end - 1).ordinal for one in series], dtype=np.int64),
        "shapes": np.array([probe.shape for probe in probes], dtype=np.int64),
        "rows": np.concatenate([probe.reshape(-1) for probe in probes]),
    }
