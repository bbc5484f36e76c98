"""Products of spectra: of every channel with its own kernel, or of all channels of a group by matrix products.

A spectrum has ``E`` parts: one in one dimension, and in two dimensions the cosine part ``a`` and the sine part ``b`` of
the axis before the last, ``a − i b`` with another unit ``i`` than that of the complex numbers along the last axis. With
a kernel ``P + i Q`` the correlation is ``(a P + b Q) − i (b P − a Q)``; its adjoint conjugates both units.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

# (part of the input, part of the output, part of the kernel, sign)
_TERMS = {1: ((0, 0, 0, 1),), 2: ((0, 0, 0, 1), (1, 1, 0, 1), (1, 0, 1, 1), (0, 1, 1, -1))}


class Product(Protocol):
    """Product with one kernel of shape ``(G, C_out / G, J, E, F)``.

    ``J`` counts the inputs of a group: its channels times the phases of the stride.
    """

    @property
    def gradient(self) -> Tensor:
        """Sum over all samples so far."""

    def forward(self, x: Tensor) -> Tensor:
        """``(n, G, J, E, F)`` to ``(n, G, C_out / G, E, F)``."""

    def adjoint(self, g: Tensor) -> Tensor:
        """``(n, G, C_out / G, E, F)`` to ``(n, G, J, E, F)``."""

    def add_gradient(self, x: Tensor, g: Tensor) -> None:
        """Add the gradient of the kernel from ``n`` samples to ``gradient``."""


class Pointwise:
    """Element by element: one output channel per product, a few inputs at most."""

    def __init__(self, kernel: Tensor) -> None:
        self.kernel = kernel
        self.gradient = torch.zeros_like(kernel)
        self._conjugate = kernel.conj_physical()

    def forward(self, x: Tensor) -> Tensor:
        _, out, J, E, _ = self.kernel.shape
        y = x.new_empty(*x.shape[:2], out, *x.shape[3:])
        for j in range(J):
            for e, to, part, sign in _TERMS[E]:
                _add(y[:, :, :, to], x[:, :, j, None, e], self.kernel[:, :, j, part], sign, first=j + part == 0)
        return y

    def adjoint(self, g: Tensor) -> Tensor:
        _, out, J, E, _ = self.kernel.shape
        x = g.new_empty(*g.shape[:2], J, *g.shape[3:])
        for o in range(out):
            for e, to, part, sign in _TERMS[E]:
                _add(x[:, :, :, e], g[:, :, o, None, to], self._conjugate[:, o, :, part], sign, first=o + part == 0)
        return x

    def add_gradient(self, x: Tensor, g: Tensor) -> None:
        _, _, J, E, _ = self.kernel.shape
        for sample, of_sample in zip(x.conj_physical(), g, strict=True):
            for j in range(J):
                for e, to, part, sign in _TERMS[E]:
                    self.gradient[:, :, j, part].addcmul_(sample[:, j, None, e], of_sample[:, :, to], value=sign)


def _add(total: Tensor, left: Tensor, right: Tensor, sign: int, *, first: bool) -> None:
    if first:
        torch.mul(left, right, out=total)
    else:
        total.addcmul_(left, right, value=sign)


class Contracted:
    """All channels of a group at once: one matrix product per group and frequency."""

    def __init__(self, kernel: Tensor) -> None:
        self._shape = G, out, J, E, frequencies = kernel.shape
        operator = kernel.new_empty(G, frequencies, J, E, out, E)
        source = kernel.permute(3, 0, 4, 2, 1)  # (E, G, F, J, C_out / G)
        for e, to, part, sign in _TERMS[E]:
            torch.mul(source[part], sign, out=operator[:, :, :, e, :, to])
        self._operator = operator.view(G * frequencies, J * E, out * E)
        self._pairs: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        G, out, _, E, frequencies = self._shape
        return _samples_first(_frequencies_first(x) @ self._operator, (G, out, E, frequencies))

    def adjoint(self, g: Tensor) -> Tensor:
        G, _, J, E, frequencies = self._shape
        # The products of a batch do not take conjugates as they are: (A* B)* = A B*.
        conjugate = _frequencies_first(g.conj_physical()) @ self._operator.mT
        return _samples_first(conjugate.conj_physical_(), (G, J, E, frequencies))

    def add_gradient(self, x: Tensor, g: Tensor) -> None:
        left, right = _frequencies_first(x.conj_physical()).mT, _frequencies_first(g)
        self._pairs = left @ right if self._pairs is None else self._pairs.baddbmm_(left, right)

    @property
    def gradient(self) -> Tensor:
        G, out, J, E, frequencies = self._shape
        if self._pairs is None:
            return self._operator.new_zeros(self._shape)
        pairs = self._pairs.view(G, frequencies, J, E, out, E).permute(3, 5, 0, 4, 2, 1)  # (E, E, G, C_out / G, J, F)
        parts = [torch.zeros_like(pairs[0, 0]) for _ in range(E)]
        for e, to, part, sign in _TERMS[E]:
            parts[part].add_(pairs[e, to], alpha=sign)
        return torch.stack(parts, dim=3)


def _frequencies_first(x: Tensor) -> Tensor:
    """(n, G, C, E, F) -> (G · F, n, C · E)."""
    n, G, C, E, frequencies = x.shape
    return x.permute(1, 4, 0, 2, 3).reshape(G * frequencies, n, C * E)


def _samples_first(y: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """(G · F, n, C · E) -> (n, G, C, E, F)."""
    G, C, E, frequencies = shape
    return y.view(G, frequencies, -1, C, E).permute(2, 0, 3, 4, 1).contiguous()


def product_with(kernel: Tensor) -> Product:
    """The faster kind of product for a kernel of shape ``(G, C_out / G, J, E, F)``."""
    return Pointwise(kernel) if is_pointwise(*kernel.shape[1:3]) else Contracted(kernel)


def is_pointwise(outputs: int, inputs: int) -> bool:
    """Whether a group is so small that matrix products do not pay."""
    return outputs * inputs <= 8
