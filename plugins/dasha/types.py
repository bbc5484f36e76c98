"""Types shared by the core, the plugins and the adapters: protocols and frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import toeplitz
from scipy.special import ndtri

from dasha.errors import InvalidArgumentError

if TYPE_CHECKING:
    from torch import nn

    from dasha.tasks import TaskSpec

FloatArray = NDArray[np.float64]


@runtime_checkable
class Forecast(Protocol):
    """Predictive distribution of ``H`` steps of ``C`` channels; leading axes ``…`` stand for several origins."""

    @property
    def mean(self) -> FloatArray:
        """Expected values, shape ``(…, H, C)``, in the units of the series."""

    def quantile(self, level: float) -> FloatArray:
        """Quantile of every value, shape ``(…, H, C)``; ``level`` lies strictly between 0 and 1."""

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Paths that are correlated over the steps as the model says, shape ``(count, …, H, C)``."""


class Forecaster(Protocol):
    """What a forecaster factory returns; `dasha.testing.check_forecaster` is its conformance suite."""

    def fit(self, series: ArrayLike | Sequence[ArrayLike]) -> Self:
        """Learn from one series or several, each ``(T,)`` or ``(T, C)``, oldest first."""

    def predict(self, horizon: int, context: ArrayLike | None = None) -> Any:
        """Forecast ``horizon`` steps after ``context``, or after the training data.

        Returns a `Forecast`; without a context, a list of them if a list of series was fitted.
        """


class BackboneFactory(Protocol):
    """What `register_backbones` offers; `dasha.testing.check_backbone` is its conformance suite."""

    @property
    def ndim(self) -> int:
        """Spatial axes of the input: 1 for sequences ``(N, C, L)``, 2 for images ``(N, C, H, W)``."""

    def __call__(
        self,
        *,
        in_channels: int,
        num_outputs: int,
        output: Literal["vector", "dense"] = "vector",
        width: int = ...,
        dropout: float = 0.0,
    ) -> nn.Module:
        """Make a network; a factory may take further options, which then have defaults.

        Args:
            in_channels: Channels of the input.
            num_outputs: Length of the output, for example the number of classes.
            output: ``"vector"`` for outputs ``(N, num_outputs)``, ``"dense"`` for ``(N, num_outputs, *spatial)`` of
                exactly the input's spatial size.
            width: Widening factor, at least 1; does not change the names of layers that can be searched, see
                `dasha.backbones.searchable_layers`.
            dropout: Probability with which a value is dropped in training.
        """


@dataclass(frozen=True)
class SupervisedTask:
    """What a factory of `register_tasks` returns; `dasha.testing.check_task` is its conformance suite.

    Each part of the data is a pair of arrays ``(inputs (N, C, …), targets (N, …))``, a dataset or a DataLoader, see
    `dasha.data.as_split`, and the same whenever the factory is called.

    Attributes:
        spec: What is to be learnt.
        train: Data to train on.
        validation: Data that everything is chosen on.
        test: Data that nothing is chosen on, where there is some.
        description: One line on what it is.
        source: Where the data comes from, and how it was split.
    """

    spec: TaskSpec
    train: Any = field(repr=False, compare=False)
    validation: Any = field(repr=False, compare=False)
    test: Any = field(default=None, repr=False, compare=False)
    description: str = ""
    source: str = ""


class ConfigurationSearch(Protocol):
    """What a factory of `register_configurations` returns: it searches as a host's configuration files say.

    Changes are values that replace those of a file, as pairs of a dotted name and a text.
    """

    @property
    def form(self) -> str:
        """What its files are, for messages."""

    def reads(self, content: Mapping[str, Any]) -> bool:
        """Whether a file with this content is one of the host's; imports nothing heavy."""

    def search(self, path: Path, *, changes: Sequence[tuple[str, str]], run_dir: Path | None) -> Path:
        """Search into the folder of a run, or go on there, and return it; without a folder, where the host looks."""

    def fit_command(self, path: Path, *, changes: Sequence[tuple[str, str]], run_dir: Path) -> Sequence[str]:
        """Words of the host's command line that train what was found."""


def innovation_errors(psi: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Spread ``(H, 1)`` and factor ``(H, H)`` of a `GaussianForecast` whose processes all respond by ``psi (H,)``."""
    spread = np.sqrt(np.cumsum(psi**2))[:, None]
    return spread, np.tril(toeplitz(psi)) / spread


@dataclass(frozen=True)
class Responses:
    """How the errors of a linear process correlate over the steps, where every origin and channel has its own process.

    Attributes:
        psi: Response to a unit innovation after ``0 … H-1`` steps, shape ``(…, H, C)``, step 0 not 0.
    """

    psi: FloatArray

    @property
    def spread(self) -> FloatArray:
        """Standard deviation of the error of every step for unit innovations, shape ``(…, H, C)``."""
        squares = np.square(self.psi)
        total = np.cumsum(squares, axis=-2, out=squares)
        return np.sqrt(total, out=total)

    def __matmul__(self, noise: FloatArray) -> FloatArray:
        """Turn independent errors ``(count, …, H, C)`` into correlated ones of the same variance.

        Equal to the product with a lower triangular matrix for every origin and channel, but none is made.
        """
        horizon = self.psi.shape[-2]
        size = next_fast_len(2 * horizon - 1, real=True)
        spectrum = rfft(noise, size, axis=-2) * rfft(self.psi, size, axis=-2)
        errors: FloatArray = irfft(spectrum, size, axis=-2)[..., :horizon, :] / self.spread
        return errors


@dataclass(frozen=True)
class GaussianForecast:
    """Forecast with Gaussian errors that are correlated over the steps.

    Attributes:
        mean: Expected values, shape ``(…, H, C)``, in the units of the series.
        sigma: Unit of the errors of every channel, shape ``(…, C)``, in the units of the series.
        spread: Standard deviation of the error of every step in these units, shape ``(H, 1)``, ``(H, C)`` or
            ``(…, H, C)``.
        factor: Turns independent errors into correlated ones: lower triangular, shape ``(H, H)``, with rows of length
            1, for all origins and channels alike; or `Responses`, one for each.
    """

    mean: FloatArray
    sigma: FloatArray
    spread: FloatArray
    factor: FloatArray | Responses

    @classmethod
    def of_innovations(cls, mean: FloatArray, sigma: FloatArray, psi: FloatArray) -> Self:
        """Forecast of a linear process with independent innovations.

        Args:
            mean: Shape ``(…, H, C)``.
            sigma: Standard deviation of the innovations, shape ``(…, C)``.
            psi: Response to a unit innovation after ``0 … H-1`` steps, not 0 after 0 steps: shape ``(H,)``, or
                ``(…, H, C)`` for a process of its own for every origin and channel.
        """
        if psi.ndim > 1:
            responses = Responses(psi)
            return cls(mean, sigma, responses.spread, responses)
        return cls(mean, sigma, *innovation_errors(psi))

    @classmethod
    def concatenate(cls, parts: Sequence[GaussianForecast]) -> GaussianForecast:
        """Forecasts of several origins, each with a leading axis, one after the other; a factor matrix is common."""
        if len(parts) == 1:
            return parts[0]
        mean, sigma = (np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "sigma"))
        spread = parts[0].spread
        if any(part.spread is not spread for part in parts):
            spread = np.concatenate([np.broadcast_to(part.spread, part.mean.shape) for part in parts])
        psi = [part.factor.psi for part in parts if isinstance(part.factor, Responses)]
        return cls(mean, sigma, spread, Responses(np.concatenate(psi)) if psi else parts[0].factor)

    @property
    def std(self) -> FloatArray:
        """Standard deviation of every value, shape ``(…, H, C)``."""
        return self.sigma[..., None, :] * self.spread

    def origin(self, number: int) -> GaussianForecast:
        """Forecast of one origin, shapes ``(H, C)``, where origins are the only leading axis."""
        spread = self.spread if self.spread.ndim < self.mean.ndim else self.spread[number]
        factor = Responses(self.factor.psi[number]) if isinstance(self.factor, Responses) else self.factor
        return GaussianForecast(self.mean[number], self.sigma[number], spread, factor)

    def last_step(self) -> GaussianForecast:
        """Forecast of the last step alone, shapes ``(…, 1, C)``: all that is needed where paths are not."""
        return GaussianForecast(self.mean[..., -1:, :], self.std[..., -1, :], np.ones((1, 1)), np.ones((1, 1)))

    def quantile(self, level: float) -> FloatArray:
        """Quantile of every value, shape ``(…, H, C)``.

        Raises:
            InvalidArgumentError: If ``level`` is not strictly between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise InvalidArgumentError(f"quantile level is {level!r}, but must lie strictly between 0 and 1")
        return self.mean + float(ndtri(level)) * self.std

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw paths whose steps are correlated.

        Args:
            count: Number of paths, at least 1.
            rng: Source of randomness.

        Returns:
            Shape ``(count, …, H, C)``.

        Raises:
            InvalidArgumentError: If ``count`` is below 1.
        """
        if count < 1:
            raise InvalidArgumentError(f"count is {count!r}, but must be at least 1")
        errors = self.factor @ rng.standard_normal((count, *self.mean.shape))
        paths: FloatArray = self.mean + self.std * errors
        return paths
