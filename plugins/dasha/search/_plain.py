"""The mixed convolution by convolutions of PyTorch: one for every pair, or one with the dense sum of all kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn.functional import pad

from dasha.backbones.strided import conv1d, conv2d
from dasha.search._taps import offsets, spread, stacked_sizes
from dasha.search._waves import constant, one_hot_table


def separate(
    x: Tensor,
    weights: Sequence[Tensor],
    coefficients: Tensor,
    *,
    dilations: Sequence[int],
    stride: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Add up one convolution per pair: the definition."""
    convolve = conv1d if x.ndim == 3 else conv2d
    total: Tensor | None = None
    for weight, row in zip(weights, coefficients, strict=True):
        for kernel, coefficient, d in zip(weight, row, dilations, strict=True):
            margin = d * (weight.shape[-1] - 1)
            before, uneven = margin // 2, margin % 2
            padded = pad(x, [0, 1] * (x.ndim - 2)) if uneven else x
            y = coefficient * convolve(
                padded, kernel, stride=stride, padding=(before,) * (x.ndim - 2), dilation=d, groups=groups
            )
            total = y if total is None else total + y
    assert total is not None
    return total


def reach(size: int, kernel_sizes: Sequence[int], dilations: Sequence[int]) -> int:
    """Largest distance of a tap that meets the input."""
    distances = np.concatenate([np.abs(offsets(k, dilations)).ravel() for k in kernel_sizes])
    return int(distances[distances < size].max(initial=0))


def dense_kernel(
    x: Tensor, stacks: Sequence[Tensor], kernel_sizes: Sequence[int], *, dilations: Sequence[int]
) -> Tensor:
    """Sum of all dilated kernels, shape ``(C_out, C_in / groups, 2 reach + 1)`` or the like in two dimensions."""
    total: Tensor | None = None
    halves = [reach(n, kernel_sizes, dilations) for n in x.shape[2:]]
    for stack, k in zip(stacks, stacked_sizes(kernel_sizes), strict=True):
        tables = [
            constant(one_hot_table, n, half, k, tuple(dilations), like=stack)
            for n, half in zip(x.shape[2:], halves, strict=True)
        ]
        kernel = spread(stack, tables)
        total = kernel if total is None else total + kernel
    assert total is not None
    return total


def direct(x: Tensor, kernel: Tensor, *, stride: tuple[int, ...], groups: int) -> Tensor:
    """Convolve with a dense kernel of odd size, its middle at offset zero."""
    convolve = conv1d if x.ndim == 3 else conv2d
    return convolve(x, kernel, stride=stride, padding=tuple(n // 2 for n in kernel.shape[2:]), groups=groups)
