"""What users have as ``X``: texts, codes or one-hot arrays; and the input of a network made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec
from genomics_adapter.dataset import SequenceDataset
from genomics_adapter.encoding import (
    ALPHABET,
    ANY,
    TEXT_KINDS,
    Ambiguous,
    Crop,
    array_of,
    encode,
    fitted,
    one_hot,
    texts_of,
)
from genomics_adapter.row_hashes import strand_free_hashes
from genomics_adapter.sequences.data import SequenceData

_CODED = (SequenceData, SequenceDataset)


def read_sequences(X: Any, *, length: int | None = None, crop: Crop = "center") -> np.ndarray:
    """Bring sequences into one form.

    Args:
        X: Texts ``(N,)`` or ``(N, 1)`` as a list, an array or a column; codes ``(N, L)`` of
            `genomics_adapter.encoding.encode`, of any numeric type; one-hot values ``(N, 4, L)``, order A, C, G, T,
            where a column may hold shares; `SequenceData` or a `SequenceDataset`.
        length: Bases of every row; by default those of the longest sequence.
        crop: What keeps its place where sequences are cropped or padded.

    Returns:
        Codes, uint8 ``(N, L)``; of one-hot values with shares, these, float32 ``(N, 4, L)``.

    Raises:
        InvalidArgumentError: If these are no sequences.
    """
    array = array_of(X.codes if isinstance(X, _CODED) else X, "X")
    if not array.size:
        raise InvalidArgumentError(f"X is empty, its shape is {array.shape}; supply sequences")
    if array.ndim == 3:
        array = _of_one_hot(array)
    elif array.ndim == 1 or (array.ndim == 2 and array.dtype.kind in TEXT_KINDS):
        array = encode(_texts(array), length=length, crop=crop)
    elif array.ndim == 2:
        array = _codes(array)
    else:
        raise InvalidArgumentError(
            f"X has shape {array.shape}, but must be texts (N,), codes (N, L) or one-hot values (N, 4, L)"
        )
    if length is None or array.shape[-1] == length:
        return array
    if array.ndim == 3:
        raise InvalidArgumentError(f"X has one-hot sequences of {array.shape[-1]} bases, but must have {length}")
    return fitted(array, length, crop)


def is_matrix(X: Any) -> bool:
    """Whether this is a matrix of numbers, or a list or table that may become one."""
    if isinstance(X, (str, bytes, *_CODED)):
        return False
    if hasattr(X, "dtypes") and hasattr(X, "iloc"):  # a data frame
        return X.ndim == 2 and all(getattr(kind, "kind", "O") in "biufc" for kind in X.dtypes)
    shape = getattr(X, "shape", None) or np.shape(X[0:1] if isinstance(X, list | tuple) else ())
    kind = getattr(getattr(X, "dtype", None), "kind", None) or np.asarray(X[0]).dtype.kind if len(shape) == 2 else ""
    return len(shape) == 2 and kind not in TEXT_KINDS


def dataset_of(sequences: np.ndarray, targets: np.ndarray, task: TaskSpec, *, ambiguous: Ambiguous) -> Any:
    """What `dasha.Dasha` learns from: codes stay one byte per base until a batch is made."""
    if sequences.ndim == 3:
        return torch.as_tensor(sequences), torch.as_tensor(targets)
    return SequenceDataset(SequenceData(sequences, targets), task, ambiguous=ambiguous)


def batches_of(sequences: np.ndarray, size: int, *, ambiguous: Ambiguous = "zeros") -> Iterator[Tensor]:
    """Float inputs of a network, ``size`` sequences at a time; shares stay as they are."""
    for start in range(0, len(sequences), size):
        part = sequences[start : start + size]
        yield torch.as_tensor(part) if part.ndim == 3 else one_hot(part, ambiguous=ambiguous)


def identity_of(sequences: np.ndarray) -> np.ndarray:
    """A number for every sequence; equal for those that are the same, on either strand. Shares are taken as unlike."""
    return np.arange(len(sequences)) if sequences.ndim == 3 else strand_free_hashes(sequences)


def check_lengths(sequences: np.ndarray, targets: Any, which: str) -> None:
    """Refuse sequences and targets of unequal number; ``which`` says of what they are."""
    if len(sequences) != len(targets):
        raise InvalidArgumentError(f"X{which} has {len(sequences)} sequences, but y{which} has {len(targets)} rows")


def class_names_of(X: Any, y: Any) -> tuple[str, ...]:
    """Names of the classes or columns in ``y``, where these are the labels of `SequenceData` that has some."""
    if not isinstance(X, SequenceData) or X.labels is None or not np.array_equal(X.labels, np.asarray(y)):
        return ()
    if X.labels.ndim > 1:
        return X.label_names
    return X.class_names if np.isin(X.labels, np.arange(len(X.class_names))).all() else ()


def check_same_names(names: tuple[str, ...], validation: tuple[str, ...]) -> None:
    """Refuse validation data whose numbers mean other classes or columns than those of the training data."""
    if names and validation and names != validation:
        raise InvalidArgumentError(
            f"y_val counts {', '.join(validation)}, but y counts {', '.join(names)}, so that equal numbers mean "
            "different things; read X_val with class_names=X.class_names, or its columns in the order of X"
        )


def _texts(array: np.ndarray) -> np.ndarray:
    flat = texts_of(array, "X")
    if flat.dtype.kind not in TEXT_KINDS:
        raise InvalidArgumentError(
            f"X is one row of {flat.dtype}, but must be texts (N,), codes (N, L) or one-hot values (N, 4, L); "
            "one sequence alone needs an axis in front, X[None]"
        )
    return flat


def _codes(array: np.ndarray) -> np.ndarray:
    is_code = (array >= 0) & (array < len(ALPHABET)) & (array == np.floor(array)) if array.dtype.kind in "iuf" else None
    if is_code is None or not is_code.all():
        raise InvalidArgumentError(
            f"X is {array.dtype} of shape {array.shape} with values that are no codes of bases; two axes mean codes, "
            f"whole numbers from 0 to {len(ALPHABET) - 1} (A, C, G, T are 0 to 3) as genomics_adapter.encode makes "
            "them, and a network for sequences can do nothing with other features"
        )
    return array.astype(np.uint8)


def _of_one_hot(array: np.ndarray) -> np.ndarray:
    if array.shape[1] != 4 or array.dtype.kind not in "biuf":
        raise InvalidArgumentError(
            f"X is {array.dtype} of shape {array.shape}, but one-hot values must be numbers (N, 4, L), order A, C, G, T"
            + ("; move the channels to axis 1" if array.shape[2] == 4 else "")
        )
    if not np.isfinite(array).all() or (array < 0).any() or (array.sum(1) > 1 + 1e-5).any():
        raise InvalidArgumentError("X has columns that are no shares of A, C, G, T: from 0 on, at most 1 in all")
    is_plain = ((array == 0) | (array == 1)).all()
    if not is_plain:
        return np.require(array, np.float32, ["C", "W"])
    return np.where(array.any(1), array.argmax(1), ANY).astype(np.uint8)
