"""How CPUs convolve: with right gradients, and in the order of values in memory that is fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dasha.backbones.strided import conv1d, conv2d, last

# Kernels of fewer input channels than these are convolved by oneDNN in a way of its own, in so many numbers at a time.
_FEW_CHANNELS, _AT_A_TIME = 16, 32


class RightGradients(TorchFunctionMode):
    """Inside this context weights of all convolutions get right gradients; see `dasha.backbones.strided`.

    No module is changed, so that those of others are covered, too.

    Attributes:
        computed: What is computed in the place of functions of torch.
    """

    computed: ClassVar[Mapping[Callable[..., Any], Callable[..., Any]]] = {torch.conv1d: conv1d, torch.conv2d: conv2d}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by torch for each of its functions."""
        compute = self.computed.get(func, func)
        return compute(*args, **(kwargs or {}))


def right_gradients(device: torch.device) -> AbstractContextManager[object]:
    """Context in which networks compute so that their weights get right gradients: `RightGradients` on CPUs."""
    return RightGradients() if device.type == "cpu" else nullcontext()


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
        return conv1d(input, weight, bias, stride, padding, dilation, groups)
    around: Any = padding if isinstance(padding, str) else (0, last(padding))
    steps = (1, last(stride)), around, (1, last(dilation))
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
        return conv2d(input, weight, bias, *steps)
    input = input.contiguous(memory_format=torch.channels_last)
    reduced = _reduced_dtype(input)
    if reduced is None or not _is_garbage(input, weight, stride, padding, dilation):
        return conv2d(input, weight, bias, *steps)
    with torch.autocast(input.device.type, enabled=False):
        exact = conv2d(input.float(), weight.float(), None if bias is None else bias.float(), *steps)
    return exact.to(reduced)


def _batch_norm(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if input.ndim != 3:
        return functional.batch_norm(input, *args, **kwargs)
    return functional.batch_norm(input.unsqueeze(2), *args, **kwargs).squeeze(2)


class ChannelsLast(RightGradients):
    """Inside this context networks compute with the channels of a position side by side in memory.

    Convolutions of oneDNN need no other order then, and what comes after them keeps it. Sequences, for which torch has
    no such order, are convolved and normalised as images of one row. Outputs and gradients have the shapes that they
    have outside, and differ by rounding. No module is changed, so that those of others are sped up, too.

    Convolutions compute in float32 if they have a stride and outputs of width 1, or fewer than 16 channels and a kernel
    of certain even widths: in reduced precision, oneDNN as it comes with torch 2.15 gives garbage or NaN.
    """

    computed: ClassVar[Mapping[Callable[..., Any], Callable[..., Any]]] = {
        torch.conv1d: _conv1d,
        torch.conv2d: _conv2d,
        functional.batch_norm: _batch_norm,  # what it calls in turn is not seen
    }


def fast_layout(device: torch.device) -> AbstractContextManager[object]:
    """Context in which networks compute in the order that is fast on a device: `ChannelsLast` on CPUs."""
    return ChannelsLast() if device.type == "cpu" else nullcontext()


def fast_under_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Context of a forward pass that a trainer asks for: `fast_layout` if it computes in reduced precision."""
    is_reduced = torch.is_autocast_enabled(device.type) and not torch.compiler.is_compiling()
    return fast_layout(device) if is_reduced else nullcontext()


def _reduced_dtype(input: Tensor) -> torch.dtype | None:
    """Type of less than 32 bits in which an input would be convolved; None if there is none."""
    if input.dtype == torch.float32 and torch.is_autocast_enabled(input.device.type):
        return torch.get_autocast_dtype(input.device.type)
    return input.dtype if input.dtype in (torch.bfloat16, torch.float16) else None


def _is_garbage(input: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> bool:
    """Whether oneDNN gives garbage in reduced precision: for outputs of width 1, or kernels that are cut up wrongly."""
    channels, width = weight.shape[1], weight.shape[-1]
    if channels < _FEW_CHANNELS and channels * width > _AT_A_TIME and channels * width % _AT_A_TIME == 0:
        return True
    steps = (stride,) if isinstance(stride, int) else stride
    around = 0 if isinstance(padding, str) else last(padding)  # of the two that have names, "same" takes no stride
    return max(steps) > 1 and input.shape[-1] + 2 * around - last(dilation) * (width - 1) <= steps[-1]
