"""Where the taps of dilated kernels sit, and one stack of kernels in place of many.

A kernel of size ``k`` and dilation ``d`` under ``same`` padding has its taps at the offsets ``d t − ⌊d (k − 1) / 2⌋``.
Kernels of equal dilation whose sizes are both odd or both even share these offsets up to the length, so the smaller
ones, zero-padded about their centre, are added to the largest. A mixture is thus at most two *stacks* of kernels, each
with the leading axis of the dilations. What a convolution does with a stack is linear in it: every tap is replaced by a
row of a table, one table per spatial dimension. Rows of ones and zeros give the dense kernel, rows of waves its
spectrum; a tap that never meets the input has a row of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor
from torch.nn.functional import pad

Array: TypeAlias = np.ndarray[Any, Any]


def offsets(size: int, dilations: Sequence[int]) -> Array:
    """Offsets of all taps, shape ``(dilations, size)``: ``y[n]`` takes ``x[n + offset]``."""
    d = np.asarray(dilations)[:, None]
    result: Array = d * np.arange(size) - d * (size - 1) // 2
    return result


def stacked_sizes(kernel_sizes: Sequence[int]) -> list[int]:
    """Size of each stack of ``stack_kernels``: the largest odd one, the largest even one."""
    return [max(sizes) for parity in (1, 0) if (sizes := [k for k in kernel_sizes if k % 2 == parity])]


def stack_kernels(weights: Sequence[Tensor], coefficients: Tensor) -> list[Tensor]:
    """Weigh all kernels and add up those that share their offsets.

    Args:
        weights: Per kernel size, shape ``(D, C_out, C_in / groups, k)`` or ``(D, C_out, C_in / groups, k, k)``.
        coefficients: Shape ``(kernel sizes, D)``.

    Returns:
        One tensor per size of ``stacked_sizes``, shaped like a weight of that size.
    """
    stacks: dict[int, Tensor] = {}
    kernel_sizes = [weight.shape[-1] for weight in weights]
    for size in stacked_sizes(kernel_sizes):
        for i, weight in enumerate(weights):
            if (margin := size - kernel_sizes[i]) % 2 == 0:
                scaled = weight * coefficients[i].view(-1, *[1] * (weight.ndim - 1))
                padded = pad(scaled, [margin // 2] * 2 * (weight.ndim - 3)) if margin else scaled
                stacks[size] = stacks[size] + padded if size in stacks else padded
    return list(stacks.values())


def spread(stack: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """Replace every tap by its row of the table of each spatial dimension, and add up over the dilations.

    Args:
        stack: Shape ``(D, C_out, C_in / groups, k)`` or ``(D, C_out, C_in / groups, k, k)``.
        tables: One per spatial dimension, shape ``(D, k, width)``.

    Returns:
        Shape ``(C_out, C_in / groups, *widths)``.
    """
    D, *channels, k = stack.shape[:4]
    last = tables[-1]
    if len(tables) == 1:
        return stack.permute(1, 2, 0, 3).reshape(*channels, D * k) @ last.flatten(0, 1)
    rows = (stack.reshape(D, -1, k) @ last).view(D, *channels, k, -1)
    return tables[0].flatten(0, 1).T @ rows.permute(1, 2, 0, 3, 4).reshape(*channels, D * k, -1)


def collect(spreading: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """Transpose of ``spread``: the gradient of the stack from that of its result."""
    channels = spreading.shape[:2]
    D, k = tables[0].shape[:2]
    last = tables[-1]
    if len(tables) == 1:
        return (spreading @ last.flatten(0, 1).T).view(*channels, D, k).permute(2, 0, 1, 3)
    rows = (tables[0].flatten(0, 1) @ spreading).view(*channels, D, k, -1).permute(2, 0, 1, 3, 4)
    return (rows.reshape(D, -1, last.shape[-1]) @ last.transpose(1, 2)).view(D, *channels, k, k)
