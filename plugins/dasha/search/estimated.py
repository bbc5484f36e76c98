"""Mixtures whose way of computing depends on shapes alone: the same in every process, and nothing is timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from dasha.search._choice import cheapest
from dasha.search._geometry import check
from dasha.search.mixed_layers import MixedConv


@contextmanager
def estimated_methods(network: nn.Module) -> Iterator[None]:
    """Let every mixture inside the block compute by the method whose estimated cost is smallest for its input.

    The methods differ by rounding. By the clock, as ``"auto"`` chooses, a search that is resumed could differ from one
    that is not, and measuring takes many seconds where there are many shapes.

    Args:
        network: With mixtures; their ``method`` is as before afterwards.
    """
    mixtures = [module for module in network.modules() if isinstance(module, MixedConv)]
    before = [mixture.method for mixture in mixtures]
    hooks = [mixture.register_forward_pre_hook(_choose) for mixture in mixtures]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for mixture, method in zip(mixtures, before, strict=True):
            mixture.method = method


def _choose(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    assert isinstance(module, MixedConv)
    geometry = check(
        inputs[0],
        list(module.weights),
        module.alpha,
        dilations=module.dilations,
        stride=module.stride,
        groups=module.groups,
    )
    module.method = cheapest(geometry)
