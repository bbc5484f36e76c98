"""Which way of computing a mixed convolution is the fastest: an estimate, and measurements where it is close."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dasha.search._compute import METHODS, compute
from dasha.search._geometry import Geometry
from dasha.search._plain import reach
from dasha.search._plan import make_plan
from dasha.search._taps import stacked_sizes
from dasha.search._waves import Axis

# The first of these calls is slow and never the shortest.
_ROUNDS = 4
# Estimates are this far off at most, or nearly so: what is estimated to take longer is not measured.
_DOUBT = 4.0
# Cost of a multiplication outside a matrix product, and of one in an FFT, in multiplications inside one.
_ELEMENT, _FFT = 10.0, 10.0


@dataclass(frozen=True)
class Case:
    """What the time depends on.

    Attributes:
        geometry: All shapes.
        dtype: Type of ``x``.
        weight_dtype: Type of the weights.
        device: Where to compute.
        autocast: Type of the autocast that is on.
        of_x: Whether the gradient of ``x`` is needed.
        of_weights: Whether the gradient of any weight or of the coefficients is needed.
    """

    geometry: Geometry
    dtype: torch.dtype
    weight_dtype: torch.dtype
    device: torch.device
    autocast: torch.dtype | None
    of_x: bool
    of_weights: bool


def estimates(geometry: Geometry) -> dict[str, float]:
    """Multiplications per method, those outside matrix products counted as they slow down."""
    batch, in_channels, *sizes = geometry.x_shape
    dimensions, per_group = len(sizes), in_channels // geometry.groups
    plan = make_plan(geometry)
    axes = plan.axes
    of_tap: float = batch * geometry.out_channels * per_group * math.prod(axis.length for axis in axes)
    of_tap *= _ELEMENT if per_group == 1 else 1
    taps = len(geometry.dilations) * sum(k**dimensions for k in geometry.kernel_sizes)
    dense_taps = math.prod(2 * reach(n, geometry.kernel_sizes, geometry.dilations) + 1 for n in sizes)

    inputs = per_group * plan.phases
    numbers = dimensions * math.prod(axis.frequencies for axis in axes)  # complex ones of a spectrum
    product = numbers * geometry.out_channels * inputs * 4
    transforms = (geometry.groups * inputs + geometry.out_channels) * _transform(axes)
    rows = len(geometry.dilations) * sum(stacked_sizes(geometry.kernel_sizes))
    kernels = geometry.out_channels * inputs * numbers * 2 * (dimensions * rows + _ELEMENT)
    spectra = batch * (product * (_ELEMENT * dimensions if plan.is_pointwise else 2) + transforms) + kernels
    return {"separate": of_tap * taps, "direct": of_tap * dense_taps, "frequency": spectra}


def _transform(axes: tuple[Axis, ...]) -> float:
    """Multiplications of the transform of one image or sequence."""
    *others, last = axes
    rows = math.prod(axis.length for axis in others)
    cost = rows * (
        2 * _FFT * last.period * math.log2(last.period) if last.is_long else last.length * 2 * last.frequencies
    )
    return cost + sum(axis.length * 2 * axis.frequencies * 2 * last.frequencies for axis in others)


@lru_cache(maxsize=1024)
def cheapest(geometry: Geometry) -> str:
    """The method of the smallest estimate: the same in every process."""
    costs = estimates(geometry)
    return min(costs, key=costs.__getitem__)


@lru_cache(maxsize=1024)
def fastest(case: Case) -> str:
    """The method that takes the shortest of those that the estimates leave in doubt."""
    costs = estimates(case.geometry)
    close = [method for method in METHODS if costs[method] <= _DOUBT * min(costs.values())]
    if len(close) == 1 or case.geometry.x_shape[0] == 0:
        return cheapest(case.geometry)
    seconds = dict.fromkeys(close, math.inf)
    for _ in range(_ROUNDS):
        for method in close:
            seconds[method] = min(seconds[method], _seconds(case, method))
    return min(seconds, key=seconds.__getitem__)


def _seconds(case: Case, method: str) -> float:
    """Seconds of one call on ones, gradients included."""
    geometry = case.geometry

    def ones(shape: tuple[int, ...], dtype: torch.dtype, needed: bool) -> Tensor:
        return torch.ones(shape, dtype=dtype, device=case.device, requires_grad=needed)

    with torch.inference_mode(False), torch.set_grad_enabled(case.of_x or case.of_weights):
        x = ones(geometry.x_shape, case.dtype, case.of_x)
        weights = [ones(shape, case.weight_dtype, case.of_weights) for shape in geometry.weight_shapes]
        coefficients = ones((len(weights), len(geometry.dilations)), case.weight_dtype, case.of_weights)
        _wait(case.device)
        start = time.perf_counter()
        y = compute(geometry, x, weights, coefficients, method)
        if y.requires_grad:
            inputs = [tensor for tensor in (x, *weights, coefficients) if tensor.requires_grad]
            torch.autograd.grad(y, inputs, torch.ones_like(y))
        _wait(case.device)
        return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
