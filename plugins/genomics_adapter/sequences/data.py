"""Sequences with what is known of them, one byte per base."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from dasha.errors import InvalidArgumentError
from genomics_adapter.encoding import Crop, encode, fitted, text_at, text_lengths

_log = logging.getLogger("genomics_adapter")
_MISSING = {"NA", "NAN", "NaN", "nan"}  # letters of IUPAC, but no sequences of N and A
_RULES = {
    "center": "centred (base len // 2 at length // 2)",
    "start": "aligned at their first base",
    "end": "aligned at their last base",
}


@dataclass(frozen=True, eq=False)
class Source:
    """Where sequences are from, so that messages can name the place of one.

    Attributes:
        name: File, data set or argument.
        numbers: Number of every sequence there, such as its line; by default they count from 0.
        unit: What the numbers count.
    """

    name: str
    numbers: np.ndarray | None = field(default=None, repr=False)
    unit: str = "sequence"

    def place(self, index: int) -> str:
        """Name the place of a sequence."""
        return f"{self.name}, {self.unit} {index if self.numbers is None else self.numbers[index]}"

    def subset(self, indices: np.ndarray) -> Source:
        """The places of some sequences."""
        return replace(self, numbers=indices if self.numbers is None else self.numbers[indices])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class PooledSource(Source):
    """Where sequences from several places are from.

    Attributes:
        sources: The places.
        owners: Number of the place of every sequence; ``numbers`` are those within it.
    """

    sources: tuple[Source, ...] = ()
    owners: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    def place(self, index: int) -> str:
        """Name the place of a sequence."""
        assert self.numbers is not None
        owner: Source = self.sources[self.owners[index]]
        return owner.place(int(self.numbers[index]))

    def subset(self, indices: np.ndarray) -> Source:
        """The places of some sequences."""
        assert self.numbers is not None
        return replace(self, numbers=self.numbers[indices], owners=self.owners[indices])


@dataclass(frozen=True, eq=False)
class SequenceData:
    """Sequences of one length.

    What there is for every sequence may also be given as a list, a tensor or a column of pandas. It is taken in its
    order, whatever the index, and kept as an array.

    Attributes:
        codes: Places in `genomics_adapter.encoding.ALPHABET`, uint8, shape ``(N, L)``.
        labels: Whole or real numbers, shape ``(N,)`` or ``(N, T)``; None if there are none.
        names: Of every sequence, or None.
        chromosomes: On which every sequence lies, or None.
        starts: First base of every sequence on its chromosome, counted from 0, or None.
        strands: ``"+"`` or ``"-"`` for every sequence, or None.
        class_names: Names of the classes, in the order of their numbers, where labels were words.
        label_names: Names of the columns of labels, where there are several that have names.
        source: Where the sequences are from.
        notes: What a reader should know about how they were read.

    Raises:
        InvalidArgumentError: If codes are no codes, or there are not as many of something as sequences.
    """

    codes: np.ndarray = field(repr=False)
    labels: np.ndarray | None = field(default=None, repr=False)
    names: np.ndarray | None = field(default=None, repr=False)
    chromosomes: np.ndarray | None = field(default=None, repr=False)
    starts: np.ndarray | None = field(default=None, repr=False)
    strands: np.ndarray | None = field(default=None, repr=False)
    class_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()
    source: Source = field(default_factory=lambda: Source("sequences"))
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make arrays of the rows, and check that everything is there once for every sequence."""
        for name in ("codes", *_ROWS):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, _as_array(values))
        if self.codes.dtype != np.uint8 or self.codes.ndim != 2:
            raise InvalidArgumentError(
                f"codes are {self.codes.dtype} of shape {self.codes.shape}, but must be uint8 (N, L); make them with "
                "genomics_adapter.encode"
            )
        if self.labels is not None and (kind := self.labels.dtype).kind not in "biuf":
            raise InvalidArgumentError(
                f"labels of {self.source} are {kind}, but must be numbers; genomics_adapter.read_arrays numbers words"
            )
        for name in _ROWS:
            values = getattr(self, name)
            if values is not None and len(values) != len(self.codes):
                raise InvalidArgumentError(
                    f"there are {len(values)} {name} for {len(self.codes)} sequences of {self.source}"
                )

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> SequenceData:
        """Some of the sequences: ``data[rows]``, or ``data[rows, ...]``, as scikit-learn takes the rows of a matrix.

        Args:
            rows: Numbers, truth values or a slice; one number gives data of one sequence.
        """
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is ...:
            rows = rows[0]
        return self.subset(np.atleast_1d(np.arange(len(self))[rows]))

    @property
    def shape(self) -> tuple[int, int]:
        """Sequences and bases."""
        return len(self), self.length

    @property
    def length(self) -> int:
        """Bases of every sequence, padding included."""
        return int(self.codes.shape[1])

    @property
    def titles(self) -> Sequence[str]:
        """Name of every sequence, or else where it is from."""
        return [self.source.place(index) for index in range(len(self))] if self.names is None else self.names.tolist()

    def subset(self, indices: ArrayLike) -> SequenceData:
        """Some of the sequences.

        Args:
            indices: Their numbers, or one truth value for every sequence.
        """
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        rows = {name: values[chosen] for name in _ROWS if (values := getattr(self, name)) is not None}
        return replace(self, codes=self.codes[chosen], source=self.source.subset(chosen), **rows)

    def with_length(self, length: int, crop: Crop = "center") -> SequenceData:
        """The same sequences, cropped or padded; see `genomics_adapter.encode`."""
        if length == self.length:
            return self
        note = f"cropped or padded from {self.length} to {length} bases, {_RULES[crop]}"
        return replace(self, codes=fitted(self.codes, length, crop), notes=(*self.notes, note))

    def with_class_names(self, names: Sequence[str]) -> SequenceData:
        """The same sequences with their classes numbered in the order of ``names``; labels without names stay.

        Raises:
            InvalidArgumentError: If a sequence is of another class; the message names its place.
        """
        own, names = self.class_names, tuple(names)
        if self.labels is None or not own or own == names:
            return self
        numbers = np.array([names.index(name) if name in names else -1 for name in own])
        is_named = (self.labels >= 0) & (self.labels < len(own))
        labels = np.where(is_named, numbers.take(self.labels, mode="clip"), self.labels)
        unknown = is_named & (labels < 0)
        if unknown.any():
            index = int(unknown.argmax())
            raise InvalidArgumentError(
                f"{self.source.place(index)} is of class {own[self.labels[index]]!r}, but the classes are "
                f"{', '.join(names)}; read all parts with the same class_names="
            )
        return replace(self, labels=labels, class_names=names)

    def about(self) -> dict[str, Any]:
        """How many there are, where they are from and how they were read, as plain values."""
        return {
            "count": len(self),
            "shape": [4, self.length],
            "source": str(self.source),
            "notes": list(self.notes),
            "description": self.describe(),
        }

    def describe(self) -> str:
        """Lines on what was read, so that a misreading shows before any time is spent."""
        lines = [f"{len(self)} sequences of {self.length} bases from {self.source}", *self.notes]
        if self.labels is None:
            lines.append("no labels")
        elif self.labels.ndim == 1 and self.labels.dtype.kind in "iu":
            values, counts = np.unique(self.labels, return_counts=True)
            if len(values) <= _MOST_SHOWN:
                names = self.class_names or tuple(map(str, range(int(values.max(initial=0)) + 1)))
                shown = (names[value] if 0 <= value < len(names) else value for value in values)
                lines.append("labels: " + ", ".join(f"{name} {n}" for name, n in zip(shown, counts, strict=True)))
        return "\n".join(lines)


def _as_array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


_ROWS = ("labels", "names", "chromosomes", "starts", "strands")
_MOST_SHOWN = 20


class _Parts(NamedTuple):
    train: SequenceData
    validation: SequenceData | None
    test: SequenceData | None


class SequenceSplits(_Parts):
    """Data for training, for choosing, and for the final measurement; classes are numbered as in the training data.

    Attributes:
        train: Training data.
        validation: Everything is chosen on it; None if there is none yet.
        test: Nothing is chosen on it; None if there is none.

    Raises:
        InvalidArgumentError: If a class has a name that the training data does not have.
    """

    __slots__ = ()

    def __new__(
        cls, train: SequenceData, validation: SequenceData | None = None, test: SequenceData | None = None
    ) -> Self:
        """Number the classes of all parts as in the training data."""
        names = train.class_names
        others = [part.with_class_names(names) if part and names else part for part in (validation, test)]
        return super().__new__(cls, train, *others)


def concatenated(parts: Sequence[SequenceData]) -> SequenceData:
    """Sequences of several parts as one, of which every one still knows its place.

    Args:
        parts: Of the same length and classes; labels, names and the like stay where all parts have them.

    Raises:
        InvalidArgumentError: If the parts do not fit together.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if part.length != first.length:
            raise InvalidArgumentError(
                f"{part.source} has sequences of {part.length} bases, but {first.source} of {first.length}; make them "
                "equal with .with_length(…)"
            )
        if part.class_names != first.class_names or (part.labels is None) != (first.labels is None):
            raise InvalidArgumentError(
                f"{part.source} and {first.source} have different labels; read both with the same class_names="
            )
    rows: dict[str, Any] = {}
    for name in _ROWS:
        values = [getattr(part, name) for part in parts]
        rows[name] = None if any(value is None for value in values) else np.concatenate(values)
    sizes = list(map(len, parts))
    source = PooledSource(
        ", ".join(str(part.source) for part in parts),
        np.concatenate([np.arange(size) for size in sizes]),
        sources=tuple(part.source for part in parts),
        owners=np.repeat(np.arange(len(parts)), sizes),
    )
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    codes = np.concatenate([part.codes for part in parts])
    is_alike = all(part.label_names == first.label_names for part in parts)
    rows |= {"class_names": first.class_names, "label_names": first.label_names if is_alike else ()}
    return SequenceData(codes, source=source, notes=notes, **rows)


def from_texts(
    sequences: Any, source: Source, *, length: int | None, crop: Crop, notes: Sequence[str] = (), **rows: Any
) -> SequenceData:
    """Encode what a reader has read.

    Args:
        sequences: Texts, as `genomics_adapter.encode` takes them.
        source: Where they are from.
        length: Bases of every sequence; by default those of the longest.
        crop: Which part keeps its place.
        notes: What to know about the reading.
        **rows: The other attributes of `SequenceData`.

    Raises:
        InvalidArgumentError: If there are no sequences, or one is missing or cannot be encoded; the message names its
            place.
    """
    if not len(sequences):
        raise InvalidArgumentError(f"{source} holds no sequences; at least one is needed")
    lengths = text_lengths(sequences, source.place)
    for index in np.flatnonzero(lengths <= max(map(len, _MISSING))).tolist():
        if (text := text_at(sequences, index)) in _MISSING:
            raise InvalidArgumentError(
                f"{source.place(index)} is {text!r}, which says that the sequence is missing; supply it or drop the row"
            )
    codes = encode(sequences, length=length, crop=crop, where=source.place)
    data = SequenceData(codes, source=source, notes=(*notes, *_fit_note(lengths, codes.shape[1], crop)), **rows)
    _log.info(data.describe())
    return data


def _fit_note(lengths: np.ndarray, length: int, crop: Crop) -> list[str]:
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest == longest == length:
        return []
    cropped, padded = int((lengths > length).sum()), int((lengths < length).sum())
    return [
        f"sequences have {shortest} to {longest} bases: {padded} are padded and {cropped} cropped to {length}, "
        f"{_RULES[crop]}"
    ]
