"""What training costs, counted before it begins, so that a budget holds for data of any size."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dasha.data.part import Part
from dasha.data.split import Split
from dasha.errors import DashaError
from dasha.search.settings import TuneSettings

# A training step costs as much as so many forward passes: one forward, two backward.
_PASSES = 3
_TERA = 1e12


def operations_of(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Floating-point operations of one sample in prediction; 0 where they cannot be counted.

    Args:
        network: Is put into evaluation mode.
        shape: Of one input.
    """
    network.eval()
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            network(torch.zeros(1, *shape))
    except (RuntimeError, NotImplementedError, DashaError):
        return 0
    return int(counter.get_total_flops())


def affordable(split: Split, max_cost: float | None, *, passes: float, operations: int) -> Split:
    """The split, or the part of it that every pass can see.

    Args:
        split: Training data.
        max_cost: Tera operations of training at most; None for no limit.
        passes: How often the split is gone through.
        operations: Those of one sample in prediction, see `operations_of`; 0 where they cannot be counted.

    Returns:
        The split itself where it costs no more, or where nobody knows how large it is.
    """
    if max_cost is None or split.size is None:
        return split
    cost = _PASSES * operations * split.size * passes / _TERA
    return split if cost <= max_cost else Part(split, max_cost / cost)


def expected_passes(settings: TuneSettings) -> float:
    """Epochs of all trials together where one in ``reduction_factor`` passes every rung."""
    total, share, rung, done = 0.0, 1.0, settings.min_resource, 0
    while done < settings.max_resource:
        until = min(rung, settings.max_resource)
        total += share * (until - done)
        done, rung, share = until, rung * settings.reduction_factor, share / settings.reduction_factor
    return settings.trials * total
