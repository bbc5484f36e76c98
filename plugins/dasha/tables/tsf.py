"""`read_tsf`: the ``.tsf`` files of the Monash forecasting archive, many series of unequal length in one file.

The format is that of Godahewa et al., "Monash Time Series Forecasting Archive" (NeurIPS Datasets and Benchmarks 2021):
comments and ``@`` lines, then one line per series, its attributes and its values separated by colons.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from dasha.errors import InvalidTableError
from dasha.tables.files import decode, read_content
from dasha.types import FloatArray

SUFFIXES = (".tsf", ".tsf.gz", ".zip")
NAME_ATTRIBUTE, START_ATTRIBUTE = "series_name", "start_timestamp"
_TYPES = ("string", "numeric", "date")
_DATE = re.compile(r"\s*\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}([-:])\d{1,2}\1\d{1,2}(?=:)")
_SHOWN = 40
_NAMED = 8


class Frequency(NamedTuple):
    """What a frequency word of the archive stands for.

    Attributes:
        freq: Pandas frequency; for weeks and longer without its anchor, which is that of the first time of a series.
        season_length: Seasonal period of the archive's MASE, in steps; the shortest where there are several.
    """

    freq: str
    season_length: int


FREQUENCIES: Mapping[str, Frequency] = MappingProxyType(
    {
        "4_seconds": Frequency("4s", 21600),
        "minutely": Frequency("min", 1440),
        "5_minutes": Frequency("5min", 288),
        "10_minutes": Frequency("10min", 144),
        "15_minutes": Frequency("15min", 96),
        "half_hourly": Frequency("30min", 48),
        "hourly": Frequency("h", 24),
        "daily": Frequency("D", 7),
        "weekly": Frequency("W", 52),  # 365.25 / 7 = 52.18
        "monthly": Frequency("MS", 12),
        "quarterly": Frequency("QS", 4),
        "yearly": Frequency("YS", 1),
    }
)


@dataclass(frozen=True)
class TsfSeries:
    """One line of data.

    Attributes:
        name: Value of ``series_name``, else of the first text attribute, else ``T1``, ``T2``, … by position.
        start: Time of the first value; None if the file does not say.
        values: Shape ``(T,)``, oldest first; NaN where the file has ``?``.
        attributes: The other attributes, by name.
        line: Line of the file, counted from 1.
    """

    name: str
    start: pd.Timestamp | None
    values: FloatArray
    attributes: Mapping[str, str | float | pd.Timestamp]
    line: int


@dataclass(frozen=True)
class TsfData:
    """Content of one file.

    Attributes:
        path: The file.
        sha256: Hash of the file as it is on disk.
        relation: Name of the data set; empty if the file does not say.
        frequency: Frequency as the file has it; None if it has none.
        horizon: Steps that the archive forecasts; None if the file does not say.
        attributes: Names of the attributes.
        series: In the order of the file.
        notes: What was assumed in reading, one sentence each.
    """

    path: Path
    sha256: str
    relation: str
    frequency: str | None
    horizon: int | None
    attributes: tuple[str, ...]
    series: tuple[TsfSeries, ...]
    notes: tuple[str, ...] = ()

    @property
    def freq(self) -> str | None:
        """Pandas frequency that `frequency` stands for; see `Frequency`."""
        return None if self.frequency is None else FREQUENCIES[self.frequency].freq

    @property
    def season_length(self) -> int:
        """Seasonal period of the archive's MASE, in steps; 1 without a frequency."""
        return 1 if self.frequency is None else FREQUENCIES[self.frequency].season_length


def season_length_of(frequency: str) -> int:
    """Seasonal period of the archive's MASE for a frequency word such as ``"monthly"``, in steps.

    Raises:
        InvalidTableError: If the archive has no such frequency.
    """
    if frequency not in FREQUENCIES:
        raise InvalidTableError(_unknown_frequency(frequency))
    return FREQUENCIES[frequency].season_length


def read_tsf(path: str | Path) -> TsfData:
    """Read a ``.tsf`` or ``.tsf.gz`` file, or the one ``.tsf`` file of a ``.zip``, in UTF-8 or Latin-1.

    Lines that start with ``@`` and are not known are passed over, as the archive's own readers do.

    Args:
        path: The file.

    Raises:
        InvalidTableError: If the file cannot be read or breaks the format; line and value are named.
    """
    path = Path(path)
    content, sha256 = read_content(path, SUFFIXES)
    if path.name.lower().endswith(".zip"):
        content = _unzipped(path, content)
    text, notes = decode(path, content)
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    # What stands in a comment is not read, so that its encoding does not matter.
    if all(line.isascii() for _, line in lines):
        notes = []
    header, data = _Header(), iter(lines)
    if not _read_header(path, header, data):
        raise InvalidTableError(f"{path} has no line '@data', after which the series would follow; check the file")
    series = tuple(
        _read_series(path, number, line, header, position) for position, (number, line) in enumerate(data, start=1)
    )
    if not series:
        raise InvalidTableError(f"{path} has no series after '@data'; check that the file is complete")
    names = tuple(name for name, _ in header.attributes)
    return TsfData(path, sha256, header.relation, header.frequency, header.horizon, names, series, tuple(notes))


def _unzipped(path: Path, content: bytes) -> bytes:
    """Content of the only ``.tsf`` file of an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX/") and not name.endswith("/")]
            found = [name for name in names if name.lower().endswith(".tsf")]
            if len(found) == 1:
                return archive.read(found[0])
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidTableError(f"{path} cannot be unpacked: {error}; give the .tsf file itself") from error
    inside = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    raise InvalidTableError(
        f"{path} holds {inside or 'no file'}, but must hold exactly one .tsf file; give that file itself"
    )


@dataclass
class _Header:
    relation: str = ""
    frequency: str | None = None
    horizon: int | None = None
    attributes: list[tuple[str, str]] = field(default_factory=list)


def _read_header(path: Path, header: _Header, lines: Iterator[tuple[int, str]]) -> bool:
    """Take the lines up to ``@data``, and tell whether it was there."""
    for number, line in lines:
        tag, *words = line.split()
        tag = tag.lower()
        if tag == "@data":
            return True
        if not tag.startswith("@"):
            raise _error(path, number, f"holds {_short(line)}, but before '@data' every line must start with @ or #")
        if tag == "@attribute":
            header.attributes.append(_attribute(path, number, words, [name for name, _ in header.attributes]))
        elif tag == "@relation":
            header.relation = " ".join(words)
        elif tag == "@frequency":
            header.frequency = " ".join(words).lower()
            if header.frequency not in FREQUENCIES:
                raise _error(path, number, _unknown_frequency(" ".join(words)))
        elif tag == "@horizon":
            value = " ".join(words)
            if not value.isdecimal() or int(value) < 1:
                raise _error(path, number, f"@horizon is {value!r}, but must be a whole number of at least 1")
            header.horizon = int(value)
        elif tag in ("@missing", "@equallength") and (" ".join(words)).lower() not in ("true", "false"):
            raise _error(path, number, f"{tag} is {' '.join(words)!r}, but must be true or false")
    return False


def _attribute(path: Path, number: int, words: list[str], known: list[str]) -> tuple[str, str]:
    if len(words) != 2 or words[1].lower() not in _TYPES:
        raise _error(
            path,
            number,
            f"@attribute is {' '.join(words)!r}, but must be a name and one of {', '.join(_TYPES)}",
        )
    if words[0] in known:
        raise _error(path, number, f"@attribute {words[0]!r} is declared twice; every name must be unique")
    return words[0], words[1].lower()


def _read_series(path: Path, number: int, line: str, header: _Header, position: int) -> TsfSeries:
    fields, rest = _split(line, [kind for _, kind in header.attributes])
    # A date is the only value that may hold colons itself.
    if len(fields) < len(header.attributes) or ":" in rest:
        wanted = len(header.attributes)
        found = len(fields) + rest.count(":")
        raise _error(
            path,
            number,
            f"has {found} attributes before its values, but the file declares {wanted} "
            f"({', '.join(name for name, _ in header.attributes) or 'none'}): {_short(line)}",
        )
    attributes: dict[str, str | float | pd.Timestamp] = {}
    for (name, kind), text in zip(header.attributes, fields, strict=True):
        attributes[name] = _attribute_value(path, number, name, kind, text)
    dates = [name for name, kind in header.attributes if kind == "date"]
    start = attributes.pop(START_ATTRIBUTE if START_ATTRIBUTE in dates else dates[0]) if dates else None
    assert not isinstance(start, str | float)
    name = _take_name(header, attributes, position)
    return TsfSeries(name, start, _values(path, number, rest), MappingProxyType(attributes), number)


def _split(line: str, kinds: list[str]) -> tuple[list[str], str]:
    """Attributes of a line as text, as many as there are, and what follows the last of them."""
    fields = []
    for kind in kinds:
        match = _DATE.match(line) if kind == "date" else None
        end = match.end() if match else line.find(":")
        if end < 0:
            break
        fields.append(line[:end].strip())
        line = line[end + 1 :]
    return fields, line


def _attribute_value(path: Path, number: int, name: str, kind: str, text: str) -> str | float | pd.Timestamp:
    if kind == "string":
        return text
    if kind == "numeric":
        try:
            return _number(text)
        except ValueError:
            raise _error(path, number, f"attribute {name!r} is {text!r}, but must be a number") from None
    day, _, clock = text.replace("T", " ").partition(" ")
    try:
        time = datetime.strptime(f"{day} {clock.replace('-', ':') or '0:0:0'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise _error(
            path, number, f"attribute {name!r} is {text!r}, but must be a date like 2000-01-31 23-00-00"
        ) from None
    return pd.Timestamp(time)


def _take_name(header: _Header, attributes: dict[str, str | float | pd.Timestamp], position: int) -> str:
    texts = [name for name, kind in header.attributes if kind == "string"]
    if not texts:
        return f"T{position}"
    return str(attributes.pop(NAME_ATTRIBUTE if NAME_ATTRIBUTE in texts else texts[0]))


def _values(path: Path, number: int, text: str) -> FloatArray:
    fields = text.split(",")
    if not text.strip():
        raise _error(path, number, "has no values; delete the line or write ? for missing ones")
    values = np.array([_value(item.strip()) for item in fields])
    if np.isinf(values).any():
        place = int(np.isinf(values).argmax())
        raise _error(
            path,
            number,
            f"holds {_short(fields[place].strip())} as value {place + 1} of {len(fields)}, but every value must be a "
            "finite number, or ? where it is missing",
        )
    return values


def _value(text: str) -> float:
    """A value, NaN where it is missing, infinite where the text is no finite number."""
    if text == "?":
        return math.nan
    try:
        return _number(text)
    except ValueError:
        return math.inf


def _number(text: str) -> float:
    """A number; Python would also read 1_5 and the digits of other scripts.

    Raises:
        ValueError: If it is none.
    """
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return float(text)


def _unknown_frequency(frequency: str) -> str:
    close = get_close_matches(frequency.lower(), FREQUENCIES, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"@frequency is {frequency!r}; {hint}known are {', '.join(FREQUENCIES)}"


def _error(path: Path, number: int, problem: str) -> InvalidTableError:
    return InvalidTableError(f"line {number} of {path} {problem}")


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
