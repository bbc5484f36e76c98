"""What a fit leaves behind, in plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasha.autoar.panel import Scale
from dasha.types import FloatArray

if TYPE_CHECKING:
    from dasha.autoar.summary_set import SummarySet


@dataclass(frozen=True)
class Selection:
    """How a strategy weighed its candidates.

    Attributes:
        names: What each candidate is, ``N`` of them.
        errors: Mean squared error of every candidate on windows that it was not estimated on (the validation rows,
            and parts of the training rows that were left out in turn), over steps and channels, on the standardised
            scale, shape ``(N,)``.
        error: The same for the weighted mean.
        weights: Of every candidate in the forecast of every channel, shape ``(C_total, N)``.
        common: Weights for series that were not in the training data, shape ``(N,)``; per-channel candidates have 0.
    """

    names: tuple[str, ...]
    errors: FloatArray
    error: float
    weights: FloatArray
    common: FloatArray


@dataclass(frozen=True)
class FittedMaps:
    """Linear forecast maps on standardised levels, and the spread of their errors.

    Attributes:
        weights: Shape ``(G, H, K)``, newest value first; map 0 is for series that were not in the training data.
        bias: Shape ``(G, H)``.
        groups: Number of the map of every training channel, shape ``(C_total,)``.
        spread: Standard deviation of the errors per step, shape ``(1 + C_total, H)``; row 0 belongs to map 0.
        factor: Lower Cholesky factor of the correlation of the errors over the steps, shape ``(H, H)``.
        selection: How the candidates were weighed.
    """

    weights: FloatArray
    bias: FloatArray
    groups: np.ndarray
    spread: FloatArray
    factor: FloatArray
    selection: Selection

    @property
    def context(self) -> int:
        """Number ``K`` of past values used."""
        return int(self.weights.shape[-1])


@dataclass(frozen=True)
class FittedAR:
    """Everything `dasha.autoar.AutoAR` learned, in plain arrays.

    Attributes:
        diff_order: Differencing order ``d``.
        coefficients: On ``d``-times differenced standardised data, shape ``(p,)``, lag 1 first.
        intercept: Of the same regression.
        criterion_path: Criterion of every lookback searched, shape ``(P+1,)``; empty when the lookback was given.
        count: Observations pooled in the final regression.
        jitter: Relative ridge the final regression needed; 0 unless lags are collinear to rounding.
        ratio: Residual over differenced standard deviation, pooled; gives the residual scale of unseen series.
        scales: Units of every training series, arrays ``(C,)``.
        tails: Last rows that a forecast needs (fewer if the series is shorter) of every training series, in its units,
            gaps filled.
        is_list: Whether a list of series was given, so that forecasts come as a list.
        maps: Forecast maps of the strategies other than the paper's; None where the auto-regression itself forecasts.
        summaries: Of all rows, training and validation, for updates; None where they were not kept.
    """

    diff_order: int
    coefficients: FloatArray
    intercept: float
    criterion_path: FloatArray
    count: int
    jitter: float
    ratio: float
    scales: list[Scale]
    tails: list[FloatArray]
    is_list: bool = False
    maps: FittedMaps | None = None
    summaries: SummarySet | None = None

    @property
    def is_constant(self) -> bool:
        """Whether no series varied, so that nothing was estimated."""
        return self.count == 0


@dataclass(frozen=True)
class RecordedSeries:
    """What ``mode="zero-shot"`` keeps of the series that `dasha.autoar.AutoAR` is given, and all that it keeps.

    Attributes:
        tails: Last ``max_lookback`` rows (fewer if the series is shorter) of every series, as they came.
        is_list: As in `FittedAR`.
    """

    tails: list[FloatArray]
    is_list: bool = False
