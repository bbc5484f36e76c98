"""The order of values in memory in which CPUs convolve fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# Positions from the first tap to the last, up to which gradients of strided convolutions of sequences were found right.
_FARTHEST = 28


class ChannelsLast(TorchFunctionMode):
    """Inside this context networks compute with the channels of a position side by side in memory.

    Convolutions of oneDNN need no other order then, and what comes after them keeps it. Sequences, for which torch has
    no such order, are convolved and normalised as images of one row. Outputs and gradients have the shapes that they
    have outside, and differ by rounding. No module is changed, so that those of others are sped up, too.

    Convolutions with a stride compute in float32 if their outputs have width 1, or of sequences very wide kernels: in
    reduced precision, oneDNN as it comes with torch 2.15 gives garbage or NaN, or wrong gradients of the weights.
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
    around: Any = padding if isinstance(padding, str) else (0, _last(padding))
    steps = (1, _last(stride)), around, (1, _last(dilation))
    return _conv2d(input.unsqueeze(2), weight.unsqueeze(2), bias, *steps, groups).squeeze(2)


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    steps = stride, padding, dilation, groups
    if input.ndim != 4:
        return torch.conv2d(input, weight, bias, *steps)
    input = input.contiguous(memory_format=torch.channels_last)
    reduced = _reduced_dtype(input)
    if reduced is None or not _goes_wrong(input, weight, stride, padding, dilation):
        return torch.conv2d(input, weight, bias, *steps)
    with torch.autocast(input.device.type, enabled=False):
        exact = torch.conv2d(input.float(), weight.float(), None if bias is None else bias.float(), *steps)
    return exact.to(reduced)


def _reduced_dtype(input: Tensor) -> torch.dtype | None:
    """Type of less than 32 bits in which an input would be convolved; None if there is none."""
    if input.dtype == torch.float32 and torch.is_autocast_enabled(input.device.type):
        return torch.get_autocast_dtype(input.device.type)
    return input.dtype if input.dtype in (torch.bfloat16, torch.float16) else None


def _goes_wrong(input: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> bool:
    """Whether a convolution has a stride, and outputs of width 1 or a kernel of one row with taps far from each other.

    Gradients of weights were found wrong for 30 to 56 positions from the first tap to the last, and some lengths.
    """
    steps = (stride,) if isinstance(stride, int) else stride
    if max(steps) == 1:
        return False
    reach = _last(dilation) * (weight.shape[-1] - 1)
    around = 0 if isinstance(padding, str) else _last(padding)  # of the two that have names, "same" takes no stride
    is_far = weight.shape[-2] == 1 and reach > _FARTHEST
    return is_far or input.shape[-1] + 2 * around - reach <= steps[-1]


def _batch_norm(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if input.ndim != 3:
        return functional.batch_norm(input, *args, **kwargs)
    return functional.batch_norm(input.unsqueeze(2), *args, **kwargs).squeeze(2)


def _last(value: int | Sequence[int]) -> int:
    """A number for the last axis, given alone or after those of other axes."""
    return value if isinstance(value, int) else value[-1]


_COMPUTED: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.conv1d: _conv1d,
    torch.conv2d: _conv2d,
    functional.batch_norm: _batch_norm,  # what it calls in turn is not seen
}
