"""`AutoAR`: the linear auto-regression that chooses its own differencing and lookback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from numbers import Integral
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from dasha.autoar.config import NOTHING_LEARNED, AutoARConfig, whole_number
from dasha.autoar.device import resolve_device
from dasha.autoar.fitted import FittedAR, RecordedSeries, Selection
from dasha.autoar.fitting import fit_auto_ar
from dasha.autoar.incremental import Incremental
from dasha.autoar.panel import as_matrices, as_matrix
from dasha.autoar.prediction import Predictor
from dasha.autoar.summary_set import require_summable, summaries_of_matrices
from dasha.autoar.zero_shot_prediction import ZeroShotChoices, choices_of_ends, forecast_ends, forecast_origins
from dasha.errors import InvalidArgumentError, InvalidSeriesError, NotFittedError
from dasha.types import FloatArray, GaussianForecast

Series = ArrayLike | Sequence[ArrayLike]


class AutoAR(Incremental):
    """Linear auto-regression pooled over channels and series: differencing by KPSS, lookback by a criterion.

    Source: Auto-AR of arXiv 2411.02796. All lookbacks are scored from one pass over the data.

    Args:
        max_lookback: Largest number of past steps that a forecast may use, differencing included: orders
            ``0 … max_lookback - d`` are searched, fewer where the data is too short to carry them.
        lookback: Fixed order of the auto-regression instead of a search; forecasts use ``lookback + d`` past steps,
            whatever ``max_lookback`` is.
        diff_order: ``"kpss"`` (smallest order at which no more than 5 % of the channels reject stationarity, at most 2,
            in a search also at most ``max_lookback``; in the paper none may reject, the same up to 19 channels), or
            0, 1, 2.
        criterion: ``"bic"``, ``"aic"``, ``"hqic"``: the textbook ones on one-step residuals; ``"horizon_bic"``: the
            paper's, on recursive ``horizon``-step errors in-sample (for ``horizon=1`` it ranks as ``"bic"`` does);
            ``"validation"``: mean squared error over ``horizon`` steps on held-out data.
        horizon: Steps ahead that ``"horizon_bic"`` and ``"validation"`` score.
        validation_fraction: Last part of every series that is held out to choose on when `fit` is given none.
        strategy: ``"recursive"``: the auto-regression, step by step; ``"direct"``: every step up to ``horizon``
            regressed on the past, relative to the last value, with a ridge chosen on windows left out;
            ``"average"``: equal shares of the best of each kind; ``"auto"``: weights per channel from the errors on
            windows left out. Longer forecasts feed forecasts back.
        pooling: ``"pooled"``: one forecaster for all channels; ``"channel"``: one for each; ``"both"``: both kinds
            are candidates of ``"average"`` and ``"auto"``, for which it is the default.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; float64 everywhere.
        mode: ``"trained"``, or ``"zero-shot"``: every channel of every context is forecast from its own last
            ``max_lookback`` values and nothing else (`dasha.autoar.zero_shot`). Nothing needs to be fitted; `fit` only
            records the end of the series. ``diff_order`` 0, 1 or 2 is used alone, otherwise 0 and 1 are averaged; the
            other arguments of training are refused.

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
        mode: str = "trained",
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
            mode=mode,
        )
        self._known: FittedAR | RecordedSeries | None = None
        # Kept because whoever forecasts one window after another asks for the same map again and again.
        self._latest: tuple[FittedAR, int, Predictor] | None = None

    @classmethod
    def restore(cls, config: AutoARConfig, known: FittedAR | RecordedSeries | None) -> Self:
        """Model with a given configuration and state; the counterpart of `config` and `fitted` or `recorded`."""
        model = cls(**asdict(config))
        model._known = known
        return model

    def __repr__(self) -> str:
        """Constructor call with the values that differ from the defaults, and what was fitted."""
        values = ((field.name, getattr(self.config, field.name), field.default) for field in fields(self.config))
        call = f"AutoAR({', '.join(f'{name}={value!r}' for name, value, default in values if value != default)})"
        return f"{call}: {self.describe()}" if isinstance(self._known, FittedAR) else call

    def describe(self) -> str:
        """Say in a few words what forecasts: the auto-regression, the strategy's candidates, or constants.

        Raises:
            NotFittedError: If `fit` has not run.
        """
        if self.config.is_zero_shot:
            return NOTHING_LEARNED
        if self.fitted.is_constant:
            return "all series are constant"
        if self.selection_ is None:
            return f"lookback {self.lookback_}, differencing {self.diff_order_}"
        count = len(self.selection_.names)
        return f"strategy {self.config.strategy!r} of {count} candidates, context {self.context_length_}"

    @property
    def fitted(self) -> FittedAR:
        """Everything learned, as plain arrays.

        Raises:
            NotFittedError: If `fit` has not run, or never learns anything.
        """
        if self.config.is_zero_shot:
            raise NotFittedError(
                "mode='zero-shot' gives every context an auto-regression of its own and keeps none of them; lookback, "
                "differencing and coefficients of the model exist with mode='trained' only"
            )
        known = self._series()
        assert isinstance(known, FittedAR)
        return known

    @property
    def recorded(self) -> RecordedSeries | None:
        """What `fit` kept with ``mode="zero-shot"``; None if it has not run, and with ``mode="trained"``."""
        return self._known if isinstance(self._known, RecordedSeries) else None

    def _series(self) -> FittedAR | RecordedSeries:
        if self._known is None:
            way_out = ", or pass a context" if self.config.is_zero_shot else ""
            raise NotFittedError(f"this AutoAR is not fitted yet; call fit(series) first{way_out}")
        return self._known

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
        """Past values that a forecast uses: ``max(1, lookback_ + diff_order_)``, or those of the strategy's maps.

        ``max_lookback`` at most with ``mode="zero-shot"``, which does with any number.
        """
        if self.config.is_zero_shot:
            return self.config.max_lookback
        maps = self.fitted.maps
        return max(1, self.lookback_ + self.diff_order_) if maps is None else maps.context

    @property
    def criterion_path_(self) -> FloatArray:
        """Criterion of every lookback searched, shape ``(P+1,)``; empty when the model searched none."""
        if self.config.is_zero_shot:
            return np.empty(0)
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
        """How the candidates of the strategy were weighed; None for the paper's, and without training."""
        if self.config.is_zero_shot:
            return None
        maps = self.fitted.maps
        return None if maps is None else maps.selection

    def fit(self, series: Series, *, validation: Series | None = None, keep_summaries: bool = False) -> Self:
        """Choose differencing and lookback, and estimate the pooled coefficients.

        With ``mode="zero-shot"``, only record the last rows, which `predict` continues where it is given no context.

        Every channel is standardised with the mean and standard deviation of ``series`` alone; the final regression
        uses ``series`` and ``validation`` together.

        Args:
            series: One series ``(T,)`` or ``(T, C)``, oldest first, or a list of series of any lengths and channel
                counts; NaN marks missing values. Constant channels are left out and forecast as constant.
            validation: The rows that follow each series, same channels. With ``criterion="validation"`` they choose
                the lookback, and with another ``strategy`` than the paper's they weigh its candidates (some series must
                have ``horizon`` of them); else they are further in-sample data. A series that has ended has none,
                shape ``(0, C)``.
            keep_summaries: Keep what `update` needs, about as much memory as the rows, but never more than some 200 kB
                per channel without gaps.

        Returns:
            The model itself.

        Raises:
            InvalidSeriesError: If a series holds something else than real numbers or has another shape.
            SeriesTooShortError: If there is too little data for the lookback, differencing and horizon asked for.
        """
        train = as_matrices(series, "series")
        following = None if validation is None else as_matrices(validation, "validation", may_be_empty=True)
        if following is not None and [m.shape[1] for m in following] != [m.shape[1] for m in train]:
            raise InvalidSeriesError(
                f"validation has series of {[m.shape[1] for m in following]} channels, but series has "
                f"{[m.shape[1] for m in train]}; pass the continuation of each series in the same order"
            )
        is_list = isinstance(series, list | tuple)
        if self.config.is_zero_shot:
            ends = train if following is None else [np.vstack(pair) for pair in zip(train, following, strict=True)]
            self._known = RecordedSeries([end[-self.config.max_lookback :].copy() for end in ends], is_list)
            return self
        if keep_summaries:
            require_summable(self.config, has_validation=True)
        fitted = replace(fit_auto_ar(self.config, train, following), is_list=is_list)
        if keep_summaries:
            joined = train if following is None else [np.vstack(pair) for pair in zip(train, following, strict=True)]
            kept = summaries_of_matrices(joined, self.summary_length, is_list=is_list)
            fitted = replace(fitted, summaries=kept)
        return self._learned(fitted)

    def predict(
        self, horizon: int, context: Series | None = None, *, series: int | str | Sequence[int | str] | None = None
    ) -> GaussianForecast | list[GaussianForecast]:
        """Forecast the steps that follow.

        Missing values in a context are filled by the model's own one-step predictions; before its first observed
        value, and before its first row where it is shorter than `context_length_`, a channel is taken as constant.
        With ``mode="zero-shot"``, gaps are bridged by straight lines and a short context is a short series.

        Args:
            horizon: Steps to forecast, at least 1.
            context: What is known, ``(T,)`` or ``(T, C)``, oldest first, or a list of such; None stands for the end
                of the training data.
            series: Number of the training series that each context continues, whose mean, standard deviation and
                residual scale then apply; or its id, see `series_ids_`, where that is text. Default: 0 if the model was
                fitted on one series with as many channels; other contexts count as unseen, and their own observed
                values give these units. Changes nothing with ``mode="zero-shot"``.

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
            contexts, as_list = self._series().tails, self._series().is_list
            numbers: list[int | str | None] = list(range(len(contexts)))
        else:
            contexts, as_list = as_matrices(context, "context"), isinstance(context, list | tuple)
            if isinstance(series, Sequence | np.ndarray) and not isinstance(series, str):
                numbers = list(series)
            else:
                numbers = [series] * len(contexts)
            if len(numbers) != len(contexts):
                raise InvalidArgumentError(
                    f"series has {len(numbers)} numbers for {len(contexts)} contexts; give one each"
                )
        horizon = whole_number("horizon", horizon, minimum=1)
        known = [
            self._training_series(number, matrix.shape[1]) for matrix, number in zip(contexts, numbers, strict=True)
        ]
        if self.config.is_zero_shot:
            forecasts = forecast_ends(self.config, horizon, contexts)
        else:
            predictor = self._predictor(horizon)
            forecasts = [
                predictor.forecast(matrix, np.array([len(matrix)]), number).origin(0)
                for matrix, number in zip(contexts, known, strict=True)
            ]
        return forecasts if as_list else forecasts[0]

    def predict_origins(
        self,
        horizon: int,
        y: ArrayLike,
        origins: ArrayLike,
        *,
        series: int | str | None = None,
        unseen: bool = False,
    ) -> GaussianForecast:
        """Forecast from many origins of one series, trained with one matrix product, zero-shot in bounded memory.

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
        horizon = whole_number("horizon", horizon, minimum=1)
        if self.config.is_zero_shot:
            return forecast_origins(self.config, horizon, matrix, ends)
        return self._predictor(horizon).forecast(matrix, ends, known)

    def zero_shot_choices(self, context: Series | None = None) -> ZeroShotChoices | list[ZeroShotChoices]:
        """What ``mode="zero-shot"`` chooses for the windows that `predict` forecasts from: periods, orders, lookbacks.

        Args:
            context: As in `predict`; None stands for the end of the recorded series.

        Returns:
            One result with arrays ``(C,)``, or a list where `predict` gives one.

        Raises:
            InvalidArgumentError: If the model is a trained one, whose choices are `lookback_`, `diff_order_` and
                `selection_`.
            NotFittedError: If there is no context and `fit` has not run.
            InvalidSeriesError: If a context cannot be used.
        """
        if not self.config.is_zero_shot:
            raise InvalidArgumentError(
                "mode='trained' chooses once for all series; see lookback_, diff_order_ and selection_, or use "
                "mode='zero-shot'"
            )
        if context is None:
            contexts, as_list = self._series().tails, self._series().is_list
        else:
            contexts, as_list = as_matrices(context, "context"), isinstance(context, list | tuple)
        choices = choices_of_ends(self.config, contexts)
        return choices if as_list else choices[0]

    def _predictor(self, horizon: int) -> Predictor:
        if self._latest is None or self._latest[0] is not self.fitted or self._latest[1] != horizon:
            predictor = Predictor(self.fitted, horizon, resolve_device(self.config.device))
            self._latest = (self.fitted, horizon, predictor)
        return self._latest[2]

    def _training_series(self, number: int | str | None, channels: int) -> int | None:
        """Check the number or id of a training series, or see whether the only one is meant."""
        if number is None and self.config.is_zero_shot:
            return None
        known = self._series()
        widths = [tail.shape[1] for tail in known.tails]
        if number is None:
            return 0 if widths == [channels] else None
        if isinstance(number, str) and isinstance(known, FittedAR) and known.summaries is not None:
            number = self._number_of(number)
        if isinstance(number, bool) or not isinstance(number, Integral) or not 0 <= number < len(widths):
            raise InvalidArgumentError(
                f"series is {number!r}, but the model was fitted on series 0 … {len(widths) - 1}"
            )
        if widths[number] != channels:
            raise InvalidArgumentError(
                f"the context has {channels} channels, but training series {number} has {widths[number]}"
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
