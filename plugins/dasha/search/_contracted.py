"""Mixed convolution of dense layers: one matrix product per group and frequency.

Frequencies come first and channels last, so that every transform is a large product with a matrix of waves, whose
result is what the products of all frequencies read: no spectrum is ever transposed. Real and imaginary parts are kept
apart, because products of complex matrices are slow. In two dimensions some frequencies of the last axis are worked off
at a time, so that no spectrum exists as a whole, not even that of the kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dasha.search._columns import Columns
from dasha.search._kernel_spectrum import KernelSpectrum
from dasha.search._plan import Plan, portions

# So much more than some frequencies the columns of some samples may take: the kernels' spectrum is made anew for each.
_SAMPLES = 8


class Contracted:
    """The convolution with all channels of a group at once; an ``Operator``."""

    def __init__(self, plan: Plan, stacks: Sequence[Tensor]) -> None:
        self._plan = plan
        self._inputs = Columns(plan.axes, plan.groups, plan.in_channels, is_strided=True)
        self._outputs = Columns(plan.axes, plan.groups, plan.out_channels, is_strided=False)
        self._kernel = KernelSpectrum(plan, stacks)

    def portions(self, x: Tensor) -> Iterator[slice]:
        numbers = self._inputs.numbers_per_sample + self._outputs.numbers_per_sample
        return portions(len(x), numbers * x.element_size() // _SAMPLES, x.device)

    def forward(self, x: Tensor) -> Tensor:
        inputs, outputs = self._inputs.analyze(x), self._outputs.empty(len(x), like=x)
        for block in self._blocks(x):
            spectrum = self._inputs.spectrum(inputs, block, len(x))
            self._outputs.put(outputs, block, _products(spectrum, self._kernel.of_block(block)))
        return self._outputs.synthesize(outputs, len(x))

    def backward(self, x: Tensor, g: Tensor, *, of_x: bool, of_stacks: bool) -> Tensor | None:
        directions = self._outputs.analyze(g)
        inputs = self._inputs.analyze(x) if of_stacks else None
        results = self._inputs.empty(len(x), like=x) if of_x else None
        for block in self._blocks(x):
            direction = self._outputs.spectrum(directions, block, len(x))[0]
            if results is not None:
                self._inputs.put(results, block, _of_inputs(direction, self._kernel.of_block(block)))
            if inputs is not None:
                spectrum = self._inputs.spectrum(inputs, block, len(x))
                self._kernel.add_gradient(block, _of_kernels(spectrum, direction))
        return None if results is None else self._inputs.synthesize(results, len(x))

    def gradients(self) -> list[Tensor]:
        return self._kernel.gradients()

    def _blocks(self, x: Tensor) -> Iterator[slice]:
        """Frequencies of the last axis that are worked off together."""
        *outer, last = self._plan.axes
        inputs, outputs = self._inputs.inputs * self._inputs.strides[0], self._outputs.inputs
        numbers = inputs * outputs + len(x) * (inputs + outputs)
        for axis in outer:
            numbers *= axis.period
        return portions(last.frequencies, 2 * self._plan.groups * numbers * x.element_size(), x.device)


def _products(x: Tensor, kernel: Tensor) -> Tensor:
    """Spectrum of the output, shape ``(1, 2, B, n, C_out / G)``: ``x k``, summed over the phases."""
    y = x.new_empty(1, 2, *x.shape[2:4], kernel.shape[-1])
    for number, ((a, b), (p, q)) in enumerate(zip(x, kernel, strict=True)):
        _multiply(y[0, 0], a, p, beta=min(number, 1))
        _multiply(y[0, 0], b, q, beta=1, alpha=-1)
        _multiply(y[0, 1], a, q, beta=min(number, 1))
        _multiply(y[0, 1], b, p, beta=1)
    return y


def _of_inputs(g: Tensor, kernel: Tensor) -> Tensor:
    """Gradient of the spectrum of the input, shape ``(s, 2, B, n, J)``: ``g k*``."""
    a, b = g
    result = g.new_empty(*kernel.shape[:3], g.shape[2], kernel.shape[3])
    for (real, imaginary), (p, q) in zip(result, kernel.mT, strict=True):
        _multiply(real, a, p)
        _multiply(real, b, q, beta=1)
        _multiply(imaginary, b, p)
        _multiply(imaginary, a, q, beta=1, alpha=-1)
    return result


def _of_kernels(x: Tensor, g: Tensor) -> Tensor:
    """Gradient of the spectrum of the kernels, shape ``(s, 2, B, J, C_out / G)``: ``x* g``, summed over the samples."""
    a, b = g
    result = g.new_empty(*x.shape[:3], x.shape[-1], g.shape[-1])
    for (real, imaginary), (p, q) in zip(result, x.mT, strict=True):
        _multiply(real, p, a)
        _multiply(real, q, b, beta=1)
        _multiply(imaginary, p, b)
        _multiply(imaginary, q, a, beta=1, alpha=-1)
    return result


def _multiply(out: Tensor, left: Tensor, right: Tensor, *, beta: int = 0, alpha: int = 1) -> None:
    torch.baddbmm(out, left, right, beta=beta, alpha=alpha, out=out)
