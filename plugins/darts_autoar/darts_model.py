"""Auto-AR as a Darts global forecasting model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from darts import TimeSeries
from darts.models.forecasting.forecasting_model import GlobalForecastingModel
from darts.typing import TimeSeriesLike
from darts.utils.historical_forecasts.utils import (
    _check_optimizable_historical_forecasts_global_models,
    _get_historical_forecast_boundaries,
)
from darts.utils.likelihood_models.base import Likelihood, LikelihoodType, quantile_names
from darts.utils.serialization import add_safe_globals
from darts.utils.ts_utils import series2seq
from darts.utils.utils import generate_index
from sklearn.utils import check_random_state

from darts_autoar.learned import Learned
from darts_autoar.series import (
    KnownSeries,
    TrainingEnd,
    forecast_series,
    rows_after,
    to_matrix,
    window_series,
    window_times,
)
from dasha._engine_options import DEFAULT_CRITERION, engine_options
from dasha.autoar import AutoAR
from dasha.autoar.config import AutoARConfig, whole_number
from dasha.autoar.state import from_plain, to_plain
from dasha.autoar.summary_set import require_summable
from dasha.errors import ValidationTooShortError
from dasha.types import FloatArray, GaussianForecast

_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "mode": "trained",
        "max_lookback": 512,
        "lookback": None,
        "diff_order": "kpss",
        "criterion": DEFAULT_CRITERION,
        "strategy": "recursive",
        "pooling": None,
    },
}
# The engine needs two values to difference twice, and four differences to regress on.
_MIN_TRAIN_LENGTH = 6
# Before the validation rows, maps of the three past values that differencing twice takes need four steps for each of
# four coefficients, and the two values that the first of their windows reaches further back.
_MIN_STEPS_OF_MAPS = 18


class AutoARModel(Learned, GlobalForecastingModel):
    """Linear auto-regression that chooses its own differencing (KPSS) and lookback (an information criterion).

    One auto-regression is shared by all components of all series. The defaults are the procedure of
    arXiv 2411.02796, but that from 20 components on 5 % of them may reject in KPSS. See `dasha.autoar.AutoAR` for the
    engine and for the parameters that are not explained here.

    A series that continues a training series (it holds the last rows of it, at the same times) is scaled with the
    statistics of that training series. Every other series is scaled with its own past.

    With ``mode="zero-shot"``, every component is forecast from its own last ``max_lookback`` values and nothing else.
    As everywhere in Darts, `fit` comes first, but it learns nothing; a series of a single step can be forecast.

    Parameters
    ----------
    output_chunk_length
        Horizon that the criteria ``"horizon_bic"`` and ``"validation"`` score and that a strategy is fitted for, in
        steps; set it to the horizon you will forecast. Forecasts may be longer; as everywhere in Darts, likelihood
        parameters may not.
    max_lookback
        Largest number of past steps that a forecast may use, differencing included.
    lookback
        Fixed order of the auto-regression instead of a search, whatever ``max_lookback`` is; differencing takes its
        order of past steps more.
    diff_order
        ``"kpss"``, 0, 1 or 2.
    criterion
        ``"horizon_bic"``, ``"bic"``, ``"aic"``, ``"hqic"`` or ``"validation"``. With other strategies than the paper's
        it chooses the lookback of the pooled recursive candidates, ``"bic"`` in the place of the last.
    validation_fraction
        Part of every series that ``criterion="validation"``, or any strategy but the paper's, holds out when `fit` is
        given no ``val_series``.
    strategy
        ``"recursive"``, the paper's; ``"direct"``: one regression per step; ``"average"``: the mean of the best of each
        kind; ``"auto"``: a mean whose weights follow from validation errors, for each component.
    pooling
        ``"pooled"``, ``"channel"`` (one forecaster per component) or, for ``"average"`` and ``"auto"``, ``"both"``.
        None stands for ``"both"`` there and for ``"pooled"`` elsewhere.
    mode
        ``"trained"``, or ``"zero-shot"``: nothing is learned, and another value than the default of ``lookback``,
        ``criterion``, ``validation_fraction``, ``strategy`` or ``pooling`` is an error.
    preset
        ``"paper"`` insists on these defaults: another value of any parameter above, besides horizon and
        ``validation_fraction``, is an error.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    add_encoders
        Not supported: the model uses no covariates.
    random_state
        Seed of the sampled paths.

    Examples:
    --------
    >>> from darts.utils.timeseries_generation import sine_timeseries
    >>> from darts_autoar import AutoARModel
    >>> series = sine_timeseries(length=120, value_frequency=1 / 12)
    >>> forecast = AutoARModel(output_chunk_length=12).fit(series[:-12]).predict(12)
    >>> bool(abs(forecast.values() - series[-12:].values()).max() < 1e-6)
    True
    """

    def __init__(
        self,
        output_chunk_length: int = 1,
        *,
        max_lookback: int = 512,
        lookback: int | None = None,
        diff_order: str | int = "kpss",
        criterion: str = DEFAULT_CRITERION,
        validation_fraction: float = 0.2,
        strategy: str = "recursive",
        pooling: str | None = None,
        mode: str = "trained",
        preset: str | None = None,
        device: str = "auto",
        add_encoders: dict[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        super().__init__(add_encoders=None)
        if add_encoders is not None:
            raise ValueError("`add_encoders` is given, but AutoARModel uses no covariates; leave it out")
        self._output_chunk_length = whole_number("output_chunk_length", output_chunk_length, minimum=1)
        options = engine_options(
            max_lookback=max_lookback,
            lookback=lookback,
            diff_order=diff_order,
            criterion=criterion,
            horizon=self._output_chunk_length,
            validation_fraction=validation_fraction,
            strategy=strategy,
            pooling=pooling,
            device=device,
            mode=mode,
        )
        self._engine = AutoAR(**options)
        self._check_preset(preset)
        # Plain integers: the state of numpy's generators is not on Darts' list of safe classes.
        self._seed = int(check_random_state(random_state).randint(2**31 - 1))
        self._draws = 0
        self._ends: list[TrainingEnd] = []
        self._known: KnownSeries | None = None

    def _check_preset(self, preset: str | None) -> None:
        if preset is None:
            return
        if preset not in _PRESETS:
            raise ValueError(f"`preset` is {preset!r}, but must be one of {', '.join(map(repr, _PRESETS))}")
        for name, value in _PRESETS[preset].items():
            given = getattr(self._engine.config, name)
            if given != value:
                raise ValueError(
                    f"`preset={preset!r}` means `{name}={value!r}`, but `{name}={given!r}` was given; drop one"
                )

    # ---- fitting and predicting -------------------------------------------------------------------------------------

    def fit(
        self,
        series: TimeSeriesLike,
        past_covariates: TimeSeriesLike | None = None,
        future_covariates: TimeSeriesLike | None = None,
        val_series: TimeSeriesLike | None = None,
        verbose: bool | None = None,
        *,
        keep_summaries: bool = False,
    ) -> AutoARModel:
        """Choose differencing and lookback, and estimate the coefficients; in zero-shot mode, only keep the series.

        Parameters
        ----------
        series
            One series, or several with the same number of components and any lengths. Missing values are allowed.
        past_covariates
            Not supported.
        future_covariates
            Not supported.
        val_series
            One continuation per series, as the engine's ``validation``; steps that overlap the training series are
            ignored, and a series that has ended may have no others. Chooses the lookback with
            ``criterion="validation"``, weighs the candidates of a strategy (then one must have
            ``output_chunk_length`` further steps), else adds data.
        verbose
            Not used.
        keep_summaries
            Keep what `update` needs, see `dasha.autoar.AutoAR.fit`. Goes with the paper's strategy for all components
            together, and without ``val_series``.

        Returns:
        -------
        AutoARModel
            The model itself.

        Raises:
        ------
        ValueError
            If covariates are given, the series differ in components, there is too little data, or what is asked for
            cannot be updated.
        """
        self._refuse_covariates(past_covariates, future_covariates)
        _refuse_empty("series", series)
        _refuse_empty("val_series", val_series)
        if keep_summaries and val_series is not None:
            raise ValueError("`keep_summaries` goes without `val_series`; make its steps part of `series`")
        if keep_summaries:
            require_summable(self._engine.config, has_validation=False)
        train = list(series2seq(series))
        super().fit(series, verbose=verbose)
        widths = {one.n_components for one in train}
        if len(widths) > 1:
            raise ValueError(f"all `series` must have the same number of components, but they have {sorted(widths)}")
        later = None if val_series is None else list(series2seq(val_series))
        if later is not None and len(later) != len(train):
            raise ValueError(f"`val_series` has {len(later)} series, but must have one for each of the {len(train)}")
        matrices = [to_matrix(one) for one in train]
        ends = [TrainingEnd.of(one, matrix, one.end_time()) for one, matrix in zip(train, matrices, strict=True)]
        following = None if later is None else _rows_after(ends, later, "val_series")
        if not self._is_zero_shot:  # which needs nothing but the series that `predict` is given
            try:
                self._engine.fit(matrices, validation=following, keep_summaries=keep_summaries)
            except ValidationTooShortError as error:
                raise _too_few_steps(self._engine.config, error.rows) from None
        self._ends, self._known = ends, None
        return self

    def update(self, series: TimeSeriesLike) -> AutoARModel:
        """Learn from the steps that follow the training series, without these.

        The model becomes what `fit` gives on both together: differencing, lookback, coefficients and units are found
        anew, from sums that `fit` kept with ``keep_summaries=True``.

        Parameters
        ----------
        series
            One continuation per training series, in the order of `fit`. Steps that overlap the training series are
            ignored, and steps between the two count as missing. A series that has ended is passed over as long as
            another goes on.

        Returns:
        -------
        AutoARModel
            The model itself; unchanged if there is an error.

        Raises:
        ------
        ValueError
            If nothing was fitted, no sums were kept, or a series does not continue its training series.

        Examples:
        --------
        >>> from darts.utils.timeseries_generation import sine_timeseries
        >>> from darts_autoar import AutoARModel
        >>> series = sine_timeseries(length=120, value_frequency=1 / 12)
        >>> model = AutoARModel(output_chunk_length=12, criterion="bic").fit(series[:90], keep_summaries=True)
        >>> forecast = model.update(series[90:]).predict(12)
        >>> bool(forecast.start_time() == series.end_time() + series.freq)
        True
        """
        if not self._fit_called:
            raise ValueError("the model is not fitted yet; call `fit(series, keep_summaries=True)` first")
        require_summable(self._engine.config, has_validation=False)
        _refuse_empty("series", series)
        later = list(series2seq(series))
        if len(later) != len(self._ends):
            raise ValueError(f"`series` has {len(later)} series, but must have one for each of the {len(self._ends)}")
        rows = _rows_after(self._ends, later, "series")
        self._engine.update(rows)
        pairs = zip(self._ends, rows, later, strict=True)
        self._ends, self._known = [end.followed_by(new, one.end_time()) for end, new, one in pairs], None
        known: TimeSeries | None = getattr(self, "training_series", None)  # Darts keeps a single one
        if known is not None:
            self.training_series = known.append_values(rows[0].astype(known.dtype))
        return self

    def predict(
        self,
        n: int,
        series: TimeSeriesLike | None = None,
        past_covariates: TimeSeriesLike | None = None,
        future_covariates: TimeSeriesLike | None = None,
        num_samples: int = 1,
        verbose: bool | None = None,
        predict_likelihood_parameters: bool = False,
        show_warnings: bool = True,
        random_state: int | None = None,
    ) -> TimeSeriesLike:
        """Forecast ``n`` steps after the end of the training series, or of the series given.

        Parameters
        ----------
        n
            Steps to forecast.
        series
            One or several series, seen in `fit` or not, of at least as many steps as the model looks back, or at
            least one step in zero-shot mode. A training series may be shorter, down to its own length.
        past_covariates
            Not supported.
        future_covariates
            Not supported.
        num_samples
            1 gives the mean; more gives sampled paths, correlated over the steps.
        verbose
            Not used.
        predict_likelihood_parameters
            Give mean (``_mu``) and standard deviation (``_sigma``) of every value instead.
        show_warnings
            Not used.
        random_state
            Seed of these samples alone.

        Returns:
        -------
        TimeSeriesLike
            One forecast per series.

        Raises:
        ------
        ValueError
            If ``n`` or ``num_samples`` is not an integer of at least 1, or a series cannot be used.
        """
        n, num_samples = whole_number("n", n, minimum=1), whole_number("num_samples", num_samples, minimum=1)
        self._refuse_covariates(past_covariates, future_covariates)
        inputs, as_list = self._prediction_inputs(series)
        super().predict(
            n,
            inputs,
            num_samples=num_samples,
            predict_likelihood_parameters=predict_likelihood_parameters,
            show_warnings=show_warnings,
        )
        rng = self._generator(random_state) if num_samples > 1 else None
        forecasts = []
        for one in inputs:
            forecast = self._forecast(one, np.array([len(one)]), n)
            values, components = self._values(forecast, one, num_samples, predict_likelihood_parameters, rng)
            forecasts.append(forecast_series(one, values[0], components, one.end_time() + one.freq))
        return forecasts if as_list else forecasts[0]

    def predict_quantiles(
        self, n: int, quantiles: float | Sequence[float] = (0.1, 0.5, 0.9), series: TimeSeriesLike | None = None
    ) -> TimeSeriesLike:
        """Exact quantiles of the forecast distribution, without sampling.

        Parameters
        ----------
        n
            Steps to forecast.
        quantiles
            Level or levels, each strictly between 0 and 1.
        series
            As in `predict`.

        Returns:
        -------
        TimeSeriesLike
            Series with a component ``<component>_q<level>`` for every component and level, named as Darts does.

        Raises:
        ------
        ValueError
            If ``n`` is not an integer of at least 1, a level is not allowed, or a series cannot be used.
        """
        n, levels = whole_number("n", n, minimum=1), _levels(quantiles)
        inputs, as_list = self._prediction_inputs(series)
        super().predict(n, inputs)
        forecasts = []
        for one in inputs:
            forecast = self._forecast(one, np.array([len(one)]), n)
            values = np.stack([forecast.quantile(level)[0] for level in levels], axis=-1)  # (H, C, Q)
            names = [name for component in one.components for name in quantile_names(levels, component)]
            values = values.reshape(n, -1, 1).astype(one.dtype)
            forecasts.append(forecast_series(one, values, names, one.end_time() + one.freq))
        return forecasts if as_list else forecasts[0]

    def _refuse_covariates(self, past: object, future: object) -> None:
        for name, given in (("past_covariates", past), ("future_covariates", future)):
            if given is not None:
                raise ValueError(f"`{name}` is given, but AutoARModel does not support `{name}`; leave it out")

    def _prediction_inputs(self, series: TimeSeriesLike | None) -> tuple[Sequence[TimeSeries], bool]:
        if series is None:
            if self.training_series is None:
                raise ValueError(  # Darts' own words, which its users and tests know
                    "Input `series` must be provided. This is the result either from fitting on multiple series, "
                    "from not having fit the model yet, or from loading a model saved with `clean=True`."
                )
            series = self.training_series
        _refuse_empty("series", series)
        inputs = series2seq(series)
        if self._fit_called:
            for index, one in enumerate(inputs):
                self._check_input(one, index)
        return inputs, not isinstance(series, TimeSeries)

    def _check_input(self, series: TimeSeries, index: int, *, may_be_short: bool = True) -> None:
        width = len(self._ends[0].components)
        if series.n_components != width:
            raise ValueError(
                f"`series` at index {index} has {series.n_components} components, but the model was fitted on {width}"
            )
        if len(series) >= self._context_length:
            return
        if may_be_short and not self._is_zero_shot and self._is_a_training_series(series):
            return
        if self._is_zero_shot:
            raise ValueError(f"`series` at index {index} has no steps, but a forecast needs at least one")
        raise ValueError(
            f"`series` at index {index} has {len(series)} steps, but the model looks back "
            f"{self._context_length} ({self._engine.describe()}); "
            "supply more history or fit with a smaller `max_lookback`"
        )

    def _is_a_training_series(self, series: TimeSeries) -> bool:
        """Whether it is a whole one that was short itself: the engine forecasts those, as if constant before."""
        tails = self._engine.fitted.tails  # as many rows as a forecast uses, or all there are
        return any(
            known == len(series) and len(tails[number]) <= known
            for number, known in self._known_series().find(series, to_matrix(series))
        )

    def _known_series(self) -> KnownSeries:
        if self._known is None:
            self._known = KnownSeries(self._ends)
        return self._known

    def _forecast(self, series: TimeSeries, origins: np.ndarray, horizon: int) -> GaussianForecast:
        """Forecasts from every origin, ``mean`` of shape ``(N, H, C)``."""
        values = to_matrix(series)
        if self._is_zero_shot:
            return self._engine.predict_origins(horizon, values, origins)
        # An origin before the end of a training series does not know that series yet: it uses the past it has.
        starts = [(None, 0), *self._known_series().find(series, values)]
        stops = [known_from for _, known_from in starts[1:]] + [len(series) + 1]
        parts = []
        for (number, start), stop in zip(starts, stops, strict=True):
            chosen = origins[(origins >= start) & (origins < stop)]
            if len(chosen) or number is None:
                parts.append(
                    self._engine.predict_origins(horizon, values, chosen, series=number, unseen=number is None)
                )
        if len(parts) > 1 and not len(parts[0].mean):
            parts = parts[1:]
        return GaussianForecast.concatenate(parts)

    def _values(
        self,
        forecast: GaussianForecast,
        series: TimeSeries,
        num_samples: int,
        as_parameters: bool,
        rng: np.random.Generator | None,
    ) -> tuple[np.ndarray, Sequence[str]]:
        """Values of shape ``(N, H, components, samples)`` in the dtype of the series, and the component names."""
        if as_parameters:
            both = np.stack([forecast.mean, forecast.std], axis=-1)  # (N, H, C, 2)
            values, components = both.reshape(*both.shape[:2], -1, 1), self.likelihood.component_names(series=series)
        elif rng is None:
            values, components = forecast.mean[..., None], list(series.components)
        else:
            values, components = np.moveaxis(forecast.sample(num_samples, rng), 0, -1), list(series.components)
        return values.astype(series.dtype, copy=False), components

    def _generator(self, random_state: int | None) -> np.random.Generator:
        """Generator of one call: its own seed, else the next of the model's stream; numpy's own is left alone."""
        if random_state is not None:
            return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
        self._draws += 1
        return np.random.default_rng([self._seed, self._draws])

    # ---- historical forecasts ---------------------------------------------------------------------------------------

    def _check_optimizable_historical_forecasts(self, retrain: Any) -> bool:
        return bool(_check_optimizable_historical_forecasts_global_models(retrain))

    def _optimized_historical_forecasts(
        self,
        series: Sequence[TimeSeries],
        past_covariates: Sequence[TimeSeries] | None = None,
        future_covariates: Sequence[TimeSeries] | None = None,
        num_samples: int = 1,
        start: pd.Timestamp | float | int | Literal["end"] | None = None,
        start_format: Literal["position", "value"] = "value",
        forecast_horizon: int = 1,
        stride: int = 1,
        overlap_end: bool = False,
        last_points_only: bool = True,
        verbose: bool = False,
        show_warnings: bool = True,
        predict_likelihood_parameters: bool = False,
        random_state: int | None = None,
        predict_kwargs: dict[str, Any] | None = None,
    ) -> Sequence[TimeSeries] | Sequence[Sequence[TimeSeries]]:
        """All windows of a series at once; equal to calling `predict` for each."""
        forecast_horizon = whole_number("forecast_horizon", forecast_horizon, minimum=1)
        num_samples = whole_number("num_samples", num_samples, minimum=1)
        self._refuse_covariates(past_covariates, future_covariates)
        GlobalForecastingModel.predict(
            self,
            forecast_horizon,
            series,
            num_samples=num_samples,
            predict_likelihood_parameters=predict_likelihood_parameters,
            show_warnings=show_warnings,
        )
        rng = self._generator(random_state) if num_samples > 1 else None
        results = []
        windows: dict[tuple[Any, ...], list[pd.Index]] = {}  # series often share their times
        for index, one in enumerate(series):
            self._check_input(one, index, may_be_short=False)  # Darts finds no window in a short one
            first, last = _get_historical_forecast_boundaries(
                model=self,
                series=one,
                series_idx=index,
                past_covariates=None,
                future_covariates=None,
                start=start,
                start_format=start_format,
                forecast_horizon=forecast_horizon,
                overlap_end=overlap_end,
                stride=stride,
                freq=one.freq,
                show_warnings=show_warnings,
            )[:2]
            times = generate_index(start=first, end=last, freq=one.freq * stride)
            known = len(one) if first > one.end_time() else one.get_index_at_point(first)
            origins = known + stride * np.arange(len(times))
            forecast = self._forecast(one, origins, forecast_horizon)
            if last_points_only:
                forecast = forecast.last_step()
            values, components = self._values(forecast, one, num_samples, predict_likelihood_parameters, rng)
            if last_points_only:
                first_point = first + (forecast_horizon - 1) * one.freq
                results.append(forecast_series(one, values[:, -1], components, first_point, stride))
            else:
                kind = (first, len(times), one.freq, one.time_index.name)
                if kind not in windows:
                    windows[kind] = window_times(one, first, len(times), forecast_horizon, stride)
                results.append(window_series(one, values, components, windows[kind]))
        return results

    def __repr__(self) -> str:
        """Darts' description, and what was fitted."""
        text: str = super().__repr__()
        return f"{text}: {self._engine.describe()}" if self._fit_called else text

    # ---- what Darts asks a model ------------------------------------------------------------------------------------

    @property
    def output_chunk_length(self) -> int:
        """Horizon the model was tuned for."""
        return self._output_chunk_length

    @property
    def likelihood(self) -> Likelihood:
        """Gaussian, with mean and standard deviation as parameters."""
        return Likelihood(LikelihoodType.Gaussian, ["mu", "sigma"])

    @property
    def supports_multivariate(self) -> bool:
        """All components share the coefficients."""
        return True

    @property
    def supports_probabilistic_prediction(self) -> bool:
        """Sampled paths and likelihood parameters come with every fit."""
        return True

    @property
    def supports_sample_weight(self) -> bool:
        """Every observation counts alike."""
        return False

    @property
    def _supports_val_series(self) -> bool:
        return True

    @property
    def _is_zero_shot(self) -> bool:
        return self._engine.config.is_zero_shot

    @property
    def _context_length(self) -> int:
        """Steps that a series must have; in zero-shot mode not the most that a forecast uses."""
        if self._is_zero_shot:
            return 1
        if self._fit_called:
            return self._engine.context_length_
        return max(1, self._engine.config.lookback or 0)

    @property
    def min_train_samples(self) -> int:
        """Completes the windows to a minimum training length that does not depend on the lookback found before."""
        if self._is_zero_shot:
            return 1
        return _min_train_length(self._engine.config) - self._context_length - self.output_chunk_length + 1

    @property
    def _target_window_lengths(self) -> tuple[int, int]:
        return self._context_length, self.output_chunk_length

    @property
    def extreme_lags(self) -> tuple[int | None, int | None, int | None, int | None, int | None, int | None, int]:
        """Reach of the inputs and outputs relative to the first predicted step."""
        return -self._context_length, self.output_chunk_length - 1, None, None, None, None, 0

    @property
    def _model_encoder_settings(
        self,
    ) -> tuple[int | None, int | None, bool, bool, list[int] | None, list[int] | None]:
        return self._context_length, self.output_chunk_length, False, False, None, None

    def __getstate__(self) -> dict[str, Any]:
        """State in plain containers, which Darts' restricted loading accepts."""
        state = self.__dict__.copy()
        engine: AutoAR = state.pop("_engine")
        state["_known"] = None
        state["_ends"] = [tuple(end) for end in self._ends]
        is_learned = self._fit_called and not self._is_zero_shot
        state["_engine_state"] = to_plain(engine) if is_learned else asdict(engine.config)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Inverse of `__getstate__`."""
        state = dict(state)
        stored = state.pop("_engine_state")
        state["_engine"] = AutoAR(**stored) if isinstance(stored, dict) else from_plain(*stored)
        state["_ends"] = [TrainingEnd(*end) for end in state["_ends"]]
        self.__dict__.update(state)


def _rows_after(ends: Sequence[TrainingEnd], later: Sequence[TimeSeries], name: str) -> list[FloatArray]:
    rows = [rows_after(*pair, name) for pair in zip(ends, later, strict=True)]
    if not any(map(len, rows)):
        raise ValueError(
            f"`{name}` ends at {later[0].end_time()}, but must reach beyond the training series, which ends at "
            f"{ends[0].end}; of several, at least one must"
        )
    return rows


def _too_few_steps(config: AutoARConfig, steps: int) -> ValidationTooShortError:
    return ValidationTooShortError(
        f"`val_series` reaches {steps} steps at most past the training series, but `strategy={config.strategy!r}` with "
        f"`output_chunk_length={config.horizon}` needs at least {config.horizon}; pass more of them, shorten "
        "`output_chunk_length`, or leave `val_series` out: the last `validation_fraction` of `series` is then held out",
        rows=steps,
    )


def _min_train_length(config: AutoARConfig) -> int:
    """Steps that every fit can do with, whatever differencing the data asks for."""
    lookback, horizon = config.lookback, config.horizon
    if not config.needs_maps:
        return _MIN_TRAIN_LENGTH + horizon - 1 if lookback is None else 2 * lookback + 4
    fitting = horizon + (_MIN_STEPS_OF_MAPS if lookback is None else lookback + 2)
    needed = max(fitting + horizon, math.ceil((fitting + 1) / (1.0 - config.validation_fraction)))
    return needed if lookback is None else max(needed, 2 * lookback + 6)


def _levels(quantiles: float | Sequence[float]) -> list[float]:
    levels: list[Any] = list(quantiles) if isinstance(quantiles, Sequence | np.ndarray) else [quantiles]
    if not levels or not all(isinstance(level, Real) and 0.0 < float(level) < 1.0 for level in levels):
        raise ValueError(f"`quantiles` are {levels}, but must be levels strictly between 0 and 1")
    return [float(level) for level in levels]


def _refuse_empty(name: str, series: TimeSeriesLike | None) -> None:
    if series is not None and not isinstance(series, TimeSeries) and len(series) == 0:
        raise ValueError(f"`{name}` is an empty list; pass at least one series")


# Lets Darts' restricted loading name this class, also inside ensembles and conformal models.
add_safe_globals([AutoARModel])
