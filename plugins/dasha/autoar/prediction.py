"""From a fitted state, a series and its units to forecasts in the units of the series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.differencing import level_coefficients
from dasha.autoar.fitted import FittedAR, FittedMaps
from dasha.autoar.forecast import apply_map, extend_errors, extend_maps, fill_missing, forecast_map
from dasha.autoar.panel import Scale
from dasha.autoar.residuals import history_scale
from dasha.types import FloatArray, GaussianForecast, innovation_errors

_UNITS = ("mean", "std", "sigma")


@dataclass(frozen=True)
class _Maps:
    """Forecast maps for one horizon, and the spread of their errors.

    Attributes:
        weights: Shape ``(G, H, K)``, newest value first; map 0 is for unseen series.
        bias: Shape ``(G, H)``.
        groups: Number of the map of every training channel, shape ``(C_total,)``; None if there is only one map.
        spread: Of the errors of unseen series, shape ``(H, 1)``, and of every training channel, shape
            ``(H, C_total)``; None if it is the same.
        factor: As in `GaussianForecast`, a matrix.
        in_levels: Whether the unit of the errors is the standard deviation of the levels, or of the innovations.
    """

    weights: Tensor
    bias: FloatArray
    groups: np.ndarray | None
    spread: FloatArray
    own_spread: FloatArray | None
    factor: FloatArray
    in_levels: bool


class Predictor:
    """Forecast maps of one fitted state and horizon on one device."""

    def __init__(self, fitted: FittedAR, horizon: int, device: torch.device) -> None:
        self._fitted = fitted
        self._intercept = torch.tensor(fitted.intercept, dtype=torch.float64, device=device)
        self._levels = level_coefficients(torch.from_numpy(fitted.coefficients).to(device), fitted.diff_order)
        if fitted.maps is None:
            self._maps = _recursive(self._levels, self._intercept, horizon)
        else:
            self._maps = _direct(fitted.maps, horizon, device)
        self._offsets = np.cumsum([0, *(len(scale.mean) for scale in fitted.scales)])

    def forecast(self, y: FloatArray, ends: np.ndarray, series: int | None) -> GaussianForecast:
        """Forecast from many origins of one series.

        Args:
            y: Shape ``(T, C)``, oldest first; NaN marks a missing value.
            ends: Number of rows known at every origin, shape ``(N,)``, each in ``1 … T``.
            series: Number of the training series that ``y`` continues, whose units and maps apply; None takes the
                units from the past of each origin, as do channels that were constant in training and are no more.

        Returns:
            ``mean`` of shape ``(N, H, C)``; NaN for a channel without any value before the origin.
        """
        scale = self._scale(y, ends, series)
        if scale.mean.ndim == 1 or not np.isnan(y).any():
            return self._forecast(y, ends, scale, series)
        if not len(ends):
            maps = self._maps
            return GaussianForecast(np.empty((0, len(maps.factor), y.shape[1])), scale.std, maps.spread, maps.factor)
        # What fills a gap depends on the units, which here differ from origin to origin.
        parts = [
            self._forecast(y[:end], ends[i : i + 1], Scale(scale.mean[i], scale.std[i], scale.sigma[i]), series)
            for i, end in enumerate(ends)
        ]
        return GaussianForecast.concatenate(parts)

    def _scale(self, y: FloatArray, ends: np.ndarray, series: int | None) -> Scale:
        """One row of units ``(C,)``, or one per origin ``(N, C)`` where they come from the past of each."""
        own = None if series is None else self._fitted.scales[series]
        if own is not None:
            has_begun = (own.std == 0) & (~np.isnan(y) & (y != own.mean)).any(0)
            if not has_begun.any():
                return own
        past = history_scale(y, ends, diff_order=self._fitted.diff_order, ratio=self._fitted.ratio)
        if own is None:
            return past
        return Scale(*(np.where(has_begun, getattr(past, name), getattr(own, name)) for name in _UNITS))

    def _forecast(self, y: FloatArray, ends: np.ndarray, scale: Scale, series: int | None) -> GaussianForecast:
        """``scale`` holds one row of units ``(C,)`` or one per origin ``(N, C)``."""
        known = ~np.isnan(y)
        maps = self._maps
        groups = np.zeros(1, dtype=np.int64)
        spread = maps.spread
        if series is not None:
            channels = slice(self._offsets[series], self._offsets[series + 1])
            groups = groups if maps.groups is None else maps.groups[channels]
            spread = spread if maps.own_spread is None else maps.own_spread[:, channels]
        weights, bias = maps.weights[groups], maps.bias[groups].T  # (G, H, K), (H, G) with G = 1 or C
        reference = scale.mean if scale.mean.ndim == 1 else y[0]
        levels = self._map_levels(y - reference, ends, scale, weights, has_gaps=not known.all())
        # ŷ = mean + std·(W·z + bias) with z = (y - mean)/std, written for levels that are centred on `reference`;
        # without a spread there is no bias: a constant channel stays where it is.
        rest = 1.0 - weights.sum(-1).T.cpu().numpy()
        shift = rest * (scale.mean - reference)[..., None, :] + bias * scale.std[..., None, :]
        mean = levels + reference + shift
        if not known.all():
            is_known = known.any(0) & (ends[:, None] > known.argmax(0))  # (N, C)
            mean = np.where(is_known[:, None, :], mean, np.nan)
        unit = scale.std if maps.in_levels else scale.sigma
        sigma = np.broadcast_to(unit, (len(ends), y.shape[1])).copy()
        return GaussianForecast(mean, sigma, spread, maps.factor)

    def _map_levels(
        self, centred: FloatArray, ends: np.ndarray, scale: Scale, weights: Tensor, *, has_gaps: bool
    ) -> FloatArray:
        """Weights times windows, shape ``(N, H, C)``; windows reach back beyond the first row as if it were held."""
        context, device = weights.shape[-1], weights.device
        earliest = int(ends.min(initial=len(centred)))
        start = 0 if has_gaps else max(0, earliest - context)
        values = torch.from_numpy(np.ascontiguousarray(centred[start:].T)).to(device)
        if has_gaps:
            unit = torch.from_numpy(scale.unit).to(device)[:, None]
            drift = self._intercept * torch.from_numpy(scale.std > 0).to(device)
            values = fill_missing(values / unit, self._levels, drift) * unit
        padding = max(0, context - earliest)
        if padding:
            values = torch.cat([values[:, :1].expand(-1, padding), values], dim=1)
        positions = torch.from_numpy(ends - start + padding).to(device)
        result: Tensor = apply_map(values, positions, weights[0] if len(weights) == 1 else weights)
        return result.cpu().numpy()


def _recursive(levels: Tensor, intercept: Tensor, horizon: int) -> _Maps:
    """The auto-regression itself: one map for everything, errors in units of its innovations."""
    one = forecast_map(levels, intercept, horizon)
    spread, factor = innovation_errors(one.psi.cpu().numpy())
    return _Maps(one.weights[None], one.bias[None].cpu().numpy(), None, spread, None, factor, in_levels=False)


def _direct(fitted: FittedMaps, horizon: int, device: torch.device) -> _Maps:
    """The maps of a strategy, cut or extended to the horizon."""
    weights, bias = (torch.from_numpy(part).to(device) for part in (fitted.weights, fitted.bias))
    spread, factor = fitted.spread.T, fitted.factor  # (H, 1 + C)
    reach = len(factor)
    if horizon > reach:
        errors = extend_errors(weights[0].cpu(), torch.from_numpy(spread[:, :1] * factor), horizon).numpy()
        length = np.linalg.norm(errors, axis=1, keepdims=True)
        factor = np.divide(errors, length, out=np.eye(horizon), where=length > 0)
        # Beyond their reach, the errors of every channel grow as those of the map for unseen series do.
        repeated = spread[np.arange(horizon) % reach]
        spread = repeated * np.divide(length, repeated[:, :1], out=np.ones_like(length), where=repeated[:, :1] > 0)
        weights, bias = extend_maps(weights, bias, horizon)
    weights, bias = weights[:, :horizon], bias[:, :horizon]
    return _Maps(
        weights,
        bias.cpu().numpy(),
        fitted.groups if len(weights) > 1 else None,
        spread[:horizon, :1],
        spread[:horizon, 1:],
        np.ascontiguousarray(factor[:horizon, :horizon]),  # as it is after pickling, to the last digit of a path
        in_levels=True,
    )
