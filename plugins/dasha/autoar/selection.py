"""Least squares for every lookback from one Cholesky factor, and the criteria that choose between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dasha.autoar.differencing import level_coefficients
from dasha.autoar.forecast import forecast_maps
from dasha.autoar.moments import ChannelMoments, WindowMoments
from dasha.errors import InvalidArgumentError

INFORMATION_CRITERIA = ("bic", "aic", "hqic")
HORIZON_CRITERIA = ("horizon_bic", "validation")
# Elements of the forecast maps held at once while every lookback is scored at the horizon.
_MAP_ELEMENTS = 1 << 23


@dataclass(frozen=True)
class NestedRegression:
    """Least squares of ``y(t)`` on ``[1, y(t-1) … y(t-p)]`` for every ``p = 0 … P`` on one common sample.

    Leading axes ``…`` stand for separate regressions, one per channel.

    Attributes:
        factor: Lower Cholesky factor of the Gram matrix of ``[1, lag 1 … lag P, target]``, shape ``(…, P+2, P+2)``.
        count: Number of observations ``N``, shape ``(…,)``.
        rss: Residual sum of squares of every lookback, shape ``(…, P+1)``.
        jitter: Relative ridge that the factorisation needed; 0 unless lags are collinear to rounding.
    """

    factor: Tensor
    count: int | Tensor
    rss: Tensor
    jitter: float

    @property
    def max_lookback(self) -> int:
        """Largest lookback ``P``."""
        return self.rss.shape[-1] - 1

    def coefficients(self, lookback: int) -> tuple[Tensor, Tensor]:
        """Intercept, shape ``()``, and lag coefficients, shape ``(lookback,)``, lag 1 first."""
        size = lookback + 1
        leading, right = self.factor[:size, :size], self.factor[-1, :size, None]
        solution = torch.linalg.solve_triangular(leading.T, right, upper=True)[:, 0]
        return solution[0], solution[1:]

    def all_coefficients(self) -> tuple[Tensor, Tensor]:
        """Intercepts ``(…, P+1)`` and lag coefficients ``(…, P+1, P)`` of every lookback, zero beyond each lookback.

        The leading blocks of a triangular inverse are the inverses of the leading blocks, so that the solutions for
        all lookbacks are the cumulative sums of one scaled inverse.
        """
        size = self.max_lookback + 1
        identity = torch.eye(size, dtype=self.factor.dtype, device=self.factor.device)
        inverse = torch.linalg.solve_triangular(self.factor[..., :size, :size], identity, upper=False)
        solutions = (inverse * self.factor[..., -1, :size, None]).cumsum(-2)
        return solutions[..., 0], solutions[..., 1:]

    def coefficients_at(self, lookbacks: Tensor) -> tuple[Tensor, Tensor]:
        """Intercepts ``(C,)`` and lag coefficients ``(C, P)`` of regressions, each at a lookback of its own."""
        intercepts, coefficients = self.all_coefficients()
        row = torch.arange(len(lookbacks), device=lookbacks.device)
        return intercepts[row, lookbacks], coefficients[row, lookbacks]


def nested_regression(moments: WindowMoments | ChannelMoments) -> NestedRegression:
    """Factor the moments of windows ``[target, lag 1 … lag P]`` once for all lookbacks ``0 … P``.

    A relative jitter is added only when the factorisation fails (lags collinear to rounding); it is reported in the
    result.

    Args:
        moments: Moments of windows of ``P + 1`` values, newest first; of channels for one regression each.

    Returns:
        The regression on the common sample of all windows.

    Raises:
        InvalidArgumentError: If there is no window.
    """
    if not bool((torch.as_tensor(moments.count) > 0).all()):
        raise InvalidArgumentError(
            f"there is no gap-free window of {moments.length} values to regress on; use a shorter lookback"
        )
    # Lower triangle of [1, lag 1 … lag P, target]: all that a Cholesky factorisation reads.
    gram, total = moments.gram, moments.total
    system = gram.new_zeros(*total.shape[:-1], moments.length + 1, moments.length + 1)
    system[..., 0, 0] = moments.count
    system[..., 1:-1, 0], system[..., -1, 0] = total[..., 1:], total[..., 0]
    system[..., 1:-1, 1:-1] = gram[..., 1:, 1:]
    system[..., -1, 1:-1], system[..., -1, -1] = gram[..., 0, 1:], gram[..., 0, 0]
    factor, jitter = _cholesky(system)
    last = factor[..., -1, :]
    # Summing from the far end keeps the small residuals that 'total minus explained' would cancel.
    rss = (last**2).flip(-1).cumsum(-1).flip(-1)[..., 1:]
    return NestedRegression(factor, moments.count, rss, jitter)


def _cholesky(system: Tensor) -> tuple[Tensor, float]:
    factor, info = torch.linalg.cholesky_ex(system)
    jitter = 0.0
    # A value that is not finite reaches the diagonal of its row.
    while bool((info != 0).any()) or not bool(torch.isfinite(factor.diagonal(dim1=-2, dim2=-1)).all()):
        jitter = jitter * 10 if jitter else 1e-15
        if jitter > 1e-3:
            raise InvalidArgumentError("the moments are not finite; check the series for values near the float limit")
        ridge = jitter * system.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
        factor, info = torch.linalg.cholesky_ex(system + ridge.expand(system.shape[:-1]).diag_embed())
    return factor, jitter


def information_criterion(name: str, rss: Tensor, count: int | Tensor) -> Tensor:
    """Textbook one-step criterion ``N·ln(RSS/N) + penalty·(p+1)`` of every lookback.

    Args:
        name: ``"bic"`` (penalty ``ln N``), ``"aic"`` (2) or ``"hqic"`` (``2 ln ln N``).
        rss: Residual sums of squares of lookbacks ``0 … P`` on one common sample, shape ``(…, P+1)``.
        count: Observations ``N`` in that sample, shape ``(…,)``.

    Returns:
        Shape ``(…, P+1)``; smaller is better.
    """
    sample = torch.as_tensor(count, dtype=rss.dtype, device=rss.device)[..., None]
    logarithm = sample.log()
    penalty = {
        "bic": logarithm,
        "aic": torch.full_like(logarithm, 2.0),
        "hqic": 2.0 * logarithm.clamp(min=1.0).log(),
    }[name]
    parameters = torch.arange(1, rss.shape[-1] + 1, dtype=rss.dtype, device=rss.device)
    # Residuals at the level of rounding are all alike: the shortest of such lookbacks wins.
    floor = torch.clamp(rss[..., :1], min=torch.finfo(rss.dtype).tiny) * torch.finfo(rss.dtype).eps
    return sample * torch.log(torch.maximum(rss, floor) / sample) + penalty * parameters


def horizon_bic(mse: Tensor, count: int) -> Tensor:
    """The criterion of arXiv 2411.02796: ``ln(MSE_H) + (p+1)·ln(N)/N``, smaller is better.

    Args:
        mse: Mean squared error of the recursive forecasts over all in-sample windows and steps, shape ``(P+1,)``.
        count: ``N = channels · windows · horizon``.
    """
    parameters = torch.arange(1, mse.shape[0] + 1, dtype=mse.dtype, device=mse.device)
    floor = torch.finfo(mse.dtype).eps
    return torch.log(mse.clamp(min=floor)) + parameters * (math.log(count) / count)


def horizon_errors(regression: NestedRegression, windows: WindowMoments, *, diff_order: int, horizon: int) -> Tensor:
    """Exact mean squared error of the recursive forecasts of every lookback, from joint moments alone.

    Args:
        regression: Coefficients of every lookback ``0 … P`` on differenced data.
        windows: Moments of *level* windows of ``context + horizon`` values with ``context >= P + diff_order``.
        diff_order: Differencing order of the regression.
        horizon: Steps forecast, at least 1.

    Returns:
        Shape ``(P+1, horizon)``: per lookback and step, averaged over the windows.
    """
    intercepts, coefficients = regression.all_coefficients()
    lookbacks = intercepts.shape[0]
    chunk = max(1, _MAP_ELEMENTS // (horizon * max(1, lookbacks)))
    errors = []
    for start in range(0, lookbacks, chunk):
        stop = min(start + chunk, lookbacks)
        levels = level_coefficients(coefficients[start:stop, : max(0, stop - 1)], diff_order)
        weights, bias, _ = forecast_maps(levels, intercepts[start:stop], horizon)
        errors.append(map_errors(weights, bias, windows))
    return torch.cat(errors)


def map_errors(weights: Tensor, bias: Tensor, windows: WindowMoments) -> Tensor:
    """Mean squared error per step of linear forecast maps, ``diag(E·M·E')/N`` with ``E = [-A, I]``.

    Args:
        weights: Shape ``(B, H, K)``; column ``k`` multiplies the value ``k`` steps before the last observed one.
        bias: Shape ``(B, H)``.
        windows: Moments of windows of at least ``K + H`` values.

    Returns:
        Shape ``(B, H)``.
    """
    horizon, used = weights.shape[1:]
    past = slice(horizon, horizon + used)
    future = torch.arange(horizon - 1, -1, -1, device=weights.device)  # step 1 is the oldest of the future values
    squares = windows.gram.diagonal()[future]
    cross = (weights * windows.gram[future, past]).sum(-1)
    explained = (torch.matmul(weights, windows.gram[past, past]) * weights).sum(-1)
    offset = bias * (windows.total[future] - torch.matmul(weights, windows.total[past]))
    total = squares - 2 * cross + explained - 2 * offset + windows.count * bias**2
    return total.clamp(min=0.0) / windows.count
