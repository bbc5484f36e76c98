"""Types shared by the core, the plugins and the adapters: protocols and frozen dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import toeplitz
from scipy.special import ndtri

from dasha.errors import InvalidArgumentError

FloatArray = NDArray[np.float64]


@runtime_checkable
class Forecast(Protocol):
    """Predictive distribution of ``H`` steps of ``C`` channels; leading axes ``…`` stand for several origins."""

    @property
    def mean(self) -> FloatArray:
        """Expected values, shape ``(…, H, C)``, in the units of the series."""

    def quantile(self, level: float) -> FloatArray:
        """Quantile of every value, shape ``(…, H, C)``; ``level`` lies strictly between 0 and 1."""

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Paths that are correlated over the steps as the model says, shape ``(count, …, H, C)``."""


class Forecaster(Protocol):
    """What a forecaster factory returns; `dasha.testing.check_forecaster` is its conformance suite."""

    def fit(self, series: ArrayLike | Sequence[ArrayLike]) -> Self:
        """Learn from one series or several, each ``(T,)`` or ``(T, C)``, oldest first."""

    def predict(self, horizon: int, context: ArrayLike | None = None) -> Any:
        """Forecast ``horizon`` steps after ``context``, or after the training data.

        Returns a `Forecast`; without a context, a list of them if a list of series was fitted.
        """


@dataclass(frozen=True)
class GaussianForecast:
    """Forecast with Gaussian errors that are correlated over the steps.

    Attributes:
        mean: Expected values, shape ``(…, H, C)``, in the units of the series.
        sigma: Unit of the errors of every channel, shape ``(…, C)``, in the units of the series.
        spread: Standard deviation of the error of every step in these units, shape ``(H, 1)``, ``(H, C)`` or
            ``(…, H, C)``.
        factor: Lower triangular, shape ``(H, H)``, with rows of length 1: turns independent errors into correlated
            ones.
    """

    mean: FloatArray
    sigma: FloatArray
    spread: FloatArray
    factor: FloatArray

    @classmethod
    def of_innovations(cls, mean: FloatArray, sigma: FloatArray, psi: FloatArray) -> Self:
        """Forecast of a linear process with independent innovations.

        Args:
            mean: Shape ``(…, H, C)``.
            sigma: Standard deviation of the innovations, shape ``(…, C)``.
            psi: Response to a unit innovation after ``0 … H-1`` steps, shape ``(H,)``, ``psi[0]`` not 0.
        """
        spread = np.sqrt(np.cumsum(psi**2))[:, None]
        return cls(mean, sigma, spread, np.tril(toeplitz(psi)) / spread)

    @classmethod
    def concatenate(cls, parts: Sequence[GaussianForecast]) -> GaussianForecast:
        """Forecasts of several origins, each with a leading axis, one after the other; the factor is theirs all."""
        if len(parts) == 1:
            return parts[0]
        mean, sigma = (np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "sigma"))
        spread = parts[0].spread
        if any(part.spread is not spread for part in parts):
            spread = np.concatenate([np.broadcast_to(part.spread, part.mean.shape) for part in parts])
        return cls(mean, sigma, spread, parts[0].factor)

    @property
    def std(self) -> FloatArray:
        """Standard deviation of every value, shape ``(…, H, C)``."""
        return self.sigma[..., None, :] * self.spread

    def last_step(self) -> GaussianForecast:
        """Forecast of the last step alone, shapes ``(…, 1, C)``: all that is needed where paths are not."""
        return GaussianForecast(self.mean[..., -1:, :], self.std[..., -1, :], np.ones((1, 1)), np.ones((1, 1)))

    def quantile(self, level: float) -> FloatArray:
        """Quantile of every value, shape ``(…, H, C)``.

        Raises:
            InvalidArgumentError: If ``level`` is not strictly between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise InvalidArgumentError(f"quantile level is {level!r}, but must lie strictly between 0 and 1")
        return self.mean + float(ndtri(level)) * self.std

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw paths whose steps are correlated.

        Args:
            count: Number of paths, at least 1.
            rng: Source of randomness.

        Returns:
            Shape ``(count, …, H, C)``.

        Raises:
            InvalidArgumentError: If ``count`` is below 1.
        """
        if count < 1:
            raise InvalidArgumentError(f"count is {count!r}, but must be at least 1")
        errors = self.factor @ rng.standard_normal((count, *self.mean.shape))
        paths: FloatArray = self.mean + self.std * errors
        return paths
