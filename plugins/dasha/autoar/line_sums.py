"""Second-order sums of a run of values around a straight line; adjacent runs join without their values.

The sums are those of the residuals ``e(t) = y(t) - level - slope·s`` with ``s = t - (n-1)/2``, time from the centre of
the run. The line is the one of least squares but for rounding, and what rounding leaves is kept (``total``, ``tilt``),
so that every number is exact for the line stored. A join moves both runs to the line of the whole: residuals change
by a polynomial of first degree in ``s``, their lag products and partial sums by what `_moved` and `_moved_path` say.
Around a line nothing large cancels, neither with values far from zero nor with a steep trend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import convolve

from dasha.errors import InvalidSeriesError
from dasha.types import FloatArray

# Up to here sums of products are faster directly than by FFT.
_DIRECT = 32


@dataclass(frozen=True, eq=False)
class LineSums:
    """Sums of the residuals ``e`` of a run of ``n`` values around a line.

    Attributes:
        count: Number of values ``n``.
        level: Of the line at the centre of the run.
        slope: Of the line, per step.
        total: ``sum e``.
        tilt: ``sum s·e``.
        path: With the partial sums ``P(t) = e(0) + … + e(t)``: sums of ``P``, ``s·P``, ``s²·P`` and ``P²``, shape
            ``(4,)``.
        low: Smallest value; infinite without any.
        high: Largest value.
        products: ``sum e(t)·e(t+k)`` for ``k = 0 … K-1``, shape ``(K,)``.
    """

    count: int
    level: float
    slope: float
    total: float
    tilt: float
    path: FloatArray
    low: float
    high: float
    products: FloatArray


@dataclass(frozen=True, eq=False)
class Run:
    """Sums of a run, and its ends.

    Attributes:
        sums: Of the whole run, with ``K`` lags.
        head: First values, at least ``min(n, K-1)`` of them.
        tail: Last values, as many.
    """

    sums: LineSums
    head: FloatArray
    tail: FloatArray


def measure(values: FloatArray, lags: int) -> LineSums:
    """Sums of a run around its own line.

    Args:
        values: Shape ``(n,)``, no missing values.
        lags: Number of lags ``K``.

    Raises:
        InvalidSeriesError: If squares of the values are not finite.
    """
    count = len(values)
    if count == 0:
        return LineSums(0, 0.0, 0.0, 0.0, 0.0, np.zeros(4), np.inf, -np.inf, np.zeros(lags))
    time = np.arange(count) - (count - 1) / 2
    with np.errstate(over="ignore", invalid="ignore"):
        level = float(values.mean())
        centred = values - level
        slope = float(time @ centred) / _squares_of_time(count) if count > 1 else 0.0
        residuals = centred - slope * time
        partial = residuals.cumsum()
        path = np.array([partial.sum(), time @ partial, time**2 @ partial, partial @ partial])
        products = lag_products(residuals, lags)
    low, high = float(values.min()), float(values.max())
    sums = LineSums(count, level, slope, float(residuals.sum()), float(time @ residuals), path, low, high, products)
    return _checked(sums)


def join(first: Run, second: Run) -> Run:
    """Sums of two runs, the second right after the first.

    Args:
        first: Run with ``K`` lags.
        second: Run with as many.

    Returns:
        What `measure` gives for the values of both, to rounding.

    Raises:
        InvalidSeriesError: If squares of the values are not finite.
    """
    a, b = first.sums, second.sums
    if a.count == 0 or b.count == 0:
        return second if a.count == 0 else first
    count = a.count + b.count
    centre_a, centre_b = -b.count / 2, a.count / 2  # seen from the centre of both
    with np.errstate(over="ignore", invalid="ignore"):
        level, slope = _common_line(a, b)
        offset_a = _exact_offset(a.level, level, slope, centre_a)
        offset_b = _exact_offset(b.level, level, slope, centre_b)
        turn_a, turn_b = a.slope - slope, b.slope - slope
        total_a, tilt_a = _moved_totals(a, offset_a, turn_a)
        total_b, tilt_b = _moved_totals(b, offset_b, turn_b)
        path_a = _moved_path(a, offset_a, turn_a, start=0.0)
        path_b = _moved_path(b, offset_b, turn_b, start=total_a)
        products = _moved(first, offset_a, turn_a) + _moved(second, offset_b, turn_b)
        products[1:] += _products_across(first, second, level, slope)
    sums = LineSums(
        count,
        level,
        slope,
        total_a + total_b,
        tilt_a + tilt_b + centre_a * total_a + centre_b * total_b,
        _seen_from(path_a, centre_a) + _seen_from(path_b, centre_b),
        min(a.low, b.low),
        max(a.high, b.high),
        products,
    )
    edge = len(products) + 1
    head = first.head if len(first.head) < a.count else np.concatenate([first.head, second.head])[:edge]
    tail = second.tail if len(second.tail) < b.count else np.concatenate([first.tail, second.tail])[-edge:]
    return Run(_checked(sums), head, tail)


def products_around(run: Run, level: float) -> FloatArray:
    """Lag products ``sum (y(t) - level)·(y(t+k) - level)``, shape ``(K,)``."""
    return _moved(run, run.sums.level - level, run.sums.slope)


def detrended(run: Run) -> tuple[FloatArray, float]:
    """Lag products, shape ``(K,)``, and sum of squared partial sums around the line of least squares itself."""
    sums = run.sums
    offset, turn = -sums.total / sums.count, -sums.tilt / _squares_of_time(sums.count)
    return _moved(run, offset, turn), float(_moved_path(sums, offset, turn, start=0.0)[3])


def _squares_of_time(count: int) -> float:
    """``sum s²``."""
    return count * (count**2 - 1) / 12


def _fourth_powers_of_time(count: int) -> float:
    """``sum s⁴``."""
    return count * (count**2 - 1) * (3 * count**2 - 7) / 240


def _common_line(a: LineSums, b: LineSums) -> tuple[float, float]:
    """Level at the common centre and slope of the least squares of both runs."""
    count = a.count + b.count
    offset, turn = b.level - (a.level + a.slope * count / 2), b.slope - a.slope  # line of b less line of a
    total_b = b.total + b.count * offset
    total = a.total + total_b
    tilt = a.tilt - b.count / 2 * a.total + b.tilt + turn * _squares_of_time(b.count) + a.count / 2 * total_b
    return a.level + a.slope * (b.count / 2) + total / count, a.slope + tilt / _squares_of_time(count)


def _exact_offset(own: float, level: float, slope: float, centre: float) -> float:
    """``own - (level + slope·centre)`` without rounding on the way.

    The same error at every step would add up in the partial sums, and under a steep trend lose digits there.
    """
    if not (math.isfinite(own) and math.isfinite(level) and math.isfinite(slope)):
        return math.nan
    return float(Fraction(own) - Fraction(level) - Fraction(slope) * Fraction(centre))


def _moved_totals(sums: LineSums, offset: float, turn: float) -> tuple[float, float]:
    """``total`` and ``tilt`` of the residuals ``e + offset + turn·s``."""
    return sums.total + sums.count * offset, sums.tilt + turn * _squares_of_time(sums.count)


def _moved(run: Run, offset: float, turn: float) -> FloatArray:
    """Lag products of the residuals ``e + offset + turn·s``, shape ``(K,)``."""
    sums = run.sums
    size = len(sums.products)
    lag = np.arange(min(size, sums.count))
    first_total, first_tilt, last_total, last_tilt = _sums_of_the_ends(run, len(lag))
    # Of all residuals but the last k, and of all but the first k.
    left_total, left_tilt = sums.total - last_total, sums.tilt - last_tilt
    right_total, right_tilt = sums.total - first_total, sums.tilt - first_tilt
    cross = offset * (left_total + right_total) + turn * (left_tilt + right_tilt + lag * (left_total - right_total))
    pairs = (sums.count - lag).astype(np.float64)
    # Seen from the middle of each pair the pairs lie symmetrically around 0.
    own = pairs * offset**2 + turn**2 * pairs * ((pairs**2 - 1) / 12 - lag**2 / 4)
    products = sums.products.copy()
    products[: len(lag)] += cross + own
    return products


def _sums_of_the_ends(run: Run, size: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """``sum e`` and ``sum s·e`` over the first and over the last ``k = 0 … size-1`` residuals."""
    sums = run.sums
    inwards = (sums.count - 1) / 2 - np.arange(size - 1)
    first, last = run.head[: size - 1], run.tail[::-1][: size - 1]
    first, last = first - sums.level + sums.slope * inwards, last - sums.level - sums.slope * inwards
    terms = np.stack([first, -inwards * first, last, inwards * last])
    sums_of_k = np.pad(terms.cumsum(1), ((0, 0), (1, 0)))
    return sums_of_k[0], sums_of_k[1], sums_of_k[2], sums_of_k[3]


def _moved_path(sums: LineSums, offset: float, turn: float, *, start: float) -> FloatArray:
    """``path`` of the residuals ``e + offset + turn·s`` whose partial sums begin at ``start``."""
    # What is added to the partial sums: c0 + c1·s + c2·s².
    half, count = (sums.count - 1) / 2, sums.count
    c0, c1, c2 = start + (half + 1) * (offset - turn * half / 2), offset + turn / 2, turn / 2
    second, fourth = _squares_of_time(count), _fourth_powers_of_time(count)
    added = np.array([c0 * count + c2 * second, c1 * second, c0 * second + c2 * fourth])
    cross = c0 * sums.path[0] + c1 * sums.path[1] + c2 * sums.path[2]
    own = c0 * added[0] + c1 * added[1] + c2 * added[2]
    return np.append(sums.path[:3] + added, sums.path[3] + 2 * cross + own)


def _seen_from(path: FloatArray, centre: float) -> FloatArray:
    """``path`` of a run whose own centre lies at ``centre``."""
    zeroth, first, second, squares = path
    return np.array([zeroth, first + centre * zeroth, second + 2 * centre * first + centre**2 * zeroth, squares])


def _products_across(first: Run, second: Run, level: float, slope: float) -> FloatArray:
    """``sum e(t)·e(t+k)``, ``k = 1 … K-1``, over pairs with one value in each run."""
    size = len(first.sums.products) - 1
    before, after = first.tail[::-1][:size], second.head[:size]  # from the seam outwards
    seam = (first.sums.count - second.sums.count) / 2  # time half a step before the second run
    before = before - level - slope * (seam - 0.5 - np.arange(len(before)))
    after = after - level - slope * (seam + 0.5 + np.arange(len(after)))
    method = "direct" if min(len(before), len(after)) <= _DIRECT else "fft"
    products = np.zeros(size)
    if size:
        across = convolve(before, after, method=method)[:size]
        products[: len(across)] = across
    return products


def lag_products(values: FloatArray, lags: int) -> FloatArray:
    """``sum y(t)·y(t+k)`` for ``k = 0 … lags-1``, shape ``(lags,)``."""
    products = np.zeros(lags)
    known = min(lags, len(values))
    size = next_fast_len(len(values) + known, real=True)
    spectrum = rfft(values, size)
    products[:known] = irfft(spectrum.real**2 + spectrum.imag**2, size)[:known]
    products[0] = values @ values
    return products


def _checked(sums: LineSums) -> LineSums:
    if not (math.isfinite(sums.products[0]) and math.isfinite(sums.path[3])):
        raise InvalidSeriesError(
            f"a channel holds values from {sums.low:.3g} to {sums.high:.3g}, whose variance is not a finite number; "
            "rescale the series"
        )
    return sums
