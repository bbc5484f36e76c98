"""A long gap-free stretch of a channel without its values: line sums of its differences of order 0, 1 and 2.

Sums of differences are kept beside those of levels, because getting them from the levels would cancel digits. Only the
levels at both ends are kept: their differences follow, and so do the differences across a seam.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasha.autoar.kpss import CRITICAL_VALUE, MAX_DIFF_ORDER, ROUNDING, kpss_lags, long_run_variance
from dasha.autoar.line_sums import LineSums, Run, detrended, join, lag_products, measure, products_around
from dasha.types import FloatArray

_ORDERS = range(MAX_DIFF_ORDER + 1)


@dataclass(frozen=True, eq=False)
class LongStretch:
    """Gap-free values of one channel, summed up.

    Attributes:
        orders: Sums of the levels, the differences and the second differences; all with ``K`` lags.
        head: First levels, ``K + 1`` of them (all, if there are fewer).
        tail: Last levels, as many.
    """

    orders: tuple[LineSums, ...]
    head: FloatArray
    tail: FloatArray

    @property
    def count(self) -> int:
        """Number of levels."""
        return self.orders[0].count

    @property
    def lags(self) -> int:
        """Number of lags ``K`` of the lag products."""
        return len(self.orders[0].products)

    def spread(self, reference: float) -> tuple[int, float, float]:
        """Count, mean and variance of the levels less a value near them."""
        sums = self.orders[0]
        drift = sums.total / sums.count
        around_level = products_around(self.run(0), sums.level)[0]
        return sums.count, sums.level - reference + drift, around_level / sums.count - drift**2

    def run(self, order: int) -> Run:
        """Sums and ends of the differences of an order."""
        return Run(self.orders[order], np.diff(self.head, n=order), np.diff(self.tail, n=order))

    def shortened(self, lags: int) -> LongStretch:
        """The same with fewer lags, for a stretch that no other will join."""
        orders = tuple(replace(sums, products=sums.products[:lags].copy()) for sums in self.orders)
        return LongStretch(orders, self.head[: lags + 1].copy(), self.tail[-lags - 1 :].copy())


def condensed(values: FloatArray, lags: int) -> LongStretch:
    """Sum up gap-free values, shape ``(n,)`` with ``n >= 1``."""
    orders = tuple(measure(np.diff(values, n=order), lags) for order in _ORDERS)
    return LongStretch(orders, values[: lags + 1].copy(), values[-lags - 1 :].copy())


def joined(first: LongStretch, second: LongStretch) -> LongStretch:
    """Sum up two stretches, the second right after the first; both with as many lags."""
    orders = []
    for order in _ORDERS:
        run = first.run(order)
        if order:
            across = np.diff(np.concatenate([first.tail[-order:], second.head[:order]]), n=order)
            run = join(run, Run(measure(across, first.lags), across, across))
        orders.append(join(run, second.run(order)).sums)
    edge = first.lags + 1
    head = first.head if len(first.head) == edge else np.concatenate([first.head, second.head])[:edge]
    tail = second.tail if len(second.tail) == edge else np.concatenate([first.tail, second.tail])[-edge:]
    return LongStretch(tuple(orders), head, tail)


@dataclass(frozen=True, eq=False)
class OpeningMoments:
    """What the moments of the windows of a stretch start from, as in `dasha.autoar.moments`.

    Attributes:
        count: Number of windows.
        total: Sum of their oldest values.
        products: ``sum y(t)·y(t+k)`` over the windows that start at ``t``, shape ``(L,)``.
        head: First ``L - 1`` values.
        tail: Last ``L - 1`` values.
    """

    count: int
    total: float
    products: FloatArray
    head: FloatArray
    tail: FloatArray


def opening_moments(stretch: LongStretch, length: int, *, diff_order: int, mean: float, std: float) -> OpeningMoments:
    """Opening moments of the standardised, differenced stretch.

    Args:
        stretch: More than ``length + diff_order`` levels, with at least ``length`` lags.
        length: Values per window ``L``.
        diff_order: Differencing order.
        mean: Subtracted from the levels.
        std: Divides them.
    """
    run = stretch.run(diff_order)
    level = 0.0 if diff_order else mean
    head, tail = (run.head[: length - 1] - level) / std, (run.tail[len(run.tail) - length + 1 :] - level) / std
    products = products_around(run, level)[:length] / std**2
    if length > 1:
        products[:-1] -= lag_products(tail, length - 1)
    sums = run.sums
    total = (sums.count * (sums.level - level) + sums.total) / std - tail.sum()
    return OpeningMoments(sums.count - length + 1, float(total), products, head, tail)


def rejects_stationarity(stretch: LongStretch, order: int) -> bool:
    """Whether KPSS around a trend rejects at 5 %, as `dasha.autoar.differencing.kpss_order` decides it.

    Residuals count as rounding by their root mean square; there, by the largest of them.
    """
    run = stretch.run(order)
    products = detrended(run)[0]
    largest = max(abs(run.sums.low), abs(run.sums.high))
    if products[0] <= run.sums.count * (ROUNDING * largest) ** 2:
        return False
    return kpss_statistic(stretch, order) > CRITICAL_VALUE


def kpss_statistic(stretch: LongStretch, order: int) -> float:
    """KPSS statistic of the differences of an order, as `dasha.autoar.differencing.kpss_statistic` defines it.

    Exact where the rule asks for fewer than ``K`` lags, or for all ``n - 1``. In between the variance is that of
    ``K - 1`` lags or, if smaller, that of partial sums without memory.
    """
    run = stretch.run(order)
    steps = run.sums.count
    products, squared_path = detrended(run)
    lags = kpss_lags(products, steps)
    used = min(lags, len(products) - 1)
    variance = long_run_variance(products, used)
    if used < lags:
        # (lags + 1)·variance is the sum of (P(t) - P(t-lags-1))² over the partial sums P, which are 0 outside: with all
        # lags twice the sum of their squares, and at most about that much before if they have no long memory.
        limit = 2 * squared_path / (lags + 1)
        variance = limit if lags == steps - 1 else min(variance, limit)
    return float(squared_path / (steps * variance))
