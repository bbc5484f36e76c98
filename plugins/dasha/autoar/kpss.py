"""What KPSS decides by, from lag products: shared by channels in memory and channels that were summed up."""

from __future__ import annotations

import numpy as np

from dasha.types import FloatArray

MAX_DIFF_ORDER = 2
# Of the statistic around a trend at 5 % (Kwiatkowski et al. 1992, table 1).
CRITICAL_VALUE = 0.146
# That share of stationary channels is beyond it.
LEVEL = 0.05
# Residuals of less than this times the largest value are nothing but rounding.
ROUNDING = 1e-12


def kpss_lags(products: FloatArray, steps: int) -> int:
    """Lags by the rule of Hobijn, Franses and Ooms (1998), at most ``steps - 1``.

    Args:
        products: ``sum_t e(t)·e(t-k)`` for the first lags ``k`` of the residuals, more than ``steps^(2/9)`` of them.
        steps: Number of residuals.
    """
    lag = np.arange(int(steps ** (2 / 9)) + 1)
    few = products[: len(lag)]
    with np.errstate(divide="ignore"):
        slope = 2 * (lag * few).sum() / (few[0] + 2 * few[1:].sum())
        return int(min(1.1447 * (slope**2 * steps) ** (1 / 3), steps - 1))


def long_run_variance(products: FloatArray, lags: int) -> float:
    """Variance with Bartlett weights, times the number of residuals; ``products`` as in `kpss_lags`."""
    weights = 1 - np.arange(1, lags + 1) / (lags + 1)
    return float(products[0] + 2 * (weights * products[1 : lags + 1]).sum())
