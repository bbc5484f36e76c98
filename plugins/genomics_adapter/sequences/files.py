"""Any file of sequences, read by the ending of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dasha.errors import InvalidArgumentError, InvalidTableError
from genomics_adapter.encoding import Crop
from genomics_adapter.sequences import bed, fasta, table
from genomics_adapter.sequences.data import SequenceData

SUFFIXES = (*table.SUFFIXES, *fasta.SUFFIXES, *bed.SUFFIXES)
"""Endings of the files that can be read."""
# Options that only some files have.
_OWN = {
    "table": ("sequence", "name", "chromosome"),
    "FASTA": ("label_pattern", "table"),
    "BED": ("genome", "is_stranded"),
}


def read_file(
    path: str | Path,
    *,
    label: str | int | Sequence[str | int] | None = "",
    class_names: Sequence[str] = (),
    length: int | None = None,
    crop: Crop = "center",
    **options: Any,
) -> SequenceData:
    """Read a table, a FASTA file or a BED file, as the ending of its name says.

    Args:
        path: The file.
        label: Where labels are: the column of a table, of a BED file, or with ``table=`` of the table beside a FASTA
            file, or several of them; by default what `read_table`, `read_bed` and `read_fasta` have by default. None if
            there are none.
        class_names: Names of the classes, where labels are words; by default those that occur.
        length: Bases of every sequence; by default those of the longest.
        crop: What keeps its place where sequences are cropped or padded; windows of a BED file never are.
        **options: ``sequence``, ``name`` and ``chromosome`` of `read_table`; ``label_pattern`` and ``table`` of
            `read_fasta`; ``genome`` and ``is_stranded`` of `read_bed`. None counts as not given.

    Raises:
        InvalidTableError: If the file cannot be read.
        InvalidArgumentError: If an option is not for such a file, or something in it is not allowed.
    """
    path = Path(path)
    kind = _kind(path)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in _OWN[kind]:
            owners = [name for name, own in _OWN.items() if key in own]
            known = f"is for a {owners[0]} file" if owners else "is unknown"
            raise InvalidArgumentError(
                f"{key}={given[key]!r} {known}, but {path} is a {kind} file; leave it out, or "
                f"where a file of settings has it, add --data.{key}=null"
            )
    common: dict[str, Any] = {"class_names": class_names, "length": length}
    if kind == "table":
        return table.read_table(path, **common, crop=crop, **_label("label", _as_names(label)), **given)
    if kind == "FASTA":
        return fasta.read_fasta(path, **common, crop=crop, **_labels_of_fasta(path, label, given))
    if "genome" not in given:
        raise InvalidArgumentError(f"genome is None, but {path} is a BED file; name the FASTA file of its genome")
    return bed.read_bed(path, **common, **_label("label", label), **given)


def is_bed(path: str | Path) -> bool:
    """Whether windows of a genome are cut by a file."""
    return str(path).lower().endswith(bed.SUFFIXES)


def is_fasta(path: str | Path) -> bool:
    """Whether labels are in headers, or in a table beside the file."""
    return str(path).lower().endswith(fasta.SUFFIXES)


def _kind(path: Path) -> str:
    name = path.name.lower()
    for kind, suffixes in (("table", table.SUFFIXES), ("FASTA", fasta.SUFFIXES), ("BED", bed.SUFFIXES)):
        if name.endswith(suffixes):
            return kind
    raise InvalidTableError(
        f"{path} ends in {path.suffix or 'nothing'!r}, but must be a table ({', '.join(table.SUFFIXES)}), a FASTA file "
        f"({', '.join(fasta.SUFFIXES)}) or a BED file ({', '.join(bed.SUFFIXES)})"
    )


def _label(key: str, label: Any) -> dict[str, Any]:
    return {} if label == "" else {key: label}


def _as_names(label: Any) -> Any:
    """Columns of a table by their names, which files of settings may have as numbers."""
    if label is None or isinstance(label, str):
        return label
    return str(label) if isinstance(label, int) else [str(one) for one in label]


def _labels_of_fasta(path: Path, label: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    if label is None:
        return {"label_pattern": None}
    if label == "" or "table" in given:
        return {**given, **_label("label_column", _as_names(label))}
    raise InvalidArgumentError(
        f"label={label!r} is a column, but {path} is a FASTA file; supply the table that has it with table=, or "
        "label_pattern= for labels in headers"
    )
