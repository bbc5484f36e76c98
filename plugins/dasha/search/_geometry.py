"""What a mixed convolution is called with, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dasha.arguments import whole_number
from dasha.errors import InvalidArgumentError


@dataclass(frozen=True)
class Geometry:
    """Everything about a mixed convolution but the numbers; hashable.

    Attributes:
        x_shape: ``(N, C_in, L)`` or ``(N, C_in, H, W)``.
        out_channels: ``C_out``.
        kernel_sizes: In the order of the weights.
        dilations: In the order of the leading axis of the weights.
        stride: One per spatial dimension.
        groups: Groups of the convolution.
    """

    x_shape: tuple[int, ...]
    out_channels: int
    kernel_sizes: tuple[int, ...]
    dilations: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """Shape of every weight."""
        channels = len(self.dilations), self.out_channels, self.x_shape[1] // self.groups
        return [(*channels, *[k] * (len(self.x_shape) - 2)) for k in self.kernel_sizes]


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """The type in which convolutions of ``x`` are computed under the autocast that is on, if one is."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(x.device.type)
    return None


def check(
    x: Tensor,
    weights: Sequence[Tensor],
    coefficients: Tensor,
    *,
    dilations: Sequence[int],
    stride: int | Sequence[int],
    groups: int,
) -> Geometry:
    """Check all arguments of ``mixed_convolution`` but the method.

    Raises:
        InvalidArgumentError: Naming the argument, what came, and what is allowed.
    """
    if x.ndim not in (3, 4) or not x.is_floating_point() or 0 in x.shape[1:]:
        raise InvalidArgumentError(
            f"x is {x.dtype} of shape {tuple(x.shape)}, but must be real floating-point numbers of shape "
            "(N, C_in, L) or (N, C_in, H, W) with at least one channel and one position"
        )
    geometry = Geometry(
        x_shape=tuple(x.shape),
        out_channels=_out_channels(weights),
        kernel_sizes=tuple(weight.shape[-1] for weight in weights),
        dilations=_dilations(dilations),
        stride=_stride(stride, x.ndim - 2),
        groups=whole_number("groups", groups, minimum=1),
    )
    if x.shape[1] % groups or geometry.out_channels % groups:
        raise InvalidArgumentError(
            f"groups is {groups}, but must divide the {x.shape[1]} channels of x and the {geometry.out_channels} "
            "output channels of the weights"
        )
    for i, (weight, wanted) in enumerate(zip(weights, geometry.weight_shapes, strict=True)):
        if tuple(weight.shape) != wanted or 0 in weight.shape:
            raise InvalidArgumentError(
                f"weights[{i}] has shape {tuple(weight.shape)}, but x of shape {tuple(x.shape)}, "
                f"{len(geometry.dilations)} dilations and groups={groups} need "
                f"(D, C_out, C_in / groups, k{', k' * (x.ndim == 4)}) = {wanted}"
            )
        mixed = weight.dtype != x.dtype and (autocast_dtype(x) is None or weight.dtype == torch.float64)
        if mixed or weight.device != x.device or not weight.is_floating_point():
            raise InvalidArgumentError(
                f"weights[{i}] is {weight.dtype} on {weight.device}, but x is {x.dtype} on {x.device} and both must be "
                "alike; convert one, or compute under torch.autocast"
            )
    expected = len(weights), len(geometry.dilations)
    if tuple(coefficients.shape) != expected or not coefficients.is_floating_point():
        raise InvalidArgumentError(
            f"coefficients is {coefficients.dtype} of shape {tuple(coefficients.shape)}, but must be real "
            f"floating-point numbers of shape (kernel sizes, dilations) = {expected}"
        )
    if coefficients.device != x.device:
        raise InvalidArgumentError(
            f"coefficients is on {coefficients.device}, but must be where x is; use coefficients.to({str(x.device)!r})"
        )
    return geometry


def _out_channels(weights: Sequence[Tensor]) -> int:
    if len(weights) == 0 or any(weight.ndim < 4 for weight in weights):
        shapes = [tuple(weight.shape) for weight in weights]
        raise InvalidArgumentError(
            f"weights has shapes {shapes}, but must hold one tensor per kernel size, of shape "
            "(D, C_out, C_in / groups, k) or (D, C_out, C_in / groups, k, k)"
        )
    return weights[0].shape[1]


def _dilations(dilations: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(dilations, Iterable):
        raise InvalidArgumentError(f"dilations is {dilations!r}, but must be several integers, such as (1, 3)")
    if len(dilations) == 0:
        raise InvalidArgumentError("dilations is empty, but must name at least one; (1,) means plain kernels")
    return tuple(whole_number(f"dilations[{j}]", d, minimum=1) for j, d in enumerate(dilations))


def _stride(stride: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    strides = (stride,) * dimensions if isinstance(stride, int) else tuple(stride)
    if len(strides) != dimensions:
        raise InvalidArgumentError(
            f"stride is {stride!r}, but must be one integer, or {dimensions} for {dimensions} spatial dimensions"
        )
    return tuple(whole_number("stride", s, minimum=1) for s in strides)
