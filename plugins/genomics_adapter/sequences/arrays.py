"""Sequences that are in memory already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dasha.errors import InvalidArgumentError
from genomics_adapter.encoding import ALPHABET, ANY, TEXT_KINDS, Crop, array_of, texts_of
from genomics_adapter.sequences.data import SequenceData, Source, from_texts
from genomics_adapter.sequences.labels import parse_labels
from genomics_adapter.sequences.words import chromosomes_of, names_of


def read_arrays(
    sequences: Any,
    labels: ArrayLike | None = None,
    *,
    names: ArrayLike | None = None,
    chromosomes: ArrayLike | None = None,
    class_names: Sequence[str] = (),
    length: int | None = None,
    crop: Crop = "center",
    source: str = "sequences",
) -> SequenceData:
    """Take sequences from memory.

    Args:
        sequences: Texts ``(N,)`` or ``(N, 1)``; codes, uint8 ``(N, L)``; or one-hot columns ``(N, 4, L)`` of 0 and 1,
            where zeros become N. A list, an array, a tensor, a column or a data frame of one.
        labels: Numbers or words, shape ``(N,)``, numbers ``(N, T)``, or numbers of any shape for every sequence.
        names: Of the sequences.
        chromosomes: Of the sequences.
        class_names: Names of the classes, where labels are words; by default those that occur.
        length: Bases of every sequence; by default those of the longest.
        crop: Which part of a sequence of another length keeps its place; see `genomics_adapter.encode`.
        source: What messages call the data.

    Raises:
        InvalidArgumentError: If sequences or labels are not allowed; the message names the number of the first.
    """
    origin = Source(source)
    rows: dict[str, Any] = {}
    if names is not None:
        rows["names"] = names_of(np.asarray(names, dtype=object), origin)
    if chromosomes is not None:
        rows["chromosomes"] = chromosomes_of(np.asarray(chromosomes, dtype=object), origin)
    if labels is not None:
        rows["labels"], rows["class_names"] = _labels(np.asarray(labels), origin, class_names)
    array = array_of(sequences, "sequences")
    if array.ndim > 1 and array.dtype.kind not in TEXT_KINDS:
        codes = _codes_of(array)
        data = SequenceData(codes, source=origin, **rows)
        return data if length is None else data.with_length(length, crop)
    return from_texts(texts_of(array, "sequences"), origin, length=length, crop=crop, **rows)


def _labels(labels: np.ndarray, source: Source, class_names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    if labels.ndim == 0:
        raise InvalidArgumentError(f"labels is {labels.item()!r}, but must be an array with one for every sequence")
    if labels.ndim > 1:
        values = labels.reshape(-1)
        if values.dtype == object:  # columns of numbers and of truth values side by side
            values = np.array([int(value) if isinstance(value, bool | np.bool_) else value for value in values], object)
        flat, _ = parse_labels([values], Source(f"labels of {source}", unit="value"))
        return flat.reshape(labels.shape), ()
    return parse_labels([labels], source, class_names)


def _codes_of(array: np.ndarray) -> np.ndarray:
    if not len(array):
        raise InvalidArgumentError(f"sequences has shape {array.shape}, but must hold at least one sequence")
    if array.ndim == 2 and array.dtype == np.uint8 and int(array.max(initial=0)) < len(ALPHABET):
        return array
    if array.ndim == 3 and array.shape[1] == 4 and bool(((array == 0) | (array == 1)).all()):
        certain = array.sum(1)
        if bool((certain <= 1).all()):
            return np.where(certain == 1, array.argmax(1), ANY).astype(np.uint8)
    turned = "; one-hot columns (N, L, 4) need .transpose(0, 2, 1)" if array.shape[-1] == 4 else ""
    raise InvalidArgumentError(
        f"sequences is an array of {array.dtype} with shape {array.shape}, but must be texts (N,), uint8 codes of "
        f"genomics_adapter.encode (N, L), or one-hot columns (N, 4, L) of 0 and 1 in the order A, C, G, T{turned}"
    )
