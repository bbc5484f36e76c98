"""Copies of networks, and what to do about those that cannot be copied."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import nn

from dasha.errors import InvalidArgumentError


def copied(network: nn.Module, known: Mapping[int, nn.Module] | None = None) -> nn.Module:
    """A deep copy of a network.

    Args:
        network: Is not modified.
        known: Modules by the identity of those in whose places they come.

    Raises:
        InvalidArgumentError: If it holds tensors that are computed from others, which torch does not copy.
    """
    try:
        return copy.deepcopy(network, dict(known or {}))
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        raise InvalidArgumentError(
            f"{type(network).__name__} cannot be copied ({why}); instead of torch.nn.utils.weight_norm take "
            "torch.nn.utils.parametrizations.weight_norm, and detach what the module keeps of its outputs"
        ) from error
