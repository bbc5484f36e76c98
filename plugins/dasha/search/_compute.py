"""The methods of the mixed convolution by name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dasha.search._geometry import Geometry, autocast_dtype
from dasha.search._plain import dense_kernel, direct, separate
from dasha.search._plan import make_plan
from dasha.search._spectral import spectral
from dasha.search._taps import stack_kernels

METHODS = ("separate", "direct", "frequency")


def compute(geometry: Geometry, x: Tensor, weights: Sequence[Tensor], coefficients: Tensor, method: str) -> Tensor:
    """Compute a mixed convolution whose arguments have been checked by one of ``METHODS``."""
    dilations, stride, groups = geometry.dilations, geometry.stride, geometry.groups
    if method == "separate":
        return separate(x, weights, coefficients.to(x.dtype), dilations=dilations, stride=stride, groups=groups)
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    kernel_sizes, result = geometry.kernel_sizes, autocast_dtype(x) or x.dtype
    with torch.autocast(x.device.type, enabled=False):
        stacks = stack_kernels([weight.to(exact) for weight in weights], coefficients.to(exact))
        if method == "frequency":
            y = spectral(x, stacks, make_plan(geometry))
            return y.to(result)
        kernel = dense_kernel(x, stacks, kernel_sizes, dilations=dilations)
    return direct(x, kernel.to(x.dtype), stride=stride, groups=groups)
