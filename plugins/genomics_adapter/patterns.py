"""Seqlets that are alike, aligned and averaged: the patterns that a network looks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dasha._optional import Requirement
from dasha.errors import InvalidArgumentError
from genomics_adapter._inputs import batches_of, read_sequences
from genomics_adapter.attribution import seqlets
from genomics_adapter.encoding import Crop

Grouping = Literal["correlation", "modisco"]
_LEAST_COVER = 0.3  # of the seqlets of a pattern: columns that fewer of them reach are cut off


@dataclass(frozen=True, eq=False)
class Motif:
    """A pattern of bases.

    Attributes:
        contributions: Mean contribution of every base at every position, shape ``(4, W)``, order A, C, G, T.
        frequencies: Share of every base, shape ``(4, W)``; every column adds up to 1.
        members: Its seqlets, with the strand on which it lies (``"+"`` or ``"-"``).
    """

    contributions: np.ndarray
    frequencies: np.ndarray
    members: pd.DataFrame = field(repr=False)

    @property
    def consensus(self) -> str:
        """The most frequent bases; small letters where they have less than half."""
        letters = np.array(list("ACGT"))[self.frequencies.argmax(0)]
        shares = self.frequencies.max(0)
        return "".join(a if s >= 0.5 else a.lower() for a, s in zip(letters, shares, strict=True))

    def __len__(self) -> int:
        return len(self.members)


def motifs(
    attributions: Tensor | np.ndarray,
    X: Any,
    *,
    found: pd.DataFrame | None = None,
    grouping: Grouping = "correlation",
    width: int = 20,
    similarity: float = 0.7,
    min_members: int = 10,
    crop: Crop = "center",
    **options: Any,
) -> list[Motif]:
    """Patterns among the seqlets, the most frequent first.

    ``"correlation"`` starts with the strongest seqlet, gathers all that correlate with it at some offset on either
    strand, averages them, gathers again around the average, and goes on with what is left. ``"modisco"`` is
    TF-MoDISco, where ``modiscolite`` is installed (``pip install modisco-lite``): it finds seqlets of its own, compiles
    for minutes when it is first used, and leaves patterns out of a hundred seqlets or fewer.

    Args:
        attributions: Of `attribute`, shape ``(N, 4, L)``; hypothetical ones for ``"modisco"``.
        X: The sequences, as given there.
        found: Seqlets; by default those of `seqlets`.
        grouping: ``"correlation"`` or ``"modisco"``.
        width: Bases of a pattern, at most.
        similarity: Least correlation of the contributions of a seqlet with its pattern.
        min_members: Seqlets of a pattern, at least.
        crop: What keeps its place where sequences have another length than contributions, as of the estimator.
        **options: Further arguments of `seqlets`, or of ``modiscolite.tfmodisco.TFMoDISco``, to which ``found``
            to ``min_members`` do not go.

    Raises:
        InvalidArgumentError: If ``grouping`` is not allowed, or ``"modisco"`` gets no hypothetical contributions.
        OptionalDependencyError: If modiscolite or tangermeme is needed and missing.
    """
    if grouping not in get_args(Grouping):
        allowed = ", ".join(map(repr, get_args(Grouping)))
        raise InvalidArgumentError(f"grouping is {grouping!r}, but must be one of {allowed}")
    attributions = torch.as_tensor(attributions, dtype=torch.float32)
    inputs = torch.cat(list(batches_of(read_sequences(X, length=attributions.shape[-1], crop=crop), 4096)))
    if grouping == "modisco":
        return _by_modisco(attributions, inputs, options)
    attributions = attributions * inputs  # what is there, of hypothetical ones
    found = seqlets(attributions, **options) if found is None else found
    windows = _Windows(attributions.numpy(), inputs.numpy(), found, width)
    left = np.argsort(-np.abs(found["attribution"].to_numpy()), kind="stable")
    patterns = []
    while len(left):
        pattern = windows.contributions[left[0]]
        for _ in range(3):
            scores, offsets, turned = windows.align(pattern, left)
            is_in = scores >= similarity
            is_in[0] = True
            pattern = windows.mean(left[is_in], offsets[is_in], turned[is_in])[0]
        patterns.append((left[is_in], offsets[is_in], turned[is_in]))
        left = left[~is_in]
    kept = sorted((entry for entry in patterns if len(entry[0]) >= min_members), key=lambda entry: -len(entry[0]))
    return [windows.motif(*entry) for entry in kept]


def write_meme(patterns: Sequence[Motif], path: str | Path) -> None:
    """Write frequencies in the minimal MEME format, version 4, which Tomtom, FIMO and others read.

    Args:
        patterns: Called ``motif_1``, ``motif_2``, … in the file.
        path: The file.
    """
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -"]
    for number, pattern in enumerate(patterns, start=1):
        width = pattern.frequencies.shape[1]
        lines += ["", f"MOTIF motif_{number} {pattern.consensus}"]
        lines.append(f"letter-probability matrix: alength= 4 w= {width} nsites= {len(pattern)}")
        lines += [" ".join(f"{share:.6f}" for share in column) for column in pattern.frequencies.T]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


class _Windows:
    """Windows of one width around seqlets.

    Args:
        attributions: Shape ``(N, 4, L)``.
        inputs: One-hot sequences, the same shape.
        found: Seqlets.
        width: Of a window.
    """

    def __init__(self, attributions: np.ndarray, inputs: np.ndarray, found: pd.DataFrame, width: int) -> None:
        self.found = found.reset_index(drop=True)
        self._width, self._pad = width, width // 2
        margin = ((0, 0), (0, 0), (width, width))
        self._all = np.pad(attributions, margin), np.pad(inputs, margin)
        middle = (self.found["start"] + self.found["end"]).to_numpy() // 2
        self._starts = middle - width // 2 + width  # in padded coordinates
        self._rows = self.found["example_idx"].to_numpy()
        inside = np.zeros((len(self.found), 1, width), np.float32)
        columns = np.arange(width) + middle[:, None] - width // 2
        inside[:, 0] = (columns >= self.found["start"].to_numpy()[:, None]) & (
            columns < self.found["end"].to_numpy()[:, None]
        )
        # What lies beside a seqlet is left aside while patterns are compared.
        self.contributions = self._cut(0, np.zeros(len(self.found), int)) * inside

    def align(self, pattern: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Best correlation of windows with a pattern, its offset in bases, and whether the window is turned."""
        own = self.contributions[members]
        norms = np.linalg.norm(own, axis=(1, 2)) * max(float(np.linalg.norm(pattern)), 1e-12) + 1e-12
        reach = range(-self._pad, self._pad + 1)
        moved = np.stack([_moved(pattern, step) for step in reach]).reshape(len(reach), -1)
        flat = [part.reshape(len(part), -1) for part in (own, own[:, ::-1, ::-1])]
        scores = np.concatenate([part @ moved.T for part in flat], axis=1) / norms[:, None]
        best = scores.argmax(1)
        steps = np.array(reach)[best % len(reach)]
        return scores.max(1), steps, best >= len(reach)

    def mean(self, members: np.ndarray, offsets: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean contributions and one-hot columns ``(4, W)`` of windows, laid over one another."""
        # In a turned window positions count from its other end.
        steps = np.where(turned, -offsets, offsets)
        parts = []
        for kind in (0, 1):
            cut = self._cut(kind, steps, members)
            parts.append(np.where(turned[:, None, None], cut[:, ::-1, ::-1], cut).mean(0))
        return parts[0], parts[1]

    def motif(self, members: np.ndarray, offsets: np.ndarray, turned: np.ndarray) -> Motif:
        """The pattern of aligned windows, cut to the columns that matter."""
        contributions, bases = self.mean(members, offsets, turned)
        frame = self.found.iloc[members].assign(strand=np.where(turned, "-", "+")).reset_index(drop=True)
        return _cut(contributions, bases, frame)

    def _cut(self, kind: int, steps: np.ndarray, members: np.ndarray | None = None) -> np.ndarray:
        chosen = np.arange(len(self._rows)) if members is None else members
        columns = (self._starts[chosen] + steps)[:, None] + np.arange(self._width)
        columns = columns.clip(0, self._all[kind].shape[-1] - 1)
        rows, bases = self._rows[chosen][:, None, None], np.arange(4)[None, :, None]
        return np.asarray(self._all[kind][rows, bases, columns[:, None, :]])


def _moved(pattern: np.ndarray, step: int) -> np.ndarray:
    """A pattern moved to the right by some columns; zeros come in."""
    result = np.zeros_like(pattern)
    size = pattern.shape[1]
    if step >= 0:
        result[:, step:] = pattern[:, : size - step]
    else:
        result[:, :step] = pattern[:, -step:]
    return result


def _cut(contributions: np.ndarray, bases: np.ndarray, members: pd.DataFrame) -> Motif:
    """A pattern without the columns at its ends that do not matter."""
    weight = np.abs(contributions).sum(0)
    columns = np.flatnonzero(weight >= _LEAST_COVER * 0.5 * weight.max())
    kept = slice(columns[0], columns[-1] + 1)
    shares = bases[:, kept] + 1e-9
    return Motif(contributions[:, kept], shares / shares.sum(0), members)


def _by_modisco(attributions: Tensor, inputs: Tensor, options: dict[str, Any]) -> list[Motif]:
    if not bool((attributions * (1 - inputs)).any()):
        raise InvalidArgumentError(
            "attributions are 0 for all bases that are not there, but TF-MoDISco compares what every base would "
            "contribute; make them with attribute(…, hypothetical=True)"
        )
    module: Any = Requirement("modiscolite.tfmodisco", install="modisco-lite").load()
    one_hot, values = (part.numpy().transpose(0, 2, 1).astype("float32") for part in (inputs, attributions))
    positive, negative = module.TFMoDISco(hypothetical_contribs=values, one_hot=one_hot, **options)
    patterns = sorted([*(positive or ()), *(negative or ())], key=lambda pattern: -len(pattern.seqlets))
    result = []
    for pattern in patterns:
        rows = [(own.example_idx, own.start, own.end, "-" if own.is_revcomp else "+") for own in pattern.seqlets]
        frame = pd.DataFrame(rows, columns=["example_idx", "start", "end", "strand"])
        result.append(_cut(pattern.contrib_scores.T, pattern.sequence.T, frame))
    return result
