"""Weights of several linear forecasts from the moments of validation windows, without making a forecast.

The error of a weighted mean of linear forecast maps is a quadratic form of the weights whose matrix follows from the
second moments of the windows. Weights that are non-negative and sum to one (Breiman 1996, "Stacked regressions") are
then a small quadratic programme for every channel.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from dasha.autoar.moments import ChannelMoments
from dasha.types import FloatArray

# A channel with as many independent windows as this is trusted as much as all channels together.
_TRUSTED_WINDOWS = 5.0
# Windows that the prior is worth, in units of the smallest error: few windows leave the weights near the prior.
_PRIOR_WINDOWS = 6.0


def error_products(weights: Tensor, bias: Tensor, windows: ChannelMoments) -> Tensor:
    """Mean products of the errors of several forecast maps, per channel and step.

    Args:
        weights: Shape ``(C, N, H, K)``, newest value first; ``C`` may be 1 for maps that all channels share.
        bias: Shape ``(C, N, H)``.
        windows: Moments of windows of at least ``K + H`` values of ``C`` channels.

    Returns:
        Shape ``(C, H, N, N)``; zeros for channels without a window. The diagonal holds the mean squared errors.
    """
    horizon, used = weights.shape[-2:]
    past = slice(horizon, horizon + used)
    future = torch.arange(horizon - 1, -1, -1, device=weights.device)
    maps = torch.cat([weights, bias[..., None]], dim=-1).transpose(-2, -3)  # (C, H, N, K+1)
    cross = torch.cat([windows.gram[:, future][..., past], windows.total[:, future, None]], dim=-1)  # (C, H, K+1)
    squares = windows.gram.diagonal(dim1=-2, dim2=-1)[:, future]  # (C, H)
    channels = len(windows.total)
    rows = maps.expand(channels, -1, -1, -1).reshape(channels, -1, used + 1)  # one product per channel, not per step
    explained = (rows @ _second_moments(windows, past)).reshape(channels, *maps.shape[1:]) @ maps.transpose(-1, -2)
    shared = (maps @ cross[..., None])[..., 0]  # (C, H, N)
    products = squares[..., None, None] - shared[..., :, None] - shared[..., None, :] + explained
    return products / windows.count.clamp(min=1.0)[:, None, None, None]


def error_covariance(weights: Tensor, bias: Tensor, windows: ChannelMoments) -> Tensor:
    """Mean products of the errors of one forecast map at two steps, per channel.

    Args:
        weights: Shape ``(C, H, K)``, newest value first.
        bias: Shape ``(C, H)``.
        windows: Moments of windows of ``K + H`` values of ``C`` channels.

    Returns:
        Shape ``(C, H, H)``; zeros for channels without a window. The diagonal holds the mean squared errors.
    """
    horizon, used = weights.shape[-2:]
    past = slice(horizon, horizon + used)
    future = torch.arange(horizon - 1, -1, -1, device=weights.device)
    maps = torch.cat([weights, bias[..., None]], dim=-1)
    cross = torch.cat([windows.gram[:, future][..., past], windows.total[:, future, None]], dim=-1)
    shared = cross @ maps.transpose(-1, -2)
    products = windows.gram[:, future][:, :, future] - shared - shared.transpose(-1, -2)
    products += maps @ _second_moments(windows, past) @ maps.transpose(-1, -2)
    return products / windows.count.clamp(min=1.0)[:, None, None]


def _second_moments(windows: ChannelMoments, past: slice) -> Tensor:
    """Moments of ``[past, 1]``, shape ``(C, K+1, K+1)``."""
    total = windows.total[:, past]
    known = torch.cat([windows.gram[:, past, past], total[:, :, None]], dim=-1)
    constant = torch.cat([total, windows.count[:, None]], dim=-1)
    return torch.cat([known, constant[:, None, :]], dim=-2)


def simplex_weights(products: FloatArray) -> FloatArray:
    """Non-negative weights that sum to one and make ``w'Qw`` smallest.

    Args:
        products: Symmetric positive semi-definite matrix ``Q``, shape ``(N, N)``.

    Returns:
        Shape ``(N,)``.
    """
    size = len(products)
    scale = np.abs(products).max() + np.finfo(float).tiny
    values, vectors = np.linalg.eigh(products / scale)
    root = np.sqrt(np.clip(values, 1e-12, None))[:, None] * vectors.T
    # min |root·w|² with 1'w = 1 and w >= 0: the direction of the non-negative least squares solution of this system.
    system = np.vstack([root, np.ones(size)])
    solution, _ = nnls(system, np.append(np.zeros(size), 1.0), maxiter=100 * size)
    weights: FloatArray = solution / solution.sum()
    return weights


def stacked_weights(
    products: FloatArray, windows: FloatArray, prior: FloatArray, *, evidence: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """Weights for every channel, drawn towards those of all channels together, and these towards a prior.

    Every channel counts in units of its own smallest error. The more independent windows a channel has, the more its
    own errors decide; channels without any take the common weights. Simple averages are hard to beat where little is
    known (Smith and Wallis 2009), hence the prior.

    Args:
        products: Mean products of the errors, shape ``(C, N, N)``.
        windows: Number of windows that do not overlap in what they forecast, shape ``(C,)``, not all 0.
        prior: Weights without any knowledge, shape ``(N,)``, with sum one.
        evidence: Independent windows of all channels together; None for channels that move together, where it is the
            mean over the channels.

    Returns:
        Weights ``(C, N)`` and the common weights ``(N,)``.
    """
    scored = windows > 0
    smallest = np.diagonal(products, axis1=1, axis2=2).min(1)
    # A perfect forecast leaves rounding, which may be negative.
    floor = 1e-12 * np.abs(products).max((1, 2)) + np.finfo(float).tiny
    own = products / np.maximum(smallest, floor)[:, None, None]
    together = own[scored].mean(0)
    # |w - prior|² as a quadratic form of weights that sum to one.
    difference = np.eye(len(prior)) - prior[:, None]
    distance = difference.T @ difference
    trust = windows / (windows + _TRUSTED_WINDOWS)
    shared = together + _PRIOR_WINDOWS / (evidence or windows[scored].mean()) * distance
    common = simplex_weights(shared)
    weights = np.tile(common, (len(products), 1))
    for channel in np.flatnonzero(scored):
        weights[channel] = simplex_weights(shared + trust[channel] * (own[channel] - together))
    return weights, common
