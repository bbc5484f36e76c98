"""Dynamic harmonic regression as forecast maps: a season around the mean of every window, and what is left.

Least squares on the window alone find its mean and its season; both are continued, and an auto-regression forecasts the
remainder. All of it is linear in the window, and the auto-regression follows from the moments of the windows.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from dasha.autoar.forecast import forecast_maps
from dasha.autoar.moments import ChannelMoments
from dasha.autoar.seasonality import harmonics
from dasha.autoar.selection import information_criterion, nested_regression

# Values of a window per unknown of its season, and per lag.
_VALUES_PER_UNKNOWN = 4
_MAX_LAGS = 48


def harmonic_maps(levels: ChannelMoments, season: int, horizon: int, *, criterion: str) -> tuple[Tensor, Tensor]:
    """Forecast maps of one dynamic harmonic regression for every channel (Hyndman and Athanasopoulos 2021, 10.5).

    The auto-regression of the remainder solves the Yule-Walker equations, so that it returns to zero and the forecast
    to the season around the window's mean: a window's remainder is short, and least squares might explode.

    Args:
        levels: Moments of windows of ``K + H`` levels; every channel has some.
        season: Steps in a season; 1 for none, when a window has a mean alone.
        horizon: Steps ``H``.
        criterion: Information criterion that chooses the lookback of the remainder.

    Returns:
        ``weights (C, H, K)``, newest value first, and ``bias (C, H)``, which is zero.
    """
    context = levels.length - horizon
    most = max(0, (context // _VALUES_PER_UNKNOWN - 1) // 2)
    basis = harmonics(season, context + horizon, levels.total, most=most)
    basis = torch.cat([basis.new_ones(len(basis), 1), basis], dim=1)
    inside, ahead = basis[:context].flip(0), basis[context:]  # newest value first, as in the moments; step 1 first
    solver = torch.linalg.pinv(inside)  # (q, K)
    lags = max(1, min(_MAX_LAGS, context // _VALUES_PER_UNKNOWN))
    sums = _remainder_products(levels.gram[:, horizon:, horizon:], inside, solver, lags)
    apart = torch.arange(lags + 1, device=sums.device)
    remainder = ChannelMoments(levels.count, torch.zeros_like(sums), sums[:, (apart[:, None] - apart).abs()])
    regression = nested_regression(remainder)
    lookbacks = information_criterion(criterion, regression.rss, regression.count).argmin(-1)
    _, coefficients = regression.coefficients_at(lookbacks)
    weights, bias, _ = forecast_maps(coefficients, torch.zeros_like(levels.count), horizon)
    return pad(weights, (0, context - lags)) + (ahead - weights @ inside[:lags]) @ solver, bias


def _remainder_products(gram: Tensor, inside: Tensor, solver: Tensor, lags: int) -> Tensor:
    """Products of values of the remainder ``0 … lags`` steps apart, mean over a window, shape ``(C, lags + 1)``.

    As if the remainder were zero outside of the window, which makes the sequence positive semi-definite.
    """
    solved = solver @ gram  # (C, q, K)
    shared = inside @ solved
    products = gram - shared - shared.transpose(1, 2) + inside @ (solved @ solver.T) @ inside.T
    return torch.stack([products.diagonal(lag, 1, 2).sum(-1) for lag in range(lags + 1)], dim=-1) / len(inside)
