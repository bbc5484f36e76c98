"""The mixed convolution in the frequency domain, with its gradients.

The spectra of the kernels are products of their few taps with tables of waves: no kernel is dilated, padded or
transformed. A stride ``s`` splits the input into ``s`` phases, which are as many input channels ``s`` times shorter.
Samples are worked off in portions, so no spectrum of the whole batch ever exists. Gradients that are to have a graph of
their own are made with the dense sum of all kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import vjp

from dasha.search._contracted import Contracted
from dasha.search._plain import dense_kernel, direct
from dasha.search._plan import Plan
from dasha.search._pointwise import Pointwise


class Operator(Protocol):
    """Convolution of some samples with the sum of all stacks of kernels."""

    def portions(self, x: Tensor) -> Iterator[slice]:
        """Slices of the batch that are worked off one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        """``(n, C_in, *sizes)`` to ``(n, C_out, *lengths)``."""

    def backward(self, x: Tensor, g: Tensor, *, of_x: bool, of_stacks: bool) -> Tensor | None:
        """Gradient of ``x``, if wanted; what the samples contribute to ``gradients`` is kept."""

    def gradients(self) -> list[Tensor]:
        """Gradients of the stacks, summed over all samples so far."""


def _operator(plan: Plan, stacks: Sequence[Tensor]) -> Operator:
    return Pointwise(plan, stacks) if plan.is_pointwise else Contracted(plan, stacks)


class _Spectral(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, plan: Plan, *stacks: Tensor) -> Tensor:
        operator = _operator(plan, stacks)
        y = x.new_empty(len(x), plan.out_channels, *(axis.length for axis in plan.axes))
        for rows in operator.portions(x):
            y[rows] = operator.forward(x[rows].to(stacks[0].dtype))
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.plan, *stacks = inputs
        ctx.save_for_backward(x, *stacks)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, *stacks = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable_gradients(ctx, x, stacks, g)
        of_x, of_stacks = ctx.needs_input_grad[0], any(ctx.needs_input_grad[2:])
        with torch.autocast(x.device.type, enabled=False):
            operator = _operator(ctx.plan, stacks)
            x_gradient = torch.empty_like(x) if of_x else None
            for rows in operator.portions(x):
                of_rows = [tensor[rows].to(stacks[0].dtype) for tensor in (x, g)]
                part = operator.backward(*of_rows, of_x=of_x, of_stacks=of_stacks)
                if x_gradient is not None and part is not None:
                    x_gradient[rows] = part
            of_kernels = operator.gradients() if of_stacks else [None] * len(stacks)
        return x_gradient, None, *of_kernels


def _differentiable_gradients(ctx: Any, x: Tensor, stacks: Sequence[Tensor], g: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of all inputs with a graph of their own."""
    plan: Plan = ctx.plan

    def plain(x: Tensor, *stacks: Tensor) -> Tensor:
        kernel = dense_kernel(x, stacks, plan.kernel_sizes, dilations=plan.axes[0].dilations)
        y = direct(x.to(kernel.dtype), kernel, stride=tuple(axis.stride for axis in plan.axes), groups=plan.groups)
        return y.to(x.dtype)

    with torch.autocast(x.device.type, enabled=False):
        x_gradient, *of_stacks = vjp(plain, x, *stacks)[1](g)
    return x_gradient, None, *of_stacks


def spectral(x: Tensor, stacks: Sequence[Tensor], plan: Plan) -> Tensor:
    """Convolve with all stacks of kernels at once.

    Args:
        x: Shape ``(N, C_in, L)`` or ``(N, C_in, H, W)``.
        stacks: Of ``stack_kernels``, float32 or float64, in which the result is computed.
        plan: Of these shapes.

    Returns:
        Shape ``(N, C_out, ⌈L / stride⌉)`` or the like in two dimensions, in the type of ``x``.
    """
    result: Tensor = _Spectral.apply(x, plan, *stacks)
    return result
