"""What users have as ``y``, as the targets of a network and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dasha.errors import InvalidArgumentError
from dasha.tasks import Kind, TaskSpec
from genomics_adapter._sklearn import check_array, check_classification_targets, column_or_1d, type_of_target


def check_present(y: Any, name: str) -> None:
    """Refuse targets of which some are missing.

    Raises:
        InvalidArgumentError: If there is None or NaN among them; the message names the first row.
    """
    values = y if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    missing = np.atleast_1d(pd.isna(values))
    if missing.any():
        rows = np.flatnonzero(missing.reshape(len(missing), -1).any(1))
        raise InvalidArgumentError(
            f"{name} has nothing in row {rows[0]} ({len(rows)} rows of {len(missing)} have None or NaN), but every "
            "sequence needs a target; supply it, or drop the sequence"
        )


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

    def weights(self, given: Any, targets: np.ndarray) -> tuple[float, ...]:
        """Weights of the classes or labels in the loss; none where all are equal.

        Args:
            given: None, ``"balanced"``, or weights by class, 1 for those left out.
            targets: Of `encode`, whose classes are counted.

        Raises:
            InvalidArgumentError: If it is something else, or has a class that there is not.
        """
        if given is None:
            return ()
        if isinstance(given, str) and given == "balanced":
            counts = targets.sum(0) if self.kind == "multilabel" else np.bincount(targets, minlength=len(self.classes))
            return tuple((counts.mean() / counts.clip(min=1)).tolist())
        known = self.classes.tolist()
        if not isinstance(given, Mapping) or any(name not in known for name in given):
            raise InvalidArgumentError(
                f"class_weight is {given!r}, but must be None, 'balanced', or a dictionary with weights of the classes "
                f"{', '.join(map(repr, known))}"
            )
        return tuple(float(given.get(name, 1.0)) for name in known)

    def task(
        self,
        *,
        metric: str | None,
        loss: str | None,
        class_weights: tuple[float, ...] = (),
        class_names: tuple[str, ...] = (),
    ) -> TaskSpec:
        """What the network learns; MCC decides, as in the GUE benchmark, or of labels average precision.

        Args:
            metric: Decides instead.
            loss: See `dasha.TaskSpec`.
            class_weights: Of `weights`.
            class_names: Names of labels, or of classes by the numbers in ``y``; empty where classes are called by what
                ``y`` holds.
        """
        own = metric or ("average_precision" if self.kind == "multilabel" else "mcc")
        if class_names:
            names = tuple(class_names[int(number)] for number in self.classes)
        else:
            names = () if self.kind == "multilabel" else tuple(map(str, self.classes))
        return TaskSpec(
            self.kind, 4, self.num_outputs, loss=loss or "", metric=own, class_weights=class_weights, class_names=names
        )

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
        known = {name: number for number, name in enumerate(self.classes.tolist())}
        values = column_or_1d(y).tolist()
        unknown = [value for value in values if value not in known]
        if unknown:
            raise InvalidArgumentError(
                f"y has class {unknown[0]!r}, which the training data does not have; it has "
                f"{', '.join(map(repr, known))}"
            )
        return np.array([known[value] for value in values], dtype=np.int64)

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
        columns: Targets of a sample.
        is_flat: Whether ``y`` has one axis.
    """

    columns: int
    is_flat: bool

    @classmethod
    def of(cls, y: np.ndarray) -> Numbers:
        """Look at targets ``(N,)`` or ``(N, T)``."""
        return cls(1 if y.ndim == 1 else y.shape[1], y.ndim == 1)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Targets ``(N, T)``, float32."""
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != self.columns:
            raise InvalidArgumentError(f"y has {columns.shape[1]} columns, but must have {self.columns}")
        return np.asarray(columns, dtype=np.float32)

    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers ``(N, T)`` in the shape that ``y`` had."""
        return numbers[:, 0] if self.is_flat else numbers
