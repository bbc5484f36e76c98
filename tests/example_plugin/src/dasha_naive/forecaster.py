"""A random walk: the last value, with a spread that grows with the square root of the step."""

import numpy as np

from dasha.errors import InvalidArgumentError, InvalidSeriesError, NotFittedError
from dasha.types import GaussianForecast


class LastValue:
    """Forecaster that repeats the last value."""

    def fit(self, series):
        """Keep one series ``(T,)`` or ``(T, C)``, oldest first, or a list of them."""
        self.many_ = isinstance(series, list | tuple)
        self.series_ = [as_matrix(y) for y in (series if self.many_ else [series])]
        return self

    def predict(self, horizon, context=None):
        """Forecast the steps after ``context``, or after each series of ``fit``."""
        if not hasattr(self, "series_"):
            raise NotFittedError("this LastValue is not fitted yet; call fit(series) first")
        if horizon < 1:
            raise InvalidArgumentError(f"horizon is {horizon!r}, but must be at least 1")
        if context is not None:
            return random_walk(as_matrix(context), horizon)
        forecasts = [random_walk(y, horizon) for y in self.series_]
        return forecasts if self.many_ else forecasts[0]


def as_matrix(y):
    """Return the series as floats of shape ``(T, C)``."""
    y = np.asarray(y, dtype=np.float64)
    if np.isinf(y).any():
        raise InvalidSeriesError("the series holds infinite values; replace them by NaN")
    return y[:, None] if y.ndim == 1 else y


def random_walk(y, horizon):
    """Return the forecast of a random walk that continues ``y``."""
    steps = np.diff(y, axis=0)
    return GaussianForecast.of_innovations(
        mean=np.repeat(y[-1:], horizon, axis=0),
        sigma=np.sqrt(np.mean(steps**2, axis=0)),
        psi=np.ones(horizon),
    )
