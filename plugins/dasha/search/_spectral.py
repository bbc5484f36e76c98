"""The mixed convolution in the frequency domain.

The spectra of the kernels are products of their few taps with tables of waves: no kernel is dilated, padded or
transformed. A stride ``s`` splits the input into ``s`` phases, which are as many input channels ``s`` times shorter.
Samples are worked off in portions that fit into the cache of a CPU, so no spectrum of the whole batch ever exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.functional import pad

from dasha.search import _waves
from dasha.search._products import Product, is_pointwise, product_with
from dasha.search._taps import collect, spread, stacked_sizes
from dasha.search._waves import Axis, constant, make_axis

# Bytes of the spectra of one portion: about the cache of a core, or enough to occupy a GPU; matrix products want more.
_PORTION = {"cpu": 2**22, "cuda": 2**28}


@dataclass(frozen=True)
class Plan:
    """All that the shapes determine.

    Attributes:
        axes: One per spatial dimension.
        groups: Groups of the convolution.
        kernel_sizes: Size of every stack of kernels.
    """

    axes: tuple[Axis, ...]
    groups: int
    kernel_sizes: tuple[int, ...]

    @property
    def parts(self) -> int:
        """Parts of a spectrum."""
        return len(self.axes)

    @property
    def frequencies(self) -> int:
        """Frequencies of one part of a spectrum."""
        return math.prod(axis.frequencies for axis in self.axes)

    @property
    def phases(self) -> int:
        """Phases of the stride."""
        return math.prod(axis.stride for axis in self.axes)

    def split(self, x: Tensor) -> Tensor:
        """Phases of the stride, ``(n, C, *sizes)`` to ``(n, C, phases, *lengths)``."""
        if self.phases == 1:
            return x.unsqueeze(2)
        x = pad(x, [end for axis in self.axes[::-1] for end in (0, axis.length * axis.stride - axis.size)])
        x = x.reshape(*x.shape[:2], *(n for axis in self.axes for n in (axis.length, axis.stride)))
        order = (0, 1, 3, 2) if len(self.axes) == 1 else (0, 1, 3, 5, 2, 4)
        return x.permute(order).reshape(*x.shape[:2], self.phases, *(axis.length for axis in self.axes))

    def join(self, x: Tensor) -> Tensor:
        """Inverse of ``split``."""
        if self.phases == 1:
            return x.squeeze(2)
        x = x.view(*x.shape[:2], *(axis.stride for axis in self.axes), *(axis.length for axis in self.axes))
        x = x.permute((0, 1, 3, 2) if len(self.axes) == 1 else (0, 1, 4, 2, 5, 3))
        x = x.reshape(*x.shape[:2], *(axis.length * axis.stride for axis in self.axes))
        return x[..., : self.axes[-1].size] if len(self.axes) == 1 else x[..., : self.axes[0].size, : self.axes[1].size]

    def transform(self, x: Tensor) -> Tensor:
        """``(n, C, phases, *lengths)``, real, to ``(n, groups, C / groups · phases, parts, F)``, complex."""
        last = self.axes[-1]
        if last.is_long:
            z: Tensor = torch.fft.rfft(x, n=last.period)
        else:
            z = _waves.as_complex(x @ constant(_waves.forward_matrix, last, like=x))
        if len(self.axes) == 2:
            z = _waves.to_parts(z, self.axes[0])
        return z.reshape(len(x), self.groups, -1, self.parts, self.frequencies)

    def invert(self, z: Tensor) -> Tensor:
        """``(n, groups, C, parts, F)``, complex, to ``(n, groups · C, *lengths)``, real."""
        last = self.axes[-1]
        z = z.reshape(len(z), -1, *(2 * axis.frequencies for axis in self.axes[:-1]), last.frequencies)
        if len(self.axes) == 2:
            z = _waves.from_parts(z, self.axes[0])
        if last.is_long:
            values: Tensor = torch.fft.irfft(z, n=last.period)
            return values[..., : last.length]
        real = torch.view_as_real(z).flatten(-2)
        return real @ constant(_waves.inverse_matrix, last, like=real)

    def _tables(self, kernel_size: int, like: Tensor) -> list[Tensor]:
        *others, last = self.axes
        return [
            *(constant(_waves.tap_table, axis, kernel_size, like=like, last=False) for axis in others),
            constant(_waves.tap_table, last, kernel_size, like=like, last=True),
        ]

    def kernel_spectrum(self, stacks: Sequence[Tensor]) -> Tensor:
        """Spectrum of the mixed kernel, shape ``(groups, C_out / groups, C_in / groups · phases, parts, F)``."""
        total = sum(spread(s, self._tables(k, s)) for s, k in zip(stacks, self.kernel_sizes, strict=True))
        assert isinstance(total, Tensor)
        last = self.axes[-1]
        per_axis = [n for axis in self.axes[:-1] for n in (axis.stride, 2 * axis.frequencies)]
        z = torch.view_as_complex(total.view(*total.shape[:2], *per_axis, last.stride, last.frequencies, 2))
        if len(self.axes) == 2:
            z = z.transpose(3, 4)  # (C_out, C_in / groups, stride, stride, 2F, F)
        channels = self.groups, z.shape[0] // self.groups, z.shape[1] * self.phases
        return z.reshape(*channels, self.parts, self.frequencies)

    def stack_gradients(self, spectrum: Tensor, stacks: Sequence[Tensor]) -> list[Tensor]:
        """Transpose of ``kernel_spectrum``."""
        last = self.axes[-1]
        real = torch.view_as_real(spectrum)
        strides, widths = [axis.stride for axis in self.axes], [2 * axis.frequencies for axis in self.axes[:-1]]
        channels = stacks[0].shape[1:3]
        z = real.view(*channels, *strides, *widths, last.frequencies, 2)
        z = z * constant(_waves.gradient_weights, last, like=real, last=True)[:, None]
        if len(self.axes) == 2:
            z = z * constant(_waves.gradient_weights, self.axes[0], like=real, last=False)[:, None, None]
            z = z.transpose(3, 4)  # (C_out, C_in / groups, stride, 2F, stride, F, 2)
        z = z.reshape(*channels, *(s * w for s, w in zip(strides, widths, strict=False)), -1)
        return [collect(z, self._tables(k, z)) for k in self.kernel_sizes]

    def portions(self, x: Tensor, out_channels: int) -> Iterator[slice]:
        """Slices of the batch whose spectra have the size that the device likes."""
        sample = (x.shape[1] * self.phases + out_channels) * self.parts * self.frequencies * 2 * 4
        small = is_pointwise(out_channels // self.groups, x.shape[1] // self.groups * self.phases)
        at_once = _PORTION.get(x.device.type, _PORTION["cuda"]) * (1 if small else 8)
        step = max(1, at_once // sample)
        return (slice(start, start + step) for start in range(0, len(x), step))


class _Spectral(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, plan: Plan, *stacks: Tensor) -> Tensor:
        ctx.save_for_backward(x, *stacks)
        ctx.plan = plan  # type: ignore[attr-defined]
        channels = stacks[0].shape[1]
        product = product_with(plan.kernel_spectrum(stacks))
        y = x.new_empty(len(x), channels, *(axis.length for axis in plan.axes))
        for rows in plan.portions(x, channels):
            spectrum = plan.transform(plan.split(x[rows].to(stacks[0].dtype)))
            y[rows] = plan.invert(product.forward(spectrum))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, *stacks = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            return _gradients(
                ctx.plan, x, stacks, g, of_x=ctx.needs_input_grad[0], of_stacks=any(ctx.needs_input_grad[2:])
            )


def _gradients(
    plan: Plan, x: Tensor, stacks: Sequence[Tensor], g: Tensor, *, of_x: bool, of_stacks: bool
) -> tuple[Tensor | None, ...]:
    """Gradients of the arguments of ``_Spectral.forward``; the spectra are made anew."""
    product: Product = product_with(plan.kernel_spectrum(stacks))
    x_gradient = torch.empty_like(x) if of_x else None
    for rows in plan.portions(x, stacks[0].shape[1]):
        g_spectrum = plan.transform(g[rows].to(stacks[0].dtype).unsqueeze(2))
        if x_gradient is not None:
            parts = plan.invert(product.adjoint(g_spectrum))
            x_gradient[rows] = plan.join(parts.view(len(parts), x.shape[1], plan.phases, *parts.shape[2:]))
        if of_stacks:
            x_spectrum = plan.transform(plan.split(x[rows].to(stacks[0].dtype)))
            product.add_gradient(x_spectrum, g_spectrum)
    of_kernels = plan.stack_gradients(product.gradient, stacks) if of_stacks else [None] * len(stacks)
    return x_gradient, None, *of_kernels


def spectral(
    x: Tensor, stacks: Sequence[Tensor], kernel_sizes: Sequence[int], *, dilations: Sequence[int],
    stride: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    """Convolve with all stacks of kernels at once.

    Args:
        x: Shape ``(N, C_in, L)`` or ``(N, C_in, H, W)``.
        stacks: Of ``stack_kernels``, float32 or float64, in which the result is computed.
        kernel_sizes: All kernel sizes.
        dilations: Dilations, in the order of the stacks.
        stride: Stride per spatial dimension.
        groups: Groups of the convolution.

    Returns:
        Shape ``(N, C_out, ⌈L / stride⌉)`` or the like in two dimensions, in the type of ``x``.
    """
    sizes = stacked_sizes(kernel_sizes)
    axes = (make_axis(n, s, sizes, dilations) for n, s in zip(x.shape[2:], stride, strict=True))
    result: Tensor = _Spectral.apply(x, Plan(tuple(axes), groups, tuple(sizes)), *stacks)
    return result
