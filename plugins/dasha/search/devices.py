"""Where networks compute, and by which algorithms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from dasha.errors import InvalidArgumentError


def device_of(name: str) -> torch.device:
    """A device that works.

    Args:
        name: ``"auto"`` for a GPU if there is one, or a device of torch.

    Raises:
        InvalidArgumentError: If it cannot be used.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise InvalidArgumentError(f"device={name!r} cannot be used ({why}); use 'auto', 'cpu' or another") from error
    return device


@contextmanager
def deterministic(is_wanted: bool) -> Iterator[None]:
    """Only deterministic algorithms, if wanted; the setting is put back."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        if is_wanted:
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def evaluating(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """A network in evaluation mode where it computes; afterwards it is back on the CPU."""
    try:
        yield network.to(device).eval()
    finally:
        network.cpu()
