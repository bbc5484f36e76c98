"""Near-duplicates that `genomics_adapter.similarity` finds, what it takes, and how it compares with all pairs.

Measured, on random sequences:

* time and memory: seconds of one call of ``similarity_groups`` on so many sequences, a tenth of them copies with 5 % of
  the bases replaced, and the largest memory that another call holds beside the sequences (``tracemalloc``);
* detection: pairs of a sequence and a copy in which every base is replaced with a given probability, every second copy
  turned to the other strand; the share of pairs in one group, and the share of sequences grouped with a stranger.
  K-mers are as long as for the largest number of sequences above, unless ``--k`` says otherwise;
* all pairs: the Jaccard index of the k-mers of every two sequences of families with up to 20 % of the bases replaced,
  and groups of the pairs at the threshold or above.

    python benchmarks/similarity.py [--sequences 10000 100000] [--length 200]
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
from _common import add_common_arguments, parse
from scipy.sparse import coo_array, triu
from scipy.sparse.csgraph import connected_components

from dasha.bench.environment import environment
from dasha.bench.output import show, write_json
from genomics_adapter.bench.kmers import kmer_counts
from genomics_adapter.encoding import reverse_complement
from genomics_adapter.similarity import THRESHOLD, kmer_size, similarity_groups

RATES = (0.01, 0.02, 0.05, 0.1)
LENGTHS = (60, 101, 200, 500)
FAMILY, MOST = 4, 0.2  # sequences of a family, and share of their bases that is replaced at most


def random_codes(count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Codes of bases, uint8 of shape ``(count, length)``."""
    return rng.integers(0, 4, (count, length), dtype=np.uint8)


def copies(codes: np.ndarray, rate: Any, rng: np.random.Generator) -> np.ndarray:
    """Sequences with bases replaced by others at a rate, of all or of each; every second is the other strand."""
    is_replaced = rng.random(codes.shape) < np.reshape(rate, (-1, 1))
    made = np.where(is_replaced, (codes + rng.integers(1, 4, codes.shape, dtype=np.uint8)) % 4, codes)
    made[1::2] = reverse_complement(made[1::2])
    return made


def cost(counts: Sequence[int], length: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Seconds and memory of one call on each number of sequences."""
    similarity_groups(random_codes(100, length, rng))  # what a first call alone takes
    results = []
    for count in sorted(counts):
        codes = random_codes(count, length, rng)
        few = count // 10
        codes[count - few :] = copies(codes[:few], 0.05, rng)
        start = time.perf_counter()
        groups = similarity_groups(codes)
        seconds = time.perf_counter() - start
        sizes = {"sequences": count, "length": length, "groups": int(groups.max()) + 1}
        results.append({**sizes, "seconds": seconds, "peak_mb": peak_megabytes(codes)})
    return results


def peak_megabytes(codes: np.ndarray) -> float:
    """Largest memory that a call holds."""
    tracemalloc.start()
    similarity_groups(codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def detection(
    lengths: Sequence[int], rates: Sequence[float], *, pairs: int, count: int, k: int | None, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Share of pairs that are found, with k-mers as for ``count`` sequences."""
    results = []
    for length in lengths:
        own = kmer_size(count, length) if k is None else k
        for rate in rates:
            codes = random_codes(pairs, length, rng)
            groups = similarity_groups(np.concatenate([codes, copies(codes, rate, rng)]), k=own)
            strangers = np.bincount(groups[:pairs])[groups[:pairs]] > 1
            found = {"found": float((groups[:pairs] == groups[pairs:]).mean()), "strangers": float(strangers.mean())}
            results.append({"length": length, "rate": rate, "k": own, "pairs": pairs, **found})
    return results


def all_pairs(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of sequences at the threshold or above, shape ``(P, 2)``, and the group of every sequence."""
    present = kmer_counts(codes, k, both_strands=True)
    present.sum_duplicates()
    present.data[:] = 1
    sizes = present.sum(1).A1
    shared = triu(present @ present.T, k=1).tocoo()
    union = sizes[shared.row] + sizes[shared.col] - shared.data
    is_linked = shared.data >= THRESHOLD * union
    pairs = np.stack([shared.row[is_linked], shared.col[is_linked]], axis=1)
    graph = coo_array((np.ones(len(pairs), np.int8), tuple(pairs.T)), shape=shared.shape)
    return pairs, connected_components(graph, directed=False)[1]


def comparison(count: int, length: int, k: int, rng: np.random.Generator) -> dict[str, Any]:
    """What all pairs tell that sketches do not, and the other way round."""
    families = random_codes(-(-count // FAMILY), length, rng).repeat(FAMILY, axis=0)[:count]
    codes = copies(families, rng.uniform(0, MOST, len(families)), rng)
    start = time.perf_counter()
    groups = similarity_groups(codes, k=k)
    middle = time.perf_counter()
    pairs, exact = all_pairs(codes, k)
    end = time.perf_counter()
    return {
        "sequences": count,
        "length": length,
        "k": k,
        "linked_pairs": len(pairs),
        "found": float((groups[pairs[:, 0]] == groups[pairs[:, 1]]).mean()),
        "groups": int(groups.max()) + 1,
        "groups_of_all_pairs": int(exact.max()) + 1,
        "seconds": middle - start,
        "seconds_of_all_pairs": end - middle,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--sequences", type=int, nargs="+", default=[10_000, 100_000], help="of the timed calls")
    parser.add_argument("--length", type=int, default=200, help="bases of those (default: 200)")
    parser.add_argument("--pairs", type=int, default=2000, help="of every length and rate (default: 2000)")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="bases of pairs")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="of replaced bases in pairs")
    parser.add_argument("--k", type=int, help="bases of a k-mer in pairs (default: by the number of sequences)")
    parser.add_argument("--compared", type=int, default=2000, help="sequences of all pairs (default: 2000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parse(parser, argv)
    rng, count = np.random.default_rng(arguments.seed), max(arguments.sequences)
    timed = cost(arguments.sequences, arguments.length, rng)
    found = detection(arguments.lengths, arguments.rates, pairs=arguments.pairs, count=count, k=arguments.k, rng=rng)
    compared = comparison(arguments.compared, arguments.length, kmer_size(count, arguments.length), rng)
    show(
        f"Groups of similar sequences of {arguments.length} bases",
        ("sequences", "seconds", "memory, MB", "groups"),
        [
            [f"{row['sequences']:,}", f"{row['seconds']:.2f}", f"{row['peak_mb']:.0f}", f"{row['groups']:,}"]
            for row in timed
        ],
    )
    show(
        f"Pairs in one group, of {arguments.pairs:,}",
        ("bases", "k", *(f"{rate:.0%} replaced" for rate in arguments.rates), "with strangers"),
        [_row(length, [row for row in found if row["length"] == length]) for length in arguments.lengths],
    )
    show(
        f"All pairs of {compared['sequences']:,} sequences of {arguments.length} bases, k = {compared['k']}",
        ("what", "sketches", "all pairs"),
        [
            ["pairs at the threshold in one group", f"{compared['found']:.2%}", f"{compared['linked_pairs']:,}"],
            ["groups", f"{compared['groups']:,}", f"{compared['groups_of_all_pairs']:,}"],
            ["seconds", f"{compared['seconds']:.3f}", f"{compared['seconds_of_all_pairs']:.3f}"],
        ],
    )
    if arguments.json:
        content = {"timed": timed, "pairs": found, "compared": compared}
        known = {"benchmark": "similarity", "environment": environment(arguments.device), "seed": arguments.seed}
        write_json(arguments.json, {**known, **content})


def _row(length: int, rows: Sequence[dict[str, Any]]) -> list[str]:
    strangers = max(row["strangers"] for row in rows)
    return [str(length), str(rows[0]["k"]), *(f"{row['found']:.2%}" for row in rows), f"{strangers:.2%}"]


if __name__ == "__main__":
    main()
