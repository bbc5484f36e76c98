"""The cases of the benchmark, and what they came to together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dasha.bench.beside import mean_place, place, published_rows
from dasha.bench.cases import Case
from dasha.bench.kernels import cluster, comparable
from dasha.bench.place import Place
from dasha.bench.search import PACKAGES, BenchData, Effort, search_case
from dasha.bench.summary import Summary, as_rows, summarise
from genomics_adapter.bench.data import benchmarks_of, info_of, means_of
from genomics_adapter.bench.kmers import kmer_case

MODES = {"dasha": "auto", "searched": "on", "fixed": "off"}
"""How the kernels of the network are found, by method."""
METHODS = (*MODES, "kmer")
DEFAULT_METHODS = ("dasha", "fixed", "kmer")
ALL_PACKAGES = (*PACKAGES, "scipy", "scikit-learn")


def method_names(methods: Sequence[str], budgets: Sequence[str]) -> list[str]:
    """Names in tables: those of networks have their budget."""
    networks = [f"{method}-{budget}" for budget in budgets for method in methods if method in MODES]
    return networks + [method for method in methods if method not in MODES]


def cases_of(
    data: BenchData, *, methods: Sequence[str], budgets: Sequence[str], seeds: Sequence[int], effort: Effort
) -> Iterator[Case]:
    """All cases of one task, seed by seed; what has nothing random has the first seed alone.

    Args:
        data: The task.
        methods: Some of `METHODS`.
        budgets: Of the networks.
        seeds: Of the runs.
        effort: The other settings of the networks.
    """
    for seed in seeds:
        for budget in budgets:
            for method in methods:
                if method in MODES:
                    name, own = f"{method}-{budget}", replace(effort, budget=budget)
                    yield search_case(data, name, mode=MODES[method], seed=seed, effort=own)
    if "kmer" in methods:
        yield kmer_case(data, seeds[0])


def places_of(summaries: Sequence[Summary]) -> dict[tuple[str, str], Place | None]:
    """Rank of every mean among published figures, by task and method."""
    return {(one.dataset, one.method): place(one, info_of(one.dataset).published) for one in summaries}


def overall(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Mean score and mean place of every method on the tasks of every benchmark that it was run on."""
    places, rows = places_of(summaries), []
    for benchmark in [*benchmarks_of([one.dataset for one in summaries]), ""]:
        for method in dict.fromkeys(one.method for one in summaries):
            own = [one for one in summaries if one.method == method and info_of(one.dataset).benchmark == benchmark]
            if own:
                ranked = mean_place([places[one.dataset, method] for one in own])
                rows.append(
                    {
                        "benchmark": benchmark or "others",
                        "method": method,
                        "tasks": len(own),
                        "mean": float(np.mean([one.mean for one in own])),
                        "mean_place": ranked and ranked[0],
                        "mean_of": ranked and ranked[1],
                        "seconds": float(np.sum([one.seconds for one in own])),
                    }
                )
    return rows


def searched(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Methods that chose kernels."""
    return list(dict.fromkeys(record["method"] for record in records if record.get("searched")))


def content(
    records: Sequence[dict[str, Any]],
    facts: Mapping[str, Any],
    *,
    environment: dict[str, Any],
    skipped: Mapping[str, str],
    remarks: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """What the JSON file holds.

    Args:
        records: All measurements.
        facts: Of every task: its split, lengths and leaks.
        environment: Versions and machine of now.
        skipped: Tasks that were left out, and why.
        remarks: What else was left out.
        command: What measures the same.
    """
    summaries = summarise(records)
    clusters = {}
    for method in searched(records):
        found = cluster(comparable([record for record in records if record["method"] == method]))
        clusters[method] = found and vars(found)
    return {
        "benchmark": "genomics",
        "command": command,
        "environment": environment,
        "results": list(records),
        "summaries": as_rows(summaries),
        "places": [
            {"dataset": name, "method": method, "rank": found.rank, "of": found.of}
            for (name, method), found in places_of(summaries).items()
            if found
        ],
        "overall": overall(summaries),
        "kernels": clusters,
        "data": dict(facts),
        "published": published_rows(
            [one for name in dict.fromkeys(one.dataset for one in summaries) for one in info_of(name).published]
            + [one for benchmark in benchmarks_of([one.dataset for one in summaries]) for one in means_of(benchmark)]
        ),
        "skipped": dict(skipped),
        "remarks": list(remarks),
    }
