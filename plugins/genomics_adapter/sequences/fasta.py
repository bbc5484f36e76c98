"""FASTA files, with labels in their headers or in a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dasha.errors import InvalidArgumentError, InvalidTableError
from dasha.tables.files import decode, read_content
from genomics_adapter.encoding import Crop
from genomics_adapter.sequences.data import SequenceData, Source, from_texts
from genomics_adapter.sequences.labels import parse_labels
from genomics_adapter.sequences.table import labels_of, read_columns

SUFFIXES = tuple(f".{kind}{packed}" for kind in ("fa", "fasta", "fna", "ffn", "fas") for packed in ("", ".gz", ".bgz"))
"""Endings of the files that can be read."""
LABEL = r"(?:^|[\s|;,])(?:label|class)[=:]([^\s|;,]+)"
"""Finds ``label=…`` or ``class=…`` in a header."""


def read_fasta(
    path: str | Path,
    *,
    label_pattern: str | None = LABEL,
    table: str | Path | None = None,
    name_column: str = "name",
    label_column: str | Sequence[str] = "label",
    class_names: Sequence[str] = (),
    length: int | None = None,
    crop: Crop = "center",
) -> SequenceData:
    r"""Read a FASTA file, gzipped or not, on one line per sequence or many.

    Args:
        path: The file.
        label_pattern: Regular expression whose one group is the label, searched in every header; ``r"\|(\w+)$"`` takes
            the last word after ``|``. Headers without any give data without labels, and so does None.
        table: CSV, TSV or Parquet file with the labels instead, in any order, one row per sequence.
        name_column: Column of the table with the first word of every header.
        label_column: Column of the table with the labels, or several.
        class_names: Names of the classes, where labels are words; by default those that occur.
        length: Bases of every sequence; by default those of the longest.
        crop: Which part of a sequence of another length keeps its place; see `genomics_adapter.encode`.

    Raises:
        InvalidTableError: If a file cannot be read.
        InvalidArgumentError: If a sequence or label is missing or not allowed; the message names file, line and value.
    """
    headers, sequences, source = _records(Path(path))
    words = [header.split(maxsplit=1) for header in headers]
    names = np.array([word[0] if word else "" for word in words], dtype=str)
    rows: dict[str, Any] = {"names": names}
    if table is not None:
        labels = [label_column] if isinstance(label_column, str) else list(label_column)
        ordered, origin = _ordered(Path(table), names, source, [name_column, *labels])
        rows |= labels_of(ordered, origin, labels, class_names)
    elif label_pattern is not None:
        found = _labels_in_headers(headers, source, label_pattern)
        if found:
            rows["labels"], rows["class_names"] = parse_labels([found], source, class_names)
    notes = [] if "labels" in rows else ["no header has a label"]
    return from_texts(sequences, source, length=length, crop=crop, notes=notes, **rows)


def _records(path: Path) -> tuple[list[str], list[str], Source]:
    """Headers without ``>``, sequences without line breaks, and the line of every header."""
    text, _ = decode(path, read_content(path, SUFFIXES)[0])
    before = len(text) - len(text.lstrip())
    line = 1 + text[:before].count("\n")
    if text[before] != ">":
        raise InvalidTableError(
            f"{path}, line {line} begins with {text[before]!r}, but a FASTA file begins with '>' and a name"
        )
    headers, sequences, lines = [], [], []
    for record in text[before + 1 :].split("\n>"):
        header, _, body = record.partition("\n")
        headers.append(header)
        sequences.append("".join(body.split()))
        lines.append(line)
        line += 2 + body.count("\n") if "\n" in record else 1
    return headers, sequences, Source(str(path), np.array(lines), "record in line")


def _labels_in_headers(headers: Sequence[str], source: Source, pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InvalidArgumentError(f"label_pattern is {pattern!r}, which is no regular expression: {error}") from error
    if compiled.groups != 1:
        raise InvalidArgumentError(
            f"label_pattern is {pattern!r} with {compiled.groups} groups, but must have one, in parentheses: the label"
        )
    found = [match and match.group(1) for match in map(compiled.search, headers)]
    present = [label for label in found if label is not None]
    if present and len(present) < len(found):
        index = found.index(None)
        raise InvalidArgumentError(
            f"{source.place(index)} has no label in its header {headers[index]!r}, although others have "
            f"({len(found) - len(present)} have none)"
        )
    return present


def _ordered(path: Path, names: np.ndarray, source: Source, columns: Sequence[str]) -> tuple[pa.Table, Source]:
    """Columns of a table, the first of which has the names, with its rows in the order of ``names``."""
    table, origin = read_columns(path, columns)
    keys = pd.Index(table.column(columns[0]).to_pandas().astype(str).str.strip())
    for found, where in ((pd.Index(names), source), (keys, origin)):
        if found.has_duplicates:
            index = int(found.duplicated().argmax())
            raise InvalidArgumentError(f"{where.place(index)} has the name {found[index]!r} a second time")
    order = keys.get_indexer(pd.Index(names))
    if (order < 0).any():
        index = int((order < 0).argmax())
        raise InvalidArgumentError(
            f"{source.place(index)} is called {str(names[index])!r}, which is not in column {columns[0]!r} of {path} "
            f"({int((order < 0).sum())} sequences are not)"
        )
    return table.take(order), origin.subset(order)
