"""A file as a data frame: format, encoding, separator and header line are worked out here."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dasha.errors import InvalidTableError

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")
_SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_LINE = re.compile(r'\n*(?P<line>"?sep=(?P<separator>[,;\t|])"?[,;\t| ]*)\n', re.IGNORECASE)
"""The line above the header by which a table tells Excel its separator."""


@dataclass(frozen=True)
class RawTable:
    """Content of a file before anything is known of its columns.

    Attributes:
        frame: Columns named by text, one row per data row of the file.
        sha256: Hash of the file as it is on disk.
        separator: Character between the fields; empty for Parquet.
        notes: What a reader should know about how the file was read.
    """

    frame: pd.DataFrame
    sha256: str
    separator: str = ""
    notes: tuple[str, ...] = ()


def read_file(path: Path, *, text_column: str | None = None) -> RawTable:
    """Read a CSV, gzipped CSV or Parquet file.

    Args:
        path: The file.
        text_column: Column of a CSV file whose fields are kept as they are written, numbers and ``NA`` too.

    Raises:
        InvalidTableError: If the file is missing, is a folder, has another ending, or cannot be read as a table.
    """
    content, digest = read_content(path, SUFFIXES)
    if path.name.lower().endswith((".parquet", ".pq")):
        return RawTable(_parquet(path, content), digest)
    return _csv(path, content, digest, text_column)


def check_path(path: Path, suffixes: Sequence[str]) -> None:
    """Refuse what is no file of a kind that can be read.

    Args:
        path: The file.
        suffixes: Endings that are allowed, in small letters.

    Raises:
        InvalidTableError: If the file is missing, is a folder or has another ending.
    """
    if path.is_dir():
        raise InvalidTableError(f"{path} is a folder; give one file ending in {', '.join(suffixes)}")
    if not path.exists():
        raise InvalidTableError(f"{path} does not exist; check the path")
    if not path.name.lower().endswith(tuple(suffixes)):
        raise InvalidTableError(f"{path} ends in {path.suffix or 'nothing'!r}, but must end in {', '.join(suffixes)}")


def read_content(path: Path, suffixes: Sequence[str]) -> tuple[bytes, str]:
    """Read a file, and unpack it where its name ends in ``.gz`` or ``.bgz``.

    Args:
        path: The file.
        suffixes: Endings that are allowed, in small letters.

    Returns:
        The content unpacked, and the hash of the file as it is on disk.

    Raises:
        InvalidTableError: If the file is missing, is a folder, has another ending, is empty or cannot be read.
    """
    check_path(path, suffixes)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidTableError(f"{path} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if path.name.lower().endswith((".gz", ".bgz")):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidTableError(f"{path} is not a complete gzip file: {error}") from error
    if not content.strip():
        raise InvalidTableError(f"{path} is empty")
    return content, digest


def decode(path: Path, content: bytes) -> tuple[str, list[str]]:
    """Return the text of a file, its lines ended by a line feed alone, and notes on its encoding.

    Raises:
        InvalidTableError: If the content is no text, or nothing but a byte order mark.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text, notes = content.decode("utf-16", errors="replace"), ["the file is UTF-16"]
    elif b"\0" in content[:4096]:
        raise InvalidTableError(f"{path} is not a text file, although it ends like one")
    else:
        try:
            text, notes = content.decode("utf-8-sig"), []
        except UnicodeDecodeError as error:
            text = content.decode("latin-1")
            notes = [f"the file is not UTF-8 (byte {error.start}) and was read as Latin-1; check names with accents"]
    if not text.strip():
        raise InvalidTableError(f"{path} is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _parquet(path: Path, content: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except (OSError, ValueError) as error:  # what pyarrow raises derives from these
        raise InvalidTableError(f"{path} cannot be read as Parquet: {error}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    frame.columns = pd.Index([str(column) for column in frame.columns])
    return frame


def _csv(path: Path, content: bytes, digest: str, text_column: str | None) -> RawTable:
    text, notes = decode(path, content)
    told = SEPARATOR_LINE.match(text)
    text = text[told.end() if told else 0 :].lstrip("\n")
    if not text:
        raise InvalidTableError(f"{path} is empty")
    first_line = text.partition("\n")[0]
    separator = told["separator"] if told else max(_SEPARATORS, key=re.sub(r'"[^"]*"', "", first_line).count)
    # Excel ends a sheet with rows of empty fields where there once were values.
    body = text[len(first_line) :].rstrip(f"{separator}{string.whitespace}")
    text = f"{first_line}{body}\n"
    header = next(csv.reader([first_line], delimiter=separator))
    names: list[str] | None = None
    if _looks_like_data(header):
        names = [f"column {number}" for number in range(1, len(header) + 1)]
        notes.append("the first line holds data, not names, so the columns are called 'column 1', 'column 2', …")
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None if names else 0,
            names=names,
            skipinitialspace=True,
            # In a file of one column, an empty line is a missing value.
            skip_blank_lines=len(header) > 1,
            converters={name: str.strip for name in names or header if name.strip() == text_column},
            low_memory=False,
            float_precision="round_trip",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise InvalidTableError(f"{path} cannot be read as CSV: {error}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise InvalidTableError(
            f"the lines of {path} have more fields than its header; name every column, "
            f"and end no line with {separator!r}"
        )
    frame.columns = pd.Index([str(column).strip() for column in frame.columns])
    return RawTable(frame, digest, separator, tuple(notes))


def _looks_like_data(header: list[str]) -> bool:
    """Tell whether a first line holds values; consecutive whole numbers are taken for names, as pandas writes them."""
    cells = [cell.strip() for cell in header]
    if all(cell.isdecimal() for cell in cells):
        first = int(cells[0])
        return [int(cell) for cell in cells] != list(range(first, first + len(cells)))
    return all(_is_number(cell) or re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.lower() not in ("nan", "inf", "infinity")
