"""Cosines and sines of the discrete Fourier transform as matrices, and the transform along one axis.

Real input along the last axis gives complex numbers in ``F = M // 2 + 1`` frequencies. Along a second axis the cosine
and the sine transform are kept apart, as two parts of ``F`` frequencies each: they are real matrices, which take half
the work of complex ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from dasha.search._taps import Array, offsets

# Up to here a product with a matrix is faster than the FFT: a CPU does some ten times as many operations per second.
_LONGEST_PRODUCT = 160


@dataclass(frozen=True)
class Axis:
    """One spatial dimension: ``stride`` phases of it, each of ``length`` values, and ``period`` of the transform."""

    size: int
    stride: int
    period: int
    dilations: tuple[int, ...]

    @property
    def length(self) -> int:
        """Number of outputs, and of values in every phase of the (zero-padded) input."""
        return -(-self.size // self.stride)

    @property
    def frequencies(self) -> int:
        """Number of frequencies of a real transform."""
        return self.period // 2 + 1

    @property
    def is_long(self) -> bool:
        """Whether the FFT is used."""
        return self.length > _LONGEST_PRODUCT


def make_axis(size: int, stride: int, kernel_sizes: Sequence[int], dilations: Sequence[int]) -> Axis:
    """Choose the shortest period in which no tap that can contribute wraps around onto another value."""
    axis = Axis(size, stride, 0, tuple(dilations))
    reach = max(
        int(np.abs(steps[inside]).max(initial=0))
        for steps, _, inside in (phases_of_taps(axis, k) for k in kernel_sizes)
    )
    least = axis.length + reach
    return Axis(size, stride, int(next_fast_len(least, real=True)) if axis.is_long else least, axis.dilations)


def phases_of_taps(axis: Axis, kernel_size: int) -> tuple[Array, Array, Array]:
    """Of every tap: its offset in strides, the phase it reads, and whether it ever meets the input."""
    steps, phase = np.divmod(offsets(kernel_size, axis.dilations), axis.stride)
    return steps, phase, np.abs(steps) < axis.length


def _angles(axis: Axis, positions: Array) -> Array:
    """``2π f p / M``, shape ``(*positions, F)``, reduced in whole numbers first."""
    return 2 * np.pi / axis.period * (positions[..., None] * np.arange(axis.frequencies) % axis.period)


def multiplicity(axis: Axis) -> Array:
    """How often each of the ``F`` frequencies occurs among all, divided by their number."""
    f = np.arange(axis.frequencies)
    return np.where((f == 0) | (2 * f == axis.period), 1.0, 2.0) / axis.period


def _complex_waves(axis: Axis, positions: Array, sign: int) -> Array:
    """``exp(± i angle)`` as pairs of real numbers, shape ``(*positions, 2F)``."""
    angles = _angles(axis, positions)
    return np.stack([np.cos(angles), sign * np.sin(angles)], axis=-1).reshape(*positions.shape, -1)


def _two_parts(axis: Axis, positions: Array) -> Array:
    """Cosines, then sines, shape ``(*positions, 2F)``."""
    angles = _angles(axis, positions)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)


def forward_matrix(axis: Axis) -> Array:
    """Transform along the last axis, shape ``(length, 2F)``."""
    return _complex_waves(axis, np.arange(axis.length), -1)


def inverse_matrix(axis: Axis) -> Array:
    """Inverse of ``forward_matrix`` on its first ``length`` values, shape ``(2F, length)``."""
    weighted: Array = forward_matrix(axis) * np.repeat(multiplicity(axis), 2)
    return weighted.T


def parts_matrix(axis: Axis) -> Array:
    """Transform along the axis before the last, shape ``(2F, length)``."""
    return _two_parts(axis, np.arange(axis.length)).T


def parts_inverse_matrix(axis: Axis) -> Array:
    """Inverse of ``parts_matrix`` on its first ``length`` values, shape ``(length, 2F)``."""
    weighted: Array = parts_matrix(axis).T * np.tile(multiplicity(axis), 2)
    return weighted


def tap_table(axis: Axis, kernel_size: int, *, last: bool) -> Array:
    """Wave of every tap in the phase that it reads, zeros in the others; shape ``(D, k, stride · 2F)``."""
    steps, phase, inside = phases_of_taps(axis, kernel_size)
    waves = _complex_waves(axis, steps, 1) if last else _two_parts(axis, steps)
    reads = (phase[..., None] == np.arange(axis.stride)) & inside[..., None]
    table: Array = reads[..., None] * waves[..., None, :]
    return table.reshape(*steps.shape, -1)


def gradient_weights(axis: Axis, *, last: bool) -> Array:
    """What turns a product of spectra into the gradient of a spectrum, shape ``(F,)`` or, of two parts, ``(2F,)``."""
    return multiplicity(axis) if last else np.tile(multiplicity(axis), 2)


def one_hot_table(size: int, half: int, kernel_size: int, dilations: Sequence[int]) -> Array:
    """Place of every tap in a dense kernel of ``2 half + 1`` taps, shape ``(D, k, 2 half + 1)``."""
    where = offsets(kernel_size, dilations)
    table: Array = (where[..., None] == np.arange(-half, half + 1)) & (np.abs(where) < size)[..., None]
    return table.astype(np.float64)


@lru_cache(maxsize=256)
def _constant(make: Callable[..., Array], arguments: tuple[object, ...], options: tuple[tuple[str, object], ...],
              dtype: torch.dtype, device: torch.device) -> Tensor:  # fmt: skip
    # Not an inference tensor even if the first caller infers: the next may train.
    with torch.inference_mode(False), torch.no_grad():
        return torch.from_numpy(make(*arguments, **dict(options))).to(device, dtype)


def constant(make: Callable[..., Array], *arguments: object, like: Tensor, **options: object) -> Tensor:
    """A table in the type and on the device of a tensor, kept for the next call (the latest 256 are)."""
    return _constant(make, arguments, tuple(sorted(options.items())), like.dtype, like.device)


def to_parts(z: Tensor, axis: Axis) -> Tensor:
    """Cosine and sine transform along the axis before the last, ``(…, length, F_x)`` to ``(…, 2F, F_x)``, complex."""
    real = torch.view_as_real(z).flatten(-2)
    return as_complex(constant(parts_matrix, axis, like=real) @ real)


def from_parts(z: Tensor, axis: Axis) -> Tensor:
    """Inverse of ``to_parts``, on the first ``length`` values."""
    real = torch.view_as_real(z).flatten(-2)
    return as_complex(constant(parts_inverse_matrix, axis, like=real) @ real)


def as_complex(real: Tensor) -> Tensor:
    """Real and imaginary parts in turns, shape ``(…, 2F)``, to complex numbers, shape ``(…, F)``."""
    return torch.view_as_complex(real.view(*real.shape[:-1], -1, 2))
