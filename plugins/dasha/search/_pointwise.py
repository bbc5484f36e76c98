"""Mixed convolution of depthwise layers, and others with tiny groups: spectra multiplied element by element.

A spectrum has ``E`` parts: one in one dimension, and in two dimensions the cosine part ``a`` and the sine part ``b`` of
the axis before the last, ``a − i b`` with another unit ``i`` than that of the complex numbers along the last axis. With
a kernel ``P + i Q`` the correlation is ``(a P + b Q) − i (b P − a Q)``; its adjoint conjugates both units.

Spectra of images have the shape ``(n, G, J, E, F)``, where ``J`` counts the inputs of a group: its channels times the
phases of the stride; or ``(n, G, C_out / G, E, F)``. Those of the kernels have the shape ``(G, C_out / G, J, E, F)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from dasha.search import _waves
from dasha.search._plan import Plan, portions
from dasha.search._taps import collect, spread
from dasha.search._waves import constant

# (part of the input, part of the output, part of the kernel, sign)
_TERMS = {1: ((0, 0, 0, 1),), 2: ((0, 0, 0, 1), (1, 1, 0, 1), (1, 0, 1, 1), (0, 1, 1, -1))}


class Pointwise:
    """The convolution element by element; an ``Operator``."""

    def __init__(self, plan: Plan, stacks: Sequence[Tensor]) -> None:
        self._plan, self._axes, self._stacks = plan, plan.axes, stacks
        self._terms = _TERMS[len(plan.axes)]

    def portions(self, x: Tensor) -> Iterator[slice]:
        numbers = (x.shape[1] * self._plan.phases + self._plan.out_channels) * len(self._axes) * self._frequencies
        return portions(len(x), 2 * numbers * x.element_size(), x.device)

    def forward(self, x: Tensor) -> Tensor:
        spectrum = self._transform(self._split(x))
        _, outputs, inputs, parts, _ = self._kernel.shape
        y = spectrum.new_empty(*spectrum.shape[:2], outputs, parts, self._frequencies)
        for j in range(inputs):
            for e, to, part, sign in self._terms:
                _add(y[:, :, :, to], spectrum[:, :, j, None, e], self._kernel[:, :, j, part], sign, first=j + part == 0)
        return self._invert(y)

    def backward(self, x: Tensor, g: Tensor, *, of_x: bool, of_stacks: bool) -> Tensor | None:
        direction = self._transform(g.unsqueeze(2))
        result = self._join(self._invert(self._adjoint(direction))) if of_x else None
        if of_stacks:
            self._add_gradient(self._transform(self._split(x)), direction)
        return result

    def gradients(self) -> list[Tensor]:
        """Transpose of ``_kernel``."""
        strides, widths = self._strides, [2 * axis.frequencies for axis in self._axes[:-1]]
        channels, last = self._stacks[0].shape[1:3], self._axes[-1]
        real = torch.view_as_real(self._gradient)
        z = real.view(*channels, *strides, *widths, last.frequencies, 2)
        z = z * constant(_waves.gradient_weights, last, like=real, last=True)[:, None]
        if len(self._axes) == 2:
            z = z * constant(_waves.gradient_weights, self._axes[0], like=real, last=False)[:, None, None]
            z = z.transpose(3, 4)  # (C_out, C_in / groups, stride, 2F, stride, F, 2)
        z = z.reshape(*channels, *(s * w for s, w in zip(strides, widths, strict=False)), -1)
        return [collect(z, self._tables(k, z)) for k in self._plan.kernel_sizes]

    def _adjoint(self, g: Tensor) -> Tensor:
        """``(n, G, C_out / G, E, F)`` to ``(n, G, J, E, F)``."""
        _, outputs, inputs, parts, _ = self._kernel.shape
        x = g.new_empty(*g.shape[:2], inputs, parts, self._frequencies)
        for o in range(outputs):
            for e, to, part, sign in self._terms:
                _add(x[:, :, :, e], g[:, :, o, None, to], self._conjugate[:, o, :, part], sign, first=o + part == 0)
        return x

    def _add_gradient(self, x: Tensor, g: Tensor) -> None:
        for sample, of_sample in zip(x.conj_physical(), g, strict=True):
            for j in range(sample.shape[1]):
                for e, to, part, sign in self._terms:
                    self._gradient[:, :, j, part].addcmul_(sample[:, j, None, e], of_sample[:, :, to], value=sign)

    @property
    def _frequencies(self) -> int:
        return math.prod(axis.frequencies for axis in self._axes)

    @property
    def _strides(self) -> list[int]:
        return [axis.stride for axis in self._axes]

    @property
    def _lengths(self) -> list[int]:
        return [axis.length for axis in self._axes]

    def _split(self, x: Tensor) -> Tensor:
        """Phases of the stride, ``(n, C, *sizes)`` to ``(n, C, phases, *lengths)``."""
        if self._plan.phases == 1:
            return x.unsqueeze(2)
        x = pad(x, [end for axis in self._axes[::-1] for end in (0, axis.length * axis.stride - axis.size)])
        x = x.reshape(*x.shape[:2], *(n for axis in self._axes for n in (axis.length, axis.stride)))
        order = (0, 1, 3, 2) if len(self._axes) == 1 else (0, 1, 3, 5, 2, 4)
        return x.permute(order).reshape(*x.shape[:2], self._plan.phases, *self._lengths)

    def _join(self, x: Tensor) -> Tensor:
        """Inverse of ``_split`` on ``(n, C · phases, *lengths)``."""
        if self._plan.phases == 1:
            return x
        x = x.view(len(x), self._plan.in_channels, *self._strides, *self._lengths)
        x = x.permute((0, 1, 3, 2) if len(self._axes) == 1 else (0, 1, 4, 2, 5, 3))
        x = x.reshape(*x.shape[:2], *(axis.length * axis.stride for axis in self._axes))
        for dimension, axis in enumerate(self._axes, start=2):
            x = x.narrow(dimension, 0, axis.size)
        return x

    def _transform(self, x: Tensor) -> Tensor:
        """``(n, C, phases, *lengths)``, real, to ``(n, G, C / G · phases, E, F)``, complex."""
        last = self._axes[-1]
        if last.is_long:
            z: Tensor = torch.fft.rfft(x, n=last.period)
        else:
            z = _waves.as_complex(x @ constant(_waves.forward_matrix, last, like=x))
        if len(self._axes) == 2:
            z = _waves.to_parts(z, self._axes[0])
        return z.reshape(len(x), self._plan.groups, -1, len(self._axes), self._frequencies)

    def _invert(self, z: Tensor) -> Tensor:
        """``(n, G, C, E, F)``, complex, to ``(n, G · C, *lengths)``, real."""
        last = self._axes[-1]
        z = z.reshape(len(z), -1, *(2 * axis.frequencies for axis in self._axes[:-1]), last.frequencies)
        if len(self._axes) == 2:
            z = _waves.from_parts(z, self._axes[0])
        if last.is_long:
            values: Tensor = torch.fft.irfft(z, n=last.period)
            return values[..., : last.length]
        real = torch.view_as_real(z).flatten(-2)
        return real @ constant(_waves.inverse_matrix, last, like=real)

    def _tables(self, kernel_size: int, like: Tensor) -> list[Tensor]:
        *others, last = self._axes
        return [
            *(constant(_waves.tap_table, axis, kernel_size, like=like, last=False) for axis in others),
            constant(_waves.tap_table, last, kernel_size, like=like, last=True),
        ]

    @cached_property
    def _kernel(self) -> Tensor:
        total = sum(spread(s, self._tables(k, s)) for s, k in zip(self._stacks, self._plan.kernel_sizes, strict=True))
        assert isinstance(total, Tensor)
        last = self._axes[-1]
        per_axis = [n for axis in self._axes[:-1] for n in (axis.stride, 2 * axis.frequencies)]
        z = torch.view_as_complex(total.view(*total.shape[:2], *per_axis, last.stride, last.frequencies, 2))
        if len(self._axes) == 2:
            z = z.transpose(3, 4)  # (C_out, C_in / groups, stride, stride, 2F, F)
        channels = self._plan.groups, z.shape[0] // self._plan.groups, z.shape[1] * self._plan.phases
        return z.reshape(*channels, len(self._axes), self._frequencies)

    @cached_property
    def _conjugate(self) -> Tensor:
        return self._kernel.conj_physical()

    @cached_property
    def _gradient(self) -> Tensor:
        return torch.zeros_like(self._kernel)


def _add(total: Tensor, left: Tensor, right: Tensor, sign: int, *, first: bool) -> None:
    if first:
        torch.mul(left, right, out=total)
    else:
        total.addcmul_(left, right, value=sign)
