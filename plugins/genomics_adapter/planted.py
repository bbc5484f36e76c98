"""Made-up sequences whose labels follow from two motifs at a spacing, so that attributions can be scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dasha.arguments import whole_number
from dasha.errors import InvalidArgumentError
from genomics_adapter._sklearn import average_precision_score
from genomics_adapter.encoding import reverse_complement
from genomics_adapter.patterns import Motif
from genomics_adapter.sequences.data import SequenceData, Source

MOTIFS = ("TGACTCA", "CCGGAAGT")
"""Binding sites of AP-1 and of ETS factors."""
_CERTAINTY = 0.91  # probability of the consensus base; the others share the rest


@dataclass(frozen=True, eq=False)
class Planted:
    """Sequences, and what was put into them.

    Attributes:
        data: Sequences with labels: 1 where both motifs lie at the spacing, else 0.
        mask: Bases of these motifs, in sequences of label 1 alone, shape ``(N, L)``.
        frequencies: Share of every base at the positions of each motif, shape ``(4, W)`` each.
    """

    data: SequenceData
    mask: np.ndarray
    frequencies: tuple[np.ndarray, ...]


def plant(count: int, *, length: int = 80, spacing: int = 6, seed: int = 0) -> Planted:
    """Make sequences, half of them with both motifs at a spacing, on either strand.

    The others hold one motif, both at another spacing, or none, so that neither motif alone tells the label.

    Args:
        count: Sequences.
        length: Of every sequence, in bases.
        spacing: Bases between the motifs.
        seed: Of everything.

    Raises:
        InvalidArgumentError: If the motifs do not fit into the length at two spacings.
    """
    whole_number("count", count, minimum=2)
    whole_number("spacing", spacing, minimum=0)
    widths = [len(text) for text in MOTIFS]
    longest = sum(widths) + 2 * spacing + 10
    if whole_number("length", length, minimum=1) < longest:
        raise InvalidArgumentError(f"length is {length}, but spacing={spacing} needs at least {longest}")
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, length), dtype=np.uint8)
    labels = rng.permutation(np.arange(count) % 2)
    mask = np.zeros((count, length), bool)
    frequencies = tuple(_frequencies(text) for text in MOTIFS)
    for row in range(count):
        case = 0 if labels[row] else int(rng.integers(1, 5))
        gap = (
            spacing
            if case == 0
            else int(rng.choice([spacing + step for step in (-4, 4, 7, 10) if spacing + step >= 0]))
        )
        begin = int(rng.integers(0, length - sum(widths) - gap + 1))
        begins = begin, begin + widths[0] + gap
        kept = {0: (0, 1), 1: (0, 1), 2: (0,), 3: (1,), 4: ()}[case]
        for number in kept:
            span = slice(begins[number], begins[number] + widths[number])
            codes[row, span] = _drawn(frequencies[number], rng)
            mask[row, span] = case == 0
        if rng.random() < 0.5:
            codes[row], mask[row] = reverse_complement(codes[row]), mask[row, ::-1].copy()
    data = SequenceData(codes, labels.astype(np.int64), class_names=(), source=Source("planted motifs"))
    return Planted(data, mask, frequencies)


def recovery(attributions: Tensor | np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """How well contributions point at planted bases.

    Args:
        attributions: Shape ``(N, 4, L)``.
        mask: Planted bases, shape ``(N, L)``.

    Returns:
        Area under the curve of precision over recall, where bases are ranked by the size of their contribution; and
        what chance would give, the share of planted bases.
    """
    size = np.abs(np.asarray(attributions)).sum(1)
    return float(average_precision_score(mask.ravel(), size.ravel())), float(mask.mean())


def similarity(motif: Motif, frequencies: np.ndarray) -> float:
    """Correlation of a pattern with known frequencies at the best offset on either strand, 1 for the same.

    Positions of the known motif that the pattern does not reach count as unknown.
    """
    width = frequencies.shape[1]
    known = frequencies - 0.25
    best = -1.0
    for turned in (motif.frequencies, motif.frequencies[::-1, ::-1]):
        pattern = np.pad(turned - 0.25, ((0, 0), (width, width)))
        for start in range(pattern.shape[1] - width + 1):
            part = pattern[:, start : start + width]
            norm = float(np.linalg.norm(part) * np.linalg.norm(known))
            best = max(best, float((part * known).sum()) / norm if norm > 1e-6 else -1.0)
    return best


def _frequencies(text: str) -> np.ndarray:
    shares = np.full((4, len(text)), (1 - _CERTAINTY) / 3)
    shares[["ACGT".index(letter) for letter in text], np.arange(len(text))] = _CERTAINTY
    return shares


def _drawn(frequencies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    points = rng.random(frequencies.shape[1])
    return np.asarray((points > np.cumsum(frequencies, axis=0)).sum(0).clip(max=3), dtype=np.uint8)
