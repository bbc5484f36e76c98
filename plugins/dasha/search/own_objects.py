"""What tells modules and functions of the user's own apart, as texts that are the same in every process."""

from __future__ import annotations

import hashlib
import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def described(own: Any) -> Any:
    """A module by hashes of its layers and of its weights, a function by its name, another object by its ``repr``.

    What a function does, and what a ``repr`` leaves out, is not looked at.
    """
    if isinstance(own, nn.Module):
        return {"layers": layers_of(own), "weights": _weights_of(own)}
    if inspect.ismethod(own):
        return f"{own.__name__} of {described(own.__self__)}"
    if inspect.isroutine(own) or isinstance(own, type):
        return f"{own.__module__}.{own.__qualname__}"
    return _ADDRESS.sub("", repr(own))


def layers_of(module: nn.Module) -> str:
    """Hash of a module but for the values of its weights."""
    shapes = [
        (name, tuple(value.shape), str(value.dtype)) if isinstance(value, Tensor) else name
        for name, value in module.state_dict().items()
    ]
    return _short_hash(_ADDRESS.sub("", repr(module)).encode(), repr(shapes).encode())


def _weights_of(module: nn.Module) -> str:
    """Hash of the values of parameters and buffers."""
    values = [value.detach().cpu() for value in module.state_dict().values() if isinstance(value, Tensor)]
    return _short_hash(*(value.contiguous().flatten().view(torch.uint8).numpy().data for value in values))


def _short_hash(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
