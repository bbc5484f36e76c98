"""Sequences that are in two parts of the data, as they are or as the other strand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from dasha.errors import InvalidArgumentError
from genomics_adapter.encoding import decode, fitted, reverse_complement
from genomics_adapter.row_hashes import left_aligned, row_hashes
from genomics_adapter.sequences.data import SequenceData

_EXAMPLES = 3
_SHOWN = 60  # bases of an example


@dataclass(frozen=True)
class LeakExample:
    """One sequence that is in two parts.

    Attributes:
        kind: ``"exact"`` or ``"reverse complement"``.
        first: Its place in the first part.
        second: Its place in the second.
        sequence: The sequence as it is in the second, shortened.
    """

    kind: str
    first: str
    second: str
    sequence: str


@dataclass(frozen=True)
class PairLeaks:
    """What two parts share.

    Attributes:
        first: ``"train"`` or ``"validation"``.
        second: ``"validation"`` or ``"test"``.
        exact: Sequences of the second part that are in the first.
        reverse_complement: Further sequences of the second whose reverse complement is in the first.
        size: Sequences of the second part.
        examples: Some of them.
    """

    first: str
    second: str
    exact: int
    reverse_complement: int
    size: int
    examples: tuple[LeakExample, ...] = ()

    def __str__(self) -> str:
        if not self.exact and not self.reverse_complement:
            return f"{self.first} and {self.second} share no sequence"
        share = 100 * (self.exact + self.reverse_complement) / self.size
        text = (
            f"{share:.3g} % of {self.second} is in {self.first}: {self.exact} sequences, and {self.reverse_complement} "
            "more as reverse complements"
        )
        return "\n".join(
            [text, *(f"  {one.kind}: {one.first} and {one.second}: {one.sequence}" for one in self.examples)]
        )


@dataclass(frozen=True)
class LeakReport:
    """What the parts of the data share.

    Attributes:
        pairs: One entry for every two parts.
    """

    pairs: tuple[PairLeaks, ...]

    @property
    def count(self) -> int:
        """Leaks over all pairs."""
        return sum(pair.exact + pair.reverse_complement for pair in self.pairs)

    def check(self) -> None:
        """Refuse leaks.

        Raises:
            InvalidArgumentError: If there are any.
        """
        if self.count:
            found = str(self).replace("\n", ";\n")
            raise InvalidArgumentError(
                f"{self.count} sequences of one part of the data are in another, too:\n{found};\nremove them from one "
                "part, or split with genomics_adapter.splits.similarity_split"
            )

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"count": self.count, "pairs": [asdict(pair) for pair in self.pairs]}

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> LeakReport:
        """What `as_dict` gave, also after JSON."""
        pairs = (
            PairLeaks(**{**pair, "examples": tuple(LeakExample(**one) for one in pair["examples"])})
            for pair in content["pairs"]
        )
        return cls(tuple(pairs))

    def __str__(self) -> str:
        return "\n".join(map(str, self.pairs)) or "there is one part only"


def leak_report(
    *, train: SequenceData, validation: SequenceData | None = None, test: SequenceData | None = None
) -> LeakReport:
    """Find sequences that are in two parts; padding at their ends does not matter, ambiguity codes are letters.

    Args:
        train: Training data.
        validation: Validation data.
        test: Test data.
    """
    parts = {"train": train, "validation": validation, "test": test}
    given = {name: _Hashed(data) for name, data in parts.items() if data is not None}
    return LeakReport(tuple(_shared(a, given[a], b, given[b]) for a, b in combinations(given, 2)))


class _Hashed:
    """A part with its hashes, sorted."""

    def __init__(self, data: SequenceData) -> None:
        self.data = data
        self.hashes = row_hashes(data.codes)
        self.order = np.argsort(self.hashes, kind="stable")
        self.ordered = self.hashes[self.order]

    def find(self, codes: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        """Row of each sequence here, or -1; equal hashes are not believed."""
        places = np.searchsorted(self.ordered, hashes).clip(0, len(self.ordered) - 1)
        rows = np.where(self.ordered[places] == hashes, self.order[places], -1)
        found = np.flatnonzero(rows >= 0)
        width = max(codes.shape[1], self.data.length)
        here = fitted(left_aligned(self.data.codes[rows[found]]), width, "start")
        there = fitted(left_aligned(codes[found]), width, "start")
        rows[found[(here != there).any(1)]] = -1
        return rows


def _shared(first: str, one: _Hashed, second: str, other: _Hashed) -> PairLeaks:
    if not len(one.data) or not len(other.data):
        return PairLeaks(first, second, 0, 0, len(other.data))
    codes = other.data.codes
    exact = one.find(codes, other.hashes)
    turned = reverse_complement(codes)
    opposite = np.where(exact < 0, one.find(turned, row_hashes(turned)), -1)
    examples = [
        LeakExample(kind, one.data.source.place(int(rows[row])), other.data.source.place(row), _short(codes[row]))
        for kind, rows in (("exact", exact), ("reverse complement", opposite))
        for row in np.flatnonzero(rows >= 0)[:_EXAMPLES].tolist()
    ]
    counts = int((exact >= 0).sum()), int((opposite >= 0).sum())
    return PairLeaks(first, second, *counts, len(codes), tuple(examples))


def _short(row: np.ndarray) -> str:
    text = decode(row[None])[0].strip("-")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
