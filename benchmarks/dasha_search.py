"""One step of the kernel search, mixtures as products of spectra and as sums of convolutions, through one network.

A step is forward, backward and the updates of weights and logits, as `dasha.search.kernels` takes it. Both ways start
from the same weights and see the same batch; they take turns, and a figure is the median of ``--repeats`` steps after
one that is left out. Memory is what a process of its own needs for one step beyond what it had before.

    python benchmarks/dasha_search.py [--device cuda] [--repeats 3] [--cases 1-D]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _common import add_common_arguments, parse
from torch import Tensor, nn

from dasha.autoar.device import resolve_device
from dasha.backbones import WideResNet1d, WideResNet2d
from dasha.bench.environment import environment
from dasha.bench.output import show, write_json
from dasha.search.supernet import Supernet, to_supernet

METHODS = ("frequency", "separate")
WANTED = 8


@dataclass(frozen=True)
class Case:
    """A network and a batch."""

    name: str
    shape: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]

    def network(self) -> nn.Module:
        """The network that is searched."""
        if len(self.shape) == 3:
            return WideResNet1d(in_channels=self.shape[1], num_outputs=2, width=8)
        return WideResNet2d(in_channels=self.shape[1], num_outputs=10, width=1, depth=16)


CASES = (
    Case("1-D: WRN1D-128, batch 32, 4×500", (32, 4, 500), (3, 5, 7, 9, 11), (1, 3, 5, 7)),
    Case("2-D: WRN-16-1, batch 16, 13×64×64", (16, 13, 64, 64), (3, 5, 7, 9), (1, 3, 7, 15)),
)


def prepare(case: Case, method: str, device: torch.device) -> tuple[Supernet, torch.optim.Optimizer, Tensor]:
    torch.manual_seed(0)
    supernet = to_supernet(case.network(), case.kernel_sizes, case.dilations, is_depthwise=True).to(device)
    for mixture in supernet.mixtures.values():
        mixture.method = method
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    return supernet, optimizer, torch.randn(case.shape).to(device)


def step(supernet: Supernet, optimizer: torch.optim.Optimizer, x: Tensor) -> float:
    torch.manual_seed(1)  # the same coefficients
    loss = nn.functional.cross_entropy(supernet(x), torch.zeros(len(x), dtype=torch.long, device=x.device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def measure_steps(case: Case, device: torch.device, repeats: int) -> dict[str, Any]:
    prepared = {method: prepare(case, method, device) for method in METHODS}
    losses = dict.fromkeys(METHODS, 0.0)
    seconds: dict[str, list[float]] = {method: [] for method in METHODS}
    for number in range(1 + repeats):
        for method in METHODS:
            start = time.perf_counter()
            loss = step(*prepared[method])
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number > 0:
                seconds[method].append(time.perf_counter() - start)
            else:
                losses[method] = loss
    medians = {method: statistics.median(times) for method, times in seconds.items()}
    return {
        "case": case.name,
        "seconds": medians,
        "ratio": medians["separate"] / medians["frequency"],
        "difference": abs(losses["frequency"] - losses["separate"]) / abs(losses["separate"]),
        "peak_mb": {method: peak_memory(case, method, device) for method in METHODS},
    }


def peak_memory(case: Case, method: str, device: torch.device) -> float:
    """Megabytes that one step adds to the largest size of a fresh process, or of the GPU's memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (case, method, str(device)))


def _peak(case: Case, method: str, name: str) -> float:
    device = torch.device(name)
    prepared = prepare(case, method, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step(*prepared)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    before = _largest_size()
    step(*prepared)
    return _largest_size() - before


def _largest_size() -> float:
    """Megabytes of this process at its largest."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent needed
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(line[1]) for line in lines if line[0] == "VmHWM:") * 1e-3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1e-6 if sys.platform == "darwin" else 1e-3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--repeats", type=int, default=3, help="steps of each way (default: 3)")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name contains this")
    arguments = parse(parser, argv)
    device = resolve_device(arguments.device)
    results = [measure_steps(case, device, arguments.repeats) for case in CASES if arguments.cases in case.name]
    show(
        "One step of the kernel search",
        ("network", *(f"{m}, s" for m in METHODS), "ratio", "wanted", *(f"{m}, MB" for m in METHODS), "loss differs"),
        [
            [
                result["case"],
                *(f"{result['seconds'][m]:.3f}" for m in METHODS),
                f"{result['ratio']:.1f}",
                f"≥ {WANTED}",
                *(f"{result['peak_mb'][m]:.0f}" for m in METHODS),
                f"{result['difference']:.0e}",
            ]
            for result in results
        ],
        "medians, ways taken in turns",
    )
    content = {"benchmark": "dasha_search", "environment": environment(arguments.device), "results": results}
    if arguments.json is not None:
        write_json(arguments.json, content)


if __name__ == "__main__":
    main()
