"""Zero-shot forecasts: the batch equals one window at a time and the obvious loops; nothing but the window is used."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dasha.autoar import lattice
from dasha.autoar import windows as preparation
from dasha.autoar.seasonality import find_periods, fit_season
from dasha.autoar.zero_shot import ZeroShotResult, zero_shot_forecast
from dasha.errors import InvalidArgumentError

from .brute import autoregressive, recursion

TIME = np.arange(200)


def awkward(rng: np.random.Generator) -> np.ndarray:
    """Windows of 200 values, one of every kind."""
    noise = rng.standard_normal((8, 200))
    windows = [
        noise[0],
        noise[1].cumsum(),
        noise[2].cumsum().cumsum(),
        10 * np.sin(2 * math.pi * TIME / 24) + noise[3],
        1e9 + 1e-3 * noise[4],
        1e-12 * noise[5],
        rng.poisson(0.2, 200).astype(float),
        np.full(200, 7.5),
        3.0 + 0.25 * TIME,
        np.where(TIME == 150, -9999.0, 20 + noise[6]),
        np.where(TIME < 120, np.nan, noise[7]),
        np.where((TIME > 50) & (TIME < 60), np.nan, noise[7]),
        np.where(TIME > 195, np.nan, noise[6].cumsum()),
        np.where(TIME < 199, np.nan, 4.0),
        np.where(TIME < 198, np.nan, TIME),
        np.where(TIME < 195, np.nan, noise[0]),
        np.full(200, np.nan),
    ]
    return np.stack(windows)


def forecast(windows: np.ndarray, horizon: int = 30, **options: object) -> ZeroShotResult:
    return zero_shot_forecast(torch.from_numpy(np.atleast_2d(windows)), horizon, **options)  # type: ignore[arg-type]


def slow_burg(x: np.ndarray, max_order: int, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Reflection coefficients and residual powers of one window, from the residuals themselves."""
    forward, backward = x[1:], x[:-1]
    coefficients, power = np.zeros(max_order), [float((x**2).mean())]
    for order in range(max_order):
        free = 2 * (forward @ backward) / (forward @ forward + backward @ backward)
        k = free * len(forward) / (len(forward) + ridge * (1 - free**2))
        coefficients[order] = k
        power.append(power[-1] * (1 + k**2 - 2 * k * free))
        forward, backward = (forward - k * backward)[1:], (backward - k * forward)[:-1]
    return coefficients, np.array(power)


@pytest.mark.parametrize("ridge", [0.0, 3.0])
@pytest.mark.parametrize(("steps", "order"), [(300, 40), (41, 10), (9, 2), (4, 1)])
def test_reflections_equal_the_recursion_on_residuals(steps: int, order: int, ridge: float) -> None:
    rng = np.random.default_rng(steps)
    x = np.stack([rng.standard_normal(steps), rng.standard_normal(steps).cumsum(), autoregressive(rng, steps)])
    x -= x.mean(1, keepdims=True)
    coefficients, power = lattice.reflections(torch.from_numpy(x), order, ridge=ridge)
    for row in range(len(x)):
        wanted, wanted_power = slow_burg(x[row], order, ridge)
        np.testing.assert_allclose(coefficients[row].numpy(), wanted, atol=1e-10)
        np.testing.assert_allclose(power[row].numpy(), wanted_power, rtol=1e-8)


def test_lag_coefficients_solve_the_yule_walker_equations() -> None:
    """The autocorrelations that belong to the reflection coefficients, put into the explicit linear system."""
    reflection = torch.tensor([[0.7, -0.4, 0.2, 0.1]], dtype=torch.float64)
    for order in range(5):
        phi = lattice.lag_coefficients(reflection, torch.tensor([order]))[0].numpy()
        assert not phi[order:].any()
        _, psi = lattice.continue_windows(
            torch.zeros(1, 4, dtype=torch.float64), torch.from_numpy(phi)[None], torch.tensor([order]), 400
        )
        response = psi[0].numpy()
        covariance = np.array([response[: 400 - d] @ response[d:] for d in range(5)])
        toeplitz = covariance[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
        np.testing.assert_allclose(toeplitz @ phi[:order], covariance[1 : order + 1], atol=1e-8)


def test_recursion_equals_the_loop() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 20))
    reflection, order = torch.from_numpy(rng.uniform(-0.9, 0.9, (5, 6))), torch.tensor([0, 1, 6, 3, 2])
    phi = lattice.lag_coefficients(reflection, order)
    path, psi = lattice.continue_windows(torch.from_numpy(x), phi, order, 15)
    for row in range(5):
        wanted = recursion(x[row], phi[row].numpy(), 0.0, 0, 15)
        np.testing.assert_allclose(path[row].numpy(), wanted, atol=1e-12)
        impulse = recursion(np.r_[np.zeros(19), 1.0], phi[row].numpy(), 0.0, 0, 14)
        np.testing.assert_allclose(psi[row].numpy(), np.r_[1.0, impulse], atol=1e-12)


@pytest.mark.parametrize("period", [7, 24, 50])
def test_season_equals_explicit_least_squares(period: int) -> None:
    rng = np.random.default_rng(period)
    steps, horizon, harmonics = 200, 60, min(period // 2, 10)
    x = np.sin(2 * math.pi * TIME / period) + autoregressive(rng, steps)
    time = np.arange(steps + horizon)
    columns = [f(2 * math.pi * j * time / period) for j in range(1, harmonics + 1) for f in (np.cos, np.sin)]
    basis = np.stack(columns, axis=1)
    if 2 * harmonics == period:
        basis = basis[:, :-1]
    design = np.column_stack([basis[1:steps] - 0.8 * basis[: steps - 1], np.ones(steps - 1)])
    target = x[1:] - 0.8 * x[:-1]
    solution, rss, _, _ = np.linalg.lstsq(design, target, rcond=None)
    variance = rss[0] / (len(target) - design.shape[1])
    t = solution / np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    for j in range(harmonics):
        pair = slice(2 * j, min(2 * j + 2, basis.shape[1]))
        solution[pair] *= max(0.0, 1 - 3 / float((t[pair] ** 2).sum()))
    wanted = basis @ solution[:-1]
    past, future, _ = fit_season(torch.from_numpy(x)[None], torch.tensor([period]), horizon)
    np.testing.assert_allclose(torch.cat([past, future], 1)[0].numpy(), wanted, atol=1e-10)


def slow_forecast(y: np.ndarray, horizon: int, period: int) -> np.ndarray:
    """Mean forecast of one gap-free window of moderate scale without outliers, step by step."""
    level, steps = y.mean(), len(y)
    past, future, unknowns = fit_season(torch.from_numpy(y - level)[None], torch.tensor([period]), horizon)
    rest = y - level - past[0].numpy()
    paths = []
    for order in (0, 1):
        x = np.diff(rest, n=order) - (rest.mean() if order == 0 else 0.0)
        limit = min(48, len(x) // 4)
        reflection, power = slow_burg(x, limit, 1.0)
        q = np.arange(limit + 1) + float(unknowns[0]) + 1
        lookback = int(np.argmin(len(x) * np.log(power) + 2 * q * len(x) / (len(x) - q - 1)))
        phi = lattice.lag_coefficients(torch.from_numpy(reflection)[None], torch.tensor([lookback]))[0].numpy()
        path = recursion(x, phi[:lookback], 0.0, 0, horizon)
        paths.append(rest[-1] + path.cumsum() if order else rest.mean() + path)
    running = rest.cumsum() / np.arange(1, steps + 1)
    product = square = 0.0
    for lead in np.linspace(steps / 10, steps / 2, 6).astype(int):
        origins = np.arange(steps // 5, steps - lead)
        now = rest[origins] - running[origins]
        product += (now * (rest[origins + lead] - running[origins])).mean()
        square += (now**2).mean()
    weight = np.clip(0.25 + 0.5 * product / square, 0, 1)
    return level + future[0].numpy() + (1 - weight) * paths[0] + weight * paths[1]


@pytest.mark.parametrize("row", [0, 1, 3])
def test_forecast_equals_the_obvious_way(row: int) -> None:
    y = awkward(np.random.default_rng(4))[row]
    result = forecast(y, 40)
    np.testing.assert_allclose(result.mean[0].numpy(), slow_forecast(y, 40, int(result.period[0])), atol=1e-8)


def test_batch_equals_one_window_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = awkward(np.random.default_rng(1))
    short = {"horizon": 10, "max_lookback": 9}
    together = forecast(windows, **short)
    for row, window in enumerate(windows):
        trimmed = window[np.argmax(~np.isnan(window)) :]
        for alone in [forecast(one, **short) for one in ([window, trimmed] if len(trimmed) < 200 else [window])]:
            for name in ("mean", "std", "psi", "weights"):
                ours, single = getattr(together, name)[row].numpy(), getattr(alone, name)[0].numpy()
                scale = np.nanmax(np.abs(single), initial=0.0)
                np.testing.assert_allclose(ours, single, rtol=1e-7, atol=1e-9 * scale, err_msg=f"{name} {row}")
            assert int(together.period[row]) == int(alone.period[0])
            assert together.lookbacks[row].tolist() == alone.lookbacks[0].tolist()
    monkeypatch.setitem(preparation._CHUNK_ELEMENTS, "cpu", 500)
    np.testing.assert_allclose(forecast(windows, **short).mean.numpy(), together.mean.numpy(), rtol=1e-7, atol=1e-12)


def test_nothing_but_the_window_is_used() -> None:
    rng = np.random.default_rng(2)
    series = 5 * np.sin(2 * math.pi * np.arange(400) / 12) + autoregressive(rng, 400)
    changed = series.copy()
    changed[200:] = 1e6 * rng.standard_normal(200)
    before = torch.from_numpy(series).unfold(0, 150, 10)[:5].clone()
    first = zero_shot_forecast(torch.from_numpy(series).unfold(0, 150, 10)[:6], 20)
    second = zero_shot_forecast(torch.from_numpy(changed).unfold(0, 150, 10)[:6], 20)
    assert torch.equal(first.mean, second.mean)
    assert torch.equal(first.std, second.std)
    # Other windows of the batch, whatever they hold, change nothing either; the caller's values stay as they are.
    others = torch.cat([before, torch.full((1, 150), 1e12, dtype=torch.float64)])
    np.testing.assert_allclose(zero_shot_forecast(others, 20).mean[:5], first.mean[:5], rtol=1e-9, atol=1e-9)
    assert torch.equal(others[:5], before)


@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e8, 0.0), (-3.0, 0.0), (2.0, 100.0)])
def test_equivariant(scale: float, shift: float) -> None:
    windows = awkward(np.random.default_rng(3))[[0, 1, 2, 3, 6, 9, 10, 11]]
    plain, moved = forecast(windows), forecast(scale * windows + shift)
    reference = np.abs(plain.mean.numpy()).max(1, keepdims=True) * abs(scale) + abs(shift)
    difference = moved.mean.numpy() - (scale * plain.mean.numpy() + shift)
    assert (np.abs(difference) / reference).max() < 1e-7
    np.testing.assert_allclose(moved.sigma.numpy(), abs(scale) * plain.sigma.numpy(), rtol=1e-6)


@pytest.mark.parametrize("diff_order", ["auto", 0, 1, 2])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 11, 12, 24])
def test_short_windows(length: int, diff_order: str | int) -> None:
    windows = np.stack([np.random.default_rng(length).standard_normal(length), np.full(length, 2.0)])
    result = forecast(windows, 7, diff_order=diff_order)
    assert torch.isfinite(result.mean).all()
    assert torch.isfinite(result.std).all()
    np.testing.assert_allclose(result.mean[1].numpy(), 2.0)
    assert not result.std[1].any()


def test_awkward_windows_stay_sane() -> None:
    windows = awkward(np.random.default_rng(5))
    result = forecast(windows, 720)
    mean, std = result.mean.numpy(), result.std.numpy()
    assert np.isnan(mean[-1]).all()
    assert np.isnan(std[-1]).all()
    assert np.isfinite(mean[:-1]).all()
    assert np.isfinite(std[:-1]).all()
    np.testing.assert_allclose(mean[7], 7.5)
    assert (np.abs(mean[9] - 20) < 20).all(), "one sentinel does not carry the forecast away"
    assert (mean[8, :20] > 52).all(), "a straight line is continued at first"
    assert (np.abs(mean[8]) < 400).all()


def test_no_window_at_all() -> None:
    assert zero_shot_forecast(torch.zeros(0, 10), 4).mean.shape == (0, 4)


def test_single_precision_is_computed_in_double() -> None:
    windows = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    result = zero_shot_forecast(windows, 4)
    assert result.mean.dtype == torch.float64
    np.testing.assert_array_equal(result.mean, zero_shot_forecast(windows.double(), 4).mean)


def simulate(rng: np.random.Generator, count: int, steps: int, coefficients: tuple[float, ...]) -> np.ndarray:
    """Sample paths ``(count, steps)`` after a burn-in."""
    values = rng.standard_normal((count, steps + 100))
    for t in range(len(coefficients), steps + 100):
        values[:, t] += sum(phi * values[:, t - 1 - i] for i, phi in enumerate(coefficients))
    return values[:, 100:]


def test_second_order_process_is_forecast_nearly_as_well_as_possible() -> None:
    series = simulate(np.random.default_rng(6), 200, 430, (1.2, -0.5))
    past, future = series[:, :400], series[:, 400:]
    result = forecast(past, 30, diff_order=0)
    best = np.stack([recursion(row, np.array([1.2, -0.5]), 0.0, 0, 30) for row in past])
    errors, least = ((result.mean.numpy() - future) ** 2).mean(), ((best - future) ** 2).mean()
    assert errors < 1.05 * least
    assert ((forecast(past, 30).mean.numpy() - future) ** 2).mean() < 1.3 * least
    assert float((result.lookback >= 2).double().mean()) > 0.98
    assert float((result.lookback <= 5).double().mean()) > 0.8


@pytest.mark.parametrize("period", [17, 24])
def test_season_is_found_and_continued(period: int) -> None:
    rng = np.random.default_rng(7)
    time = np.arange(500)
    shape = rng.standard_normal((200, 3, 2)) * np.array([2.0, 1.0, 0.5])[:, None]
    angle = 2 * math.pi * np.arange(1, 4)[:, None] * time / period
    season = (shape[:, :, :1] * np.cos(angle) + shape[:, :, 1:] * np.sin(angle)).sum(1)
    series = season + simulate(rng, 200, 500, (0.5,))
    result = forecast(series[:, :400], 100)
    assert float((result.period == period).double().mean()) > 0.9
    errors = ((result.mean.numpy() - series[:, 400:]) ** 2).mean()
    assert errors < 1.2 * ((season - series)[:, 400:] ** 2).mean()


def test_noise_has_no_season() -> None:
    x = torch.randn(300, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    past, _, _ = fit_season(x, find_periods(x), 1)
    assert float(past.square().mean() / x.square().mean()) < 0.1


def test_spread_covers_what_it_says() -> None:
    series = simulate(np.random.default_rng(8), 400, 430, (1.2, -0.5))
    result = forecast(series[:, :400], 30, diff_order=0)
    inside = np.abs(series[:, 400:] - result.mean.numpy()) < 1.2816 * result.std.numpy()
    assert abs(inside[:, 0].mean() - 0.8) < 0.06
    assert abs(inside.mean() - 0.8) < 0.04
    walk = np.random.default_rng(9).standard_normal((400, 330)).cumsum(1)
    wandering = forecast(walk[:, :300], 30, diff_order=1)
    inside = np.abs(walk[:, 300:] - wandering.mean.numpy()) < 1.2816 * wandering.std.numpy()
    assert abs(inside.mean() - 0.8) < 0.06


def test_second_differences_follow_a_curve() -> None:
    window = np.arange(60.0) ** 2
    assert forecast(window, 1, diff_order=2).mean[0, 0] == pytest.approx(3600, rel=1e-3)
    assert int(forecast(window, 1, diff_order=2).diff_order[0]) == 2


@pytest.mark.gpu
def test_gpu_equals_cpu() -> None:
    windows = torch.from_numpy(awkward(np.random.default_rng(10)))
    ours, theirs = zero_shot_forecast(windows.cuda(), 20), zero_shot_forecast(windows, 20)
    assert ours.mean.device.type == "cuda"
    np.testing.assert_allclose(ours.mean.cpu(), theirs.mean, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "aic"}, "criterion is 'aic'"),
        ({"diff_order": 3}, "diff_order is 3"),
        ({"diff_order": True}, "diff_order is True"),
        ({"ridge": -1.0}, r"ridge is -1\.0"),
        ({"ridge": math.nan}, "ridge is nan"),
        ({"ridge": math.inf}, "ridge is inf"),
        ({"max_lookback": -1}, "max_lookback is -1"),
        ({"horizon": 0}, "horizon is 0"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        forecast(np.zeros((1, 5)), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (torch.zeros(5), r"shape \(5,\)"),
        (torch.zeros(2, 0), r"shape \(2, 0\)"),
        (torch.zeros(2, 3, dtype=torch.int64), "torch.int64"),
        (torch.tensor([[1.0, math.inf]]), "infinite"),
    ],
)
def test_windows_are_checked(windows: torch.Tensor, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        zero_shot_forecast(windows, 3)
