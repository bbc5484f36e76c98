"""The order of values in memory in which CPUs convolve fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class ChannelsLast(TorchFunctionMode):
    """Inside this context networks compute with the channels of a position side by side in memory.

    Convolutions of oneDNN need no other order then, and what comes after them keeps it. Sequences, for which torch has
    no such order, are convolved and normalised as images of one row. Outputs and gradients have the shapes that they
    have outside, and differ by rounding. No module is changed, so that those of others are sped up, too.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by torch for each of its functions."""
        compute = _COMPUTED.get(func, func)
        return compute(*args, **(kwargs or {}))


def fast_layout(device: torch.device) -> AbstractContextManager[object]:
    """Context in which networks compute in the order that is fast on a device: `ChannelsLast` on CPUs."""
    return ChannelsLast() if device.type == "cpu" else nullcontext()


def fast_under_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Context of a forward pass that a trainer asks for: `fast_layout` if it computes in reduced precision."""
    is_reduced = torch.is_autocast_enabled(device.type) and not torch.compiler.is_compiling()
    return fast_layout(device) if is_reduced else nullcontext()


def _conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if input.ndim != 3:
        return torch.conv1d(input, weight, bias, stride, padding, dilation, groups)
    image = input.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    around: Any = padding if isinstance(padding, str) else (0, _number(padding))
    steps = (1, _number(stride)), around, (1, _number(dilation))
    return torch.conv2d(image, weight.unsqueeze(2), bias, *steps, groups).squeeze(2)


def _conv2d(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if input.ndim == 4:
        input = input.contiguous(memory_format=torch.channels_last)
    return torch.conv2d(input, *args, **kwargs)


def _batch_norm(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if input.ndim != 3:
        return functional.batch_norm(input, *args, **kwargs)
    return functional.batch_norm(input.unsqueeze(2), *args, **kwargs).squeeze(2)


def _number(value: int | Sequence[int]) -> int:
    """A number that may stand in a sequence of its own."""
    return value if isinstance(value, int) else value[0]


_COMPUTED: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.conv1d: _conv1d,
    torch.conv2d: _conv2d,
    functional.batch_norm: _batch_norm,  # what it calls in turn is not seen
}
