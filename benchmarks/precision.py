"""A training step of every registered network in float32 and bfloat16, in both orders in memory, in one run.

Budgets with ``precision="auto"`` compute in bfloat16 with channels last where the processor multiplies in bfloat16, and
in float32 in torch's own order elsewhere. A figure is the median of ``--repeats`` steps after one that is left out;
batches have 32 sequences of 300 bases, or 32 images of 64×64 pixels in patches of 2×2.

    python benchmarks/precision.py [--threads 1] [--repeats 10]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from _common import add_common_arguments, milliseconds, parse

from dasha.autoar.device import resolve_device
from dasha.bench.environment import environment
from dasha.bench.output import show, write_json
from dasha.manager import get_manager
from dasha.search.devices import precision_of
from dasha.search.layout import fast_layout

SHAPES = {"1d": (4, 300), "2d": (12, 32, 32)}
# Name, whether bfloat16, whether channels last.
WAYS = {
    "float32_ms": (False, False),
    "float32_channels_last_ms": (False, True),
    "bfloat16_ms": (True, False),
    "bfloat16_channels_last_ms": (True, True),
}


def training_step(name: str, device: torch.device, *, is_half: bool, is_last: bool) -> Callable[[], None]:
    """One step of a network, as the training of a trial makes it."""
    shape = SHAPES[name[-2:]]
    torch.manual_seed(0)
    make = get_manager().backbones[name]
    network = make(in_channels=shape[0], num_outputs=2, output="vector", width=2, dropout=0.1).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    inputs = torch.rand(32, *shape, device=device)

    def step() -> None:
        optimizer.zero_grad()
        order = fast_layout(device) if is_last else nullcontext()
        with order, torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_half):
            outputs = network(inputs)
        outputs.float().square().mean().backward()
        optimizer.step()

    return step


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--repeats", type=int, default=10, help="steps (default: 10)")
    arguments = parse(parser, argv)
    device = resolve_device(arguments.device)
    results: list[dict[str, Any]] = []
    for name in sorted(one for one in get_manager().backbones if one[-2:] in SHAPES):
        taken = {
            way: milliseconds(training_step(name, device, is_half=half, is_last=last), arguments.repeats, device)
            for way, (half, last) in WAYS.items()
        }
        ratio = taken["float32_ms"] / taken["bfloat16_channels_last_ms"]
        results.append({"network": name, **taken, "ratio": ratio})
    rows = [[one["network"], *(f"{one[way]:.1f}" for way in WAYS), f"{one['ratio']:.1f}"] for one in results]
    head = ["network", "float32, ms", "channels last", "bfloat16, ms", "channels last", "first / last"]
    show(f"A training step; precision='auto' is {precision_of('auto', device)} here", head, rows)
    if arguments.json is not None:
        write_json(
            arguments.json, {"benchmark": "precision", "environment": environment(arguments.device), "results": results}
        )


if __name__ == "__main__":
    main()
