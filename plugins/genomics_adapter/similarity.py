"""Groups of similar sequences, on either strand, by MinHash sketches of their k-mers.

Every sequence has the set of its k-mers, each taken as the smaller of itself and its reverse complement. A sketch holds
`HASHES` smallest hash values of that set; the share of equal minima estimates the Jaccard index of two sets (Broder
1997). Sequences that agree in two neighbouring minima are compared, and are linked if the share of equal minima is at
least the threshold. Groups are what links connect, so that whoever is linked is in one group. Equal sequences and
reverse complements are always linked, even those too short for a k-mer.

Substitutions at a share ``p`` of the bases leave a Jaccard index of about ``s / (2 - s)`` with ``s = (1-p)^k``: for
k = 8, 0.74 at 2 %, 0.50 at 5 %, 0.27 at 10 %. Windows that overlap by a share ``f`` of their length have
``f / (2 - f)``. Where the index is near the threshold, chance decides.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dasha.arguments import whole_number
from dasha.errors import InvalidArgumentError
from genomics_adapter.row_hashes import strand_free_hashes

HASHES = 64
"""Minima in a sketch."""
THRESHOLD = 0.2
"""Share of equal minima from which sequences are similar."""
_SHORTEST, _LONGEST = 8, 15  # k-mers: shorter ones are in every sequence, longer ones do not fit into 32 bits
_NONE = np.uint32(2**32 - 1)  # in the place of a k-mer with a base that is not certain
_PER_RANGE = 4  # k-mers in every range of hash values, at least: fewer leave ranges empty
_AT_ONCE = 1 << 15  # bases that are worked on together: scratch arrays stay in the cache
_SEED = 20_240_901


def similarity_groups(codes: np.ndarray, *, k: int | None = None, threshold: float = THRESHOLD) -> np.ndarray:
    """Number of the group of every sequence.

    Args:
        codes: Of `genomics_adapter.encode`, shape ``(N, L)``.
        k: Bases of a k-mer, 4 to 15; by default `kmer_size`.
        threshold: Sequences with at least this share of equal minima are linked, above 0 to 1.

    Returns:
        int64 of shape ``(N,)``, from 0.

    Raises:
        InvalidArgumentError: If ``k`` or ``threshold`` is not allowed.
    """
    k = kmer_size(*codes.shape) if k is None else whole_number("k", k, minimum=4)
    if k > _LONGEST:
        raise InvalidArgumentError(f"k is {k}, but must be 4 to {_LONGEST}: two bits per base of 32, less a mark")
    if not 0.0 < threshold <= 1.0:
        raise InvalidArgumentError(f"threshold is {threshold!r}, but must lie above 0 and at most at 1")
    first, second = _links(sketches(codes, k), threshold)
    equal = _equal(strand_free_hashes(codes))
    edges = np.concatenate([first, equal[0]]), np.concatenate([second, equal[1]])
    graph = coo_array((np.ones(len(edges[0]), np.int8), edges), shape=(len(codes), len(codes)))
    groups: np.ndarray = connected_components(graph, directed=False)[1]
    return groups.astype(np.int64)


def kmer_size(count: int, length: int) -> int:
    """Bases of a k-mer for which random sequences have too little in common to be compared.

    Short k-mers survive substitutions. But two random sequences share about ``L / 4^k`` of theirs, and the square of
    that is the chance of two equal minima: among N sequences, that is to happen to each about once.

    Args:
        count: N, the number of sequences.
        length: L, the bases of each.
    """
    return min(max(math.ceil(math.log(max(length * math.sqrt(count), 1.0), 4)), _SHORTEST), _LONGEST)


def sketches(codes: np.ndarray, k: int) -> np.ndarray:
    """Smallest hash values of the k-mers of every sequence.

    One hash function gives a minimum for each of several equal ranges of values ("one permutation hashing", Li et al.
    2012): as many as leave a few k-mers in each. A range without any takes the minimum of the next.

    Returns:
        uint32 of shape ``(N, HASHES)``; the largest number where a sequence has no k-mer.
    """
    result = np.full((len(codes), HASHES), _NONE, np.uint32)
    columns = codes.shape[1] - k + 1
    if columns < 1:
        return result
    functions = 1
    while functions < HASHES and columns * functions < _PER_RANGE * HASHES:
        functions *= 2
    factors = np.random.default_rng(_SEED).integers(0, 2**31, functions, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    step = max(1, _AT_ONCE // codes.shape[1])
    for start in range(0, len(codes), step):
        hashes, is_certain = _kmer_hashes(codes[start : start + step], k)
        minima = result[start : start + step].reshape(len(hashes), functions, -1)
        for number, factor in enumerate(factors):
            # Odd factors permute the numbers, so each gives another order of the same k-mers.
            values = hashes * factor
            if is_certain is not None:
                values[~is_certain] = _NONE
            minima[:, number] = _smallest(values, HASHES // functions)
        result[start : start + step] = _filled(minima.reshape(len(hashes), HASHES))
    return result


def _smallest(values: np.ndarray, ranges: int) -> np.ndarray:
    """Smallest of the values ``(n, K)`` of every row in each of so many ranges of 32-bit numbers, a power of two."""
    values.sort(axis=1)
    place = values >> np.uint32(32 - ranges.bit_length()) >> np.uint32(1)
    is_first = values != _NONE
    is_first[:, 1:] &= place[:, 1:] != place[:, :-1]
    found = np.flatnonzero(is_first)
    result = np.full((len(values), ranges), _NONE, np.uint32)
    result.reshape(-1)[found // values.shape[1] * ranges + place.reshape(-1)[found]] = values.reshape(-1)[found]
    return result


def _filled(minima: np.ndarray) -> np.ndarray:
    """Minima with those of the next range, around the end, where a range has none."""
    is_empty = minima == _NONE
    if not is_empty.any():
        return minima
    columns = np.where(is_empty, 2 * HASHES, np.arange(HASHES))
    twice = np.concatenate([columns, np.minimum(columns + HASHES, 2 * HASHES)], axis=1)
    following = np.minimum.accumulate(twice[:, ::-1], axis=1)[:, ::-1][:, :HASHES]
    filled = np.take_along_axis(minima, following % HASHES, axis=1)
    filled[is_empty.all(1)] = _NONE
    return filled


def _kmer_hashes(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Mixed numbers of canonical k-mers ``(n, L - k + 1)``, and which have only certain bases (None for all)."""
    is_base = codes < 4
    hashes = np.minimum(*_packed(codes.astype(np.uint32), k))
    # A bijection of 32 bits that leaves no trace of the order (Wellons, "lowbias32").
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        hashes ^= hashes >> np.uint32(shift)
        hashes *= np.uint32(factor)
    if is_base.all():
        return hashes, None
    known = np.cumsum(np.pad(is_base, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    return hashes, known[:, k:] - known[:, :-k] == k


def _packed(bases: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """K-mers and their reverse complements as numbers of two bits per base, shape ``(n, L - k + 1)``."""
    if k == 1:
        return bases, np.uint32(3) - bases
    left = k - 1 if k % 2 else k // 2
    ahead, behind = _packed(bases, left)
    further, before = (ahead, behind) if left * 2 == k else _packed(bases, k - left)
    columns, right = bases.shape[1] - k + 1, k - left
    forward = ahead[:, :columns] << np.uint32(2 * right) | further[:, left : left + columns]
    backward = before[:, left : left + columns] << np.uint32(2 * left) | behind[:, :columns]
    return forward, backward


def _links(minima: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of sequences that agree in two neighbouring minima and in a large enough share of all."""
    rows = np.flatnonzero((minima != _NONE).any(1))
    minima = minima[rows]
    needed = int(np.ceil(threshold * HASHES))
    first, second = [rows[:0]], [rows[:0]]
    for column in range(HASHES if len(rows) else 0):
        keys = minima[:, column].astype(np.uint64) << np.uint64(32) | minima[:, (column + 1) % HASHES]
        a, b = _neighbors(keys, minima[:, (column + HASHES // 2) % HASHES])
        for start in range(0, len(a), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            is_linked = (minima[a[part]] == minima[b[part]]).sum(1) >= needed
            first.append(rows[a[part][is_linked]])
            second.append(rows[b[part][is_linked]])
    return np.concatenate(first), np.concatenate(second)


def _neighbors(keys: np.ndarray, then: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs with equal keys: each with the first of its kind, and with the one before it, sorted by ``then``."""
    order = np.argsort(keys)
    ordered = keys[order]
    is_new = np.append(True, ordered[1:] != ordered[:-1])
    is_shared = ~(is_new & np.append(is_new[1:], True))
    order, groups = order[is_shared], np.cumsum(is_new)[is_shared]
    order = order[np.lexsort((then[order], groups))]
    is_head = np.diff(groups, prepend=-1) != 0
    heads = order[is_head][np.cumsum(is_head) - 1]
    follows = np.flatnonzero(~is_head)
    return np.append(heads[follows], order[follows - 1]), np.append(order[follows], order[follows])


def _equal(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that link all sequences with the same hash."""
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    return order[same], order[same + 1]
