"""Fits of `AutoAR` that never hold all rows: on summaries, streams and files, and updates of a fitted model."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from dasha._ray import Engine
from dasha.autoar.config import AutoARConfig
from dasha.autoar.fitted import FittedAR, RecordedSeries
from dasha.autoar.streaming import SeriesAccumulator, SeriesSummary, accumulate, add_chunks
from dasha.autoar.summary import KPSS_LAGS
from dasha.autoar.summary_data import longest_window
from dasha.autoar.summary_set import (
    Summaries,
    SummarySet,
    continued,
    fit_summary_set,
    in_order_of_id,
    require_summable,
    summary_set,
)
from dasha.autoar.time_steps import Frequency
from dasha.errors import DashaWarning, InvalidArgumentError, NotFittedError

Rows = ArrayLike | Sequence[ArrayLike] | Mapping[Hashable, ArrayLike]


class Incremental:
    """The part of `dasha.autoar.AutoAR` that fits on sums of rows.

    All of it is for ``strategy="recursive"`` with ``pooling="pooled"``, and equals `AutoAR.fit` on the same rows but
    for rounding. The models keep their summaries, so that `update` works on them.
    """

    config: AutoARConfig
    _known: FittedAR | RecordedSeries | None

    @property
    def summary_length(self) -> int:
        """Least ``max_length`` of the summaries that a fit with these settings needs."""
        return longest_window(self.config)

    @property
    def series_ids_(self) -> tuple[Hashable, ...]:
        """Ids of the training series in the order of their numbers; None is that of a single series without one.

        Raises:
            NotFittedError: If nothing was fitted.
            InvalidArgumentError: If the model kept no summaries.
        """
        return tuple(self._kept().series)

    def fit_summaries(self, train: Summaries, *, validation: Summaries | None = None, freq: Frequency = None) -> Self:
        """Fit on summaries of series, wherever they were made.

        Args:
            train: One `dasha.autoar.SeriesSummary`, a list of them, or a mapping by id, as `dasha.autoar.accumulate`
                gives it; made with a ``max_length`` of at least `summary_length`.
            validation: The rows that follow, as in `AutoAR.fit`, under the same ids; a series may have none.
            freq: Time between two steps, where the summaries have times: missing steps between training and
                validation become a gap. None: rows are evenly spaced, see `fit_stream`.

        Returns:
            The model itself.

        Raises:
            InvalidArgumentError: If the settings need the rows, or longer windows than the summaries have.
            InvalidSeriesError: If validation rows do not continue a training series.
            SeriesTooShortError: As in `AutoAR.fit`.
        """
        following = None if validation is None else summary_set(validation, freq, "validation")
        is_list = not isinstance(train, SeriesSummary)
        fitted = fit_summary_set(self.config, summary_set(train, freq, "train"), following, is_list=is_list)
        return self._learned(fitted)

    def fit_stream(
        self,
        chunks: Iterable[Any],
        *,
        validation: Iterable[Any] | None = None,
        freq: Frequency = None,
        targets: Sequence[str] | None = None,
        id_column: str | None = None,
        time_column: str | None = None,
        kpss_lags: int = KPSS_LAGS,
    ) -> Self:
        """Fit on rows that come in chunks, in memory that does not grow with their number.

        Args:
            chunks: Arrays of one series, tuples ``(id, values)`` or ``(id, values, times)``, or pandas or pyarrow
                tables in long format; each series in order of time.
            validation: Chunks of the rows that follow, as in `AutoAR.fit`.
            freq: Time between two steps, a pandas frequency or a number; missing steps become gaps. None takes rows as
                evenly spaced; times, where there are any, must bear it out: all steps as long as the first, or as many
                months or working days.
            targets: Columns with the channels, needed for tables.
            id_column: Column of tables that tells series apart.
            time_column: Column of tables with the times.
            kpss_lags: See `dasha.autoar.summary.summarise`.

        Returns:
            The model itself; series are numbered in the order of their first rows, see `series_ids_`.

        Raises:
            InvalidArgumentError: If the settings need the rows themselves.
            InvalidSeriesError: If rows are unusable or not in order, or uneven where ``freq`` is None.
            SeriesTooShortError: As in `AutoAR.fit`.
        """
        if isinstance(chunks, np.ndarray) or hasattr(chunks, "columns"):
            raise InvalidArgumentError(
                f"chunks is a single {type(chunks).__name__}, but must be an iterable of chunks; wrap it in a list, or "
                "call fit with arrays"
            )
        require_summable(self.config, has_validation=validation is not None)

        def summed(source: Iterable[Any]) -> dict[Hashable, SeriesSummary]:
            return accumulate(
                source,
                self.summary_length,
                freq=freq,
                kpss_lags=kpss_lags,
                targets=targets,
                id_column=id_column,
                time_column=time_column,
            )

        return self._learned(self._fit_sets(summed(chunks), None if validation is None else summed(validation), freq))

    def fit_files(
        self,
        source: Any,
        *,
        targets: Sequence[str],
        id_column: str | None = None,
        time_column: str | None = None,
        freq: Frequency = None,
        engine: Engine = "local",
        validation: Any = None,
        kpss_lags: int = KPSS_LAGS,
    ) -> Self:
        """Fit on Parquet or CSV files in long format that need not fit into memory.

        Args:
            source: A file, a folder or a list of files; a ``pyarrow.dataset.Dataset`` for ``engine="local"``, a
                ``ray.data.Dataset`` for ``engine="ray"``.
            targets: Columns with the channels.
            id_column: Column that tells series apart; None if there is one.
            time_column: Column with the times. ``engine="ray"`` needs it; without one, ``engine="local"`` takes rows
                in the order of files and rows.
            freq: As in `fit_stream`.
            engine: ``"local"`` reads in this process, file by file, where each file must hold its series in order of
                time; ``"ray"`` sums up partitions on the workers of a Ray cluster, rows in any
                order.
            validation: The rows that follow, in another source of the same kind.
            kpss_lags: See `dasha.autoar.summary.summarise`.

        Returns:
            The model itself; series are numbered in the order of their ids, see `series_ids_`.

        Raises:
            InvalidArgumentError: If an argument is not allowed, or the settings need the rows themselves.
            InvalidTableError: If files cannot be read.
            InvalidSeriesError: If rows are unusable, or not in order where they must be.
            OptionalDependencyError: If ``engine="ray"`` and Ray is not installed.
            SeriesTooShortError: As in `AutoAR.fit`.
        """
        require_summable(self.config, has_validation=validation is not None)
        if engine == "ray":
            from dasha.autoar.ray_engine import summarise_source as summarise
        elif engine == "local":
            from dasha.autoar.files import summarise_files as summarise
        else:
            raise InvalidArgumentError(f"engine is {engine!r}, but must be 'local' or 'ray'")

        def summed(one: Any) -> dict[Hashable, SeriesSummary]:
            series = summarise(
                one,
                targets=targets,
                id_column=id_column,
                time_column=time_column,
                freq=freq,
                max_length=self.summary_length,
                kpss_lags=kpss_lags,
            )
            return in_order_of_id(series)

        return self._learned(self._fit_sets(summed(source), None if validation is None else summed(validation), freq))

    def update(self, rows: Rows, *, series: Any = None, validation: Rows | None = None) -> Self:
        """Learn from rows that follow the training series, without the old ones.

        The model becomes what `AutoAR.fit` gives on everything so far (validation rows included) and the new rows
        together: differencing, lookback, coefficients and units are all found anew.

        Args:
            rows: One array, a list of arrays, or arrays by id, shapes as in `AutoAR.fit`.
            series: Id, or ids, of what an array or a list continues, see `series_ids_`: the number in the list that
                was fitted, unless there were names. None stands for all series in their order.
            validation: The rows that follow after these, in the same form; needed again for
                ``criterion="validation"``.

        Returns:
            The model itself; unchanged if there is an error.

        Raises:
            NotFittedError: If nothing was fitted.
            InvalidArgumentError: If the model kept no summaries, or the series meant is not clear.
            InvalidSeriesError: If rows are unusable, or have another number of channels.
        """
        kept = self._kept()
        require_summable(self.config, has_validation=validation is not None)
        train = continued(kept, rows, series)
        following = None if validation is None else continued(kept, validation, series, is_validation=True)
        is_list = self._known is not None and self._known.is_list
        return self._learned(fit_summary_set(self.config, train, following, is_list=is_list))

    def update_stream(
        self,
        chunks: Iterable[Any],
        *,
        validation: Iterable[Any] | None = None,
        targets: Sequence[str] | None = None,
        id_column: str | None = None,
        time_column: str | None = None,
    ) -> Self:
        """Learn from chunks that follow the training series, or begin further ones; see `update` and `fit_stream`.

        The frequency is that of the fit.
        """
        kept = self._kept()
        require_summable(self.config, has_validation=validation is not None)

        def summed(accumulator: SeriesAccumulator, source: Iterable[Any]) -> dict[Hashable, SeriesSummary]:
            add_chunks(accumulator, source, targets=targets, id_column=id_column, time_column=time_column)
            return accumulator.series()

        train = summed(kept.accumulator(), chunks)
        following = None if validation is None else summed(kept.empty_accumulator(), validation)
        return self._learned(self._fit_sets(train, following, kept.freq))

    def _fit_sets(
        self,
        train: Mapping[Hashable, SeriesSummary],
        validation: Mapping[Hashable, SeriesSummary] | None,
        freq: Frequency,
    ) -> FittedAR:
        following = None if validation is None else summary_set(validation, freq, "validation")
        series = summary_set(train, freq, "the data")
        return fit_summary_set(self.config, series, following, is_list=set(series.series) != {None})

    def _kept(self) -> SummarySet:
        if self._known is None:
            raise NotFittedError("this AutoAR is not fitted yet; call fit(series) first")
        if isinstance(self._known, RecordedSeries):
            raise InvalidArgumentError("mode='zero-shot' learns nothing, so there is nothing to update; call fit")
        if self._known.summaries is None:
            raise InvalidArgumentError(
                "this model kept no summaries of its training rows; fit it with keep_summaries=True, or with "
                "fit_summaries, fit_stream or fit_files, which always keep them"
            )
        return self._known.summaries

    def _number_of(self, series_id: str) -> int:
        numbers = self._kept().numbers
        if series_id not in numbers:
            raise InvalidArgumentError(
                f"series is {series_id!r}, but the model was fitted on no series of that id; series_ids_ lists them"
            )
        return numbers[series_id]

    def _learned(self, fitted: FittedAR) -> Self:
        """Take over what was fitted, and say what was unusual about it; called by public methods only."""
        empty = np.flatnonzero(np.isnan(np.concatenate([scale.mean for scale in fitted.scales])))
        if empty.size:
            channels = sum(len(scale.mean) for scale in fitted.scales)
            warnings.warn(
                f"{empty.size} of {channels} channels hold no value at all (the first is number {empty[0]}); they are "
                "left out of the fit and their forecasts are NaN",
                DashaWarning,
                stacklevel=3,
            )
        if fitted.jitter:
            warnings.warn(
                f"lags are collinear to rounding; solved with a relative jitter of {fitted.jitter:.0e}",
                DashaWarning,
                stacklevel=3,
            )
        self._known = fitted
        return self
