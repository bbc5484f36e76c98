"""Arrays of any origin as tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dasha.errors import InvalidArgumentError


def as_tensor(array: Any, what: str) -> Tensor:
    """Numbers as a tensor, without a copy where there is a way.

    Args:
        array: Tensor, array or list.
        what: For messages.

    Raises:
        InvalidArgumentError: If it is not numeric, is complex, or has masked values.
    """
    _check_unmasked(array, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arrays that cannot be written to: nobody does
            tensor = array if isinstance(array, Tensor) else torch.as_tensor(_numbers(array))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidArgumentError(f"{what} is not numeric: {error}") from error
    if tensor.is_complex():
        raise InvalidArgumentError(f"{what} is complex; supply real and imaginary parts as channels")
    return tensor.detach()


def _check_unmasked(array: Any, what: str) -> None:
    """Refuse masked values, of which a tensor would have what lies under the mask."""
    parts = array if isinstance(array, (list, tuple)) else [array]
    count = sum(int(np.ma.getmaskarray(part).sum()) for part in parts if isinstance(part, np.ma.MaskedArray))
    if count:
        raise InvalidArgumentError(
            f"{what} has {count} masked values; fill them, as with .filled(0), or leave out their samples"
        )


def _numbers(array: Any) -> np.ndarray:
    """The array as torch takes it: in the byte order of the machine, copied if strides are negative.

    Raises:
        ValueError: If it holds text, or parts of unequal shapes.
    """
    numbers = np.asarray(array, order="C")
    may_hold_text = numbers.dtype.kind in "OTU"
    text = next((value for value in numbers.flat if isinstance(value, str)), None) if may_hold_text else None
    if text is not None:
        raise ValueError(
            f"it holds text, such as {str(text)!r}; number labels from 0 on, as .cat.codes of pandas or "
            "np.unique(labels, return_inverse=True) do, and give their names as class_names"
        )
    return numbers if numbers.dtype.isnative else numbers.astype(numbers.dtype.newbyteorder("="))


def as_float(inputs: Tensor) -> Tensor:
    """Inputs in float32, without a copy where they are."""
    return inputs if inputs.dtype == torch.float32 else inputs.float()
