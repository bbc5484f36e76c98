"""Auto-AR's forecast as GluonTS asks for one: exact mean and quantiles, and paths correlated over the steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from gluonts.model.forecast import Forecast, Quantile, SampleForecast
from matplotlib.axes import Axes

from dasha.errors import InvalidArgumentError
from dasha.types import FloatArray, GaussianForecast


class AutoARForecast(Forecast):
    """Forecast of one series.

    Arrays have shape ``(prediction_length,)`` for a univariate target and ``(prediction_length, C)`` for a
    multivariate one. Innovations of different channels are independent, which is what aggregates assume as well.

    Args:
        joint: Forecast of the steps ``1 … lead_time + prediction_length`` of all channels, without other origins.
        start_date: Time of the first step after the lead time.
        lead_time: Steps that are left out.
        weights: Of the channels, shape ``(C,)``, if their weighted sum is what is forecast; None for all channels.
        item_id: Carried over.
        info: Carried over.
        num_samples: Paths in `samples`.
        seed: The same seed gives the same paths.
    """

    def __init__(
        self,
        joint: GaussianForecast,
        start_date: pd.Period,
        *,
        lead_time: int = 0,
        weights: FloatArray | None = None,
        item_id: Any = None,
        info: dict[str, Any] | None = None,
        num_samples: int = 100,
        seed: tuple[int, ...] = (0,),
    ) -> None:
        self.start_date = start_date
        self.lead_time = lead_time
        self.prediction_length = len(joint.mean) - lead_time
        self.item_id = item_id
        self.info = info
        self.num_samples = num_samples
        self._joint = joint
        self._weights = weights
        self._seed = seed

    def __repr__(self) -> str:
        """What is forecast, without the numbers."""
        what = f"item_id={self.item_id!r}, start_date={self.start_date}, prediction_length={self.prediction_length}"
        return f"AutoARForecast({what}, dim={self.dim()})"

    # ---- the distribution -------------------------------------------------------------------------------------------

    @cached_property
    def _marginal(self) -> GaussianForecast:
        """Distribution of every single value that is forecast, with a channel axis and the lead time."""
        if self._weights is None:
            return self._joint
        mean, variance = _sum(self._joint.mean, self._weights), _sum(self._joint.std**2, self._weights**2)
        return replace(self._joint, mean=mean[:, None], sigma=np.ones(1), spread=np.sqrt(variance)[:, None])

    def _cut(self, values: FloatArray) -> FloatArray:
        """Drop the lead time, and the channel axis where the host has none."""
        values = values[self.lead_time :]
        return values if self._weights is None else values[:, 0]

    @property
    def mean(self) -> FloatArray:
        """Expected values."""
        return self._cut(self._marginal.mean)

    @property
    def std(self) -> FloatArray:
        """Standard deviation of every value."""
        return self._cut(self._marginal.std)

    def quantile(self, q: float | str) -> FloatArray:
        """Exact quantile of every value.

        Args:
            q: Level strictly between 0 and 1, or its name: ``0.9``, ``"0.9"`` or ``"p90"``.

        Raises:
            InvalidArgumentError: If the level is not strictly between 0 and 1.
        """
        level = Quantile.parse(float(q) if isinstance(q, Real) else q).value
        return self._cut(self._marginal.quantile(level))

    @property
    def samples(self) -> FloatArray:
        """Paths, correlated over the steps as the model says, shape ``(num_samples, prediction_length, …)``."""
        return self._paths(self.num_samples)

    def to_sample_forecast(self, num_samples: int = 200) -> SampleForecast:
        """The same forecast as paths, for what takes nothing else.

        Args:
            num_samples: Number of paths, at least 1; equal numbers give equal paths.
        """
        return self._as_samples(self._paths(num_samples))

    def _paths(self, count: int) -> FloatArray:
        paths = self._joint.sample(count, np.random.default_rng(self._seed))[:, self.lead_time :]  # (N, H, C)
        return paths if self._weights is None else _sum(paths, self._weights)

    def _as_samples(self, paths: FloatArray) -> SampleForecast:
        return SampleForecast(samples=paths, start_date=self.start_date, item_id=self.item_id, info=self.info)

    # ---- channels ---------------------------------------------------------------------------------------------------

    def dim(self) -> int:
        """Number of channels that are forecast."""
        return self._joint.mean.shape[1] if self._weights is None else 1

    def copy_dim(self, dim: int) -> AutoARForecast:
        """Forecast of one channel; its paths are those of this channel here.

        Raises:
            InvalidArgumentError: If there is no such channel.
        """
        if not 0 <= dim < self.dim():
            raise InvalidArgumentError(f"dim is {dim!r}, but must be one of the channels 0 … {self.dim() - 1}")
        return self if self._weights is not None else self._weighted(np.eye(1, self.dim(), dim)[0])

    def copy_aggregate(self, agg_fun: Callable[..., Any]) -> Forecast:
        """Forecast of a function of the channels.

        Args:
            agg_fun: Called with an array and ``axis``, such as ``numpy.sum``.

        Returns:
            Exact for weighted sums, else `num_samples` aggregated paths.
        """
        if self._weights is not None:
            return self
        weights = _linear_weights(agg_fun, self.dim())
        return self._as_samples(agg_fun(self.samples, axis=2)) if weights is None else self._weighted(weights)

    def _weighted(self, weights: FloatArray) -> AutoARForecast:
        return AutoARForecast(
            self._joint,
            self.start_date,
            lead_time=self.lead_time,
            weights=weights,
            item_id=self.item_id,
            info=self.info,
            num_samples=self.num_samples,
            seed=self._seed,
        )

    # ---- times ------------------------------------------------------------------------------------------------------

    @property
    def mean_ts(self) -> pd.Series | pd.DataFrame:
        """`mean` with its times; a frame with a column per channel for a multivariate target."""
        return self._with_times(self.mean)

    def quantile_ts(self, q: float | str) -> pd.Series | pd.DataFrame:
        """`quantile` with its times, as in `mean_ts`."""
        return self._with_times(self.quantile(q))

    def _with_times(self, values: FloatArray) -> pd.Series | pd.DataFrame:
        return pd.Series(values, index=self.index) if values.ndim == 1 else pd.DataFrame(values, index=self.index)

    def plot(self, *, ax: Axes | None = None, name: str | None = None, **kwargs: Any) -> None:
        """Draw median and intervals as GluonTS does, channel by channel for a multivariate target.

        Args:
            ax: Where to draw; the current axes if None.
            name: Label of the median; the number of the channel is added to it.
            **kwargs: As in ``gluonts.model.Forecast.plot``.
        """
        if self._weights is not None:
            super().plot(ax=ax, name=name, **kwargs)
            return
        for dim in range(self.dim()):
            self.copy_dim(dim).plot(ax=ax, name=None if name is None else f"{name} {dim}", **kwargs)


def _sum(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted sum over the last axis; channels that do not count may be missing."""
    counts = weights != 0
    total: FloatArray = values[..., counts] @ weights[counts]
    return total


def _linear_weights(aggregate: Callable[..., Any], channels: int) -> FloatArray | None:
    """Weights of an aggregation that is a weighted sum, and None for any other."""
    trials = np.random.default_rng(0).standard_normal((4, channels))
    values = np.asarray(aggregate(np.vstack([np.eye(channels), trials]), axis=1), dtype=np.float64)
    weights = values[:channels]
    return weights if np.allclose(values[channels:], trials @ weights) else None
