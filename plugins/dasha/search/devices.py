"""Where networks compute, and by which algorithms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from dasha.errors import InvalidArgumentError
from dasha.search.settings import Precision, PrecisionChoice


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


def precision_of(name: PrecisionChoice, device: torch.device) -> Precision:
    """A precision in which a device computes.

    Args:
        name: ``"auto"`` for bfloat16 where the hardware multiplies in it, and float32 elsewhere; or a precision.
        device: That is to compute.
    """
    if name != "auto":
        return name
    return "bfloat16" if _multiplies_bfloat16(device) else "float32"


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False  # versions of torch that cannot tell
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


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


def own_precision(device: torch.device) -> torch.autocast:
    """Whatever a caller's autocast says, compute in the types that tensors have, or in those of an autocast inside.

    Autocast keeps the weights that it has cast until the outermost one ends, here after many steps: it is told to keep
    none.
    """
    return torch.autocast(device.type, enabled=False, cache_enabled=False)


@contextmanager
def evaluating(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """A network in evaluation mode where it computes, in its own precision; afterwards it is back on the CPU."""
    try:
        with own_precision(device):
            yield network.to(device).eval()
    finally:
        network.cpu()
