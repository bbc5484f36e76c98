"""A channel summary as plain arrays, as safetensors stores them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dasha.autoar.line_sums import LineSums
from dasha.autoar.stretch import LongStretch
from dasha.autoar.summary import ChannelSummary
from dasha.errors import StateFileError
from dasha.types import FloatArray

_NUMBERS = ("count", "level", "slope", "total", "tilt", "low", "high")
_ORDERS = 3


def to_arrays(summary: ChannelSummary) -> dict[str, np.ndarray]:
    """Arrays of int64 and float64 that hold the whole summary."""
    long = summary.long
    return {
        "sizes": np.array([summary.max_length, summary.lags, summary.bridges]),
        "lengths": summary.lengths,
        "gaps": summary.gaps,
        "values": summary.values,
        "positions": summary.positions,
        "bridged": summary.bridged,
        "long.lags": np.array([stretch.lags for stretch in long], dtype=np.int64),
        "long.numbers": np.concatenate([np.empty(0), *(_numbers(sums) for part in long for sums in part.orders)]),
        "long.products": np.concatenate([np.empty(0), *(sums.products for part in long for sums in part.orders)]),
        "long.ends": np.concatenate([np.empty(0), *(end for part in long for end in (part.head, part.tail))]),
    }


def from_arrays(arrays: Mapping[str, Any]) -> ChannelSummary:
    """Inverse of `to_arrays`.

    Raises:
        StateFileError: If an array is missing, or they do not belong together.
    """
    try:
        max_length, lags, bridges = (int(size) for size in arrays["sizes"])
        summary = ChannelSummary(
            max_length,
            lags,
            **{name: np.array(arrays[name]) for name in ("lengths", "gaps", "values", "positions", "bridged")},
            long=_long_stretches(arrays),
            bridges=bridges,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StateFileError(f"the summary is incomplete or damaged ({error}); make it again") from error
    counts = [stretch.count for stretch in summary.long]
    if (
        len(summary.gaps) != len(summary.lengths) + 1
        or len(summary.values) != int(summary.lengths.sum()) - sum(counts)
        or not np.array_equal(summary.lengths[summary.positions], counts)
    ):
        raise StateFileError("the arrays of the summary do not belong together; make it again")
    return summary


def _numbers(sums: LineSums) -> FloatArray:
    return np.array([*(getattr(sums, name) for name in _NUMBERS), *sums.path], dtype=np.float64)


def _long_stretches(arrays: Mapping[str, Any]) -> tuple[LongStretch, ...]:
    lags = np.asarray(arrays["long.lags"])
    numbers = np.asarray(arrays["long.numbers"]).reshape(-1, _ORDERS, len(_NUMBERS) + 4)
    sizes = {"numbers": len(lags), "products": _ORDERS * int(lags.sum()), "ends": 2 * int((lags + 1).sum())}
    found = {"numbers": len(numbers), "products": len(arrays["long.products"]), "ends": len(arrays["long.ends"])}
    if sizes != found:
        raise ValueError(f"sizes are {found}, but should be {sizes}")
    products = np.split(np.array(arrays["long.products"]), np.repeat(lags, _ORDERS).cumsum())
    ends = np.split(np.array(arrays["long.ends"]), np.repeat(lags + 1, 2).cumsum())
    stretches = []
    for index, rows in enumerate(numbers):
        orders = []
        for order, row in enumerate(rows.tolist()):
            named = dict(zip(_NUMBERS, row, strict=False))
            count = int(named.pop("count"))
            path, lagged = np.array(row[len(_NUMBERS) :]), products[_ORDERS * index + order]
            orders.append(LineSums(count=count, path=path, products=lagged, **named))
        stretches.append(LongStretch(tuple(orders), ends[2 * index], ends[2 * index + 1]))
    return tuple(stretches)
