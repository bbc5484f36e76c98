"""Kept summaries as JSON values and flat arrays, as a saved model stores them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from dasha.autoar.plain import pace_from_plain, pace_to_plain, plain, restored
from dasha.autoar.streaming import SeriesSummary
from dasha.autoar.summary import ChannelSummary
from dasha.autoar.summary_arrays import from_arrays, to_arrays
from dasha.autoar.summary_set import SummarySet

_PREFIX = "summaries."
_SIZES = ".per_channel"


def summaries_to_plain(kept: SummarySet) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Ids, times and channel counts as JSON values; arrays of all channels one after the other, with their sizes.

    Raises:
        InvalidArgumentError: If an id is neither text nor a number nor a time.
    """
    series = kept.series
    values = {
        "freq": kept.freq,
        "ids": [plain(series_id) for series_id in series],
        "first": [plain(one.first) for one in series.values()],
        "last": [plain(one.last) for one in series.values()],
        "pace": [pace_to_plain(one.pace) for one in series.values()],
        "channels": [len(one.channels) for one in series.values()],
    }
    every = [to_arrays(channel) for one in series.values() for channel in one.channels]
    arrays = {}
    for name in every[0]:
        parts = [of_one[name] for of_one in every]
        arrays[f"{_PREFIX}{name}"] = np.concatenate(parts)
        arrays[f"{_PREFIX}{name}{_SIZES}"] = np.array([len(part) for part in parts])
    return values, arrays


def summaries_from_plain(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SummarySet:
    """Inverse of `summaries_to_plain`.

    Raises:
        KeyError: If something is missing.
        ValueError: If the parts do not belong together.
        StateFileError: If a summary is damaged.
    """
    channels = _channels(arrays)
    bounds = np.cumsum([0, *values["channels"]]).tolist()
    if bounds[-1] != len(channels):
        raise ValueError(f"there are {len(channels)} summaries for {bounds[-1]} channels")
    paces = values.get("pace", [None] * len(values["ids"]))  # models saved before there were any go on without
    columns = (values["ids"], values["first"], values["last"], paces)
    series: dict[Hashable, SeriesSummary] = {
        restored(series_id): SeriesSummary(
            tuple(channels[start:stop]), restored(first), restored(last), pace_from_plain(pace)
        )
        for series_id, first, last, pace, (start, stop) in zip(*columns, pairwise(bounds), strict=True)
    }
    return SummarySet(series, values["freq"])


def _channels(arrays: Mapping[str, np.ndarray]) -> list[ChannelSummary]:
    split = {}
    for key, sizes in arrays.items():
        if key.startswith(_PREFIX) and key.endswith(_SIZES):
            flat = key.removesuffix(_SIZES)
            split[flat.removeprefix(_PREFIX)] = np.split(arrays[flat], np.cumsum(sizes)[:-1])
    rows = zip(*split.values(), strict=True)
    return [from_arrays(dict(zip(split, row, strict=True))) for row in rows]
