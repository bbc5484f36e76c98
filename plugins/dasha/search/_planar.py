"""Waves with real and imaginary parts apart, as matrices that act on columns.

The last axis turns real numbers into ``F = M // 2 + 1`` frequencies. The axis before it turns complex numbers into all
``M`` of its frequencies. ``[2]`` stands for real part, imaginary part.
"""

from __future__ import annotations

import numpy as np

from dasha.search._taps import Array
from dasha.search._waves import Axis, multiplicity, phases_of_taps


def _waves(axis: Axis, positions: Array, frequencies: int) -> tuple[Array, Array]:
    """Cosines and sines of ``2π f p / M``, shape ``(*positions, frequencies)``, reduced in whole numbers first."""
    angles = 2 * np.pi / axis.period * (positions[..., None] * np.arange(frequencies) % axis.period)
    return np.cos(angles), np.sin(angles)


def last_analysis(axis: Axis) -> Array:
    """Transform along the last axis, shape ``([2] F, length)``."""
    cosines, sines = _waves(axis, np.arange(axis.length), axis.frequencies)
    return np.concatenate([cosines, -sines], axis=1).T


def last_synthesis(axis: Axis) -> Array:
    """Inverse of ``last_analysis`` on its first ``length`` values, shape ``(length, [2] F)``."""
    weighted: Array = last_analysis(axis).T * np.tile(multiplicity(axis), 2)
    return weighted


def last_taps(axis: Axis, kernel_size: int, *, weighted: bool) -> Array:
    """Wave of every tap in the phase that it reads, zeros in the others; shape ``(D, [2] F stride, k)``.

    ``weighted`` for gradients: each frequency as often as it occurs among all, divided by their number.
    """
    steps, phase, inside = phases_of_taps(axis, kernel_size)
    waves = np.stack(_waves(axis, steps, axis.frequencies), axis=2)  # (D, k, 2, F)
    if weighted:
        waves = waves * multiplicity(axis)
    reads = (phase[..., None] == np.arange(axis.stride)) & inside[..., None]
    table: Array = np.einsum("dkcf,dks->dcfsk", waves, reads)
    return table.reshape(len(steps), -1, kernel_size)


def outer_analysis(axis: Axis) -> Array:
    """Transform of complex numbers along the axis before the last, shape ``([2] M, length [2])``."""
    cosines, sines = (table.T for table in _waves(axis, np.arange(axis.length), axis.period))
    table: Array = np.stack([np.stack([cosines, sines], axis=-1), np.stack([-sines, cosines], axis=-1)])
    return table.reshape(2 * axis.period, -1)


def outer_synthesis(axis: Axis) -> Array:
    """Inverse of ``outer_analysis`` on its first ``length`` values, shape ``(length [2], [2] M)``."""
    inverse: Array = outer_analysis(axis).T / axis.period
    return inverse


def outer_taps(axis: Axis, kernel_size: int, *, weighted: bool) -> Array:
    """Like ``last_taps``, of complex numbers, shape ``(stride [2] M, D k [2])``."""
    steps, phase, inside = phases_of_taps(axis, kernel_size)
    cosines, sines = _waves(axis, steps, axis.period)
    waves = np.stack([np.stack([cosines, -sines]), np.stack([sines, cosines])])  # (2, 2, D, k, M)
    if weighted:
        waves = waves / axis.period
    reads = (phase[..., None] == np.arange(axis.stride)) & inside[..., None]
    table: Array = np.einsum("abdkm,dks->samdkb", waves, reads)
    return table.reshape(axis.stride * 2 * axis.period, -1)
