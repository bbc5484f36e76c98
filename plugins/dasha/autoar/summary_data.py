"""The data of a fit as channel summaries: the same answers as from the rows, to rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dasha.autoar.config import AutoARConfig
from dasha.autoar.device import resolve_device
from dasha.autoar.fit_data import filled_tail
from dasha.autoar.moments import WindowMoments
from dasha.autoar.panel import Scale
from dasha.autoar.pooling import channel_scales, pooled_window_moments, summaries_kpss_order, summaries_residual_sums
from dasha.autoar.selection import HORIZON_CRITERIA
from dasha.autoar.streaming import SeriesSummary
from dasha.autoar.summary import ChannelSummary
from dasha.autoar.training import Stretches, series_weights
from dasha.errors import InvalidArgumentError
from dasha.types import FloatArray


def longest_window(config: AutoARConfig) -> int:
    """Length of the longest window whose moments a fit with these settings asks for."""
    if config.lookback is not None:
        return config.lookback + 1
    return config.max_lookback + (config.horizon if config.criterion in HORIZON_CRITERIA else 1)


@dataclass(frozen=True)
class SummaryPart:
    """A `dasha.autoar.fit_data.Part` of channel summaries, one per channel that takes part.

    Attributes:
        channels: Their summaries.
        mean: What to subtract from each, shape ``(C,)``.
        std: What to divide each by, shape ``(C,)``.
        weights: One over the number of channels of the same series that take part, shape ``(C,)``.
        device: Where to compute.
    """

    channels: list[ChannelSummary]
    mean: FloatArray
    std: FloatArray
    weights: FloatArray
    device: torch.device

    def stretches(self, diff_order: int) -> Stretches:
        """Gap-free stretches after differencing."""
        lengths = [channel.lengths - float(diff_order) for channel in self.channels]
        return Stretches.of(lengths, self.weights, diff_order)

    def window_moments(self, length: int, *, diff_order: int = 0) -> WindowMoments:
        """Pooled moments of all gap-free windows."""
        return pooled_window_moments(
            self.channels, length, diff_order=diff_order, mean=self.mean, std=self.std, device=self.device
        )


@dataclass(frozen=True)
class SummaryData:
    """A `dasha.autoar.fit_data.FitData` of channel summaries.

    Attributes:
        train: Summaries of the training rows of all channels.
        validation: Of the rows after them, without any where there are none; None if no rows are held out.
        joined: Of both together.
        mean: Of the training rows, shape ``(C_total,)``.
        std: Of the training rows, shape ``(C_total,)``.
        rows: Channels that take part.
        offsets: Bounds of the series among the channels.
        device: Where to compute.
    """

    train: list[ChannelSummary]
    validation: list[ChannelSummary] | None
    joined: list[ChannelSummary]
    mean: FloatArray
    std: FloatArray
    rows: list[int]
    offsets: list[int]
    device: torch.device

    @staticmethod
    def of(
        config: AutoARConfig,
        train: Sequence[SeriesSummary],
        validation: Sequence[SeriesSummary] | None,
        joined: Sequence[SeriesSummary],
        names: Sequence[str],
    ) -> SummaryData:
        """Check that the summaries are enough for the settings, and take the units of the training rows.

        Args:
            config: Checked settings.
            train: Training rows of every series.
            validation: Rows that follow each of them, maybe none; None if there are no validation rows at all.
            joined: Both together.
            names: How messages call the series.

        Raises:
            InvalidArgumentError: If the summaries were made for shorter windows.
            InvalidSeriesError: If values are too large or too close together for their variance to be a float.
        """
        channels = _channels(train)
        needed, given = longest_window(config), min(channel.max_length for channel in channels)
        if given < needed:
            raise InvalidArgumentError(
                f"summaries were made with max_length={given}, but these settings need at least {needed}; make them "
                "with max_length=model.summary_length, or lower max_lookback or horizon"
            )
        held_out = _channels(validation) if validation is not None and config.criterion == "validation" else None
        mean, std = channel_scales(
            channels, [name for name, one in zip(names, train, strict=True) for _ in one.channels]
        )
        rows = [index for index, channel in enumerate(channels) if channel.varies]
        offsets = np.cumsum([0, *(len(series.channels) for series in train)]).tolist()
        device = resolve_device(config.device)
        return SummaryData(channels, held_out, _channels(joined), mean, std, rows, offsets, device)

    @property
    def everything(self) -> SummaryPart:
        """Training and validation rows."""
        return self._part(self.joined)

    @property
    def fitting(self) -> SummaryPart:
        """All rows but those held out."""
        return self._part(self.joined if self.validation is None else self.train)

    def scored(self, context: int) -> SummaryPart:
        """Rows held out and the context before them."""
        assert self.validation is not None
        pairs = zip(self.train, self.validation, strict=True)
        return self._part([before.tail(context) + after if after.rows else after for before, after in pairs])

    def kpss_order(self) -> int:
        """Differencing order by KPSS."""
        return summaries_kpss_order(self.joined[row] for row in self.rows)

    def residual_sums(
        self, coefficients: Tensor, intercept: Tensor, *, diff_order: int
    ) -> tuple[FloatArray, FloatArray]:
        """Number and sum of squares of the one-step residuals of every channel."""
        part = self.everything
        sums = summaries_residual_sums(
            part.channels, coefficients, intercept, diff_order=diff_order, mean=part.mean, std=part.std
        )
        result = np.zeros((2, len(self.std)))
        result[:, self.rows] = sums
        return result[0], result[1]

    def tails(self, scales: list[Scale], levels: Tensor, intercept: Tensor, context: int) -> list[FloatArray]:
        """Last rows of every series, gaps filled."""
        tails = []
        for series, scale in enumerate(scales):
            columns = []
            for place, channel in enumerate(self.joined[self.offsets[series] : self.offsets[series + 1]]):
                one = Scale(*(array[place : place + 1] for array in (scale.mean, scale.std, scale.sigma)))
                values = channel.last_values(min(context, channel.rows))
                if np.isnan(values).any():
                    # Of a channel with ever more gaps these are thousands of rows: what was before has no say any more.
                    values = channel.last_values(channel.kept_rows)
                columns.append(filled_tail(values[:, None], one, levels, intercept, context))
            tails.append(np.hstack(columns))
        return tails

    def _part(self, channels: list[ChannelSummary]) -> SummaryPart:
        weights = series_weights(self.offsets, self.rows)
        chosen = [channels[row] for row in self.rows]
        return SummaryPart(chosen, self.mean[self.rows], self.std[self.rows], weights, self.device)


def _channels(series: Sequence[SeriesSummary]) -> list[ChannelSummary]:
    return [channel for one in series for channel in one.channels]
