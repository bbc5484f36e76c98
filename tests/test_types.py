"""Gaussian forecasts: quantiles, and paths with the right covariance over the steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.stats import norm

from dasha.errors import InvalidArgumentError
from dasha.types import Forecast, GaussianForecast, Responses

PSI = np.array([1.0, 0.8, -0.3, 0.5])


def forecast(*leading: int) -> GaussianForecast:
    rng = np.random.default_rng(0)
    return GaussianForecast.of_innovations(
        rng.normal(size=(*leading, 4, 2)), rng.uniform(1, 3, size=(*leading, 2)), PSI
    )


def covariance(sigma: float) -> np.ndarray:
    """Of the moving average ``sum_j psi_j e_{t-j}`` that starts from nothing."""
    response = np.array([[PSI[i - j] if i >= j else 0.0 for j in range(4)] for i in range(4)])
    return sigma**2 * response @ response.T


def test_is_a_forecast() -> None:
    assert isinstance(forecast(), Forecast)


@pytest.mark.parametrize("leading", [(), (3,)])
def test_std_is_the_root_of_the_diagonal(leading: tuple[int, ...]) -> None:
    result = forecast(*leading)
    assert result.std.shape == result.mean.shape
    first = result.std.reshape(-1, 4, 2)[0]
    for channel, sigma in enumerate(result.sigma.reshape(-1, 2)[0]):
        np.testing.assert_allclose(first[:, channel], np.sqrt(np.diag(covariance(sigma))), rtol=1e-14)


@pytest.mark.parametrize("level", [0.001, 0.1, 0.5, 0.9])
def test_quantiles_are_those_of_the_normal_distribution(level: float) -> None:
    result = forecast(3)
    np.testing.assert_allclose(result.quantile(level), norm(result.mean, result.std).ppf(level), rtol=1e-12)


def test_paths_have_the_right_mean_and_covariance() -> None:
    """100,000 paths: standard errors are below 0.5 % of the largest variance; 3 % is allowed."""
    result = forecast(2)
    paths = result.sample(100_000, np.random.default_rng(1))
    assert paths.shape == (100_000, 2, 4, 2)
    for origin in range(2):
        for channel in range(2):
            wanted = covariance(result.sigma[origin, channel])
            drawn = paths[:, origin, :, channel]
            np.testing.assert_allclose(np.cov(drawn.T), wanted, atol=0.03 * wanted.max())
            np.testing.assert_allclose(drawn.mean(0), result.mean[origin, :, channel], atol=0.05)
    across = np.corrcoef(paths[:, 0, 0, 0], paths[:, 0, 0, 1])[0, 1]
    assert abs(across) < 0.02  # channels are independent


def test_same_generator_state_gives_the_same_paths() -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002 — the global state is what must not move
    first = forecast().sample(5, np.random.default_rng(2))
    np.testing.assert_array_equal(first, forecast().sample(5, np.random.default_rng(2)))
    assert not np.array_equal(first, forecast().sample(5, np.random.default_rng(3)))
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_no_spread_gives_the_mean() -> None:
    result = GaussianForecast.of_innovations(np.ones((4, 1)), np.zeros(1), PSI)
    np.testing.assert_array_equal(result.sample(3, np.random.default_rng(0)), np.ones((3, 4, 1)))
    np.testing.assert_array_equal(result.quantile(0.9), np.ones((4, 1)))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_quantile_levels_outside_are_refused(level: float) -> None:
    with pytest.raises(InvalidArgumentError, match="must lie strictly between 0 and 1"):
        forecast().quantile(level)


@pytest.mark.parametrize("count", [0, -1])
def test_counts_below_one_are_refused(count: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"count is {count}, but must be at least 1"):
        forecast().sample(count, np.random.default_rng(0))


def test_the_last_step_is_the_marginal_distribution() -> None:
    forecast = GaussianForecast.of_innovations(
        np.arange(12.0).reshape(2, 3, 2), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 0.5, 0.2])
    )
    last = forecast.last_step()
    np.testing.assert_array_equal(last.mean[:, 0], forecast.mean[:, -1])
    np.testing.assert_allclose(last.std[:, 0], forecast.std[:, -1])
    np.testing.assert_allclose(last.quantile(0.9)[:, 0], forecast.quantile(0.9)[:, -1])
    assert last.sample(5, np.random.default_rng(0)).shape == (5, 2, 1, 2)


class TestEveryOriginAndChannelItsOwnProcess:
    """``psi`` of shape ``(…, H, C)``: what a matrix for each would give, without the matrices."""

    @staticmethod
    def of(*leading: int, horizon: int = 9) -> tuple[GaussianForecast, np.ndarray]:
        rng = np.random.default_rng(3)
        psi = rng.normal(size=(*leading, horizon, 2))
        psi[..., 0, :] = 1.0
        mean, sigma = rng.normal(size=psi.shape), rng.uniform(1, 3, size=(*leading, 2))
        return GaussianForecast.of_innovations(mean, sigma, psi), psi

    @pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
    def test_equal_to_a_matrix_for_each(self, leading: tuple[int, ...]) -> None:
        result, psi = self.of(*leading)
        noise = np.random.default_rng(0).standard_normal((5, *psi.shape))
        errors = result.factor @ noise
        for place in np.ndindex(*leading):
            for channel in range(2):
                alone = GaussianForecast.of_innovations(
                    np.zeros((9, 1)), np.ones(1), psi[(*place, slice(None), channel)]
                )
                wanted = noise[(slice(None), *place, slice(None), channel)] @ np.asarray(alone.factor).T
                np.testing.assert_allclose(errors[(slice(None), *place, slice(None), channel)], wanted, atol=1e-12)
                sigma = result.sigma[(*place, channel)]
                np.testing.assert_allclose(result.std[(*place, slice(None), channel)], sigma * alone.spread[:, 0])

    def test_a_common_process_repeated_gives_the_same_paths(self) -> None:
        shared = forecast(3)
        own = GaussianForecast.of_innovations(
            shared.mean, shared.sigma, np.broadcast_to(PSI[:, None], shared.mean.shape)
        )
        first, second = (one.sample(4, np.random.default_rng(1)) for one in (shared, own))
        np.testing.assert_allclose(first, second, rtol=1e-12)

    def test_covariance_of_paths(self) -> None:
        """100,000 paths, 3 % of the largest variance allowed."""
        result, psi = self.of(2, horizon=4)
        paths = result.sample(100_000, np.random.default_rng(1))
        for origin, channel in np.ndindex(2, 2):
            response = result.sigma[origin, channel] * np.tril(toeplitz(psi[origin, :, channel]))
            wanted = response @ response.T
            drawn = np.cov(paths[:, origin, :, channel].T)
            np.testing.assert_allclose(drawn, wanted, atol=0.03 * wanted.max())

    def test_one_origin_and_several_joined(self) -> None:
        result, psi = self.of(3)
        parts = [
            GaussianForecast.of_innovations(*(a[i : i + 1] for a in (result.mean, result.sigma, psi))) for i in range(3)
        ]
        joined = GaussianForecast.concatenate(parts)
        for other in (joined, GaussianForecast.concatenate([joined])):
            for one, two in (
                (other, result),
                (other.origin(1), result.origin(1)),
                (other.last_step(), result.last_step()),
            ):
                np.testing.assert_array_equal(one.mean, two.mean)
                np.testing.assert_array_equal(one.std, two.std)
                paths = (f.sample(2, np.random.default_rng(0)) for f in (one, two))
                np.testing.assert_allclose(*paths, rtol=1e-12)
        assert result.origin(1).sample(2, np.random.default_rng(0)).shape == (2, 9, 2)
        np.testing.assert_array_equal(forecast(3).origin(2).std, forecast(3).std[2])

    def test_no_matrix_is_made(self) -> None:
        result, psi = self.of(50, horizon=720)
        assert isinstance(result.factor, Responses)
        assert result.factor.psi is psi
        assert np.isfinite(result.sample(1, np.random.default_rng(0))).all()
