"""`AutoAR`: the linear auto-regression that chooses its own differencing and lookback."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from numbers import Integral
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from dasha.autoar.config import AutoARConfig, whole_number
from dasha.autoar.device import resolve_device
from dasha.autoar.fitted import FittedAR, Selection
from dasha.autoar.fitting import fit_auto_ar
from dasha.autoar.panel import as_matrices, as_matrix
from dasha.autoar.prediction import Predictor
from dasha.errors import DashaWarning, InvalidArgumentError, InvalidSeriesError, NotFittedError
from dasha.types import FloatArray, GaussianForecast

Series = ArrayLike | Sequence[ArrayLike]


class AutoAR:
    """Linear auto-regression pooled over channels and series: differencing by KPSS, lookback by a criterion.

    Source: Auto-AR of arXiv 2411.02796. All lookbacks are scored from one pass over the data.

    Args:
        max_lookback: Largest number of past steps that a forecast may use, differencing included: orders
            ``0 … max_lookback - d`` are searched, fewer where the data is too short to carry them.
        lookback: Fixed order of the auto-regression instead of a search.
        diff_order: ``"kpss"`` (smallest order at which no channel rejects stationarity, at most 2), or 0, 1, 2.
        criterion: ``"bic"``, ``"aic"``, ``"hqic"``: the textbook ones on one-step residuals; ``"horizon_bic"``: the
            paper's, on recursive ``horizon``-step errors in-sample (for ``horizon=1`` it ranks as ``"bic"`` does);
            ``"validation"``: mean squared error over ``horizon`` steps on held-out data.
        horizon: Steps ahead that ``"horizon_bic"`` and ``"validation"`` score.
        validation_fraction: Last part of every series that ``"validation"`` holds out when `fit` is given none.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; float64 everywhere.

    Raises:
        InvalidArgumentError: If an argument is not one of the values above.
    """

    def __init__(
        self,
        *,
        max_lookback: int = 512,
        lookback: int | None = None,
        diff_order: str | int = "kpss",
        criterion: str = "bic",
        horizon: int = 1,
        validation_fraction: float = 0.2,
        strategy: str = "recursive",
        pooling: str | None = None,
        device: str = "auto",
    ) -> None:
        self.config = AutoARConfig(
            max_lookback=max_lookback,
            lookback=lookback,
            diff_order=diff_order,
            criterion=criterion,
            horizon=horizon,
            validation_fraction=validation_fraction,
            strategy=strategy,
            pooling=pooling,
            device=device,
        )
        self._fitted: FittedAR | None = None
        # Kept because whoever forecasts one window after another asks for the same map again and again.
        self._latest: tuple[FittedAR, int, Predictor] | None = None

    @classmethod
    def restore(cls, config: AutoARConfig, fitted: FittedAR | None) -> Self:
        """Model with a given configuration and state; the counterpart of `config` and `fitted`."""
        model = cls(**asdict(config))
        model._fitted = fitted
        return model

    def __repr__(self) -> str:
        """Constructor call with the values that differ from the defaults, and what was fitted."""
        values = ((field.name, getattr(self.config, field.name), field.default) for field in fields(self.config))
        call = f"AutoAR({', '.join(f'{name}={value!r}' for name, value, default in values if value != default)})"
        return call if self._fitted is None else f"{call}: lookback {self.lookback_}, differencing {self.diff_order_}"

    @property
    def fitted(self) -> FittedAR:
        """Everything learned, as plain arrays.

        Raises:
            NotFittedError: If `fit` has not run.
        """
        if self._fitted is None:
            raise NotFittedError("this AutoAR is not fitted yet; call fit(series) first")
        return self._fitted

    @property
    def lookback_(self) -> int:
        """Order ``p`` of the auto-regression."""
        return len(self.fitted.coefficients)

    @property
    def diff_order_(self) -> int:
        """Differencing order ``d``."""
        return self.fitted.diff_order

    @property
    def context_length_(self) -> int:
        """Past values that a forecast uses: ``max(1, lookback_ + diff_order_)``, or those of the strategy's maps."""
        maps = self.fitted.maps
        return max(1, self.lookback_ + self.diff_order_) if maps is None else maps.context

    @property
    def criterion_path_(self) -> FloatArray:
        """Criterion of every lookback searched, shape ``(P+1,)``; empty when the lookback was given."""
        return self.fitted.criterion_path

    @property
    def coefficients_(self) -> FloatArray:
        """Lag coefficients on differenced standardised data, shape ``(lookback_,)``, lag 1 first."""
        return self.fitted.coefficients

    @property
    def intercept_(self) -> float:
        """Intercept of the same regression."""
        return self.fitted.intercept

    @property
    def selection_(self) -> Selection | None:
        """How the candidates of the strategy were weighed; None for the paper's."""
        maps = self.fitted.maps
        return None if maps is None else maps.selection

    def fit(self, series: Series, *, validation: Series | None = None) -> Self:
        """Choose differencing and lookback, and estimate the pooled coefficients.

        Every channel is standardised with the mean and standard deviation of ``series`` alone; the final regression
        uses ``series`` and ``validation`` together.

        Args:
            series: One series ``(T,)`` or ``(T, C)``, oldest first, or a list of series of any lengths and channel
                counts; NaN marks missing values. Constant channels are left out and forecast as constant.
            validation: The rows that follow each series, same channels. With ``criterion="validation"`` they choose
                the lookback; with the other criteria they are further in-sample data.

        Returns:
            The model itself.

        Raises:
            InvalidSeriesError: If a series holds something else than real numbers or has another shape.
            SeriesTooShortError: If there is too little data for the lookback, differencing and horizon asked for.
        """
        train = as_matrices(series, "series")
        following = None if validation is None else as_matrices(validation, "validation")
        if following is not None and [m.shape[1] for m in following] != [m.shape[1] for m in train]:
            raise InvalidSeriesError(
                f"validation has series of {[m.shape[1] for m in following]} channels, but series has "
                f"{[m.shape[1] for m in train]}; pass the continuation of each series in the same order"
            )
        fitted = fit_auto_ar(self.config, train, following)
        if fitted.jitter:
            warnings.warn(
                f"lags are collinear to rounding; solved with a relative jitter of {fitted.jitter:.0e}",
                DashaWarning,
                stacklevel=2,
            )
        self._fitted = replace(fitted, is_list=isinstance(series, list | tuple))
        return self

    def predict(
        self, horizon: int, context: Series | None = None, *, series: int | Sequence[int] | None = None
    ) -> GaussianForecast | list[GaussianForecast]:
        """Forecast the steps that follow.

        Missing values in a context are filled by the model's own one-step predictions; before its first observed
        value, and before its first row where it is shorter than `context_length_`, a channel is taken as constant.

        Args:
            horizon: Steps to forecast, at least 1.
            context: What is known, ``(T,)`` or ``(T, C)``, oldest first, or a list of such; None stands for the end
                of the training data.
            series: Number of the training series that each context continues, whose mean, standard deviation and
                residual scale then apply. Default: 0 if the model was fitted on one series with as many channels;
                other contexts count as unseen, and their own observed values give these units.

        Returns:
            One forecast with arrays ``(horizon, C)``, or a list if a list was given or several series were fitted.

        Raises:
            NotFittedError: If `fit` has not run.
            InvalidArgumentError: If ``horizon`` or ``series`` is not allowed.
            InvalidSeriesError: If a context cannot be used.
        """
        if context is None:
            if series is not None:
                raise InvalidArgumentError("series goes with context; without one, every training series is forecast")
            contexts = self.fitted.tails
            numbers: list[int | None] = list(range(len(contexts)))
            as_list = self.fitted.is_list
        else:
            contexts, as_list = as_matrices(context, "context"), isinstance(context, list | tuple)
            numbers = list(series) if isinstance(series, Sequence | np.ndarray) else [series] * len(contexts)
            if len(numbers) != len(contexts):
                raise InvalidArgumentError(
                    f"series has {len(numbers)} numbers for {len(contexts)} contexts; give one each"
                )
        predictor = self._predictor(horizon)
        forecasts = []
        for matrix, number in zip(contexts, numbers, strict=True):
            known = self._training_series(number, matrix.shape[1])
            result = predictor.forecast(matrix, np.array([len(matrix)]), known)
            forecasts.append(replace(result, mean=result.mean[0], sigma=result.sigma[0]))
        return forecasts if as_list else forecasts[0]

    def predict_origins(
        self,
        horizon: int,
        y: ArrayLike,
        origins: ArrayLike,
        *,
        series: int | None = None,
        unseen: bool = False,
    ) -> GaussianForecast:
        """Forecast from many origins of one series with one matrix product.

        Equal to `predict` on ``y[:origin]`` for every origin.

        Args:
            horizon: Steps to forecast, at least 1.
            y: Shape ``(T,)`` or ``(T, C)``, oldest first.
            origins: Number of rows known at each origin, shape ``(N,)``, each in ``1 … T``.
            series: As in `predict`.
            unseen: Take the units from the series' own past even where ``series`` would default to 0.

        Returns:
            Forecast with ``mean`` of shape ``(N, horizon, C)``.

        Raises:
            NotFittedError: If `fit` has not run.
            InvalidArgumentError: If an argument is not allowed.
            InvalidSeriesError: If ``y`` cannot be used.
        """
        matrix = as_matrix(y, "y")
        ends = np.asarray(origins).reshape(-1)
        if ends.size and ends.dtype.kind not in "iu":
            raise InvalidArgumentError(f"origins have dtype {ends.dtype}, but must be numbers of rows, integers")
        ends = ends.astype(np.int64)
        if ends.size and not 1 <= ends.min() <= ends.max() <= len(matrix):
            raise InvalidArgumentError(
                f"origins reach from {ends.min()} to {ends.max()}, but must lie in 1 … {len(matrix)}"
            )
        known = None if unseen else self._training_series(series, matrix.shape[1])
        return self._predictor(horizon).forecast(matrix, ends, known)

    def _predictor(self, horizon: int) -> Predictor:
        horizon = whole_number("horizon", horizon, minimum=1)
        if self._latest is None or self._latest[0] is not self.fitted or self._latest[1] != horizon:
            predictor = Predictor(self.fitted, horizon, resolve_device(self.config.device))
            self._latest = (self.fitted, horizon, predictor)
        return self._latest[2]

    def _training_series(self, number: int | None, channels: int) -> int | None:
        """Check the number of a training series, or see whether the only one is meant."""
        scales = self.fitted.scales
        if number is None:
            return 0 if len(scales) == 1 and len(scales[0].mean) == channels else None
        if isinstance(number, bool) or not isinstance(number, Integral) or not 0 <= number < len(scales):
            raise InvalidArgumentError(
                f"series is {number!r}, but the model was fitted on series 0 … {len(scales) - 1}"
            )
        if len(scales[number].mean) != channels:
            raise InvalidArgumentError(
                f"the context has {channels} channels, but training series {number} has {len(scales[number].mean)}"
            )
        return int(number)

    def save(self, directory: str | Path) -> Path:
        """Write the model as JSON and safetensors into a folder of its own; see `dasha.autoar.state`.

        Returns:
            The folder.
        """
        from dasha.autoar.state import save_model

        return save_model(self, Path(directory))

    @classmethod
    def load(cls, directory: str | Path, *, device: str = "auto") -> AutoAR:
        """Read a model that `save` wrote, on any machine; nothing in the files is executed.

        Raises:
            StateFileError: If the folder does not hold a complete model of a known version.
        """
        from dasha.autoar.state import load_model

        return load_model(Path(directory), device=device)
