"""Sequences and labels in the columns of a CSV, TSV or Parquet file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from dasha.errors import InvalidArgumentError, InvalidTableError
from dasha.tables.files import SEPARATOR_LINE, decode, read_content
from genomics_adapter.encoding import Crop
from genomics_adapter.sequences.data import SequenceData, Source, from_texts
from genomics_adapter.sequences.labels import parse_labels
from genomics_adapter.sequences.words import chromosomes_of, names_of

_PACKED = ("", ".gz", ".bgz")
_TEXT = tuple(f".{kind}{packed}" for packed in _PACKED for kind in ("csv", "tsv", "txt"))
_TABS = tuple(f".tsv{packed}" for packed in _PACKED)
_PARQUET = tuple(f".{kind}{packed}" for packed in _PACKED for kind in ("parquet", "pq"))
SUFFIXES = (*_TEXT, *_PARQUET)
"""Endings of the files that can be read."""


def read_table(
    path: str | Path,
    *,
    sequence: str = "sequence",
    label: str | Sequence[str] | None = "label",
    name: str | None = None,
    chromosome: str | None = None,
    class_names: Sequence[str] = (),
    length: int | None = None,
    crop: Crop = "center",
) -> SequenceData:
    """Read a CSV, TSV or Parquet file, gzipped or not; text files have a header line.

    Excel's first line ``sep=;`` is understood, and lines of separators alone are left out.

    Args:
        path: The file.
        sequence: Column of the sequences.
        label: Column of the labels, or several; None if there are none. Whole numbers stay, words become classes.
        name: Column of names; what has none is called by its place.
        chromosome: Column of chromosomes, for `genomics_adapter.splits.chromosome_split`; every row needs one.
        class_names: Names of the classes, where labels are words; by default those that occur.
        length: Bases of every sequence; by default those of the longest.
        crop: Which part of a sequence of another length keeps its place; see `genomics_adapter.encode`.

    Raises:
        InvalidTableError: If the file cannot be read, or a column is missing.
        InvalidArgumentError: If a sequence or label is not allowed, or a chromosome is missing; the message names file,
            line and value.
    """
    labels = [] if label is None else [label] if isinstance(label, str) else list(label)
    wanted = [sequence, *labels, *(column for column in (name, chromosome) if column is not None)]
    table, source = read_columns(Path(path), wanted)
    return data_of_table(
        table,
        source,
        sequence=sequence,
        labels=labels,
        name=name,
        chromosome=chromosome,
        class_names=class_names,
        length=length,
        crop=crop,
    )


def data_of_table(
    table: pa.Table,
    source: Source,
    *,
    sequence: str,
    labels: Sequence[str],
    name: str | None = None,
    chromosome: str | None = None,
    class_names: Sequence[str] = (),
    length: int | None = None,
    crop: Crop = "center",
) -> SequenceData:
    """Take the columns of an Arrow table; see `read_table`."""
    sequences = table.column(sequence)
    if not _is_text(sequences.type):
        raise InvalidTableError(f"column {sequence!r} of {source} holds {sequences.type}, but must hold sequences")
    rows: dict[str, Any] = {}
    if labels and len(table):
        rows = labels_of(table, source, labels, class_names)
    if name is not None:
        rows["names"] = names_of(table.column(name).to_pylist(), source)
    if chromosome is not None:
        rows["chromosomes"] = chromosomes_of(table.column(chromosome).to_pylist(), source)
    return from_texts(_stripped(sequences), source, length=length, crop=crop, **rows)


def labels_of(table: pa.Table, source: Source, columns: Sequence[str], class_names: Sequence[str]) -> dict[str, Any]:
    """Labels in one column or several of an Arrow table, with their names, for `SequenceData`."""
    parts = [part for column in columns for part in _columns(table.column(column), column, source)]
    labels, names = parse_labels(parts, source, class_names)
    is_named = 1 < len(columns) == len(parts)
    return {"labels": labels, "class_names": names, "label_names": tuple(columns) if is_named else ()}


def read_columns(path: Path, wanted: Sequence[str]) -> tuple[pa.Table, Source]:
    """Read columns of a file, with the line of every row."""
    content, _ = read_content(path, SUFFIXES)
    if path.name.lower().endswith(_PARQUET):
        try:
            file = pa.parquet.ParquetFile(io.BytesIO(content))
            _check_columns(path, file.schema_arrow.names, wanted)
            table = _with_plain_texts(file.read(columns=list(dict.fromkeys(wanted)), use_threads=False))
        except (pa.ArrowException, OSError) as error:
            raise InvalidTableError(f"{path} cannot be read as Parquet: {error}") from error
        return table, Source(str(path), np.arange(1, len(table) + 1), "row")
    text, _ = decode(path, content)
    return _read_text(path, text, wanted)


def _with_plain_texts(table: pa.Table) -> pa.Table:
    """The same table with every column of texts, of whatever type, as large strings."""
    fields = [field.with_type(pa.large_string()) if _is_plain_text(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))


def _read_text(path: Path, text: str, wanted: Sequence[str]) -> tuple[pa.Table, Source]:
    told = SEPARATOR_LINE.match(text)
    if told:
        text = text[: told.start("line")] + text[told.end("line") :]  # the line stays, so that numbers of lines do
    first = text.lstrip("\n").partition("\n")[0]
    separator = told["separator"] if told else _separator(path, first)
    every = re.escape(separator)
    text = re.sub(rf"\n{every}[{every} ]*(?=\n|\Z)", "\n", text)
    content = text.encode()
    lines, longest = _lines(content)
    header = [column.strip() for column in next(csv.reader([first], delimiter=separator))]
    _check_columns(path, header, wanted)
    broken: list[Any] = []

    def skip(row: Any) -> str:
        broken.append(row)
        return "skip"

    columns = list(dict.fromkeys(wanted))
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(content),
            read_options=pa.csv.ReadOptions(
                use_threads=False, column_names=header, skip_rows=int(lines[0]), block_size=max(1 << 23, 2 * longest)
            ),
            parse_options=pa.csv.ParseOptions(delimiter=separator, invalid_row_handler=skip),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.large_string()),
                include_columns=columns,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise InvalidTableError(f"{path} cannot be read as a table: {error}") from error
    if broken:
        number = text.split("\n").index(broken[0].text) + 1 if broken[0].text in text.split("\n") else "?"
        raise InvalidTableError(
            f"{path}, line {number} has {broken[0].actual_columns} fields, but the header has {len(header)}"
        )
    if len(table) == len(lines) - 1:
        return table, Source(str(path), lines[1:], "line")
    return table, Source(str(path), np.arange(1, len(table) + 1), "row")  # a quoted field runs over several lines


def _separator(path: Path, first: str) -> str:
    """What separates the names in the first line; characters in quotes do not count."""
    plain = re.sub(r'"[^"]*"', "", first)
    is_tab = "\t" in plain and ("," not in plain or path.name.lower().endswith(_TABS))
    return "\t" if is_tab else max(",;|", key=plain.count)


def _lines(content: bytes) -> tuple[np.ndarray, int]:
    """Numbers of the lines that are not empty, from 1, and the length of the longest."""
    ends = np.append(np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n")), len(content))
    sizes = np.diff(ends, prepend=-1) - 1
    return np.flatnonzero(sizes) + 1, int(sizes.max())


def _check_columns(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    for column in wanted:
        if names.count(column) != 1:
            what = "several columns" if column in names else "no column"
            raise InvalidTableError(
                f"{path} has {what} {column!r}; its columns are {', '.join(names)}: say which ones hold sequences and "
                "labels"
            )


def _is_text(kind: pa.DataType) -> bool:
    return _is_plain_text(kind) or bool(pa.types.is_dictionary(kind))


def _is_plain_text(kind: pa.DataType) -> bool:
    types = pa.types
    kinds = types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary
    return any(is_kind(kind) for is_kind in kinds)


def _stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string())
    return pa.compute.utf8_trim_whitespace(column)


def _columns(column: pa.ChunkedArray, name: str, source: Source) -> list[Any]:
    """The column as it is, or, where every row holds a list, one column for every place of the lists."""
    kinds = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
    if not any(is_kind(column.type) for is_kind in kinds):
        return [column.to_pylist() if _is_text(column.type) else column.to_pandas()]
    lists = column.to_pylist()
    sizes = [-1 if one is None else len(one) for one in lists]
    for index, size in enumerate(sizes):
        if size < 1 or size != sizes[0]:
            raise InvalidArgumentError(
                f"{source.place(index)} has {lists[index]!r} in column {name!r}, but every row must have a list of as "
                f"many labels; the first has {lists[0]!r}"
            )
    return [[one[place] for one in lists] for place in range(sizes[0])]
