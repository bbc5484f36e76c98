"""DNA as one byte per base, and as one-hot columns only where a network needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from reprlib import repr as shown
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from dasha.arguments import whole_number
from dasha.errors import InvalidArgumentError

Crop = Literal["center", "start", "end"]
Ambiguous = Literal["zeros", "fractions"]
Codes = TypeVar("Codes", np.ndarray, Tensor)

ALPHABET = "ACGTRYSWKMBDHVN-"
"""Letter of every code: 0 to 3 are the channels A, C, G, T; then the ambiguity codes of IUPAC; 14 is N, 15 a gap."""
ANY = ALPHABET.index("N")
"""Code of a base that is not known."""
PAD = ALPHABET.index("-")
"""Code of a gap and of padding: no base at all."""

_BASES = dict(
    zip(
        ALPHABET,
        ("A", "C", "G", "T", "AG", "CT", "CG", "AT", "GT", "AC", "CGT", "AGT", "ACT", "ACG", "ACGT", ""),
        strict=True,
    )
)
TEXT_KINDS = "OSTU"
"""Kinds of NumPy's types that may hold texts."""
_ILLEGAL = 255
_AT_ONCE = 1 << 21  # bases that are worked on together, so that scratch arrays stay small


def _encoding_table() -> bytes:
    table = np.full(256, _ILLEGAL, np.uint8)
    for code, letter in enumerate(ALPHABET):
        table[[ord(letter), ord(letter.lower())]] = code
    for other, letter in {"U": "T", "u": "T", ".": "-"}.items():
        table[ord(other)] = ALPHABET.index(letter)
    return table.tobytes()


def _complement_table() -> bytes:
    opposite = str.maketrans("ACGT", "TGCA")
    by_bases = {frozenset(bases): code for code, bases in enumerate(_BASES.values())}
    complements = [by_bases[frozenset(bases.translate(opposite))] for bases in _BASES.values()]
    return bytes(complements) + bytes(range(len(complements), 256))


_ENCODE = _encoding_table()
_COMPLEMENT = _complement_table()
_DECODE = ALPHABET.encode() + bytes([ord("?")]) * (256 - len(ALPHABET))
_FRACTIONS = torch.tensor(
    [[(base in bases) / max(len(bases), 1) for bases in _BASES.values()] for base in "ACGT"], dtype=torch.float32
)


def encode(
    sequences: Iterable[str] | np.ndarray,
    *,
    length: int | None = None,
    crop: Crop = "center",
    where: Callable[[int], str] | None = None,
) -> np.ndarray:
    """Turn sequences into codes, one byte per base.

    Small letters count as capital ones, U as T, ``.`` as a gap. A sequence of another length is cropped, or padded with
    the code of a gap.

    Args:
        sequences: Texts, as a list, an array, an iterator or what else gives them one by one, or a column of pandas or
            PyArrow, in its order whatever its index.
        length: Bases of every row; by default those of the longest sequence.
        crop: What keeps its place: ``"center"``, where base ``len // 2`` comes to ``length // 2``; ``"start"`` or
            ``"end"``, where the first or the last base does.
        where: Names a sequence in messages by its number, for example by file and line.

    Returns:
        Places in `ALPHABET`, uint8, shape ``(N, length)``.

    Raises:
        InvalidArgumentError: If a sequence is empty, is no text, or has a character that is neither a letter of IUPAC
            nor a gap; if ``length`` or ``crop`` is not allowed.
    """
    if isinstance(sequences, (str, bytes)):
        raise InvalidArgumentError("sequences is one text, but must be a list of them; put it in brackets")
    is_sliced = hasattr(sequences, "__getitem__") and not isinstance(sequences, deque)
    texts: Any = sequences if is_sliced else list(sequences)
    is_array = isinstance(texts, np.ndarray)
    if getattr(texts, "ndim", 1) != 1 or (is_array and texts.dtype.kind not in TEXT_KINDS):
        kind = f"an array of {texts.dtype}" if is_array else f"a {type(texts).__name__}"
        raise InvalidArgumentError(f"sequences is {kind} with shape {tuple(texts.shape)}, but must be texts (N,)")
    if crop not in get_args(Crop):
        raise InvalidArgumentError(f"crop is {crop!r}, but must be one of {', '.join(map(repr, get_args(Crop)))}")
    place = where or (lambda index: f"sequence {index}")
    lengths = text_lengths(texts, place)
    size = int(lengths.max(initial=0)) if length is None else whole_number("length", length, minimum=1)
    codes = np.full((len(lengths), size), PAD, np.uint8)
    for start, stop in _portions(np.maximum(lengths, size)):
        flat = _translated("".join(_texts(texts, start, stop)).encode("latin-1", "replace"), _ENCODE)
        if flat.max() == _ILLEGAL:
            raise InvalidArgumentError(_illegal(texts, start, flat, lengths[start:stop], place))
        _put(flat, lengths[start:stop], codes[start:stop], crop)
    return codes


def array_of(sequences: Any, name: str) -> np.ndarray:
    """Sequences in any form as an array: texts ``(N,)`` or ``(N, 1)``, codes ``(N, L)`` or columns ``(N, 4, L)``.

    Args:
        sequences: A list, an array, a tensor, a column, a data frame or an iterator.
        name: Of the argument, for messages.

    Raises:
        InvalidArgumentError: If it is one text, or no array can be made of it.
    """
    if isinstance(sequences, str | bytes):
        raise InvalidArgumentError(f"{name} is one text, but must be a list of them; put it in brackets")
    if isinstance(sequences, Tensor):
        return sequences.detach().cpu().numpy()
    if isinstance(sequences, Iterator):
        sequences = list(sequences)
    if isinstance(sequences, list | tuple) and sequences and isinstance(sequences[0], str):
        return np.array(sequences, dtype=object)  # an array of texts gives every one the room of the longest
    try:
        return np.asarray(sequences)
    except ValueError as error:
        raise InvalidArgumentError(f"{name} is no array of sequences: {error}") from error


def texts_of(array: np.ndarray, name: str) -> np.ndarray:
    """Texts ``(N,)`` of an array ``(N,)`` or ``(N, 1)``.

    Raises:
        InvalidArgumentError: If it has several columns.
    """
    if array.ndim == 2 and array.shape[1] != 1:
        raise InvalidArgumentError(
            f"{name} has {array.shape[1]} columns of texts, but must have one sequence a row; choose its column"
        )
    return array.reshape(-1)


def one_hot(codes: np.ndarray | Tensor, *, ambiguous: Ambiguous = "zeros") -> Tensor:
    """Turn codes into the input of a network.

    Args:
        codes: Of `encode`, shape ``(N, L)``, or ``(L,)`` of one sequence.
        ambiguous: ``"zeros"`` for columns of zeros wherever the base is not certain; ``"fractions"`` for equal
            shares of the bases that an ambiguity code allows. Gaps and padding are zeros in either case.

    Returns:
        float32 of shape ``(N, 4, L)``, channels A, C, G, T, on the device of the codes.

    Raises:
        InvalidArgumentError: If these are no codes, or ``ambiguous`` is not allowed.
    """
    if ambiguous not in get_args(Ambiguous):
        raise InvalidArgumentError(f"ambiguous is {ambiguous!r}, but must be 'zeros' or 'fractions'")
    tensor = codes if isinstance(codes, Tensor) else torch.tensor(_checked(codes))
    if tensor.device.type == "cpu":
        _checked(tensor.numpy())
    if ambiguous == "zeros":
        channels = torch.arange(4, dtype=torch.uint8, device=tensor.device)[:, None]
        return (tensor.unsqueeze(-2) == channels).float()
    return _FRACTIONS.to(tensor.device)[:, tensor.long()].movedim(0, -2).contiguous()


def reverse_complement(codes: Codes) -> Codes:
    """The other strand, read in its own direction; ambiguity codes are complemented, gaps stay gaps.

    Args:
        codes: Of `encode`, shape ``(…, L)``.

    Returns:
        As the codes: array or tensor, the same shape.
    """
    if isinstance(codes, Tensor):
        table = torch.tensor(list(_COMPLEMENT), dtype=torch.uint8, device=codes.device)
        return table[codes.flip(-1).long()]
    backwards = _checked(codes)[..., ::-1]
    return _translated(backwards.tobytes(), _COMPLEMENT).reshape(backwards.shape).copy()


def decode(codes: np.ndarray | Tensor) -> list[str]:
    """Turn codes of shape ``(N, L)`` into texts of ``L`` letters; padding is shown as ``-``."""
    array = _checked(codes.cpu().numpy() if isinstance(codes, Tensor) else codes)
    if array.ndim != 2:
        raise InvalidArgumentError(f"codes have shape {array.shape}, but must have (N, L)")
    text, size = array.tobytes().translate(_DECODE).decode("ascii"), array.shape[1]
    return [text[start : start + size] for start in range(0, len(text), size)] if size else [""] * len(array)


def fitted(codes: np.ndarray, length: int, crop: Crop = "center") -> np.ndarray:
    """Crop or pad codes ``(N, L)`` to another length, as `encode` does."""
    size = codes.shape[1]
    if size == length:
        return codes
    offset = int(_offset(np.array(size), length, crop))
    kept = codes[:, max(-offset, 0) : max(-offset, 0) + min(size, length)]
    result = np.full((len(codes), length), PAD, np.uint8)
    result[:, max(offset, 0) : max(offset, 0) + kept.shape[1]] = kept
    return result


def text_lengths(sequences: Any, place: Callable[[int], str]) -> np.ndarray:
    """Length of every sequence, int64.

    Raises:
        InvalidArgumentError: If one is empty or no text.
    """
    parts = []
    for start in range(0, len(sequences), _AT_ONCE >> 7):
        texts = _texts(sequences, start, start + (_AT_ONCE >> 7))
        if not all(issubclass(kind, str) for kind in set(map(type, texts))):
            index = next(index for index, text in enumerate(texts) if not isinstance(text, str))
            raise InvalidArgumentError(f"{place(start + index)} is {shown(texts[index])}, but must be a text of bases")
        parts.append(np.fromiter(map(len, texts), np.int64, len(texts)))
    lengths = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    if len(lengths) and not lengths.all():
        raise InvalidArgumentError(f"{place(int(np.argmin(lengths)))} is empty; drop it or supply its bases")
    return lengths


def text_at(sequences: Any, index: int) -> str:
    """One of many texts."""
    return _texts(sequences, index, index + 1)[0]


def _texts(sequences: Any, start: int, stop: int) -> list[str]:
    part = getattr(sequences, "iloc", sequences)[start:stop]
    if isinstance(part, np.ndarray) and part.dtype.kind == "S":
        part = np.char.decode(part, "latin-1")
    to_list = getattr(part, "to_pylist", None) or getattr(part, "tolist", None)
    return list(part) if to_list is None else list(to_list())


def _portions(weights: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of rows that hold about as many bases as are worked on together."""
    ends = np.cumsum(weights)
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        yield start, stop
        start = stop


def _translated(content: bytes, table: bytes) -> np.ndarray:
    return np.frombuffer(content.translate(table), np.uint8)


def _offset(lengths: np.ndarray, size: int, crop: Crop) -> np.ndarray:
    """Column of the first base; below 0 if that many bases are cropped at the start."""
    if crop == "center":
        return np.asarray(size // 2 - lengths // 2)
    return np.zeros_like(lengths) if crop == "start" else np.asarray(size - lengths)


def _put(flat: np.ndarray, lengths: np.ndarray, rows: np.ndarray, crop: Crop) -> None:
    """Write sequences that follow one another without gaps into rows of padding."""
    size = rows.shape[1]
    if (lengths == size).all():
        rows[:] = flat.reshape(rows.shape)
        return
    offsets = _offset(lengths, size, crop)
    first, last = np.maximum(offsets, 0), np.minimum(offsets + lengths, size)
    columns = np.arange(size, dtype=np.int32)
    inside = (columns >= first[:, None].astype(np.int32)) & (columns < last[:, None].astype(np.int32))
    if (last - first < lengths).any():
        starts = np.cumsum(lengths) - lengths + first - offsets
        edges = np.zeros(len(flat) + 1, np.int8)  # 1 where what is kept begins, -1 where it ends
        np.add.at(edges, starts, 1)
        np.add.at(edges, starts + last - first, -1)
        flat = flat[np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)]
    rows[inside] = flat


def _illegal(sequences: Any, start: int, flat: np.ndarray, lengths: np.ndarray, place: Callable[[int], str]) -> str:
    position = int(np.argmax(flat == _ILLEGAL))
    row = int(np.searchsorted(np.cumsum(lengths), position, side="right"))
    inside = position - int(lengths[:row].sum())
    character = text_at(sequences, start + row)[inside]
    return (
        f"{place(start + row)} has {character!r} at base {inside + 1}; allowed are A, C, G, T, U, the ambiguity codes "
        "of IUPAC (RYSWKMBDHVN) in either case, and '-' or '.' for gaps"
    )


def _checked(codes: np.ndarray) -> np.ndarray:
    array = np.asarray(codes)
    if array.dtype != np.uint8 or not array.ndim or int(array.max(initial=0)) >= len(ALPHABET):
        raise InvalidArgumentError(
            f"codes are {array.dtype} of shape {array.shape}, but must be uint8 (N, L) from 0 to {len(ALPHABET) - 1}; "
            "make them with genomics_adapter.encode"
        )
    return array
