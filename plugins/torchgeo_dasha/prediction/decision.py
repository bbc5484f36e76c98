"""From the outputs of a network to probabilities, and from these to classes; or to numbers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasha.errors import DashaWarning, InvalidArgumentError

Kind = Literal["classes", "binary", "labels", "numbers"]


@dataclass(frozen=True)
class Decision:
    """How outputs are read.

    Attributes:
        kind: ``"classes"``, one of several; ``"binary"``, one output for class 1 of 0 and 1; ``"labels"``, each for
            itself; ``"numbers"``, as they are.
        outputs: Number of outputs.
        names: Of classes, labels or numbers; may be empty.
        is_probability: Whether probabilities are wanted, instead of classes.
    """

    kind: Kind
    outputs: int
    names: tuple[str, ...] = ()
    is_probability: bool = False

    @property
    def bands(self) -> int:
        """Bands of the result: one for classes, otherwise one for every output."""
        return self.outputs if self.is_float or self.kind == "labels" else 1

    @property
    def is_float(self) -> bool:
        """Whether probabilities or numbers are written."""
        return self.is_probability or self.kind == "numbers"

    @property
    def dtype(self) -> str:
        """Type of the result."""
        if self.is_float:
            return "float32"
        return "uint8" if self.outputs < 255 or self.kind != "classes" else "uint16"

    @property
    def nodata(self) -> float:
        """Number that stands for no data in the result: the largest of its type, or NaN."""
        return float("nan") if self.is_float else float(np.iinfo(self.dtype).max)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands of the result."""
        names = self.names or tuple(map(str, range(self.outputs)))
        return ("class",) if self.bands == 1 and not self.is_float else names[-self.bands :]

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probabilities of outputs ``(N, outputs, …)``, or the numbers, float32."""
        outputs = outputs.float()
        if self.kind == "numbers":
            return outputs
        return outputs.softmax(1) if self.kind == "classes" else outputs.sigmoid()

    def result(self, probabilities: NDArray[np.float32], is_empty: NDArray[np.bool_]) -> NDArray[Any]:
        """What is written for probabilities ``(outputs, rows, width)``, with gaps where ``(rows, width)`` says so."""
        values: NDArray[Any]
        if self.is_float:
            values = probabilities
        elif self.kind == "classes":
            values = probabilities.argmax(0)[None]
        else:
            values = probabilities >= 0.5
        return np.where(is_empty, self.nodata, values).astype(self.dtype)


def decision_of(
    outputs: Tensor, *, is_sigmoid: bool, names: tuple[str, ...], is_probability: bool, is_number: bool = False
) -> Decision:
    """Tell how outputs ``(N, outputs, …)`` are read.

    Raises:
        InvalidArgumentError: If there are none; if numbers are to be probabilities.

    Warns:
        DashaWarning: If there are names for another number, which are left out.
    """
    if outputs.ndim not in (2, 4) or outputs.shape[1] < 1 or not torch.is_floating_point(outputs):
        raise InvalidArgumentError(
            f"the network gives outputs of shape {tuple(outputs.shape)}, but classes (N, K) or (N, K, H, W) are needed"
        )
    count = outputs.shape[1]
    if is_number:
        if is_probability:
            raise InvalidArgumentError("the network gives numbers, which have no probabilities; leave these out")
        return Decision("numbers", count, names if len(names) == count else ())
    kind: Kind = "binary" if count == 1 else "labels" if is_sigmoid else "classes"
    if names and len(names) != max(count, 2 if kind == "binary" else count):
        warnings.warn(
            f"the network has {count} outputs, but there are names of {len(names)} classes, which are left out",
            DashaWarning,
            stacklevel=2,
        )
        names = ()
    return Decision(kind, count, names, is_probability)
