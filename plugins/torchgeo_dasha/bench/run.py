"""The cases of the benchmark, in the order in which one needs the seconds of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dasha.bench.cases import Bench, Measured
from dasha.bench.search import PACKAGES, Effort, search_case
from torchgeo_dasha.bench import stock
from torchgeo_dasha.bench.data import DUBAI, EUROSAT, Images
from torchgeo_dasha.bench.forest import forest_case

SEARCH, FOREST = "dasha", "forest"
METHODS_OF = {EUROSAT: (SEARCH, *stock.CLASSIFICATION, FOREST), DUBAI: (SEARCH, *stock.SEGMENTATION)}
"""What is compared on every data set."""
METHODS = tuple(dict.fromkeys(method for methods in METHODS_OF.values() for method in methods))
ALL_PACKAGES = tuple(dict.fromkeys((*PACKAGES, *stock.PACKAGES, "scikit-learn")))


def count(names: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> int:
    """Number of cases."""
    return len(seeds) * sum(method in methods for name in names for method in METHODS_OF[name])


def run(
    images: Images,
    bench: Bench,
    *,
    methods: Sequence[str],
    seeds: Sequence[int],
    effort: Effort,
    seconds: float | None = None,
) -> Iterator[Measured]:
    """Measure one data set, seed by seed, DASHA first.

    Args:
        images: The data.
        bench: Where cases are kept.
        methods: Some of `METHODS`.
        seeds: Of the runs.
        effort: How much DASHA spends.
        seconds: Of the stock tasks; by default as many as DASHA took with the same seed.
    """
    data = images.data
    wanted = [method for method in METHODS_OF[data.name] if method in methods]
    for seed in seeds:
        limit = seconds
        for method in wanted:
            if method == SEARCH:
                found = bench.run(search_case(data, method, mode="auto", seed=seed, effort=effort))
                limit = found.record["seconds"] if found is not None and seconds is None else seconds
            elif method == FOREST:
                found = bench.run(forest_case(data, seed))
            elif limit is None:
                bench.remarks.append(
                    f"{data.name}, {method}, seed {seed} gets the seconds that DASHA takes, which are not known; run "
                    "dasha too, or give --seconds"
                )
                continue
            else:
                case = stock.stock_case(images, method, seed=seed, seconds=limit, device=effort.device)
                found = bench.run(case)
            if found is not None:
                yield found
