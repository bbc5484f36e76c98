"""Rows on the grid of a given frequency, and the frequency to propose where none was given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError

# More grid points per row than this mean a wrong frequency, not gaps.
_MAX_EXPANSION = 100
# What is tried unasked must not fill the memory.
_MAX_PROPOSED, _MAX_PROPOSED_EXPANSION = 1_000_000, 4
# Of a step: every other time of the grid is then at least three times as far.
_MAX_MOVE = 0.25
_DAY = pd.Timedelta(days=1)
NOT_MOVED = pd.Timedelta(0)
_CAPITALS = {"q", "y", "w", "b", "d"}
_OLD_NAMES = {"H": "h", "T": "min", "S": "s", "L": "ms", "A": "Y", "BH": "bh"}
_ANCHORED = {"M": ("ME", "MS"), "Q": ("QE", "QS"), "Y": ("YE", "YS"), "BM": ("BME", "BMS"), "BQ": ("BQE", "BQS")}
_STANDARD = [f"{count}{unit}" for unit in ("s", "min") for count in (1, 2, 3, 5, 10, 15, 20, 30)]
_STANDARD += [f"{count}h" for count in (1, 2, 3, 4, 6, 8, 12)]


@dataclass(frozen=True)
class Placement:
    """Where the rows of a series lie on a grid.

    Attributes:
        grid: From the first to the last row, with its frequency.
        places: Place of every row on the grid, rising, shape ``(T,)``.
        moved: How many rows lie beside the grid and were moved to its nearest time.
        furthest: By how much at most.
    """

    grid: pd.DatetimeIndex
    places: np.ndarray
    moved: int = 0
    furthest: pd.Timedelta = NOT_MOVED

    @property
    def missing(self) -> int:
        """Times of the grid without a row."""
        return len(self.grid) - len(self.places)


@dataclass(frozen=True)
class _Misfit:
    """Why rows are on no grid of a frequency; ``until`` is the first time that is not."""

    until: pd.Timestamp
    reason: str
    is_too_fine: bool = False


def place_on_grid(
    ordered: pd.DatetimeIndex,
    freq: str,
    *,
    may_move: bool,
    beside: Callable[[], Sequence[pd.DatetimeIndex]] = tuple,
) -> Placement:
    """The regular grid from the first to the last time that holds them all.

    Where not all rows lie on one, ``may_move`` allows each to be moved to its nearest time: by a quarter of a step at
    most, and of a day where steps are whole days or months of the calendar.

    Args:
        ordered: Rising times.
        freq: Pandas frequency, older names such as ``H`` and ``M`` too.
        may_move: Whether rows may be moved.
        beside: Gives the times of further series, which a frequency that is proposed must fit too.

    Raises:
        InvalidTableError: If the frequency is unknown or does not fit; a frequency that does is named.
    """
    placed = _placed(ordered, freq, may_move)
    if isinstance(placed, Placement):
        return placed
    name = proposed([ordered, *beside()], may_move=may_move)
    usual = f" (the usual step is {name})" if name else ""
    way_out = f"a coarser one{usual}" if placed.is_too_fine else f"another frequency{usual} or round the times"
    raise InvalidTableError(f"--freq {freq} {placed.reason}; choose {way_out}")


def proposed(series: Sequence[pd.DatetimeIndex], *, may_move: bool) -> str | None:
    """The frequency whose grids hold every series and leave the fewest rows missing; None if none does.

    Only what `place_on_grid` accepts for all of them is proposed.

    Args:
        series: Rising times of each.
        may_move: As in `place_on_grid`.
    """
    longest = max(series, key=len)
    found = []
    for name, is_standard in _candidates(longest):
        step = (longest[0] + pd.tseries.frequencies.to_offset(_spellings(name, longest[0])[0])) - longest[0]
        if (longest[-1] - longest[0]) / step > _MAX_PROPOSED + _MAX_PROPOSED_EXPANSION * len(longest):
            continue
        placed = _placed(longest, name, may_move)
        if isinstance(placed, Placement) and (is_standard or not placed.moved):
            found.append((placed.missing, name))
    for _, name in sorted(found, key=lambda one: one[0]):
        if all(isinstance(_placed(one, name, may_move), Placement) for one in series):
            return name
    return None


def shown(span: pd.Timedelta) -> str:
    """A time span as messages write it: ``00:04:59`` within a day, ``2 days 00:00:00`` beyond."""
    return str(span).removeprefix("0 days ")


def _candidates(ordered: pd.DatetimeIndex) -> Iterator[tuple[str, bool]]:
    """Frequencies that may be meant, and whether each is a standard one; others must not move any row."""
    steps = pd.Series(ordered[1:] - ordered[:-1])
    if steps.empty:
        return
    median = steps.median()
    months = round(median / pd.Timedelta(days=30.44))
    if 0.75 * _DAY <= median <= 4 * _DAY:
        yield "D", True
        if (ordered.dayofweek < 5).all():
            yield "B", True
    elif 5 * _DAY <= median <= 9 * _DAY:
        yield "W", True
    elif months >= 1:
        units = {1: ("M", "BM"), 3: ("Q", "BQ"), 12: ("Y",)}.get(months, (f"{months}M",))
        for name in (name for unit in units for name in _spellings(unit, ordered[0])):
            yield name, True
    # Finer ones too: steps of two and of three hours lie on the grid of hours.
    for name in _STANDARD:
        if 0.25 * median <= pd.Timedelta(name) <= 1.5 * median:
            yield re.sub(r"^1(?=\D)", "", name), True
    mode = pd.tseries.frequencies.to_offset(steps.mode().iloc[0])
    yield str(mode.freqstr), False


def _placed(ordered: pd.DatetimeIndex, freq: str, may_move: bool) -> Placement | _Misfit:
    misfits = []
    names = _spellings(freq, ordered[0])
    for name in names:
        step = (ordered[0] + _offset(name, freq)) - ordered[0]
        if (ordered[-1] - ordered[0]) / step > _MAX_EXPANSION * len(ordered) + 1000:
            reason = f"would leave more than {_MAX_EXPANSION} missing rows for each one in the file"
            return _Misfit(ordered[0], reason, is_too_fine=True)
        grid = pd.date_range(ordered[0], ordered[-1], freq=name)
        places = grid.get_indexer(ordered)
        if len(grid) and (places >= 0).all():
            return Placement(grid, places)
        off = ordered[places < 0][0]
        misfits.append(_Misfit(off, f"does not fit: {off} is not on the grid of {name!r} that starts at {ordered[0]}"))
    if may_move:
        misfits = []
        for name in names:
            for start in _starts(ordered[0], name):
                placed = _moved(ordered, start, name)
                if isinstance(placed, Placement):
                    return placed
                misfits.append(placed)
    # Of several anchors, the one on which the series gets furthest is what was meant.
    return max(misfits, key=lambda misfit: misfit.until)


def _starts(first: pd.Timestamp, name: str) -> list[pd.Timestamp]:
    """Where a grid may start from which the first row is not far: at a time of the clock, or at the first row."""
    offset = pd.tseries.frequencies.to_offset(name)
    step = _fixed_step(offset)
    if step is None or _DAY % step != NOT_MOVED:
        step = _DAY
    midnight = first.normalize()
    return [midnight + step * round((first - midnight) / step), first]


def _fixed_step(offset: pd.offsets.BaseOffset | None) -> pd.Timedelta | None:
    return pd.Timedelta(offset.nanos, unit="ns") if isinstance(offset, pd.offsets.Tick) else None


def _moved(ordered: pd.DatetimeIndex, start: pd.Timestamp, name: str) -> Placement | _Misfit:
    offset = pd.tseries.frequencies.to_offset(name)
    step = _fixed_step(offset) or _DAY
    if isinstance(offset, pd.offsets.BusinessHour):
        return _Misfit(ordered[0], f"does not fit: not all times are on a grid of {name!r}")
    grid = pd.date_range(start, ordered[-1] + step, freq=name)
    if len(grid) == 0:
        return _Misfit(ordered[0], f"does not fit: {ordered[0]} is not on a grid of {name!r}")
    places = grid.get_indexer(ordered, method="nearest")
    distances = ordered - grid[places]
    moves = distances.where(distances >= NOT_MOVED, -distances)
    far = np.flatnonzero(moves > _MAX_MOVE * step)
    if far.size:
        return _Misfit(
            ordered[far[0]],
            f"does not fit: {ordered[far[0]]} is {shown(moves[far[0]])} from the nearest time of the grid of {name!r} "
            f"that starts at {grid[0]}, but rows are moved by at most {shown(_MAX_MOVE * step)}",
        )
    twice = np.flatnonzero(np.diff(places) == 0)
    if twice.size:
        one, other = ordered[twice[0]], ordered[twice[0] + 1]
        return _Misfit(other, f"does not fit: {one} and {other} are nearest to the same time, {grid[places[twice[0]]]}")
    kept = grid[places[0] : places[-1] + 1]
    return Placement(kept, places - places[0], int((moves > NOT_MOVED).sum()), moves.max())


def _offset(name: str, asked: str) -> pd.offsets.BaseOffset:
    try:
        offset = pd.tseries.frequencies.to_offset(name)
        is_forward = offset is not None and pd.Timestamp(0) + offset > pd.Timestamp(0)
    except ValueError:
        is_forward = False
    if not is_forward or offset is None:
        raise InvalidTableError(
            f"--freq is {asked!r}, but must be a pandas frequency such as 15min, h, D, B, W, MS, ME, QS or YS"
        )
    return offset


def _spellings(freq: str, first: pd.Timestamp) -> list[str]:
    """Current pandas names for a frequency; where it leaves the anchor open, every anchor the data may have."""
    match = re.fullmatch(r"(\d*)([A-Za-z]+)", freq.strip())
    if match is None:
        return [freq.strip()]
    count, unit = match[1], match[2].upper() if match[2] in _CAPITALS else match[2]
    unit = _OLD_NAMES.get(unit, unit)
    if unit == "W":
        return [f"{count}W-{first.day_name()[:3].upper()}"]
    if unit in _ANCHORED:
        month = "" if unit.endswith("M") else f"-{first.month_name()[:3].upper()}"
        return [f"{count}{name}{month}" for name in _ANCHORED[unit]]
    return [f"{count}{unit}"]
