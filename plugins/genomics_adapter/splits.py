"""Parts for training, validation and test: at random, by chromosome, or by groups of similar sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dasha.errors import InvalidArgumentError
from genomics_adapter.row_hashes import strand_free_hashes
from genomics_adapter.sequences.data import SequenceData, SequenceSplits
from genomics_adapter.similarity import THRESHOLD, kmer_size, similarity_groups

Fractions = tuple[float, float, float]
FRACTIONS: Fractions = (0.8, 0.1, 0.1)
"""Shares for training, validation and test."""
_PARTS = ("train", "validation", "test")


def random_split(
    data: SequenceData, *, fractions: Fractions = FRACTIONS, seed: int = 0, stratify: bool = True
) -> SequenceSplits:
    """Split at random; sequences that are the same, on either strand, stay together.

    Args:
        data: What to split.
        fractions: Shares for training, validation and test, which add up to 1; 0 for no such part.
        seed: Of the draw.
        stratify: Whether every class is split by itself, where labels are classes.

    Raises:
        InvalidArgumentError: If the fractions are not allowed, or too few sequences are there for a part.
    """
    shares = _checked(fractions)
    first, groups = _groups_of_equals(data)
    sizes = np.bincount(groups)
    strata = (_strata(data) if stratify else np.zeros(len(data), np.int64))[first]
    parts = np.empty(len(first), np.int8)
    rng = np.random.default_rng(seed)
    for stratum in range(int(strata.max(initial=-1)) + 1):
        chosen = rng.permutation(np.flatnonzero(strata == stratum))
        before = np.cumsum(sizes[chosen]) - sizes[chosen]  # sequences dealt before each group
        count = int(sizes[chosen].sum())
        parts[chosen] = _dealt(count, shares * count)[before]
    rule = f"at random{', every class by itself' if strata.any() else ''}, seed {seed}"
    if len(first) < len(data):
        rule += f", {len(data) - len(first)} repeated sequences with their first"
    return _parted(data, parts[groups], shares, rule)


def chromosome_split(
    data: SequenceData,
    *,
    validation: str | int | Sequence[str | int],
    test: str | int | Sequence[str | int] = (),
) -> SequenceSplits:
    """Split by chromosome; those not named are for training.

    Args:
        data: What to split, with chromosomes.
        validation: One chromosome or several, by their names, which may be numbers.
        test: Likewise; none for no test data.

    Raises:
        InvalidArgumentError: If there are no chromosomes, one is unknown or named twice, or none is left to train on.
    """
    if data.chromosomes is None:
        raise InvalidArgumentError(
            f"{data.source} has no chromosomes; read it from a BED file, or name their column with chromosome="
        )
    present = sorted(set(data.chromosomes.tolist()))
    parts = np.zeros(len(data), np.int8)
    named: list[str] = []
    for number, given in enumerate((validation, test), start=1):
        for name in map(str, (given,) if isinstance(given, str | int | np.integer) else given):
            if name not in present or name in named:
                why = "named twice" if name in named else f"not among {', '.join(present)}"
                raise InvalidArgumentError(f"{_PARTS[number]} has chromosome {name!r}, which is {why}")
            parts[data.chromosomes == name] = number
            named.append(name)
    shares = np.array([1.0, 1.0, float((parts == 2).any())])
    return _parted(data, parts, shares, f"by chromosome: {', '.join(named)} not for training")


def similarity_split(
    data: SequenceData,
    *,
    fractions: Fractions = FRACTIONS,
    seed: int = 0,
    k: int | None = None,
    threshold: float = THRESHOLD,
) -> SequenceSplits:
    """Split so that no two similar sequences are in different parts; see `genomics_adapter.similarity` for the rule.

    Groups go, the largest first, where their classes are missed most; sequences like no other are then dealt at random
    so that every class comes as close to the fractions as the groups allow.

    Args:
        data: What to split.
        fractions: Shares for training, validation and test, which add up to 1; 0 for no such part.
        seed: Of the draw.
        k: Bases of a k-mer; by default `genomics_adapter.similarity.kmer_size`.
        threshold: Share of equal minima from which sequences are similar.

    Raises:
        InvalidArgumentError: If an argument is not allowed, or too few groups are there for a part.
    """
    shares, rng = _checked(fractions), np.random.default_rng(seed)
    k = kmer_size(*data.codes.shape) if k is None else k
    groups = similarity_groups(data.codes, k=k, threshold=threshold)
    sizes = np.bincount(groups)
    strata = _strata(data)
    missing = shares[:, None] * np.bincount(strata)  # (parts, classes)
    parts = np.empty(len(data), np.int8)
    order = rng.permutation(len(data))
    order = order[np.lexsort((groups[order], -sizes[groups[order]]))]
    several = order[sizes[groups[order]] > 1]
    for rows in np.split(several, np.flatnonzero(np.diff(groups[several])) + 1) if len(several) else []:
        counts = np.bincount(strata[rows], minlength=missing.shape[1])
        part = int(np.argmax(np.where(shares > 0, missing @ counts, -np.inf)))
        parts[rows] = part
        missing[part] -= counts
    single = order[sizes[groups[order]] == 1]
    for stratum in range(missing.shape[1]):
        rows = rng.permutation(single[strata[single] == stratum])
        parts[rows] = _dealt(len(rows), np.where(shares > 0, missing[:, stratum].clip(0), 0.0))
    rule = (
        f"by similarity (k={k}, threshold={threshold}): {len(sizes)} groups, the largest of {sizes.max(initial=0)} "
        f"sequences, seed {seed}"
    )
    return _parted(data, parts, shares, rule)


def _checked(fractions: Fractions) -> np.ndarray:
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or not shares[0] or not math.isclose(shares.sum(), 1.0):
        raise InvalidArgumentError(
            f"fractions is {fractions!r}, but must be shares for train, validation and test that add up to 1, that of "
            "train above 0"
        )
    return shares


def _groups_of_equals(data: SequenceData) -> tuple[np.ndarray, np.ndarray]:
    """First row of every group of sequences that are the same on either strand, in order, and the group of each."""
    _, first, groups = np.unique(strand_free_hashes(data.codes), return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[groups]


def _strata(data: SequenceData) -> np.ndarray:
    """Number of the class of every sequence; 0 for all where labels are no classes."""
    labels = data.labels
    if labels is None or labels.ndim != 1 or (labels != np.floor(labels)).any():
        return np.zeros(len(data), np.int64)
    classes, numbers = np.unique(labels, return_inverse=True)
    return numbers if len(classes) <= max(10, len(data) // 10) else np.zeros(len(data), np.int64)


def _dealt(count: int, wanted: np.ndarray) -> np.ndarray:
    """Parts of ``count`` sequences, one after the other, as near as whole numbers come to what is wanted."""
    if not wanted.sum():
        return np.zeros(count, np.int8)
    bounds = np.round(np.cumsum(wanted / wanted.sum()) * count).astype(np.int64)
    return np.repeat(np.arange(3, dtype=np.int8), np.diff(bounds, prepend=0))


def _parted(data: SequenceData, parts: np.ndarray, shares: np.ndarray, rule: str) -> SequenceSplits:
    found: list[SequenceData | None] = []
    for number, name in enumerate(_PARTS):
        rows = np.flatnonzero(parts == number)
        if not len(rows) and shares[number]:
            raise InvalidArgumentError(
                f"{data.source} with {len(data)} sequences, split {rule}, leaves none for {name}; supply more, or "
                "change what goes there"
            )
        part = data.subset(rows) if len(rows) else None
        found.append(part and replace(part, notes=(*data.notes, f"{name}, split {rule}")))
    assert found[0] is not None
    return SequenceSplits(found[0], found[1], found[2])
