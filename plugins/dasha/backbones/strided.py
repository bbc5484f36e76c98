"""Convolutions of PyTorch whose weights get right gradients with any stride and dilation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Zeros in front of a row, up to which oneDNN gave right gradients with every stride and dilation.
_MOST_ZEROS = 14


def last(value: int | Sequence[int]) -> int:
    """A number for the last axis, given alone or after those of other axes."""
    return value if isinstance(value, int) else value[-1]


def goes_wrong(stride: Any, padding: Any, dilation: Any) -> bool:
    """Whether oneDNN may give weights wrong gradients, as it comes with torch 2.15, on CPUs with AVX-512.

    In float32 they were wrong for 15 to 28 zeros in front of a row and 29 to 55 positions of output, of sequences and
    of images, with stride and dilation along the row; never where the zeros were part of the input.

    Args:
        stride: As of ``torch.conv1d`` or ``torch.conv2d``.
        padding: Likewise.
        dilation: Likewise.
    """
    if isinstance(padding, str):  # of the two that have names, "same" takes no stride
        return False
    return last(stride) > 1 and last(dilation) > 1 and last(padding) > _MOST_ZEROS


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Compute ``torch.conv1d``, on CPUs with the zeros in the input where gradients need it."""
    if input.device.type == "cpu" and goes_wrong(stride, padding, dilation):
        input, padding = _with_zeros(input, padding), 0
    return torch.conv1d(input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Compute ``torch.conv2d``, on CPUs with the zeros in the input where gradients need it."""
    if input.device.type == "cpu" and goes_wrong(stride, padding, dilation):
        input, padding = _with_zeros(input, padding), (padding if isinstance(padding, int) else padding[0], 0)
    return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)


class StridedConv1d(nn.Conv1d):
    """A ``Conv1d`` that computes with `conv1d` of this module."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv1d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def _with_zeros(input: Tensor, padding: int | Sequence[int]) -> Tensor:
    return functional.pad(input, (last(padding), last(padding)))
