"""The ways of computing a mixed convolution, forward and backward, all in one run on one machine.

Cases are those of a kernel search: genomics and time series in one dimension, satellite images in two. The methods take
turns; a figure is the median of ``--repeats`` calls after one that is left out. A method that the estimate behind
``method="auto"`` puts more than 30 times above the best is not run unless ``--all`` is given: the dense kernel of an
image takes tens of seconds. "error" is the largest difference to the plain sum of convolutions, in outputs
and all gradients, relative to the largest value. On a GPU, "MB" is the peak memory beyond the arguments.

    python benchmarks/mixture.py [--device cuda] [--repeats 5] [--batch-share 0.25] [--cases depthwise]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from _common import add_common_arguments, parse
from torch import Tensor

from dasha.autoar.device import resolve_device
from dasha.bench.environment import environment
from dasha.bench.output import show, write_json
from dasha.search import choose_method, mixed_convolution
from dasha.search._choice import estimates
from dasha.search._compute import METHODS
from dasha.search._geometry import check

FAR_OFF = 30


@dataclass(frozen=True)
class Case:
    """Arguments of a mixed convolution."""

    name: str
    batch: int
    in_channels: int
    out_channels: int
    groups: int
    size: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    stride: int = 1
    wanted: float | None = None


SEQUENCE = {"size": (500,), "kernel_sizes": (3, 5, 7, 9, 11), "dilations": (1, 3, 5, 7)}
IMAGE = {"kernel_sizes": (3, 5, 7, 9), "dilations": (1, 3, 7, 15)}
CASES = (
    Case("1-D depthwise 64, length 500", 64, 64, 64, 64, **SEQUENCE, wanted=8),
    Case("1-D dense 32→32, length 500", 64, 32, 32, 1, **SEQUENCE),
    Case("1-D dense 32→64, length 500", 64, 32, 64, 1, **SEQUENCE),
    Case("2-D depthwise 16, 64×64", 16, 16, 16, 16, (64, 64), **IMAGE, wanted=10),
    Case("2-D depthwise 32, 32×32", 16, 32, 32, 32, (32, 32), **IMAGE, wanted=10),
    Case("2-D dense 16→32, 32×32, stride 2", 16, 16, 32, 1, (32, 32), **IMAGE, stride=2),
)


def arguments_of(case: Case, device: torch.device, share: float) -> tuple[Tensor, list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device).requires_grad_()

    channels = len(case.dilations), case.out_channels, case.in_channels // case.groups
    weights = [normal(*channels, *[k] * len(case.size)) for k in case.kernel_sizes]
    coefficients = normal(len(case.kernel_sizes), len(case.dilations))
    return normal(max(1, round(share * case.batch)), case.in_channels, *case.size), weights, coefficients


def seconds_and_result(function: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, result


def difference(results: Sequence[Tensor], references: Sequence[Tensor]) -> float:
    pairs = zip(results, references, strict=True)
    return max(float((result - reference).abs().max() / reference.abs().max()) for result, reference in pairs)


def run(case: Case, device: torch.device, arguments: argparse.Namespace) -> dict[str, Any]:
    x, weights, coefficients = arguments_of(case, device, arguments.batch_share)
    options: dict[str, Any] = {"dilations": case.dilations, "stride": case.stride, "groups": case.groups}
    costs = estimates(check(x, weights, coefficients, **options))
    methods = [m for m in METHODS if m == "separate" or arguments.all or costs[m] <= FAR_OFF * min(costs.values())]

    def once(method: str) -> list[Tensor]:
        y = mixed_convolution(x, weights, coefficients, method=method, **options)
        return [y.detach(), *torch.autograd.grad(y, [x, *weights, coefficients], torch.ones_like(y))]

    references = once("separate")
    errors = {method: difference(once(method), references) for method in methods if method != "separate"}
    del references
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    peak: dict[str, float] = {}
    for _ in range(arguments.repeats):
        for method in methods:
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
                before = torch.cuda.memory_allocated(device)
            seconds[method].append(seconds_and_result(lambda method=method: once(method), device)[0])
            if device.type == "cuda":
                peak[method] = (torch.cuda.max_memory_allocated(device) - before) / 1e6
    medians = {method: statistics.median(times) for method, times in seconds.items()}
    return {
        "case": case.name,
        "seconds": medians,
        "ratio": medians["separate"] / medians["frequency"] if "frequency" in medians else None,
        "wanted": case.wanted,
        "auto": choose_method(x, weights, coefficients, **options),
        "error": max(errors.values(), default=0.0),
        "errors": errors,
        "peak_mb": peak,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--repeats", type=int, default=5, help="calls of every method (default: 5)")
    parser.add_argument("--batch-share", type=float, default=1.0, help="part of the batches to take (default: 1)")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name contains this")
    parser.add_argument("--all", action="store_true", help="run the slowest methods too")
    arguments = parse(parser, argv)
    device = resolve_device(arguments.device)
    results = [run(case, device, arguments) for case in CASES if arguments.cases in case.name]
    show(
        "Mixed convolution, forward and backward",
        ("case", *(f"{m}, s" for m in METHODS), "separate / frequency", "wanted", "auto takes", "error", "MB"),
        [
            [
                result["case"],
                *(f"{result['seconds'][m]:.4f}" if m in result["seconds"] else "–" for m in METHODS),
                "–" if result["ratio"] is None else f"{result['ratio']:.1f}",
                "" if result["wanted"] is None else f"≥ {result['wanted']:g}",
                result["auto"],
                f"{result['error']:.0e}",
                " / ".join(f"{mb:.0f}" for mb in result["peak_mb"].values()) or "–",
            ]
            for result in results
        ],
        "medians, methods taken in turns",
    )
    content = {"benchmark": "mixture", "environment": environment(arguments.device), "results": results}
    if arguments.json is not None:
        write_json(arguments.json, content)


if __name__ == "__main__":
    main()
