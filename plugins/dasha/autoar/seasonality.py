"""The season of every window: its period found in the window's spectrum, its shape by shrunken harmonics."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from dasha.autoar.lattice import lag_coefficients, reflections

# Lengths of days, weeks and years in common sampling steps; evidence for them counts half as much again.
CALENDAR_PERIODS = (4, 5, 7, 12, 24, 30, 48, 52, 60, 96, 144, 168, 288, 336)
_CALENDAR_ODDS = 1.5
_MIN_PERIOD = 3
_MIN_CYCLES = 3
_MAX_HARMONICS = 10
# Evidence, in natural logarithms, that a harmonic must bring along, and a period in all.
_HARMONIC_COST = 1.0
_PERIOD_COST = 3.0
# The same for the mean over many windows, and what the luck of a single one may add: of noise, one window in eight
# passes for seasonal, and of ten windows together hardly any.
_SHARED_COST = 1.0
_SPREAD_COST = 5.0
# A period whose evidence comes near that of its multiple is preferred: the multiple adds harmonics of noise.
_DIVISOR_SHARE = 0.95
_PADDING = 4
_FLOOR_BINS = 30
# Weight of the last value that the regression on harmonics takes off: halfway between levels and differences.
_WHITENING = 0.8
# Two real numbers per harmonic explain chi-square(2) of noise; one and a half times as much is not trusted.
_SHRINKAGE = 3.0


def find_periods(x: Tensor) -> Tensor:
    """Period of the season of every window, 0 for none.

    The window is whitened by an AR(2). For a harmonic whose power is ``r`` times the local floor of the spectrum, the
    log-likelihood gains ``r - 1 - ln r`` by an amplitude of its own; a period's evidence is the sum over its first 10
    harmonics, each less a cost. Of a period and its divisors with nearly the same evidence the shortest is taken.

    Args:
        x: Centred windows, shape ``(N, n)``, oldest first, no missing values.

    Returns:
        Shape ``(N,)``, int64, each 0 or in ``3 … n/3``.
    """
    longest = x.shape[1] // _MIN_CYCLES
    if longest < _MIN_PERIOD + 1:
        return torch.zeros(len(x), dtype=torch.int64, device=x.device)
    return _likeliest(period_evidence(_whitened(x), longest), cost=_PERIOD_COST)


def common_period(windows: Iterable[Tensor]) -> int:
    """Period that windows of one length share, by the mean of their evidence; 0 for none.

    Args:
        windows: In pieces of shape ``(N, n)``, oldest first, no missing values.
    """
    total, count = torch.zeros(()), 0
    for piece in windows:
        longest = piece.shape[1] // _MIN_CYCLES
        if longest > _MIN_PERIOD:
            centred = piece - piece.mean(1, keepdim=True)
            total = total + period_evidence(_whitened(centred), longest).sum(0)
            count += len(piece)
    if not count:
        return 0
    return int(_likeliest((total / count)[None], cost=_SHARED_COST + _SPREAD_COST / math.sqrt(count)))


def _likeliest(evidence: Tensor, *, cost: float) -> Tensor:
    """Period for every row of the evidence for ``3 … P``, shape ``(N, P - 2)``; 0 where none has more than its cost."""
    longest = evidence.shape[1] + _MIN_PERIOD - 1
    periods = torch.arange(_MIN_PERIOD, longest + 1, device=evidence.device)
    is_calendar = torch.isin(periods, torch.tensor(CALENDAR_PERIODS, device=evidence.device))
    evidence = torch.where(is_calendar, _CALENDAR_ODDS, 1.0) * evidence
    best, index = evidence.max(1)
    period = _MIN_PERIOD + index
    chosen = period
    for parts in range(2, longest // _MIN_PERIOD + 1):
        shorter = period // parts
        is_divisor = (shorter * parts == period) & (shorter >= _MIN_PERIOD)
        share = evidence.gather(1, (shorter - _MIN_PERIOD).clamp(min=0)[:, None])[:, 0]
        chosen = torch.where(is_divisor & (share >= _DIVISOR_SHARE * best), shorter, chosen)
    return torch.where(best > cost, chosen, 0)


def _whitened(x: Tensor) -> Tensor:
    order = 2
    reflection, _ = reflections(x, order)
    phi = lag_coefficients(reflection, torch.full((len(x),), order, device=x.device))
    return x[:, 2:] - phi[:, :1] * x[:, 1:-1] - phi[:, 1:] * x[:, :-2]


def period_evidence(x: Tensor, longest: int) -> Tensor:
    """Evidence for every period ``3 … longest``, shape ``(N, longest - 2)``, from whitened windows ``(N, n)``."""
    steps = x.shape[1]
    size = _PADDING * 2 ** math.ceil(math.log2(steps))
    power = torch.fft.rfft(x - x.mean(1, keepdim=True), size).abs().square()  # (N, size/2 + 1)
    floor = _floor(power[:, _PADDING::_PADDING])
    periods = torch.arange(_MIN_PERIOD, longest + 1, device=x.device)
    harmonics = torch.arange(1, _MAX_HARMONICS + 1, device=x.device)
    position = harmonics * (size / periods[:, None].to(x.dtype))  # (periods, harmonics)
    is_harmonic = harmonics <= periods[:, None] // 2
    bins = position.round().long().clamp(max=size // 2)
    # Bin b of the padded spectrum lies in bin b/padding of the floor, which leaves frequency 0 out.
    coarse = (bins // _PADDING - 1).clamp(0, floor.shape[1] - 1)
    ratio = power[:, bins] / floor[:, coarse]
    gain = (ratio - 1.0 - ratio.clamp(min=1.0).log() - _HARMONIC_COST).clamp(min=0.0)
    return torch.where(is_harmonic, gain, 0.0).sum(-1)


def _floor(power: Tensor) -> Tensor:
    """Running median of a spectrum ``(N, F)``, scaled to the mean of an exponential distribution."""
    reach = min(_FLOOR_BINS, (power.shape[1] - 1) // 2)
    hop = max(1, reach // 2)
    padded = torch.nn.functional.pad(power[:, None], (reach, reach), mode="reflect")[:, 0] if reach else power
    medians = padded.unfold(1, 2 * reach + 1, hop).median(-1).values / math.log(2.0)
    nearest = ((torch.arange(power.shape[1], device=power.device) + hop // 2) // hop).clamp(max=medians.shape[1] - 1)
    return medians[:, nearest].clamp(min=1e-24)


def fit_season(x: Tensor, periods: Tensor, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
    """Regress every window on the harmonics of its period and continue them.

    Least squares of ``x(t) - 0.8·x(t-1)`` on a constant and on equally filtered sines and cosines; then each harmonic
    is multiplied by the positive part of ``1 - 3/chi2`` (after James and Stein), where ``chi2`` is the sum of the
    squared t-ratios of its two coefficients.

    Args:
        x: Centred windows, shape ``(N, n)``, oldest first, no missing values.
        periods: Shape ``(N,)``; 0 for no season.
        horizon: Steps ``H`` to continue.

    Returns:
        Season of the window ``(N, n)``, of the steps after it ``(N, H)``, and the effective number of coefficients
        ``(N,)``.
    """
    past, future = torch.zeros_like(x), x.new_zeros(len(x), horizon)
    unknowns = x.new_zeros(len(x))
    for period in torch.unique(periods[periods > 0]).tolist():
        rows = torch.nonzero(periods == period)[:, 0]
        basis = harmonics(period, x.shape[1] + horizon, x)
        coefficients, unknowns[rows] = _shrunken_harmonics(x[rows], basis[: x.shape[1]])
        season = coefficients @ basis.T
        past[rows], future[rows] = season[:, : x.shape[1]], season[:, x.shape[1] :]
    return past, future, unknowns


def harmonics(period: int, steps: int, like: Tensor, *, most: int = _MAX_HARMONICS) -> Tensor:
    """Cosines and sines of a season in turn, from step 0 on; the sine of frequency 1/2 is zero and stays so.

    Args:
        period: Steps in the season.
        steps: Steps ``n``.
        like: Of what type and where.
        most: Harmonics at most, of which there are 10 and half as many as steps in the season at most.

    Returns:
        Shape ``(n, 2·J)`` for ``J`` harmonics.
    """
    harmonic = torch.arange(1, min(period // 2, most, _MAX_HARMONICS) + 1, device=like.device)
    # Whole numbers first: the phase stays exact however long the season is continued.
    turns = torch.arange(steps, device=like.device)[:, None] * harmonic % period
    angle = turns.to(like.dtype) * (2.0 * math.pi / period)
    sine = torch.where(2 * harmonic == period, 0.0, angle.sin())
    return torch.stack([angle.cos(), sine], dim=-1).flatten(1)


def _shrunken_harmonics(x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    steps = x.shape[1]
    design = torch.cat([basis[1:] - _WHITENING * basis[:-1], basis.new_ones(steps - 1, 1)], dim=1)
    target = x[:, 1:] - _WHITENING * x[:, :-1]
    gram = design.T @ design
    empty = gram.diagonal() == 0
    covariance = torch.linalg.inv(gram + torch.diag(empty.to(gram.dtype)))
    solution = target @ design @ covariance
    residuals = target - solution @ design.T
    room = max(steps - 1 - design.shape[1] + int(empty.sum()), 1)
    variance = (residuals**2).sum(1) / room
    pairs = solution[:, :-1].reshape(len(x), -1, 2)
    chi2 = (pairs**2 / covariance.diagonal()[:-1].reshape(-1, 2)).sum(-1) / variance.clamp(min=1e-24)[:, None]
    kept = (1.0 - _SHRINKAGE / chi2.clamp(min=1e-24)).clamp(min=0.0)  # (N, J)
    return (pairs * kept[:, :, None]).flatten(1), 2.0 * kept.sum(1)
