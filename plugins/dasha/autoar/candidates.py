"""The linear forecasters that a strategy weighs, as forecast maps from moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from dasha.autoar.differencing import level_coefficients
from dasha.autoar.direct import direct_regression
from dasha.autoar.forecast import forecast_maps
from dasha.autoar.harmonics import harmonic_maps
from dasha.autoar.moments import ChannelMoments, WindowMoments
from dasha.autoar.selection import NestedRegression, information_criterion, nested_regression
from dasha.autoar.smoothing import smoothing_map

# Relative to the mean variance of the past.
RIDGES = (0.01, 0.1, 1.0)
# Weights of the latest season: from means of many to hardly more than a repetition.
SMOOTHINGS = (0.1, 0.3, 0.7)


@dataclass(frozen=True)
class Candidate:
    """One linear forecaster.

    Attributes:
        is_pooled: One for all channels, or one for each.
        diff_order: Differencing order of an auto-regression; None for others.
        lookback: Of a pooled auto-regression; None lets the criterion choose it for every channel.
        ridge: Strength of a direct regression; None for others.
        smoothing: Weight of the latest season in exponential smoothing; None for others.
        is_harmonic: Whether it is a dynamic harmonic regression.
        season: Steps in a season of exponential smoothing or harmonic regression; 1 for none.
    """

    is_pooled: bool
    diff_order: int | None = None
    lookback: int | None = None
    ridge: float | None = None
    smoothing: float | None = None
    is_harmonic: bool = False
    season: int = 1

    @property
    def kind(self) -> tuple[str, bool]:
        """What weights without knowledge are shared among."""
        if self.smoothing is not None:
            return "smoothing", self.is_pooled
        if self.is_harmonic:
            return "harmonic", self.is_pooled
        return "direct" if self.diff_order is None else "recursive", self.is_pooled

    def __str__(self) -> str:
        """Name in tables and plots."""
        season = f", season {self.season}" if self.season > 1 else ""
        if self.smoothing is not None:
            return f"smoothing {self.smoothing:g}{season}"
        where = "pooled" if self.is_pooled else "per channel"
        if self.is_harmonic:
            return f"harmonic, {where}{season}"
        if self.diff_order is None:
            return f"direct, {where}, ridge {self.ridge:g}"
        lookback = f", lookback {self.lookback}" if self.is_pooled else ""
        return f"recursive, {where}, d={self.diff_order}{lookback}"


@dataclass(frozen=True)
class Pool:
    """Moments of all channels together, from which pooled candidates are estimated.

    Attributes:
        levels: Of windows of ``K + H`` standardised levels.
        regressions: Auto-regressions by differencing order, for every lookback.
    """

    levels: WindowMoments
    regressions: dict[int, NestedRegression]


def pooled_maps(candidates: Sequence[Candidate], pool: Pool, horizon: int, *, criterion: str) -> tuple[Tensor, Tensor]:
    """Forecast maps of pooled candidates: auto-regressions, direct and harmonic regressions, exponential smoothing.

    Args:
        candidates: In this order.
        pool: Moments of what they are estimated on.
        horizon: Steps ``H``.
        criterion: Information criterion of harmonic regressions.

    Returns:
        ``weights (N, H, K)`` and ``bias (N, H)``.
    """
    levels = pool.levels
    context = levels.length - horizon
    weights, bias = [], []
    for candidate in candidates:
        if candidate.diff_order is not None and candidate.lookback is not None:
            intercept, coefficients = pool.regressions[candidate.diff_order].coefficients(candidate.lookback)
            own_weights, own_bias = _recursive_maps(
                coefficients[None], intercept[None], candidate.diff_order, horizon, context
            )
            weights.append(own_weights)
            bias.append(own_bias)
    ridges = [candidate.ridge for candidate in candidates if candidate.ridge is not None]
    if ridges:
        own_weights, own_bias = direct_regression(levels, horizon).maps(levels.total.new_tensor(ridges))
        weights.append(own_weights)
        bias.append(own_bias)
    for candidate in candidates:
        if candidate.is_harmonic:
            own_weights, own_bias = harmonic_maps(levels.as_channel(), candidate.season, horizon, criterion=criterion)
            weights.append(own_weights)
            bias.append(own_bias)
    for candidate in candidates:
        if candidate.smoothing is not None:
            own_map = smoothing_map(candidate.smoothing, candidate.season, horizon=horizon, context=context)
            weights.append(own_map[None].to(levels.total))
            bias.append(levels.total.new_zeros(1, horizon))
    return torch.cat(weights), torch.cat(bias)


def local_lookbacks(criterion: str, moments: ChannelMoments) -> Tensor:
    """Lookback that an information criterion chooses for the auto-regression of every channel, shape ``(C,)``."""
    regression = nested_regression(moments)
    return information_criterion(criterion, regression.rss, regression.count).argmin(-1)


def local_recursive_maps(
    moments: ChannelMoments, lookbacks: Tensor, diff_order: int, horizon: int, context: int
) -> tuple[Tensor, Tensor]:
    """Forecast maps of one auto-regression for every channel.

    Args:
        moments: Of differenced windows of ``P + 1`` values; every channel has some.
        lookbacks: Of every channel, shape ``(C,)``, at most ``P``.
        diff_order: Differencing order ``d``.
        horizon: Steps ``H``.
        context: Values ``K`` that the maps take, at least ``P + d``.

    Returns:
        ``weights (C, H, K)`` and ``bias (C, H)``.
    """
    intercepts, coefficients = nested_regression(moments).coefficients_at(lookbacks)
    return _recursive_maps(coefficients, intercepts, diff_order, horizon, context)


def _recursive_maps(
    coefficients: Tensor, intercepts: Tensor, diff_order: int, horizon: int, context: int
) -> tuple[Tensor, Tensor]:
    weights, bias, _ = forecast_maps(level_coefficients(coefficients, diff_order), intercepts, horizon)
    return pad(weights, (0, context - weights.shape[-1])), bias
