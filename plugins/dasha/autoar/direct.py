"""Direct forecasts: every future step regressed on the past, from the joint moments of past and future.

Past and future are taken relative to the last observed value, so that a shift of the level shifts the forecast. The
past enters through ridge regression; one eigendecomposition of its covariance serves every ridge strength and every
step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dasha.autoar.moments import ChannelMoments, WindowMoments


@dataclass(frozen=True)
class DirectRegression:
    """Ridge regressions of ``H`` future steps on ``K`` past values for all strengths; ``…`` are separate channels.

    Attributes:
        strengths: Eigenvalues of the covariance of the past, relative to its mean variance, shape ``(…, K-1)``.
        basis: Their eigenvectors, in columns, shape ``(…, K-1, K-1)``.
        response: Covariance of past and future in that basis, scaled alike, shape ``(…, K-1, H)``.
        past: Mean of the past relative to the last value, shape ``(…, K-1)``.
        future: Mean of the future relative to the last value, shape ``(…, H)``.
    """

    strengths: Tensor
    basis: Tensor
    response: Tensor
    past: Tensor
    future: Tensor

    def maps(self, ridges: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast maps of several ridge strengths.

        Args:
            ridges: Strengths relative to the mean variance of the past, shape ``(R,)``, each positive.

        Returns:
            ``weights (…, R, H, K)``, newest value first, and ``bias (…, R, H)``.
        """
        filters = 1.0 / (self.strengths[..., None, :].clamp(min=0.0) + ridges[:, None])  # (…, R, K-1)
        slopes = self.basis[..., None, :, :] @ (filters[..., None] * self.response[..., None, :, :])  # (…, R, K-1, H)
        older = slopes.transpose(-1, -2)
        weights = torch.cat([1.0 - older.sum(-1, keepdim=True), older], dim=-1)
        bias = self.future[..., None, :] - (older @ self.past[..., None, :, None])[..., 0]
        return weights, bias


def direct_regression(moments: WindowMoments | ChannelMoments, horizon: int) -> DirectRegression:
    """Regress the newest ``horizon`` values of every window on the others.

    Args:
        moments: Moments of windows of ``K + horizon`` values, newest first; a channel without a window gets the map
            that repeats the last value.
        horizon: Steps ``H``, at least 1.
    """
    count = torch.as_tensor(moments.count, dtype=moments.total.dtype, device=moments.total.device)
    count = count.clamp(min=1.0)[..., None]
    # Relative to the last observed value: a congruence of the moments.
    last = moments.gram[..., horizon, :]
    gram = moments.gram - last[..., None, :] - last[..., :, None] + last[..., horizon, None, None]
    mean = (moments.total - moments.total[..., horizon, None]) / count
    past = slice(horizon + 1, None)
    future = torch.arange(horizon - 1, -1, -1, device=mean.device)  # step 1 is the oldest of the future values
    mean_past, mean_future = mean[..., past], mean[..., future]
    covariance = gram[..., past, past] / count[..., None] - mean_past[..., :, None] * mean_past[..., None, :]
    cross = gram[..., past, :][..., future] / count[..., None] - mean_past[..., :, None] * mean_future[..., None, :]
    levels = moments.gram.diagonal(dim1=-2, dim2=-1).mean(-1) / count[..., 0]
    floor = torch.finfo(mean.dtype).eps * levels + torch.finfo(mean.dtype).tiny  # below it, all is rounding
    size = covariance.diagonal(dim1=-2, dim2=-1).mean(-1) if covariance.shape[-1] else torch.ones_like(levels)
    scale = torch.maximum(size, floor)[..., None, None]
    strengths, basis = torch.linalg.eigh(covariance / scale)
    return DirectRegression(strengths, basis, basis.transpose(-1, -2) @ (cross / scale), mean_past, mean_future)
