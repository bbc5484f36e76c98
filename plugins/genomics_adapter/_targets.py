"""What users have as ``y``, as the targets of a network and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dasha.errors import InvalidArgumentError
from dasha.tasks import Kind, TaskSpec
from genomics_adapter._sklearn import check_array, check_classification_targets, column_or_1d, type_of_target


@dataclass(frozen=True)
class Labels:
    """Classes, or labels of which a sample has any number.

    Attributes:
        kind: ``"binary"``, ``"multiclass"`` or ``"multilabel"``.
        classes: Sorted values of ``y``; numbers of the columns, of ``"multilabel"``.
    """

    kind: Kind
    classes: np.ndarray

    @classmethod
    def of(cls, y: Any) -> Labels:
        """Find out what a ``y`` holds.

        Raises:
            InvalidArgumentError: If there are fewer than two classes, or several columns of more than two classes.
        """
        check_classification_targets(y)
        form = type_of_target(y, input_name="y")
        if form == "multilabel-indicator":
            return cls("multilabel", np.arange(np.shape(y)[1]))
        if form == "multiclass-multioutput":
            raise InvalidArgumentError(
                f"y has shape {np.shape(y)} with more than two values; several columns are labels, 0 or 1 each; fit "
                "one estimator for every column of classes"
            )
        classes = np.unique(column_or_1d(y, warn=True))
        if len(classes) < 2:
            raise InvalidArgumentError(f"y has 1 class only ({classes.tolist()[0]!r}); there is nothing to tell apart")
        return cls("binary" if len(classes) == 2 else "multiclass", classes)

    @property
    def num_outputs(self) -> int:
        """Outputs of the network."""
        return 1 if self.kind == "binary" else len(self.classes)

    def task(self, *, metric: str | None, loss: str | None) -> TaskSpec:
        """What the network learns; MCC decides, as in the GUE benchmark, or of labels average precision."""
        own = metric or ("average_precision" if self.kind == "multilabel" else "mcc")
        names = () if self.kind == "multilabel" else tuple(map(str, self.classes))
        return TaskSpec(self.kind, 4, self.num_outputs, loss=loss or "", metric=own, class_names=names)

    def encode(self, y: Any) -> np.ndarray:
        """Targets of the network: numbers of the classes ``(N,)``, or 0 and 1 ``(N, num_outputs)``.

        Raises:
            InvalidArgumentError: If a class is not among those known.
        """
        if self.kind == "multilabel":
            values = check_array(y, accept_sparse=False, input_name="y")
            if values.shape[1] != len(self.classes) or not np.isin(values, (0, 1)).all():
                raise InvalidArgumentError(
                    f"y has shape {values.shape}, but must hold 0 and 1 in {len(self.classes)} columns"
                )
            return np.asarray(values, dtype=np.int64)
        flat = column_or_1d(y)
        places = np.searchsorted(self.classes, flat).clip(0, len(self.classes) - 1)
        unknown = flat[self.classes[places] != flat]
        if len(unknown):
            shown = unknown[:1].tolist()[0]
            raise InvalidArgumentError(f"y has class {shown!r}, which the training data does not have")
        return np.asarray(places, dtype=np.int64)

    def decode(self, probabilities: np.ndarray) -> np.ndarray:
        """The most probable class ``(N,)``, or labels above one half ``(N, num_outputs)``."""
        if self.kind == "multilabel":
            return (probabilities > 0.5).astype(np.int64)
        decided = probabilities[:, 0] > 0.5 if self.kind == "binary" else probabilities.argmax(1)
        return np.asarray(self.classes[decided.astype(np.int64)])


@dataclass(frozen=True)
class Numbers:
    """Real numbers or counts.

    Attributes:
        mean: Of every target, which the network learns as a difference from it; 0 of counts.
        std: Unit of every target; 1 of counts.
        is_flat: Whether ``y`` has one axis.
    """

    mean: np.ndarray
    std: np.ndarray
    is_flat: bool

    @classmethod
    def of(cls, y: np.ndarray, *, is_count: bool) -> Numbers:
        """Measure targets ``(N,)`` or ``(N, T)``."""
        columns = y.reshape(len(y), -1)
        mean, std = columns.mean(0), columns.std(0)
        std = np.where(std > 1e-12 * np.abs(mean), std, 1.0)
        if is_count:
            mean, std = np.zeros_like(mean), np.ones_like(std)
        return cls(mean, std, y.ndim == 1)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Targets of the network, float32 ``(N, T)``."""
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != len(self.mean):
            raise InvalidArgumentError(f"y has {columns.shape[1]} columns, but must have {len(self.mean)}")
        return np.asarray((columns - self.mean) / self.std, dtype=np.float32)

    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers ``(N, T)`` in the shape that ``y`` had."""
        return numbers[:, 0] if self.is_flat else numbers


class InUnits(nn.Module):
    """A network whose outputs come back in the units of the targets.

    Args:
        network: Gives outputs ``(N, T)`` of mean 0 and standard deviation 1.
        numbers: Mean and unit of every target.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, numbers: Numbers) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(numbers.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(numbers.std, dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs ``(N, T)``."""
        outputs: Tensor = self.network(inputs)
        return outputs * self.std + self.mean
