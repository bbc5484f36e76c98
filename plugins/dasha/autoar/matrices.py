"""Series as callers pass them, checked on entry."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from dasha.errors import InvalidSeriesError
from dasha.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor


def as_matrix(values: ArrayLike | Tensor, name: str, *, may_be_empty: bool = False) -> FloatArray:
    """Check one series and return it as a float64 matrix.

    Args:
        values: Numbers of shape ``(T,)`` or ``(T, C)``, oldest first; NaN marks a missing value, as does the mask of a
            masked array.
        name: How messages call the series.
        may_be_empty: Allow no step at all.

    Returns:
        Shape ``(T, C)``.

    Raises:
        InvalidSeriesError: If the values are not real numbers, are infinite, or have another shape.
    """
    torch: Any = sys.modules.get("torch")  # whoever has a tensor has imported it; workers that sum up rows need not
    if torch is not None and isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
        values = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    array = _real_numbers(as_array(values), name)
    if array.ndim not in (1, 2) or 0 in (array.shape[1:] if may_be_empty else array.shape):
        steps = "" if may_be_empty else "one step and "
        raise InvalidSeriesError(
            f"{name} has shape {array.shape}, but must be (T,) or (T, C) with at least {steps}one channel"
        )
    matrix = array.astype(np.float64, copy=False).reshape(len(array), *(array.shape[1:] or (1,)))
    infinite = np.argwhere(np.isinf(matrix))
    if infinite.size:
        step, channel = infinite[0]
        raise InvalidSeriesError(
            f"{name} is infinite at step {step} of channel {channel} ({len(infinite)} infinite values in all); "
            "replace them by NaN to treat them as missing"
        )
    return matrix


def as_array(values: ArrayLike) -> np.ndarray:
    """The values as a plain array, with NaN where a masked array of numbers hides one."""
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "fiubO":
        dtype = object if values.dtype.kind == "O" else np.float64
        filled: np.ndarray = np.ma.filled(values.astype(dtype), np.nan)
        return filled
    return np.asarray(values)


def _real_numbers(array: np.ndarray, name: str) -> np.ndarray:
    """The array itself if it is numeric, or its objects as floats."""
    if array.dtype.kind in "fiub":
        return array
    with contextlib.suppress(TypeError, ValueError):
        if array.dtype.kind == "O":
            return array.astype(np.float64)
    raise InvalidSeriesError(f"{name} has dtype {array.dtype}, but must hold real numbers; convert or drop the column")


def as_matrices(
    series: ArrayLike | Tensor | Sequence[ArrayLike | Tensor], name: str, *, may_be_empty: bool = False
) -> list[FloatArray]:
    """Check one series, or a list or tuple of series, of which some may have no step but not all; see `as_matrix`."""
    if not isinstance(series, list | tuple):
        return [as_matrix(cast(ArrayLike, series), name)]
    if not series:
        raise InvalidSeriesError(f"{name} is an empty list; pass at least one series")
    if all(np.ndim(values) == 0 for values in series):
        raise InvalidSeriesError(
            f"{name} is a list of numbers, but must be a list of series; wrap it with numpy.asarray for a single series"
        )
    may_be_empty = may_be_empty and any(len(as_array(values)) > 0 for values in series if np.ndim(values) > 0)
    return [as_matrix(values, f"{name}[{index}]", may_be_empty=may_be_empty) for index, values in enumerate(series)]
