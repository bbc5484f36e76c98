"""Auto-AR as a GluonTS estimator and predictor."""

# No `from __future__ import annotations`: GluonTS checks arguments by the annotations, which must not be strings.

import contextlib
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gluonts.core.component import BaseValidatedInitializerModel, equals, validated
from gluonts.core.serde import dump_json
from gluonts.model.estimator import Estimator
from gluonts.model.predictor import RepresentablePredictor
from gluonts.pydantic import root_validator

from darts_autoar.gluonts_fit import engine_of, fit_rows, fit_sums
from darts_autoar.gluonts_forecast import AutoARForecast
from darts_autoar.gluonts_series import EntrySeries, KnownSeries, continuations, period_freq, training_ends
from darts_autoar.gluonts_update import require_ids, require_same, summaries_of, updated
from darts_autoar.learned import Learned
from dasha._engine_options import DEFAULT_CRITERION, engine_options
from dasha.autoar import AutoAR
from dasha.autoar.config import AutoARConfig, whole_number
from dasha.autoar.state import from_plain, to_plain
from dasha.autoar.summary_set import require_summable
from dasha.errors import (
    DashaWarning,
    InvalidArgumentError,
    InvalidSeriesError,
)
from dasha.types import FloatArray

_MAX_LOOKBACK = 512
_SAMPLES = 100
_WHOLE_NUMBERS = ("prediction_length", "lead_time", "context_length", "max_lookback", "lookback", "diff_order", "seed")


class _Arguments(BaseValidatedInitializerModel):
    """GluonTS turns ``"12"`` into 12, which its command line needs, but also 1.5 and ``True`` into 1."""

    @root_validator(pre=True)  # type: ignore[untyped-decorator]  # the host has no types
    def _refuse_what_would_be_rounded(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805
        for name in _WHOLE_NUMBERS:
            value = values.get(name)
            is_text = isinstance(value, str) and name != "diff_order" and not value.strip().lstrip("-").isdecimal()
            if isinstance(value, bool | float) or is_text:
                raise InvalidArgumentError(f"{name} is {value!r}, but must be an integer")
        return values


class AutoAREstimator(Estimator):
    """Linear auto-regression that chooses its own differencing (KPSS) and lookback (an information criterion).

    One auto-regression is shared by all channels of all series. The defaults are the procedure of arXiv 2411.02796, but
    that from 20 channels on 5 % of them may reject in KPSS. See `dasha.autoar.AutoAR` for the engine and for the
    parameters that are not explained here.

    Args:
        prediction_length: Steps to forecast. With ``lead_time`` it is also the horizon that the criteria
            ``"horizon_bic"`` and ``"validation"`` score and that a strategy is fitted for.
        context_length: GluonTS' word for ``max_lookback``; give one of the two.
        freq: Frequency that every series must have, such as ``"h"``; ``"W"`` allows weeks from any day, None anything.
        lead_time: Steps between the end of the data and the first step that is forecast.
        max_lookback: Largest number of past steps that a forecast may use, differencing included.
        lookback: Fixed order of the auto-regression instead of a search, at most ``context_length`` if that is
            given; differencing takes its order of past steps more.
        diff_order: ``"kpss"``, 0, 1 or 2.
        criterion: ``"horizon_bic"``, ``"bic"``, ``"aic"``, ``"hqic"`` or ``"validation"``. With other strategies than
            the paper's it chooses the lookback of the pooled recursive candidates, ``"bic"`` in the place of the last.
        validation_fraction: Part of every series that ``criterion="validation"``, or any strategy but the paper's,
            holds out when `train` is given no validation data.
        strategy: ``"recursive"``, the paper's; ``"direct"``: one regression per step; ``"average"``: the mean of the
            best of each kind; ``"auto"``: a mean whose weights follow from validation errors, for each channel.
        pooling: ``"pooled"``, ``"channel"`` (one forecaster per channel of every series) or, for ``"average"`` and
            ``"auto"``, ``"both"``. None stands for ``"both"`` there and for ``"pooled"`` elsewhere.
        mode: ``"trained"``, or ``"zero-shot"``: every channel is forecast from its own last ``max_lookback`` values and
            nothing else. `train` then learns nothing, and another value than the default of ``lookback``,
            ``criterion``, ``validation_fraction``, ``strategy`` or ``pooling`` is an error.
        device: Where to train: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``. Prediction, one series at a time,
            runs on the CPU.
        seed: Seed of the sample paths.
        keep_summaries: Keep in the predictor what `train_from` needs, see `dasha.autoar.AutoAR.fit`. Goes with the
            paper's strategy, and without validation data.

    Raises:
        ValueError: If an argument is not one of the values above.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> from darts_autoar import AutoAREstimator
        >>> y = np.sin(np.arange(120) * np.pi / 6)
        >>> entry = {"start": pd.Period("2020-01-01", freq="h"), "target": y[:-12]}
        >>> predictor = AutoAREstimator(prediction_length=12).train([entry])
        >>> forecast = next(predictor.predict([entry]))
        >>> bool(abs(forecast.mean - y[-12:]).max() < 1e-6)
        True
    """

    @validated(_Arguments)  # type: ignore[untyped-decorator]
    def __init__(
        self,
        prediction_length: int,
        context_length: int | None = None,
        freq: str | None = None,
        lead_time: int = 0,
        max_lookback: int = _MAX_LOOKBACK,
        lookback: int | None = None,
        diff_order: int | str = "kpss",
        criterion: str = DEFAULT_CRITERION,
        validation_fraction: float = 0.2,
        strategy: str = "recursive",
        pooling: str | None = None,
        mode: str = "trained",
        device: str = "auto",
        seed: int = 0,
        keep_summaries: bool = False,
    ) -> None:
        self.prediction_length = whole_number("prediction_length", prediction_length, minimum=1)
        super().__init__(lead_time=whole_number("lead_time", lead_time, minimum=0))
        self.seed = whole_number("seed", seed, minimum=0)
        self.freq = None if freq is None else period_freq(freq)
        options = engine_options(
            max_lookback=_bound(context_length, max_lookback),
            lookback=lookback,
            diff_order=diff_order,
            criterion=criterion,
            horizon=self.lead_time + self.prediction_length,
            validation_fraction=validation_fraction,
            strategy=strategy,
            pooling=pooling,
            device=device,
            mode=mode,
        )
        if context_length is not None and lookback is not None and lookback > context_length:
            raise InvalidArgumentError(
                f"lookback is {lookback}, but must be at most context_length={context_length}; drop one of the two"
            )
        self.config = AutoARConfig(**options)
        self.context_length = self.config.max_lookback
        self.keep_summaries = keep_summaries
        if keep_summaries:
            require_summable(self.config, has_validation=False)

    def train(
        self, training_data: Iterable[Mapping[str, Any]], validation_data: Iterable[Mapping[str, Any]] | None = None
    ) -> "AutoARPredictor":
        """Choose differencing and lookback, and estimate the coefficients.

        Missing values and series of any lengths are allowed. Where all series together are too short for what was
        asked, a simpler model is trained, with a warning. In zero-shot mode the entries are only checked, and
        ``validation_data`` is not read.

        Args:
            training_data: Entries with ``start`` and ``target``, of shape ``(T,)`` or ``(C, T)``.
            validation_data: The same series, continued; training rows in front do not count again. Chooses the
                lookback with ``criterion="validation"``, weighs the candidates of a strategy, else adds data. Where
                it reaches less than a horizon further, a strategy is trained as on training data alone, with a warning.

        Returns:
            The predictor.

        Raises:
            InvalidSeriesError: If an entry cannot be used, or no series holds any value (in zero-shot mode, which does
                without, if there is no series), or `train_from` could not tell the series apart.
        """
        self._refuse_validation_data(validation_data)
        series = _read(training_data, "training_data", self.freq)
        if self.config.is_zero_shot:
            return self._predictor(engine_of(self.config), [])
        following: list[FloatArray] | None = None
        if validation_data is not None:
            following = continuations(
                series, _read(validation_data, "validation_data", self.freq), name="validation_data"
            )
            if all(np.isnan(rows).all() for rows in following):
                raise InvalidSeriesError(
                    f"validation_data holds no value after the end of training_data ({series[0].name} ends before "
                    f"{series[0].end}); pass series that reach further, or leave out validation_data"
                )
        usable = [number for number, one in enumerate(series) if one.has_values()]
        if not usable:
            raise InvalidSeriesError("training_data holds no value at all, only missing ones; check how it was read")
        if self.keep_summaries and len(usable) < len(series):
            require_ids(series)
        train = [series[number].values for number in usable]
        later = None if following is None else [following[number] for number in usable]
        engine = fit_sums(self.config, train) if self.keep_summaries else fit_rows(self.config, train, later)
        lengths = {number: len(values) for number, values in zip(usable, train, strict=True)}
        if later is not None:
            lengths = {number: lengths[number] + len(rows) for number, rows in zip(usable, later, strict=True)}
        _warn_of_short(engine, series, lengths)
        return self._predictor(engine, [series[number] for number in usable])

    def train_from(
        self,
        predictor: "AutoARPredictor",
        training_data: Iterable[Mapping[str, Any]],
        validation_data: Iterable[Mapping[str, Any]] | None = None,
    ) -> "AutoARPredictor":
        """Learn from what came after the training of a predictor, without the old data.

        The result is what `train` gives on everything so far and the new rows together: differencing, lookback,
        coefficients and units are found anew, from sums that `train` kept with ``keep_summaries=True``.

        Args:
            predictor: Trained with ``keep_summaries=True`` and the settings of this estimator; stays as it is.
            training_data: Entries that continue the training series, by item id, or by position where there are no ids,
                with or without the old rows in front, which do not count again; steps between are missing. A series
                that has ended may have no entry, and other item ids begin new series.
            validation_data: Not supported.

        Returns:
            A further predictor, which can go on in the same way.

        Raises:
            InvalidArgumentError: If the predictor kept no sums, or was trained with other settings.
            InvalidSeriesError: If an entry cannot be used or does not continue its series, or nothing is new.

        Examples:
            >>> import numpy as np, pandas as pd
            >>> from darts_autoar import AutoAREstimator
            >>> y = np.sin(np.arange(120) * np.pi / 6)
            >>> estimator = AutoAREstimator(prediction_length=12, keep_summaries=True)
            >>> entry = {"start": pd.Period("2020-01-01", freq="h"), "target": y}
            >>> predictor = estimator.train([{**entry, "target": y[:90]}])
            >>> predictor = estimator.train_from(predictor, [{"start": entry["start"] + 90, "target": y[90:]}])
        """
        require_summable(self.config, has_validation=False)
        self._refuse_validation_data(validation_data)
        if not isinstance(predictor, AutoARPredictor):
            raise InvalidArgumentError(
                f"predictor is a {type(predictor).__name__}, but must be what AutoAREstimator.train returned"
            )
        require_same(predictor.engine.config, self.config)
        kept = summaries_of(predictor.engine)
        assert predictor._known is not None  # zero-shot predictors have other settings
        entries = _read(training_data, "training_data", self.freq)
        return self._predictor(*updated(kept, self.config, predictor._known.ends(), entries))

    def _refuse_validation_data(self, validation_data: object) -> None:
        if self.keep_summaries and validation_data is not None:
            raise InvalidArgumentError(
                "keep_summaries=True goes without validation_data; make its rows part of training_data"
            )

    def _predictor(self, engine: AutoAR, series: list[EntrySeries]) -> "AutoARPredictor":
        predictor: AutoARPredictor = AutoARPredictor(
            prediction_length=self.prediction_length,
            state=_state(engine, series),
            lead_time=self.lead_time,
            freq=self.freq,
            seed=self.seed,
        )
        return predictor


class AutoARPredictor(Learned, RepresentablePredictor):
    """What `AutoAREstimator.train` returns.

    A series that continues a training series (same item id, and it holds the last rows of it, at the same times) is
    scaled with the statistics of that training series. Every other series is scaled with its own past, and in zero-shot
    mode all are. A past of a single value is enough; a channel without any value is forecast as NaN.

    Args:
        prediction_length: Steps to forecast.
        state: What was learned, in plain numbers and arrays.
        lead_time: Steps between the end of the data and the first step that is forecast.
        freq: Frequency that every series must have; None allows any.
        seed: Seed of the sample paths.
    """

    @validated(_Arguments)  # type: ignore[untyped-decorator]
    def __init__(
        self,
        prediction_length: int,
        state: dict[str, Any],
        lead_time: int = 0,
        freq: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            prediction_length=whole_number("prediction_length", prediction_length, minimum=1),
            lead_time=whole_number("lead_time", lead_time, minimum=0),
        )
        self.freq = freq
        self.seed = whole_number("seed", seed, minimum=0)
        self._engine = from_plain(state["model"], state["arrays"])
        self._known = None if self._engine.config.is_zero_shot else KnownSeries(state["ends"])

    def predict(self, dataset: Iterable[Mapping[str, Any]], num_samples: int | None = None) -> Iterator[AutoARForecast]:
        """Forecast every series of a dataset.

        Args:
            dataset: Entries with ``start`` and ``target``, seen in training or not.
            num_samples: Paths in ``forecast.samples``; None is 100. Mean and quantiles are exact and need none.

        Yields:
            One forecast per entry, in order.

        Raises:
            InvalidSeriesError: If an entry cannot be used.
        """
        count = whole_number("num_samples", _SAMPLES if num_samples is None else num_samples, minimum=1)
        for number, item in enumerate(dataset):
            yield self._forecast(item, number, count)

    def predict_item(self, item: Mapping[str, Any]) -> AutoARForecast:
        """Forecast one series; see `predict`."""
        return self._forecast(item, 0, num_samples=_SAMPLES)

    def _forecast(self, item: Mapping[str, Any], number: int, num_samples: int) -> AutoARForecast:
        series = EntrySeries.of(item, number, self.freq)
        horizon = self.lead_time + self.prediction_length
        past = series.values if len(series.values) else np.full((1, series.values.shape[1]), np.nan)
        known = None if self._known is None else self._known.find(series)
        with _one_thread():
            joint = self._engine.predict_origins(horizon, past, [len(past)], series=known, unseen=known is None)
        return AutoARForecast(
            joint.origin(0),
            series.end + self.lead_time,
            lead_time=self.lead_time,
            weights=np.ones(1) if series.is_univariate else None,
            item_id=item.get("item_id"),
            info=item.get("info"),
            num_samples=num_samples,
            seed=(self.seed, _fingerprint(series)),
        )


def _equal_predictors(this: AutoARPredictor, that: object) -> bool:
    """Like GluonTS compares predictors, but with missing values equal to missing values."""
    return isinstance(that, AutoARPredictor) and bool(dump_json(this) == dump_json(that))


equals.register(AutoARPredictor, _equal_predictors)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute without OpenMP's threads: those of a trained-in process do not survive a fork, and workers would hang."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _bound(context_length: int | None, max_lookback: int) -> int:
    """Largest lookback, from the two words for it."""
    if context_length is None:
        return max_lookback
    if max_lookback not in (_MAX_LOOKBACK, context_length):
        raise InvalidArgumentError(
            f"context_length is {context_length} and max_lookback is {max_lookback}, but they say the same; drop one"
        )
    return whole_number("context_length", context_length, minimum=1)


def _read(dataset: Iterable[Mapping[str, Any]], name: str, freq: str | None) -> list[EntrySeries]:
    series = [EntrySeries.of(entry, number, freq) for number, entry in enumerate(dataset)]
    if not series:
        raise InvalidSeriesError(f"{name} is empty; pass at least one series")
    return series


def _warn_of_short(engine: AutoAR, series: list[EntrySeries], lengths: Mapping[int, int]) -> None:
    """Say once how many series had nothing to teach; ``lengths`` holds the rows of those with any value."""
    is_direct = engine.selection_ is not None and engine.config.strategy == "direct"
    if is_direct:
        needed, what = engine.context_length_ + engine.config.horizon, "windows of past and future"
    else:
        needed = engine.lookback_ + engine.diff_order_ + 1
        what = f"lookback {engine.lookback_} and differencing {engine.diff_order_}"
    short = [one for number, one in enumerate(series) if lengths.get(number, 0) < needed]
    if short:
        warnings.warn(
            f"{len(short)} of {len(series)} series are left out of the coefficients: they have no value, or fewer "
            f"steps than the {needed} that {what} need (the first is {short[0].name} with {len(short[0].values)} "
            "steps)",
            DashaWarning,
            stacklevel=3,
        )


def _state(engine: AutoAR, series: list[EntrySeries]) -> dict[str, Any]:
    """What a predictor needs, in plain numbers and arrays."""
    config = replace(engine.config, device="cpu")  # workers are forked, and a GPU does not survive that
    if config.is_zero_shot:
        values, arrays = to_plain(engine_of(config))
        return {"model": values, "arrays": arrays, "ends": None}
    # GluonTS always gives the past with the question, so the ends kept to forecast from would only fill the file.
    tails = [np.empty((0, one.values.shape[1])) for one in series]
    values, arrays = to_plain(AutoAR.restore(config, replace(engine.fitted, tails=tails)))
    return {"model": values, "arrays": arrays, "ends": training_ends(series)}


def _fingerprint(series: EntrySeries) -> int:
    """Number that differs between series and does not depend on who predicts, or in which order."""
    label = f"{series.item_id} {series.end} {series.start.freqstr} "
    return zlib.crc32(label.encode() + series.values[-1:].tobytes())
