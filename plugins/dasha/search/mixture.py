"""Mixed convolution: the weighted sum of convolutions of all kernel sizes and dilations, computed as one.

The operator that the kernel search of DASH trains (Shen, Khodak and Talwalkar 2022, arXiv 2204.07554, section 3). The
mixture is one convolution, because a convolution is linear in its kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dasha.errors import InvalidArgumentError
from dasha.search._choice import Case, cheapest, fastest
from dasha.search._compute import METHODS, compute
from dasha.search._geometry import Geometry, autocast_dtype, check


def mixed_convolution(
    x: Tensor,
    weights: Sequence[Tensor],
    coefficients: Tensor,
    *,
    dilations: Sequence[int],
    stride: int | Sequence[int] = 1,
    groups: int = 1,
    method: str = "auto",
) -> Tensor:
    """Sum ``coefficients[i, j] · conv(x, weights[i][j], dilation=dilations[j])`` over all kernel sizes and dilations.

    Every convolution pads with zeros as ``padding="same"`` of PyTorch does: ``d (k − 1)`` in total, the half rounded
    down before the first value. All methods give this sum and its derivatives, and differ by rounding only.

    - ``"separate"`` is the sum as written. It keeps one output per pair for the backward pass.
    - ``"direct"`` convolves once, with the dense sum of all dilated kernels without the taps that never meet the input.
    - ``"frequency"`` multiplies spectra. It keeps ``x`` and the summed kernels for the backward pass and makes the
      spectra anew, some samples at a time; on top of that it takes the memory of the spectrum of one kernel per pair
      of channels. It computes in float32 if ``x`` has fewer bits. Gradients that have a graph of their own, as under
      ``create_graph=True``, are made as by ``"direct"``.
    - ``"auto"`` is what ``choose_method`` says.

    Args:
        x: Shape ``(N, C_in, L)`` or ``(N, C_in, H, W)``.
        weights: One tensor per kernel size, shape ``(D, C_out, C_in / groups, k)`` or
            ``(D, C_out, C_in / groups, k, k)``, along the first axis in the order of ``dilations``.
        coefficients: Shape ``(len(weights), D)``.
        dilations: ``D`` integers of at least 1.
        stride: Every how many positions to keep one, from position 0 on; one for all dimensions, or one each.
        groups: Groups of channels, as of ``torch.nn.functional.conv1d``.
        method: ``"auto"``, ``"separate"``, ``"direct"`` or ``"frequency"``.

    Returns:
        Shape ``(N, C_out, ⌈L / stride⌉)`` or ``(N, C_out, ⌈H / stride⌉, ⌈W / stride⌉)``, in the type that a convolution
        of PyTorch returns, under ``torch.autocast`` too.

    Raises:
        InvalidArgumentError: If the arguments do not fit together or the method is unknown.
    """
    if torch.compiler.is_compiling():
        from dasha.search import _uncompiled

        y: Tensor = _uncompiled.mixed_convolution(
            x, weights, coefficients, dilations=dilations, stride=stride, groups=groups, method=method
        )
        return y
    geometry = check(x, weights, coefficients, dilations=dilations, stride=stride, groups=groups)
    if method == "auto":
        method = _choose(geometry, x, weights, coefficients)
    elif method not in METHODS:
        raise InvalidArgumentError(
            f"method is {method!r}, but must be 'auto' or one of {', '.join(map(repr, METHODS))}"
        )
    return compute(geometry, x, weights, coefficients, method)


def choose_method(
    x: Tensor,
    weights: Sequence[Tensor],
    coefficients: Tensor,
    *,
    dilations: Sequence[int],
    stride: int | Sequence[int] = 1,
    groups: int = 1,
) -> str:
    """Choose the fastest method of ``mixed_convolution`` for arguments of these shapes, types, device and gradients.

    Methods whose estimated costs are close are timed when a case comes up first, forward and backward as far as
    gradients are needed; the choice holds until the process ends. Another process may choose otherwise, and its results
    differ by rounding: store the name and pass it as ``method`` where runs must agree to the last bit. Under
    ``torch.use_deterministic_algorithms(True)`` nothing is timed and the estimate alone decides, everywhere alike.

    Args:
        x: As of ``mixed_convolution``; the numbers themselves do not matter.
        weights: Likewise.
        coefficients: Likewise.
        dilations: Likewise.
        stride: Likewise.
        groups: Likewise.

    Returns:
        ``"separate"``, ``"direct"`` or ``"frequency"``.

    Raises:
        InvalidArgumentError: If the arguments do not fit together.
    """
    if torch.compiler.is_compiling():
        from dasha.search import _uncompiled

        name: str = _uncompiled.choose_method(
            x, weights, coefficients, dilations=dilations, stride=stride, groups=groups
        )
        return name
    geometry = check(x, weights, coefficients, dilations=dilations, stride=stride, groups=groups)
    return _choose(geometry, x, weights, coefficients)


def _choose(geometry: Geometry, x: Tensor, weights: Sequence[Tensor], coefficients: Tensor) -> str:
    if torch.are_deterministic_algorithms_enabled():
        return cheapest(geometry)
    needed = torch.is_grad_enabled()
    case = Case(
        geometry,
        x.dtype,
        weights[0].dtype,
        x.device,
        autocast_dtype(x),
        of_x=needed and x.requires_grad,
        of_weights=needed and any(tensor.requires_grad for tensor in (*weights, coefficients)),
    )
    return fastest(case)
