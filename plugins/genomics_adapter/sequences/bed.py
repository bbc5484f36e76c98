"""Intervals of a BED file as windows of a genome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dasha.arguments import whole_number
from dasha.errors import InvalidArgumentError, InvalidTableError
from dasha.registry import close_matches
from dasha.tables.files import decode, read_content
from genomics_adapter.encoding import reverse_complement
from genomics_adapter.sequences.data import SequenceData, Source
from genomics_adapter.sequences.genome import Genome, open_genome
from genomics_adapter.sequences.labels import parse_labels

_KINDS = ("bed", "bed3", "bed6", "narrowpeak", "broadpeak")
SUFFIXES = tuple(f".{kind}{packed}" for kind in _KINDS for packed in ("", ".gz", ".bgz"))
"""Endings of the files that can be read."""
_COLUMNS = {"name": 4, "score": 5, "strand": 6}
_SHOWN = 5
_DIGITS = 18  # of a number that 64 bits hold in any case


@dataclass(frozen=True)
class _Intervals:
    """What the lines of a BED file say, and the lines."""

    chromosomes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    names: np.ndarray | None
    strands: np.ndarray | None
    labels: list[list[str]]
    source: Source


def read_bed(
    path: str | Path,
    genome: str | Path,
    *,
    label: str | int | Sequence[str | int] | None = "score",
    length: int | None = None,
    is_stranded: bool = True,
    class_names: Sequence[str] = (),
) -> SequenceData:
    """Read windows around the intervals of a BED file from a genome.

    Every window has the middle of its interval, of ``n`` bases the base ``n // 2``, at its own base ``length // 2``,
    both counted from 0 along the strand of the window; where it reaches over an end of the chromosome, it is N there.

    Args:
        path: BED file (0-based, half-open), gzipped or not, separated by tabs or blanks.
        genome: FASTA file of the genome. An index ``.fai`` is made beside it; a gzipped one is unpacked for the time of
            the reading.
        label: Column of the labels, by its name (``"name"``, ``"score"`` or ``"strand"``) or its number counted from 1,
            or several columns; None if there are none.
        length: Bases of every window; by default those of the longest interval.
        is_stranded: Whether intervals on the strand ``-`` (column 6) give the reverse complement.
        class_names: Names of the classes, where labels are words; by default those that occur.

    Raises:
        InvalidTableError: If a file cannot be read.
        InvalidArgumentError: If an interval is none, lies outside the genome, or a label is not allowed; the message
            names file, line and value.
    """
    several = [] if label is None else [label] if isinstance(label, str | int) else label
    columns = [_number(one) for one in several]
    found = _read_lines(Path(path), columns)
    labels = None
    names: tuple[str, ...] = ()
    if found.labels:
        _check_given(found, columns, class_names)
        labels, names = parse_labels(found.labels, found.source, class_names)
    widths = found.ends - found.starts
    size = int(widths.max()) if length is None else whole_number("length", length, minimum=1)
    is_turned = np.zeros(len(widths), bool)
    if is_stranded and found.strands is not None:
        is_turned = found.strands == "-"
    first = np.where(
        is_turned,
        found.ends - 1 - widths // 2 - (size - 1 - size // 2),
        found.starts + widths // 2 - size // 2,
    )
    with open_genome(Path(genome)) as opened:
        codes, outside = _cut(opened, found, first, size)
    codes[is_turned] = reverse_complement(codes[is_turned])
    notes = [f"windows of {size} bases around the middle of intervals of {widths.min()} to {widths.max()} bases"]
    if outside:
        notes.append(f"{outside} windows reach over an end of their chromosome and are N there")
    rows: dict[str, Any] = {"names": _names(found), "chromosomes": found.chromosomes, "strands": found.strands}
    rows |= {"labels": labels, "class_names": names, "starts": first}
    rows["label_names"] = tuple(map(str, several)) if len(several) > 1 else ()
    return SequenceData(codes, source=found.source, notes=tuple(notes), **rows)


def _number(label: str | int) -> int:
    """Number of a column, counted from 1."""
    if isinstance(label, str):
        if label not in _COLUMNS:
            raise InvalidArgumentError(
                f"label is {label!r}, but must be {', '.join(map(repr, _COLUMNS))}, or the number of a column, counted "
                f"from 1;{close_matches(label, list(_COLUMNS)) or ' columns of a BED file have no other names'}"
            )
        return _COLUMNS[label]
    return whole_number("label as the number of a column", label, minimum=4)


def _read_lines(path: Path, labels: Sequence[int]) -> _Intervals:
    text, _ = decode(path, read_content(path, SUFFIXES)[0])
    fields: list[list[str]] = []
    numbers: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith(("#", "track", "browser")):
            fields.append(line.split("\t") if "\t" in line else line.split())
            numbers.append(number)
    source = Source(str(path), np.array(numbers), "line")
    if not fields:
        raise InvalidTableError(f"{path} holds no intervals")
    width = min(map(len, fields))
    needed = max([3, *labels])
    if width < needed:
        index = next(index for index, row in enumerate(fields) if len(row) < needed)
        raise InvalidTableError(
            f"{source.place(index)} has {len(fields[index])} columns, but column {needed} is needed"
            + ("; say with label= which one holds the labels, or label=None" if labels else "")
        )
    if width < max(map(len, fields)):
        index = next(index for index, row in enumerate(fields) if len(row) != len(fields[0]))
        raise InvalidTableError(
            f"{source.place(index)} has {len(fields[index])} columns, but {source.place(0)} has {len(fields[0])}; all "
            "lines of a BED file have as many"
        )
    columns = [[row[column].strip() for row in fields] for column in range(width)]
    strands = _strands(columns[5], source) if width > 5 else None
    return _Intervals(
        np.array(columns[0], dtype=str),
        _whole(columns[1], source, "start"),
        _whole(columns[2], source, "end"),
        np.array(columns[3], dtype=str) if width > 3 else None,
        strands,
        [columns[label - 1] for label in labels],
        source,
    )


def _check_given(found: _Intervals, columns: Sequence[int], class_names: Sequence[str]) -> None:
    """Refuse labels that are left open; as a strand, or as a class that is named, ``.`` is a value."""
    for number, column in zip(columns, found.labels, strict=True):
        if number != _COLUMNS["strand"] and "." in column and "." not in class_names:
            raise InvalidArgumentError(
                f"{found.source.place(column.index('.'))} has '.' in column {number}, which says that there is no "
                "value; supply the label, drop the line, or say with label= which column holds the labels"
            )


def _whole(column: list[str], source: Source, what: str) -> np.ndarray:
    for index, value in enumerate(column):
        if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS):
            raise InvalidArgumentError(
                f"{source.place(index)} has {what} {value!r}, but must be a whole number from 0, of at most {_DIGITS} "
                "digits"
            )
    return np.array(column, dtype=str).astype(np.int64)


def _strands(column: list[str], source: Source) -> np.ndarray:
    strands = np.array(column, dtype=str)
    wrong = ~np.isin(strands, ("+", "-", "."))
    if wrong.any():
        index = int(wrong.argmax())
        raise InvalidArgumentError(f"{source.place(index)} has strand {column[index]!r}, but must be '+', '-' or '.'")
    return np.where(strands == "-", "-", "+")


def _names(found: _Intervals) -> np.ndarray:
    """Names of the intervals; those without one are called ``chr1:5-9(+)``, where the file has strands."""
    marks = [""] * len(found.starts) if found.strands is None else [f"({strand})" for strand in found.strands]
    places = np.array(
        [
            f"{chromosome}:{start}-{end}{mark}"
            for chromosome, start, end, mark in zip(found.chromosomes, found.starts, found.ends, marks, strict=True)
        ],
        dtype=str,
    )
    return places if found.names is None else np.where(np.isin(found.names, ("", ".")), places, found.names)


def _cut(genome: Genome, found: _Intervals, first: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Windows of the forward strand, and how many reach over an end of their chromosome."""
    _check_intervals(genome, found)
    codes = np.empty((len(first), size), np.uint8)
    outside = 0
    names, chosen = np.unique(found.chromosomes, return_inverse=True)
    order = np.argsort(chosen, kind="stable")
    for name, rows in zip(names.tolist(), np.split(order, np.cumsum(np.bincount(chosen))[:-1]), strict=True):
        codes[rows] = genome.windows(name, first[rows], size)
        outside += int(((first[rows] < 0) | (first[rows] + size > genome.sizes[name])).sum())
    return codes, outside


def _check_intervals(genome: Genome, found: _Intervals) -> None:
    names = set(np.unique(found.chromosomes).tolist()) - set(genome.sizes)
    if names:
        index = int(np.isin(found.chromosomes, list(names)).argmax())
        name = str(found.chromosomes[index])
        known = list(genome.sizes)
        guess = close_matches(name, known)
        raise InvalidArgumentError(
            f"{found.source.place(index)} is on {name!r}, which {genome.path} does not have;{guess} it has "
            f"{', '.join(known[:_SHOWN])}{' …' if len(known) > _SHOWN else ''}"
        )
    values, chosen = np.unique(found.chromosomes, return_inverse=True)
    sizes = np.array([genome.sizes[name] for name in values.tolist()])[chosen]
    for wrong, why in (
        (found.ends <= found.starts, "but the end must lie behind the start"),
        (found.ends > sizes, "which lies beyond the end of the chromosome in the genome"),
    ):
        if wrong.any():
            index = int(wrong.argmax())
            interval = f"{found.chromosomes[index]}:{found.starts[index]}-{found.ends[index]}"
            more = f" ({sizes[index]} bases in {genome.path})" if why.startswith("which") else ""
            raise InvalidArgumentError(f"{found.source.place(index)} has the interval {interval}, {why}{more}")
