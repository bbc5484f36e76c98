"""Our dropout beside torch's, and the training steps of networks with either, in one run.

A figure is the median of ``--repeats`` calls after one that is left out; batches have 32 sequences of 100 bases, or 32
images of 64×64 pixels.

    python benchmarks/dropout.py [--threads 1] [--repeats 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch
from _common import add_common_arguments, milliseconds, parse
from torch import Tensor, nn

from dasha.autoar.device import resolve_device
from dasha.backbones.dropout import Dropout
from dasha.bench.environment import environment
from dasha.bench.output import show, write_json
from dasha.manager import get_manager

SHARE = 0.1
NETWORKS = {"aligned_resnet_1d": (4, 100), "unet_1d": (4, 100), "wide_resnet_2d": (3, 64, 64)}


def training_step(name: str, kind: type[nn.Dropout], device: torch.device) -> Callable[[], None]:
    """One step of a network whose dropout is of a kind."""
    shape = NETWORKS[name]
    torch.manual_seed(0)
    network = (
        get_manager()
        .backbones[name](in_channels=shape[0], num_outputs=2, output="vector", width=2, dropout=SHARE)
        .to(device)
    )
    for module in list(network.modules()):
        for child, part in module.named_children():
            if isinstance(part, nn.Dropout):
                setattr(module, child, kind(SHARE))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    inputs = torch.rand(32, *shape, device=device)

    def step() -> None:
        optimizer.zero_grad()
        network(inputs).square().mean().backward()
        optimizer.step()

    return step


def alone(kind: type[nn.Dropout], device: torch.device) -> Callable[[], None]:
    """Forward and backward pass of the layer."""
    layer, values = kind(SHARE), torch.rand(32, 128, 100, device=device, requires_grad=True)
    gradient = torch.ones_like(values)

    def call() -> None:
        output: Tensor = layer(values)
        output.backward(gradient)

    return call


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--repeats", type=int, default=20, help="calls (default: 20)")
    arguments = parse(parser, argv)
    device = resolve_device(arguments.device)
    makers: dict[str, Callable[[type[nn.Dropout]], Callable[[], None]]] = {
        "the layer alone": lambda kind: alone(kind, device),
        **{f"step of {name}": lambda kind, name=name: training_step(name, kind, device) for name in NETWORKS},  # type: ignore[misc]
    }
    results: list[dict[str, Any]] = []
    for name, make in makers.items():
        torchs, ours = (milliseconds(make(kind), arguments.repeats, device) for kind in (nn.Dropout, Dropout))
        results.append({"case": name, "torch_ms": torchs, "ours_ms": ours, "ratio": torchs / ours})
    rows = [[one["case"], *(f"{one[key]:.2f}" for key in ("torch_ms", "ours_ms", "ratio"))] for one in results]
    show("Dropout", ["case", "torch, ms", "ours, ms", "torch / ours"], rows)
    if arguments.json is not None:
        write_json(
            arguments.json, {"benchmark": "dropout", "environment": environment(arguments.device), "results": results}
        )


if __name__ == "__main__":
    main()
