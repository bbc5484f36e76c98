"""Folders that say by the names of their files what is for training and what is for test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dasha.errors import InvalidArgumentError
from genomics_adapter.encoding import Crop
from genomics_adapter.sequences.data import SequenceData, SequenceSplits, Source, from_texts
from genomics_adapter.sequences.files import SUFFIXES, is_bed, read_file

_NAMES = {"train": ("train",), "validation": ("val", "dev", "valid", "validation"), "test": ("test",)}


def read_splits(
    folder: str | Path, *, length: int | None = None, crop: Crop = "center", **options: Any
) -> SequenceSplits:
    """Read files called train, val (or dev, valid, validation) and test, as those of the benchmark GUE are.

    Args:
        folder: Holds ``train.csv`` and perhaps others; any ending that `read_file` takes.
        length: Bases of every sequence; by default those of the longest in any of the files.
        crop: Which part of a sequence of another length keeps its place; see `genomics_adapter.encode`.
        **options: ``label``, ``class_names`` and the further options of `read_file`. Words that name classes are
            numbered as in the training data.

    Raises:
        InvalidArgumentError: If there is no such folder, no training data, or two files for one part; otherwise as
            `read_file`.
    """
    place = _existing(folder)
    paths = {part: _only(place, part, names) for part, names in _NAMES.items()}
    if paths["train"] is None:
        found = ", ".join(sorted(path.name for path in place.iterdir())[:10])
        raise InvalidArgumentError(
            f"{place} has no train.csv, nor train with another ending of a table, a FASTA file or a BED file; there is "
            f"{found or 'nothing'}"
        )
    first = read_file(paths["train"], **options)
    if first.class_names:
        options = {**options, "class_names": first.class_names}
    others = [None if path is None else read_file(path, **options) for part, path in paths.items() if part != "train"]
    parts = [first, *others]
    size = length or max(part.length for part in parts if part is not None)

    def fitted(part: SequenceData | None, path: Path | None) -> SequenceData | None:
        if part is None or path is None:
            return None
        if is_bed(path) and part.length != size:  # what lies beside the windows is in the genome
            return read_file(path, length=size, **options)
        return part.with_length(size, crop)

    train, validation, test = (fitted(part, path) for part, path in zip(parts, paths.values(), strict=True))
    assert train is not None
    return SequenceSplits(train, validation, test)


def read_class_folder(
    folder: str | Path, *, class_names: tuple[str, ...] = (), length: int | None = None, crop: Crop = "center"
) -> SequenceData:
    """Read a folder with a folder for every class, each with a text file for every sequence.

    Args:
        folder: The folder.
        class_names: Names of the classes, in the order of their numbers; by default the folders in alphabetical order.
        length: Bases of every sequence; by default those of the longest.
        crop: Which part of a sequence of another length keeps its place; see `genomics_adapter.encode`.

    Raises:
        InvalidArgumentError: If there is no such folder, there are no such files, or one is empty or has a character
            that is no base.
    """
    place = _existing(folder)
    found = sorted(path.name for path in place.iterdir() if path.is_dir())
    names = class_names or tuple(found)
    unknown = sorted(set(found) - set(names))
    if unknown:
        raise InvalidArgumentError(f"{place} has a folder {unknown[0]!r}, but the classes are {', '.join(names)}")
    files = [(path, label) for label, name in enumerate(names) for path in sorted((place / name).glob("*.txt"))]
    if not files:
        raise InvalidArgumentError(f"{place} has no folders with .txt files; it needs one folder for every class")
    texts = [path.read_text(encoding="ascii", errors="replace").strip() for path, _ in files]
    source = Source(str(place), np.array([f"{path.parent.name}/{path.name}" for path, _ in files]), "file")
    labels = np.array([label for _, label in files], dtype=np.int64)
    return from_texts(texts, source, length=length, crop=crop, labels=labels, class_names=names)


def _existing(folder: str | Path) -> Path:
    place = Path(folder)
    if not place.exists():
        raise InvalidArgumentError(f"{place} does not exist; check its name")
    if not place.is_dir():
        raise InvalidArgumentError(f"{place} is a file, but must be a folder; genomics_adapter.read_file reads a file")
    return place


def _only(folder: Path, part: str, names: tuple[str, ...]) -> Path | None:
    found = [folder / f"{name}{suffix}" for name in names for suffix in SUFFIXES]
    present = [path for path in found if path.is_file()]
    if len(present) > 1:
        raise InvalidArgumentError(
            f"{folder} has {' and '.join(path.name for path in present)}, both for {part}; keep one of them"
        )
    return present[0] if present else None
