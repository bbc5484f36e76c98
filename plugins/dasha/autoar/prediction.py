"""From a fitted state, a series and its units to forecasts in the units of the series."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.differencing import level_coefficients
from dasha.autoar.fitting import FittedAR
from dasha.autoar.forecast import ForecastMap, apply_map, fill_missing, forecast_map
from dasha.autoar.panel import Scale
from dasha.autoar.residuals import history_scale
from dasha.types import FloatArray, GaussianForecast


class Predictor:
    """Forecast map of one fitted state and horizon on one device."""

    def __init__(self, fitted: FittedAR, horizon: int, device: torch.device) -> None:
        self._fitted = fitted
        coefficients = torch.from_numpy(fitted.coefficients).to(device)
        self._intercept = torch.tensor(fitted.intercept, dtype=torch.float64, device=device)
        self._levels = level_coefficients(coefficients, fitted.diff_order)
        self.map: ForecastMap = forecast_map(self._levels, self._intercept, horizon)

    def forecast(self, y: FloatArray, ends: np.ndarray, scale: Scale | None) -> GaussianForecast:
        """Forecast from many origins of one series.

        Args:
            y: Shape ``(T, C)``, oldest first; NaN marks a missing value.
            ends: Number of rows known at every origin, shape ``(N,)``, each in ``1 … T``.
            scale: Units of the channels, arrays ``(C,)``; None takes them from the past of each origin.

        Returns:
            ``mean`` of shape ``(N, H, C)``; NaN for a channel without any value before the origin.
        """
        if scale is not None:
            return self._forecast(y, ends, scale)
        scale = history_scale(y, ends, diff_order=self._fitted.diff_order, ratio=self._fitted.ratio)
        if not np.isnan(y).any():
            return self._forecast(y, ends, scale)
        # What fills a gap depends on the units, which here differ from origin to origin.
        means = [
            self._forecast(y[:end], ends[i : i + 1], Scale(scale.mean[i], scale.std[i], scale.sigma[i])).mean
            for i, end in enumerate(ends)
        ]
        empty = np.empty((0, len(self.map.bias), y.shape[1]))
        return GaussianForecast(np.concatenate([empty, *means]), scale.sigma, self._psi())

    def _forecast(self, y: FloatArray, ends: np.ndarray, scale: Scale) -> GaussianForecast:
        """``scale`` holds one row of units ``(C,)`` or one per origin ``(N, C)``."""
        known = ~np.isnan(y)
        reference = scale.mean if scale.mean.ndim == 1 else y[0]
        levels = self._map_levels(y - reference, ends, scale, has_gaps=not known.all())
        weights, bias = self.map.weights.sum(1).cpu().numpy(), self.map.bias.cpu().numpy()
        # ŷ = mean + std·(W·z + bias) with z = (y - mean)/std, written for levels that are centred on `reference`;
        # without a spread there is no bias: a constant channel stays where it is.
        shift = np.multiply.outer(1.0 - weights, scale.mean - reference) + np.multiply.outer(bias, scale.std)
        mean = levels + reference + (shift if shift.ndim == 2 else np.moveaxis(shift, 0, 1))
        if not known.all():
            is_known = known.any(0) & (ends[:, None] > known.argmax(0))  # (N, C)
            mean = np.where(is_known[:, None, :], mean, np.nan)
        sigma = np.broadcast_to(scale.sigma, (len(ends), y.shape[1])).copy()
        return GaussianForecast(mean, sigma, self._psi())

    def _map_levels(self, centred: FloatArray, ends: np.ndarray, scale: Scale, *, has_gaps: bool) -> FloatArray:
        """Weights times windows, shape ``(N, H, C)``; windows reach back beyond the first row as if it were held."""
        context, device = self.map.context, self._levels.device
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
        result: Tensor = apply_map(values, positions, self.map.weights)
        return result.cpu().numpy()

    def _psi(self) -> FloatArray:
        return self.map.psi.cpu().numpy()
