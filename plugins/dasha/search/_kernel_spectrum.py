"""Spectra of stacks of kernels, frequencies first and pairs of channels last, and the gradients of the stacks.

As of an image, only the transform along the last axis is made at once. Its results are *rows* of the shape
``(D k · 2, F · G · J · C_out / G)``, or ``(2, F · G · J · C_out / G)`` in one dimension, where they are the spectrum;
``J`` counts the channels of a group times the phases of the stride along the last axis. The spectrum of ``f`` of the
frequencies has the shape ``(s, 2, M · f · G, J, C_out / G)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from dasha.search import _planar
from dasha.search._plan import Plan
from dasha.search._waves import constant


class KernelSpectrum:
    """Spectrum of the sum of all stacks.

    Args:
        plan: All shapes.
        stacks: Of ``stack_kernels``.
    """

    def __init__(self, plan: Plan, stacks: Sequence[Tensor]) -> None:
        self._plan, self._stacks = plan, stacks
        *outer, self._last = plan.axes
        self._outer = outer[0] if outer else None
        self._channels = plan.in_channels // plan.groups, plan.out_channels // plan.groups

    def of_block(self, block: slice) -> Tensor:
        """Spectrum of a block of frequencies of the last axis."""
        total: Tensor | None = None
        for rows, k in zip(self._rows, self._plan.kernel_sizes, strict=True):
            z = rows[:, self._span(block)]
            if self._outer is not None:
                z = constant(_planar.outer_taps, self._outer, k, like=z, weighted=False) @ z
            total = z if total is None else total + z
        assert total is not None
        matrix = self._last.stride * self._channels[0], self._channels[1]
        total = total.view(len(total), -1, *matrix)
        return total.view(1 if self._outer is None else self._outer.stride, 2, -1, *matrix)

    def add_gradient(self, block: slice, gradient: Tensor) -> None:
        """Take a gradient of the spectrum of a block into account."""
        for rows, k in zip(self._row_gradients, self._plan.kernel_sizes, strict=True):
            target = rows[:, self._span(block)]
            if self._outer is None:
                target += gradient.view(target.shape)
            else:
                table = constant(_planar.outer_taps, self._outer, k, like=rows, weighted=True)
                target.addmm_(table.T, gradient.view(len(table), -1))

    def gradients(self) -> list[Tensor]:
        """Gradients of the stacks."""
        return [self._collect(*pair) for pair in zip(self._row_gradients, self._stacks, strict=True)]

    @cached_property
    def _rows(self) -> list[Tensor]:
        return [self._spread(stack) for stack in self._stacks]

    @cached_property
    def _row_gradients(self) -> list[Tensor]:
        width = self._span(slice(0, self._last.frequencies)).stop
        heights = [2 if self._outer is None else 2 * stack.shape[0] * stack.shape[-1] for stack in self._stacks]
        return [stack.new_zeros(height, width) for stack, height in zip(self._stacks, heights, strict=True)]

    def _span(self, block: slice) -> slice:
        inputs, outputs = self._channels
        width = self._plan.groups * self._last.stride * inputs * outputs
        return slice(block.start * width, block.stop * width)

    def _spread(self, stack: Tensor) -> Tensor:
        """Rows of a stack."""
        taps = stack.reshape(len(stack), self._plan.groups, -1, *stack.shape[2:])  # (D, G, C_out / G, C_in / G, *k)
        taps = taps.permute(0, *range(4, taps.ndim), 1, 3, 2)
        rows = self._last_taps(stack, weighted=False) @ taps.reshape(*self._heights(stack), -1, self._all_pairs)
        rows = rows.view(-1, self._last.stride, self._plan.groups, self._pairs).transpose(1, 2)
        return rows.reshape(-1, self._last.frequencies * self._last.stride * self._all_pairs)

    def _collect(self, rows: Tensor, stack: Tensor) -> Tensor:
        """Transpose of ``_spread``, with weights."""
        rows = rows.view(-1, self._plan.groups, self._last.stride, self._pairs).transpose(1, 2)
        taps = self._last_taps(stack, weighted=True).mT @ rows.reshape(*self._heights(stack), -1, self._all_pairs)
        sizes = stack.shape[3:]
        taps = taps.view(len(stack), *sizes, self._plan.groups, *self._channels)
        return taps.permute(0, -3, -1, -2, *range(1, 1 + len(sizes))).reshape(stack.shape)

    def _last_taps(self, stack: Tensor, *, weighted: bool) -> Tensor:
        """Table of the last axis, shape ``(D, 1, 2 · F · s, k)``, or ``(1, 1, 2 · F · s, D k)`` in one dimension."""
        table = constant(_planar.last_taps, self._last, stack.shape[-1], like=stack, weighted=weighted)
        return table[:, None] if self._outer is not None else table.transpose(0, 1).flatten(1)[None, None]

    def _heights(self, stack: Tensor) -> tuple[int, int]:
        """Kernels per pair of channels, and rows of each; in one dimension all taps are columns of one row."""
        return (1, 1) if self._outer is None else (len(stack), stack.shape[-1])

    @property
    def _pairs(self) -> int:
        return self._channels[0] * self._channels[1]

    @property
    def _all_pairs(self) -> int:
        return self._plan.groups * self._pairs
