"""Recursive forecasts as one linear map of the last values, and what else follows from that map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Values of the gathered windows held at once.
_WINDOW_ELEMENTS = 1 << 23


@dataclass(frozen=True)
class ForecastMap:
    """``h``-step forecasts of an auto-regression on levels: ``ŷ = weights · [y(T), y(T-1), …] + bias``.

    Attributes:
        weights: Shape ``(H, K)``, newest value first; for differenced models ``K = lookback + d``.
        bias: Shape ``(H,)``.
        psi: Response of step ``h`` to a unit innovation ``h`` steps before, shape ``(H,)``, ``psi[0] = 1``.
    """

    weights: Tensor
    bias: Tensor
    psi: Tensor

    @property
    def context(self) -> int:
        """Number ``K`` of past values used."""
        return self.weights.shape[-1]

    def variances(self) -> Tensor:
        """Forecast error variance per step for unit innovation variance, shape ``(H,)``."""
        return (self.psi**2).cumsum(-1)


def forecast_map(coefficients: Tensor, intercept: Tensor, horizon: int) -> ForecastMap:
    """Run the recursion once on the identity.

    Args:
        coefficients: Level coefficients, shape ``(K,)``, lag 1 first (`dasha.autoar.differencing.level_coefficients`).
        intercept: Shape ``()``.
        horizon: Steps, at least 1.

    Returns:
        The map for steps ``1 … horizon``.
    """
    weights, bias, psi = forecast_maps(coefficients[None], intercept[None], horizon)
    return ForecastMap(weights[0], bias[0], psi[0])


def forecast_maps(coefficients: Tensor, intercepts: Tensor, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
    """`forecast_map` for ``B`` models at once.

    The map of step ``h + 1`` is the map of step ``h`` applied to a state moved on by one step, which for an
    auto-regression is a shift plus its first weight times the coefficients: ``O(K)`` a step.

    Args:
        coefficients: Shape ``(B, K)``.
        intercepts: Shape ``(B,)``.
        horizon: Steps, at least 1.

    Returns:
        ``weights (B, H, K)``, ``bias (B, H)`` and ``psi (B, H)``.
    """
    models, context = coefficients.shape
    weights = coefficients.new_empty(models, horizon, context)
    bias = coefficients.new_empty(models, horizon)
    weights[:, 0], bias[:, 0] = coefficients, intercepts
    for step in range(1, horizon):
        first = weights[:, step - 1, :1]
        weights[:, step] = first * coefficients
        weights[:, step, :-1] += weights[:, step - 1, 1:]
        bias[:, step] = bias[:, step - 1] + first[:, 0] * intercepts
    psi = torch.cat([torch.ones_like(intercepts)[:, None], weights[:, :-1, 0]], dim=1)
    return weights, bias, psi


def extend_maps(weights: Tensor, bias: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    """Forecast further than the maps reach: forecasts take the place of observed values, one stretch after the other.

    Args:
        weights: Shape ``(G, H, K)``, newest value first.
        bias: Shape ``(G, H)``.
        horizon: Steps wanted.

    Returns:
        ``weights (G, horizon, K)`` and ``bias (G, horizon)``.
    """
    reach, context = weights.shape[1:]
    maps = torch.cat([weights, bias[..., None]], dim=-1)  # of [past, 1]
    identity = torch.eye(context, context + 1, dtype=weights.dtype, device=weights.device)
    known = torch.cat([maps.flip(1), identity.expand(len(maps), -1, -1)], dim=1)  # newest first, as maps of [past, 1]
    steps = [maps]
    for _ in range(reach, horizon, reach):
        further = weights @ known[:, :context]
        further[..., -1] += bias
        steps.append(further)
        known = torch.cat([further.flip(1), known[:, :context]], dim=1)
    extended = torch.cat(steps, dim=1)[:, :horizon]
    return extended[..., :-1], extended[..., -1]


def extend_errors(weights: Tensor, factor: Tensor, horizon: int) -> Tensor:
    """Errors of a map that is applied as in `extend_maps`, as responses to independent errors.

    Args:
        weights: Shape ``(H, K)``.
        factor: Errors of the first ``H`` steps as responses to independent ones, lower triangular, shape ``(H, H)``.
        horizon: Steps wanted.

    Returns:
        Shape ``(horizon, horizon)``, lower triangular.
    """
    reach, context = weights.shape
    stretches = -(-horizon // reach)
    errors = factor.new_zeros(stretches * reach, stretches * reach)
    for start in range(0, len(errors), reach):
        used = min(start, context)
        passed_on = weights[:, :used] @ errors[start - used : start].flip(0)
        errors[start : start + reach] = passed_on
        errors[start : start + reach, start : start + reach] += factor
    return errors[:horizon, :horizon]


def apply_map(y: Tensor, ends: Tensor, weights: Tensor) -> Tensor:
    """Forecast from many origins of many channels with one matrix product per block of windows.

    Args:
        y: Levels, shape ``(C, T)``, oldest first, without missing values.
        ends: Number of values known at every origin, shape ``(N,)``, each at least ``K``.
        weights: Shape ``(H, K)``, or ``(C, H, K)`` for a map per channel, newest first.

    Returns:
        Weighted sums of the windows, shape ``(N, H, C)``.
    """
    context = weights.shape[-1]
    oldest_first = weights.flip(-1).transpose(-1, -2).contiguous()  # ([C,] K, H)
    windows = y.unfold(1, context, 1)  # (C, T - K + 1, K), a view
    block = max(1, _WINDOW_ELEMENTS // (context * y.shape[0]))
    result = y.new_empty(len(ends), weights.shape[-2], y.shape[0])
    for start in range(0, len(ends), block):
        chosen = windows[:, ends[start : start + block] - context]  # (C, n, K)
        result[start : start + block] = (chosen @ oldest_first).permute(1, 2, 0)
    return result


def fill_missing(y: Tensor, coefficients: Tensor, intercept: Tensor) -> Tensor:
    """Replace missing values by the model's own one-step predictions, in time order.

    Values before the first observed one of a channel are set to that first value. A channel without any observed
    value stays missing.

    Args:
        y: Standardised levels, shape ``(C, T)``; NaN marks a missing value.
        coefficients: Level coefficients, shape ``(K,)``, lag 1 first.
        intercept: Shape ``()`` or ``(C,)``.

    Returns:
        A new tensor where something was missing, else ``y`` itself.
    """
    missing = torch.isnan(y)
    if not bool(missing.any()):
        return y
    context = coefficients.shape[0]
    first = (~missing).int().argmax(1)  # 0 for channels that hold no value at all: they stay NaN
    opening = y.gather(1, first[:, None])
    is_before = torch.arange(y.shape[1], device=y.device) < first[:, None]
    is_gap = missing & ~is_before & ~torch.isnan(opening)
    filled = torch.cat([opening.expand(-1, context), torch.where(is_before, opening, y)], dim=1)
    oldest_first = coefficients.flip(0)
    for step in torch.nonzero(is_gap.any(0))[:, 0].tolist():
        prediction = filled[:, step : step + context] @ oldest_first + intercept
        filled[:, context + step] = torch.where(is_gap[:, step], prediction, filled[:, context + step])
    return filled[:, context:]
