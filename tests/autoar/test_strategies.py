from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from dasha.autoar import AutoAR, AutoARConfig
from dasha.autoar.direct import direct_regression
from dasha.autoar.forecast import extend_errors, extend_maps
from dasha.autoar.harmonics import harmonic_maps
from dasha.autoar.moments import ChannelMoments, channel_moments, window_moments
from dasha.autoar.panel import Panel
from dasha.autoar.plan import Plan
from dasha.autoar.smoothing import season_of, smoothing_map
from dasha.autoar.stacking import error_covariance, error_products, simplex_weights, stacked_weights
from dasha.autoar.training import TrainingData
from dasha.autoar.weighing import folds
from dasha.errors import InvalidArgumentError, SeriesTooShortError, ValidationTooShortError

from .brute import autoregressive, block, explicit_windows

RNG = np.random.default_rng(11)
STRATEGIES = [
    ("recursive", "channel"),
    *itertools.product(["direct"], ["pooled", "channel"]),
    *itertools.product(["average", "auto"], ["pooled", "channel", "both"]),
]


def seasonal(rng: np.random.Generator, steps: int, period: int = 12, level: float = 0.0) -> np.ndarray:
    """A season, a slow wandering level and noise."""
    season = np.sin(np.arange(steps) * 2 * np.pi / period + rng.uniform(0, 6))
    return level + season + 0.05 * np.cumsum(rng.standard_normal(steps)) + 0.3 * rng.standard_normal(steps)


def channels_of(rng: np.random.Generator, steps: int = 300, channels: int = 3) -> np.ndarray:
    return np.column_stack([seasonal(rng, steps, level=10.0 * c) for c in range(channels)])


# ---- exponential smoothing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("season", "context", "horizon"), [(1, 1, 3), (1, 9, 2), (4, 4, 9), (4, 11, 5), (12, 30, 25)])
@pytest.mark.parametrize("smoothing", [0.1, 0.7])
def test_smoothing_repeats_the_mean_of_every_place_in_the_season(
    season: int, context: int, horizon: int, smoothing: float
) -> None:
    past = np.random.default_rng(0).standard_normal(context)  # oldest first
    wanted = []
    for step in range(horizon):
        place = [value for index, value in enumerate(past) if (context + step - index) % season == 0]
        shares = (1 - smoothing) ** np.arange(len(place))[::-1]
        wanted.append(np.average(place, weights=shares))
    found = smoothing_map(smoothing, season, horizon=horizon, context=context).numpy() @ past[::-1]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def whole_panel(series: list[np.ndarray]) -> tuple[TrainingData, Panel]:
    panel = Panel([one.astype(float) for one in series], list(range(len(series) + 1)))
    ones = np.ones(len(series))
    return TrainingData(panel, list(range(len(series))), 0 * ones, ones, torch.device("cpu")), panel


def test_many_series_show_a_season_that_none_of_them_shows_alone() -> None:
    rng = np.random.default_rng(5)
    series = [0.8 * np.sin(np.arange(60) * np.pi / 6 + n) + rng.standard_normal(60) for n in range(300)]
    assert season_of(*whole_panel(series), 20) == 12
    assert season_of(*whole_panel(series), 11) == 1  # no context holds it
    alone = [season_of(*whole_panel([one]), 20) for one in series]
    assert sum(found == 12 for found in alone) < 150


@pytest.mark.parametrize(("count", "steps"), [(1, 60), (7, 512), (300, 60)])
def test_noise_has_no_season(count: int, steps: int) -> None:
    rng = np.random.default_rng(6)
    found = [
        season_of(*whole_panel([rng.standard_normal(steps).cumsum() for _ in range(count)]), 200) for _ in range(12)
    ]
    assert sum(season > 1 for season in found) <= 3


def test_season_of_awkward_series() -> None:
    hours = np.arange(600.0)
    day = np.sin(hours * np.pi / 12) + 0.1 * np.random.default_rng(7).standard_normal(600)
    gappy = day.copy()
    gappy[100:140] = np.nan
    late, lone = day.copy(), day.copy()
    late[:150], lone[-512:-500] = np.nan, np.nan
    assert season_of(*whole_panel([day, gappy, late, lone, day[:400], np.zeros(600), day[:3]]), 100) == 24
    assert season_of(*whole_panel([late]), 100) == season_of(*whole_panel([lone]), 100) == 24
    for none in ([np.zeros(200)], [np.arange(3.0)], [np.full(50, np.nan)], [np.arange(1.0)] * 4):
        assert season_of(*whole_panel(none), 50) == 1


def test_auto_smooths_over_the_season() -> None:
    rng = np.random.default_rng(8)
    season = 3 * rng.standard_normal(12)
    series = [np.tile(season, 5) + rng.standard_normal(60) + 10 * n for n in range(40)]
    known, actual = [one[:-12] for one in series], np.array([one[-12:] for one in series])
    auto, average = (AutoAR(strategy=strategy, horizon=12).fit(known) for strategy in ("auto", "average"))
    smoothing = [index for index, name in enumerate(auto.selection_.names) if name.startswith("smoothing")]
    assert {auto.selection_.names[index].partition(", ")[2] for index in smoothing} == {"season 12"}
    assert auto.selection_.weights[:, smoothing].sum(1).mean() > 0.2
    errors = [
        np.square(actual - [forecast.mean[:, 0] for forecast in model.predict(12)]).mean() for model in (auto, average)
    ]
    assert errors[0] < 0.9 * errors[1]
    assert not [name for name in average.selection_.names if name.startswith("smoothing")]


# ---- dynamic harmonic regression ------------------------------------------------------------------------------------


def harmonic_forecast(window: np.ndarray, season: int, horizon: int, coefficients: np.ndarray) -> np.ndarray:
    """Least squares on the window, oldest first, and a recursion on its residuals."""
    design = harmonic_design(season, len(window), horizon)
    solution = np.linalg.lstsq(design[: len(window)], window, rcond=None)[0]
    rest = list(window - design[: len(window)] @ solution)
    for _ in range(horizon):
        rest.append(float(np.dot(coefficients, rest[-1 : -len(coefficients) - 1 : -1])) if len(coefficients) else 0.0)
    return design[len(window) :] @ solution + rest[len(window) :]


def harmonic_design(season: int, context: int, horizon: int) -> np.ndarray:
    time = np.arange(context + horizon)
    most = min(season // 2, 10, max(0, (context // 4 - 1) // 2))
    waves = [wave(2 * np.pi * n * time / season) for n in range(1, most + 1) for wave in (np.cos, np.sin)]
    return np.column_stack([np.ones(len(time)), *waves]).round(12)  # no sine of frequency 1/2


@pytest.mark.parametrize(
    ("season", "context", "horizon"), [(1, 3, 2), (1, 40, 5), (4, 37, 9), (12, 48, 30), (12, 14, 3), (30, 250, 8)]
)
def test_harmonic_maps_equal_least_squares_and_yule_walker_on_every_window(
    season: int, context: int, horizon: int
) -> None:
    data = [seasonal(np.random.default_rng(n), 400, period=12, level=5.0 * n) for n in range(2)]
    levels = channel_moments(block(data), context + horizon)
    weights, bias = harmonic_maps(levels, season, horizon, criterion="bic")
    assert not bias.any()
    design = harmonic_design(season, context, horizon)[:context]
    projection = np.eye(context) - design @ np.linalg.pinv(design)
    lags = max(1, min(48, context // 4))
    for channel, series in enumerate(data):
        windows = explicit_windows([series], context + horizon)[:, ::-1][:, :context]
        rest = windows @ projection
        products = [(rest[:, lag:] * rest[:, : context - lag]).sum() / context for lag in range(lags + 1)]
        choices = []
        for lookback in range(lags + 1):
            system = [[products[abs(i - j)] for j in range(lookback)] for i in range(lookback)]
            right = products[1 : lookback + 1]
            own = np.linalg.solve(system, right) if lookback else np.zeros(0)
            power = (products[0] - np.dot(own, right)) / len(windows)
            choices.append((len(windows) * np.log(power) + np.log(len(windows)) * (lookback + 1), own))
        chosen = min(choices, key=lambda choice: choice[0])[1]
        for window in windows[:: len(windows) // 3]:
            found = weights[channel].numpy() @ window[::-1]
            np.testing.assert_allclose(found, harmonic_forecast(window, season, horizon, chosen), rtol=1e-7, atol=1e-7)


def test_harmonic_maps_continue_a_season_and_return_to_it() -> None:
    time = np.arange(700)
    day = 3.0 + np.sin(2 * np.pi * time / 24) + 0.5 * np.cos(2 * np.pi * 3 * time / 24)
    walk = day + np.random.default_rng(0).standard_normal(700).cumsum()
    weights, _ = harmonic_maps(channel_moments(block([day, walk]), 96 + 480), 24, 480, criterion="bic")
    assert torch.isfinite(weights).all()
    for one in weights:
        np.testing.assert_allclose(one.numpy() @ day[:96][::-1], day[96 : 96 + 480], atol=1e-8)
        assert one.abs().sum(1).max() < 10  # nothing explodes
        torch.testing.assert_close(one.sum(1), one.new_ones(480))  # a shift of the level shifts the forecast
    single, _ = harmonic_maps(channel_moments(block([walk]), 1 + 3), 24, 3, criterion="bic")
    torch.testing.assert_close(single, torch.ones_like(single))


def test_auto_has_harmonic_regressions_beside_auto_regressions_without_differencing() -> None:
    rng = np.random.default_rng(9)
    time = np.arange(2400)
    level = np.repeat(rng.uniform(-1.0, 1.0, 8), 300)
    data = np.column_stack([level + np.sin(np.pi * time / 6 + n) + rng.standard_normal(2400) for n in range(3)])

    def harmonic(model: AutoAR) -> list[int]:
        return [index for index, name in enumerate(model.selection_.names) if name.startswith("harmonic")]

    settings = {"horizon": 48, "max_lookback": 100}
    long = AutoAR(strategy="auto", **settings).fit(data)
    chosen = harmonic(long)
    assert [long.selection_.names[index] for index in chosen] == [
        "harmonic, pooled, season 12",
        "harmonic, per channel, season 12",
    ]
    assert long.selection_.weights[:, chosen].sum(1).min() > 0.05
    assert long.selection_.errors[chosen].max() < 1.1 * long.selection_.errors.min()
    assert not harmonic(AutoAR(strategy="auto", diff_order=1, **settings).fit(data))
    assert not harmonic(AutoAR(strategy="average", **settings).fit(data))


# ---- direct regression ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [1, 2, 9])
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_direct_maps_equal_an_explicit_ridge_regression(context: int, ridge: float) -> None:
    horizon = 4
    data = [seasonal(np.random.default_rng(n), 80) for n in range(2)]
    data[0][30] = np.nan
    windows = explicit_windows(data, context + horizon)
    future, past = windows[:, :horizon][:, ::-1], windows[:, horizon:]
    x, y = past[:, 1:] - past[:, :1], future - past[:, :1]
    centred = x - x.mean(0)
    covariance = centred.T @ centred / len(x)
    penalty = ridge * np.trace(covariance) / max(1, context - 1) * np.eye(context - 1)
    slopes = np.linalg.solve(covariance + penalty, centred.T @ (y - y.mean(0)) / len(x))
    wanted = past[:, :1] + y.mean(0) + centred @ slopes
    moments = window_moments([block(data)], context + horizon)
    weights, bias = direct_regression(moments, horizon).maps(torch.tensor([ridge], dtype=torch.float64))
    np.testing.assert_allclose(past @ weights[0].numpy().T + bias[0].numpy(), wanted, atol=1e-9)
    np.testing.assert_allclose(weights[0].sum(1).numpy(), 1.0, atol=1e-10)  # a shift of the level passes through


def test_direct_maps_of_channels_are_those_of_each_channel() -> None:
    y = block([seasonal(np.random.default_rng(n), 60 - 5 * n) for n in range(3)])
    ridges = torch.tensor([0.1, 1.0], dtype=torch.float64)
    weights, bias = direct_regression(channel_moments(y, 10), 3).maps(ridges)
    for channel in range(3):
        own_weights, own_bias = direct_regression(window_moments([y[channel : channel + 1]], 10), 3).maps(ridges)
        torch.testing.assert_close(weights[channel], own_weights)
        torch.testing.assert_close(bias[channel], own_bias)


# ---- weights --------------------------------------------------------------------------------------------------------


def random_maps(channels: int, count: int, horizon: int, context: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(5)
    weights = rng.standard_normal((channels, count, horizon, context))
    return torch.from_numpy(weights), torch.from_numpy(rng.standard_normal((channels, count, horizon)))


def explicit_errors(y: np.ndarray, weights: torch.Tensor, bias: torch.Tensor) -> np.ndarray:
    """Errors of the maps ``(N, H, K)`` on every gap-free window of one channel, shape ``(N, windows, H)``."""
    horizon, context = weights.shape[1:]
    windows = explicit_windows([y], horizon + context)
    return windows[:, :horizon][:, ::-1] - (
        windows[:, horizon:] @ weights.numpy().swapaxes(1, 2) + bias.numpy()[:, None]
    )


def test_error_moments_equal_explicit_errors() -> None:
    data = [seasonal(np.random.default_rng(n), 50 + n) for n in range(3)]
    data[1][20] = np.nan
    data[2] = data[2][:5]  # no window at all
    weights, bias = random_maps(3, 4, 3, 6)
    moments = channel_moments(block(data), 9)
    products = error_products(weights, bias, moments).numpy()
    covariance = error_covariance(weights[:, 1], bias[:, 1], moments).numpy()
    for channel in range(2):
        errors = explicit_errors(data[channel], weights[channel], bias[channel])
        np.testing.assert_allclose(
            products[channel], np.einsum("nwh,mwh->hnm", errors, errors) / errors.shape[1], atol=1e-9
        )
        np.testing.assert_allclose(covariance[channel], errors[1].T @ errors[1] / errors.shape[1], atol=1e-9)
    assert not products[2].any()
    shared = error_products(weights[:1], bias[:1], ChannelMoments(moments.count, moments.total, moments.gram)).numpy()
    np.testing.assert_allclose(shared[0], products[0], atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 6])
def test_simplex_weights_are_the_smallest_of_the_quadratic_form(size: int) -> None:
    for seed in range(5):
        errors = np.random.default_rng(seed).standard_normal((size + 3, size)) + 2.0
        products = errors.T @ errors
        ours = simplex_weights(products)
        assert ours.min() >= 0.0
        assert ours.sum() == pytest.approx(1.0)
        theirs = minimize(
            lambda w, q=products: w @ q @ w,
            np.full(size, 1 / size),
            jac=lambda w, q=products: 2 * q @ w,
            bounds=[(0, 1)] * size,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-12},
        )
        assert ours @ products @ ours <= theirs.fun * (1 + 1e-6)


def test_simplex_weights_of_perfect_and_of_equal_forecasts() -> None:
    assert simplex_weights(np.zeros((3, 3))).sum() == pytest.approx(1.0)
    np.testing.assert_allclose(simplex_weights(np.ones((2, 2)) + 1e-3 * np.eye(2)), 0.5, atol=1e-6)
    np.testing.assert_allclose(simplex_weights(np.diag([0.0, 1.0])), [1.0, 0.0], atol=1e-6)


def test_channels_with_few_windows_are_drawn_to_the_common_weights() -> None:
    good_first, good_second = np.diag([1.0, 9.0]), np.diag([9.0, 1.0])
    products = np.stack([good_first, good_first, good_first, good_second, good_second])
    even = np.array([0.5, 0.5])
    weights, common = stacked_weights(products, np.array([1e6, 30.0, 0.0, 1e6, 30.0]), even)
    np.testing.assert_array_equal(weights[2], common)
    assert weights[0][0] > weights[1][0] > common[0] > weights[4][0] > weights[3][0]
    np.testing.assert_allclose(weights[0], [0.9, 0.1], atol=0.01)


def test_few_windows_leave_the_weights_at_the_prior() -> None:
    products, prior = np.diag([1.0, 4.0, 1.0])[None], np.array([0.2, 0.5, 0.3])
    few = stacked_weights(products, np.array([1e-4]), prior)[1]
    many = stacked_weights(products, np.array([1e4]), prior)[1]
    np.testing.assert_allclose(few, prior, atol=1e-3)
    np.testing.assert_allclose(many, [4 / 9, 1 / 9, 4 / 9], atol=1e-2)


# ---- beyond the horizon ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reach", "context"), [(1, 1), (1, 4), (3, 2), (3, 7), (5, 5)])
def test_extended_maps_forecast_on_forecasts(reach: int, context: int) -> None:
    weights, bias = (0.5 * part[:, 0] for part in random_maps(2, 1, reach, context))
    longer, offsets = extend_maps(weights, bias, 11)
    for group in range(2):
        history = list(RNG.standard_normal(context))
        wanted: list[float] = []
        while len(wanted) < 11:
            newest_first = torch.tensor(list(reversed(history + wanted))[:context], dtype=torch.float64)
            wanted += (weights[group] @ newest_first + bias[group]).tolist()
        start = torch.tensor(list(reversed(history)), dtype=torch.float64)
        np.testing.assert_allclose((longer[group] @ start + offsets[group]).numpy(), wanted[:11], atol=1e-10)


def test_extended_errors_of_a_one_step_map_are_those_of_the_auto_regression() -> None:
    weights = torch.tensor([[0.5, 0.2, -0.1]], dtype=torch.float64)
    errors = extend_errors(weights, torch.tensor([[2.0]], dtype=torch.float64), 8).numpy()
    psi = [1.0]
    for _ in range(7):
        psi.append(sum(w * p for w, p in zip(weights[0].tolist(), reversed(psi[-3:]), strict=False)))
    for step in range(8):
        np.testing.assert_allclose(errors[step, : step + 1], 2.0 * np.array(psi[step::-1]), atol=1e-12)
        assert not errors[step, step + 1 :].any()


# ---- the fit --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("strategy", "pooling"), STRATEGIES)
def test_every_strategy_forecasts_awkward_series(strategy: str, pooling: str) -> None:
    rng = np.random.default_rng(3)
    wide = channels_of(rng, 150)
    wide[40:44, 1] = np.nan
    wide[:, 2] = 7.0  # constant
    series = [wide, np.column_stack([seasonal(rng, 70), seasonal(rng, 70), np.arange(70.0)]), channels_of(rng, 11)]
    model = AutoAR(strategy=strategy, pooling=pooling, horizon=6, max_lookback=24).fit(series)
    forecasts = model.predict(6)
    for forecast in forecasts:
        assert np.isfinite(forecast.mean).all()
        assert np.isfinite(forecast.std).all()
    np.testing.assert_allclose(forecasts[0].mean[:, 2], 7.0, atol=1e-9)
    assert not forecasts[0].std[:, 2].any()
    selection = model.selection_
    assert selection is not None
    np.testing.assert_allclose(selection.weights.sum(1), 1.0)
    np.testing.assert_allclose(selection.common.sum(), 1.0)
    local = ["per channel" in name for name in selection.names]
    assert not selection.common[local].any()
    assert any(local) == (pooling != "pooled")
    if pooling == "channel":
        assert not selection.weights[:, ~np.array(local)].any()
    longer = model.predict(20)
    np.testing.assert_allclose(longer[0].mean[:6], forecasts[0].mean, atol=1e-9)
    np.testing.assert_allclose(longer[0].std[:6], forecasts[0].std, atol=1e-9)
    assert np.isfinite(longer[1].sample(3, rng)).all()


@pytest.mark.parametrize("order", [0, 1, 2])
def test_recursive_per_channel_is_one_auto_regression_each(order: int) -> None:
    y = channels_of(np.random.default_rng(1), 200)
    settings = {"lookback": 5, "diff_order": order}
    together = AutoAR(**settings, strategy="recursive", pooling="channel", horizon=7).fit(y)
    for channel in range(3):
        alone = AutoAR(**settings).fit(y[:, channel]).predict(15)
        np.testing.assert_allclose(together.predict(15).mean[:, channel], alone.mean[:, 0], rtol=1e-7)


def of_unequal_lengths(lag: int = 40) -> list[np.ndarray]:
    """Five long series that repeat themselves after ``lag`` steps, and a shorter one that does not."""
    weights = [(0.0,) * (lag - 1) + (phi,) for phi in (0.95, -0.95, 0.95, -0.95, 0.95)]
    long = [autoregressive(np.random.default_rng(seed), 300, own) for seed, own in enumerate(weights)]
    return [*long, autoregressive(np.random.default_rng(9), 180, (0.5,))]


def test_recursive_per_channel_does_not_depend_on_other_series() -> None:
    series = of_unequal_lengths()
    settings = {"strategy": "recursive", "pooling": "channel", "diff_order": 0, "horizon": 12}
    alone, together = (AutoAR(**settings).fit(some) for some in (series[:5], series))
    assert alone.context_length_ == together.context_length_
    for one, other in zip(alone.predict(12), together.predict(12), strict=False):
        np.testing.assert_allclose(other.mean, one.mean, rtol=1e-7)


@pytest.mark.parametrize(("strategy", "pooling", "elements"), [("recursive", "channel", 17), ("auto", "both", 18)])
def test_the_order_of_series_does_not_matter(
    strategy: str, pooling: str, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasha.autoar.plan._CHUNK_ELEMENTS", 1 << elements)  # two or three channels at a time
    series, turns = of_unequal_lengths(), [4, 5, 0, 3, 1, 2]
    settings = {"strategy": strategy, "pooling": pooling, "diff_order": 0, "horizon": 12}
    forecasts = AutoAR(**settings).fit(series).predict(12)
    permuted = AutoAR(**settings).fit([series[turn] for turn in turns]).predict(12)
    for turn, forecast in zip(turns, permuted, strict=True):
        np.testing.assert_allclose(forecast.mean, forecasts[turn].mean, rtol=1e-6)
        np.testing.assert_allclose(forecast.std, forecasts[turn].std, rtol=1e-6)


def orders_of(model: AutoAR) -> dict[str, float]:
    """Largest weight of any channel, by differencing order."""
    assert model.selection_ is not None
    pairs = list(zip(model.selection_.names, model.selection_.weights.max(0).tolist(), strict=True))
    return {
        order: max(weight for name, weight in pairs if order in name)
        for order in ("d=0", "d=1", "d=2")
        if any(order in name for name, _ in pairs)
    }


@pytest.mark.parametrize(("strategy", "share"), [("recursive", 1.0), ("average", 0.25), ("auto", None)])
def test_one_differencing_is_tried_where_kpss_asks_for_two(strategy: str, share: float | None) -> None:
    rng = np.random.default_rng(4)
    whole = [seasonal(rng, 72) for _ in range(17)] + [rng.standard_normal(72).cumsum().cumsum() for _ in range(3)]
    pooling = "channel" if strategy == "recursive" else None

    def fitted(**settings: str | int) -> tuple[AutoAR, float]:
        model = AutoAR(strategy=strategy, pooling=pooling, horizon=12, **settings).fit([one[:-12] for one in whole])
        errors = [forecast.mean[:, 0] - one[-12:] for forecast, one in zip(model.predict(12), whole, strict=True)]
        return model, float(np.mean(np.abs(errors[:17])))

    model, error = fitted()
    assert model.diff_order_ == 2
    orders = orders_of(model)
    assert orders.keys() == {"d=1", "d=2"}
    if share is not None:
        assert orders == {"d=1": share, "d=2": 0.0}
        assert error < 0.7 * fitted(diff_order=2)[1]


@pytest.mark.parametrize(("strategy", "pooling"), [("recursive", "channel"), ("average", "both")])
@pytest.mark.parametrize("order", [0, 1])
def test_the_order_of_kpss_is_tried_alone_where_it_is_below_two(strategy: str, pooling: str, order: int) -> None:
    rng = np.random.default_rng(5)
    y = rng.standard_normal((120, 2))
    model = AutoAR(strategy=strategy, pooling=pooling, horizon=6).fit(y.cumsum(0) if order else y)
    assert model.diff_order_ == order
    assert orders_of(model).keys() == {f"d={order}"}


def test_direct_takes_the_ridge_with_the_smallest_validation_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dasha.autoar.strategies.folds", lambda plan, fitting: iter(()))
    train, validation = np.split(channels_of(np.random.default_rng(2), 260), [200])
    model = AutoAR(strategy="direct", horizon=5, max_lookback=16).fit(train, validation=validation)
    assert model.selection_ is not None
    mean, std = train.mean(0), train.std(0)
    before, both = (train - mean) / std, (np.vstack([train, validation]) - mean) / std
    context = model.context_length_
    fitted = window_moments([torch.from_numpy(before.T.copy())], context + 5)
    ridges = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64)
    weights, bias = direct_regression(fitted, 5).maps(ridges)
    scored = both[200 - context :]
    errors = np.mean([explicit_errors(scored[:, c], weights, bias) ** 2 for c in range(3)], axis=(0, 2, 3))
    np.testing.assert_allclose(model.selection_.errors, errors, rtol=1e-8)
    assert model.selection_.common.argmax() == errors.argmin()
    assert model.selection_.error == pytest.approx(errors.min())
    # The final map is estimated on everything.
    everything = window_moments([torch.from_numpy(both.T.copy())], context + 5)
    weights, bias = direct_regression(everything, 5).maps(ridges[[int(errors.argmin())]])
    wanted = both[: -context - 1 : -1].T @ weights[0].numpy().T + bias[0].numpy()
    np.testing.assert_allclose(model.predict(5).mean, wanted.T * std + mean, rtol=1e-8)


def test_folds_score_every_row_once_and_never_fit_on_it() -> None:
    config = AutoARConfig(strategy="auto", horizon=5)
    long, short = np.arange(100.0), np.arange(30.0)
    panel = Panel([long, short], [0, 1, 2])
    data = TrainingData(panel, [0, 1], np.zeros(2), np.ones(2), torch.device("cpu"))
    trials = list(folds(Plan(config, data, 10, []), panel))
    assert len(trials) == 3
    targets: list[float] = []
    for trial in trials:
        left_out = set(long[np.isnan(trial.fitting.channels[0])])
        assert left_out == set(trial.scored.channels[0][10:])
        assert len(left_out) == 30
        targets += sorted(left_out)
        np.testing.assert_array_equal(trial.fitting.channels[1], short)  # too short for three parts
        assert not len(trial.scored.channels[1])
    assert targets == list(range(10, 100))


def test_folds_leave_enough_to_estimate_on() -> None:
    def trials_of(length: int, context: int, channel: np.ndarray | None = None) -> int:
        panel = Panel([np.arange(float(length)) if channel is None else channel], [0, 1])
        data = TrainingData(panel, [0], np.zeros(1), np.ones(1), torch.device("cpu"))
        return len(list(folds(Plan(AutoARConfig(strategy="auto", horizon=5), data, context, []), panel)))

    assert trials_of(160, 40) == 3
    assert trials_of(159, 40) == 0  # a third of 119 rows is shorter than the context
    gaps = np.arange(400.0)
    gaps[200::20] = np.nan  # windows of a context are in the first half alone
    assert 0 < trials_of(400, 40, gaps) < 3


@pytest.mark.parametrize("strategy", ["auto", "direct", "average"])
@pytest.mark.parametrize(("count", "length", "horizon"), [(10, 400, 12), (10, 200, 1), (30, 120, 6), (40, 36, 1)])
def test_collections_of_equal_length(strategy: str, count: int, length: int, horizon: int) -> None:
    rng = np.random.default_rng(1)
    whole = [channels_of(rng, length + horizon, channels=1) for _ in range(count)]
    model = AutoAR(strategy=strategy, horizon=horizon).fit([series[:-horizon] for series in whole])
    forecasts = model.predict(horizon)
    errors = np.array([one.mean - series[-horizon:] for one, series in zip(forecasts, whole, strict=True)])
    spread = float(np.mean([one.std**2 for one in forecasts])) ** 0.5
    assert 0.6 < float((errors**2).mean()) ** 0.5 / spread < 1.5


@pytest.mark.parametrize("strategy", ["recursive", "auto"])
def test_one_long_series_does_not_decide_for_many_short_ones(strategy: str) -> None:
    rng = np.random.default_rng(2)
    whole = [channels_of(rng, length + 12, channels=1) for length in (*[60] * 20, 4000)]
    mean_errors = []
    for part in (whole, whole[:-1]):
        model = AutoAR(strategy=strategy, horizon=12, max_lookback=100).fit([series[:-12] for series in part])
        assert model.lookback_ < 60
        forecasts = model.predict(12)[:20]
        errors = [one.mean - series[-12:] for one, series in zip(forecasts, part, strict=False)]
        mean_errors.append(float(np.mean(np.square(errors))))
    assert mean_errors[0] < 1.3 * mean_errors[1]


@pytest.mark.parametrize("strategy", ["recursive", "auto"])
def test_series_too_short_to_teach_anything_have_no_say(strategy: str) -> None:
    rng = np.random.default_rng(2)
    long = [channels_of(rng, 365, channels=1) for _ in range(10)]
    tiny = [channels_of(rng, 3, channels=1) for _ in range(11)]

    def fitted(series: list[np.ndarray]) -> AutoAR:
        return AutoAR(strategy=strategy, horizon=28, diff_order=1).fit(series)

    assert fitted(long + tiny).lookback_ == fitted(long).lookback_ > 5
    assert fitted(long + tiny).context_length_ == fitted(long).context_length_


@pytest.mark.parametrize("strategy", ["auto", "direct", "average"])
@pytest.mark.parametrize("length", [25, 26, 36, 48, 49, 50])
def test_a_majority_about_as_long_as_the_horizon(strategy: str, length: int) -> None:
    rng = np.random.default_rng(3)
    series = [channels_of(rng, steps, channels=1) for steps in [200] * 8 + [length] * 10]
    model = AutoAR(strategy=strategy, horizon=24).fit(series)
    assert model.context_length_ >= 10
    assert all(np.isfinite(one.mean).all() for one in model.predict(24))


def test_channels_that_are_observed_rarely_have_no_say() -> None:
    rng = np.random.default_rng(4)
    y = channels_of(rng, 2000, channels=7)
    y[np.arange(2000) % 4 > 0, 3:] = np.nan
    assert AutoAR().fit(y).lookback_ > 5


def test_auto_is_at_least_as_good_as_its_candidates_on_validation_rows() -> None:
    model = AutoAR(strategy="auto", horizon=8, max_lookback=30).fit(channels_of(np.random.default_rng(4), 400))
    assert model.selection_ is not None
    assert model.selection_.error <= model.selection_.errors.min() * 1.05


def test_rows_after_the_validation_rows_do_not_matter() -> None:
    y = channels_of(np.random.default_rng(6), 300)
    model = AutoAR(strategy="auto", horizon=6, max_lookback=20).fit(y[:200], validation=y[200:250])
    changed = y.copy()
    changed[250:] = 1e6
    origins = [200, 225, 250]
    ours = model.predict_origins(6, y, origins, series=0).mean
    np.testing.assert_allclose(ours, model.predict_origins(6, changed, origins, series=0).mean, rtol=1e-12)


def test_unseen_series_take_the_pooled_map_and_their_own_units() -> None:
    y = channels_of(np.random.default_rng(7), 300, channels=2)
    model = AutoAR(strategy="auto", horizon=6, max_lookback=20).fit([y[:, :1], y[:, 1:]])
    context = seasonal(np.random.default_rng(8), 90)
    first = model.predict(6, context).mean
    np.testing.assert_allclose(model.predict(6, 5.0 * context + 100.0).mean, 5.0 * first + 100.0, rtol=1e-9)
    pooled = AutoAR(strategy="auto", pooling="pooled", horizon=6, max_lookback=20).fit([y[:, :1], y[:, 1:]])
    np.testing.assert_allclose(pooled.predict(6, context).mean, first, rtol=1e-8)


def test_origins_together_are_origins_alone() -> None:
    y = channels_of(np.random.default_rng(9), 250)
    y[100, 1] = np.nan
    model = AutoAR(strategy="auto", horizon=6, max_lookback=20).fit(y)
    for unseen in (False, True):
        together = model.predict_origins(9, y, [3, 120, 250], unseen=unseen)
        for index, origin in enumerate([3, 120, 250]):
            alone = model.predict_origins(9, y[:origin], [origin], unseen=unseen)
            np.testing.assert_allclose(together.mean[index], alone.mean[0], rtol=1e-9)
            np.testing.assert_allclose(together.std[index], alone.std[0], rtol=1e-9)


def test_longer_series_outweigh_none_of_the_short_ones() -> None:
    rng = np.random.default_rng(10)
    series = [seasonal(rng, 600), *(seasonal(rng, 60) for _ in range(20))]
    model = AutoAR(strategy="auto", horizon=6).fit(series)
    assert model.context_length_ <= 60


def test_coverage_of_a_known_process() -> None:
    rng = np.random.default_rng(12)
    y = np.column_stack([autoregressive(rng, 4000) for _ in range(3)])
    model = AutoAR(strategy="auto", horizon=10, max_lookback=20).fit(y[:2500])
    origins = np.arange(2500, 3990)
    forecast = model.predict_origins(10, y, origins, series=0)
    actual = y[origins[:, None] + np.arange(10)]
    for level in (0.1, 0.5, 0.9):
        assert (actual <= forecast.quantile(level)).mean() == pytest.approx(level, abs=0.03)
    # Paths move as the errors do: the spread of their sum is that of the sum of the errors.
    paths = forecast.sample(50, rng)
    spread = (paths - forecast.mean).sum(2).std()
    assert spread == pytest.approx((actual - forecast.mean).sum(1).std(), rel=0.1)


@pytest.mark.parametrize("lookback", [None, 0, 10])
@pytest.mark.parametrize(("strategy", "pooling"), [("recursive", "channel"), ("direct", None), ("auto", None)])
def test_too_little_data_is_said_to_be_so(strategy: str, pooling: str | None, lookback: int | None) -> None:
    shortest = 0
    for steps in range(6, 40):
        y = np.random.default_rng(steps).standard_normal(steps).cumsum()
        model = AutoAR(strategy=strategy, pooling=pooling, lookback=lookback, horizon=3)
        try:
            model.fit(y)
        except SeriesTooShortError:
            continue
        shortest = shortest or steps
        assert np.isfinite(model.predict(5).mean).all()
    assert 0 < shortest < 30


@pytest.mark.parametrize("pooling", ["pooled", "channel", "both"])
def test_series_too_short_for_an_auto_regression_of_their_own(pooling: str) -> None:
    rng = np.random.default_rng(3)
    series = [seasonal(rng, 200), *(seasonal(rng, steps) for steps in (1, 2, 3, 5, 8))]
    forecasts = AutoAR(strategy="auto", pooling=pooling, horizon=4).fit(series).predict(4)
    assert all(np.isfinite(forecast.mean).all() for forecast in forecasts)


@pytest.mark.parametrize(("strategy", "pooling"), [("auto", None), ("direct", None), ("recursive", "channel")])
def test_validation_rows_fewer_than_the_horizon(strategy: str, pooling: str | None) -> None:
    y = channels_of(np.random.default_rng(0), 200)
    model = AutoAR(strategy=strategy, pooling=pooling, horizon=12, max_lookback=24)
    message = (
        rf"validation has 5 rows at most of a series, but strategy='{strategy}' with horizon=12 needs at least 12; "
    )
    with pytest.raises(ValidationTooShortError, match=message) as caught:
        model.fit([y[:150], y[:160]], validation=[y[150:152], y[160:165]])
    assert caught.value.rows == 5
    model.fit([y[:150], y[:160]], validation=[y[150:152], y[160:172]])
    model.fit([y[:152], y[:165]])
    with pytest.raises(SeriesTooShortError, match=r"gap-free stretch of \d+ steps whose last 40 are validation rows"):
        AutoAR(strategy=strategy, pooling=pooling, horizon=40).fit(y[:160], validation=np.full((40, 3), np.nan))
    with pytest.raises(SeriesTooShortError, match="finds no gap-free stretch of 41 steps before the validation rows"):
        AutoAR(strategy=strategy, pooling=pooling, horizon=40).fit(y[:30], validation=y[30:90])


def test_refusals() -> None:
    with pytest.raises(InvalidArgumentError, match="strategy is 'best', but must be one of 'recursive'"):
        AutoAR(strategy="best")
    with pytest.raises(InvalidArgumentError, match="pooling is 'both', but with strategy='direct' must be one of"):
        AutoAR(strategy="direct", pooling="both")
    with pytest.raises(SeriesTooShortError, match="strategy='auto' with horizon=30 finds no gap-free stretch"):
        AutoAR(strategy="auto", horizon=30).fit(np.arange(40.0) ** 0.5)
    walk = np.random.default_rng(0).normal(size=200).cumsum()
    needs = "strategy='auto' with horizon=5 and differencing order 1 needs at least 2 past values, but "
    with pytest.raises(SeriesTooShortError, match=f"{needs}the rows before the validation rows carry 1, with four"):
        AutoAR(strategy="auto", horizon=5).fit(walk[:20])
    assert AutoAR(strategy="auto", horizon=5).fit(walk[:25]).context_length_ >= 2
    with pytest.raises(SeriesTooShortError, match=f"{needs}max_lookback is 1; raise max_lookback"):
        AutoAR(strategy="auto", horizon=5, max_lookback=1).fit(walk)
