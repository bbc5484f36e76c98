"""DASHA for sequences as scikit-learn estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec
from genomics_adapter._estimator import DashaSequenceEstimator
from genomics_adapter._sklearn import (
    ClassifierMixin,
    RegressorMixin,
    Tags,
    check_array,
    check_is_fitted,
    column_or_1d,
)
from genomics_adapter._targets import Labels, Numbers


class DashaSequenceClassifier(ClassifierMixin, DashaSequenceEstimator):
    """Classes or labels of DNA sequences; the arguments are those of `DashaSequenceEstimator`.

    ``score`` is accuracy, as of every classifier of scikit-learn; ``scoring="matthews_corrcoef"`` gives what decides in
    tuning.

    Attributes:
        classes_: Sorted classes; numbers of the columns, of labels.
    """

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of every class ``(N, classes)``, or of every label ``(N, T)``."""
        values = self._values(X)
        return np.hstack([1 - values, values]) if self.task_.kind == "binary" else values

    @property
    def classes_(self) -> np.ndarray:
        """Sorted classes; numbers of the columns, of labels."""
        check_is_fitted(self, "labels_")
        return self.labels_.classes

    def _learn_targets(self, y: Any, class_names: tuple[str, ...]) -> tuple[np.ndarray, TaskSpec]:
        self.labels_ = Labels.of(y)
        targets = self.labels_.encode(y)
        weights = self.labels_.weights(self.class_weight, targets)
        task = self.labels_.task(metric=self.metric, loss=self.loss, class_weights=weights, class_names=class_names)
        return targets, task

    def _encode(self, y: Any) -> np.ndarray:
        return self.labels_.encode(y)

    def _decode(self, values: np.ndarray) -> np.ndarray:
        return self.labels_.decode(values)

    def __sklearn_tags__(self) -> Tags:
        """Say that labels may be several."""
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class DashaSequenceRegressor(RegressorMixin, DashaSequenceEstimator):
    """Numbers or counts from DNA sequences; the arguments are those of `DashaSequenceEstimator`.

    With ``loss="poisson"`` targets are counts, and ``model_`` gives the logarithm of their expectation. Otherwise it
    gives the units of ``y``, whatever they are.
    """

    def _learn_targets(self, y: Any, class_names: tuple[str, ...]) -> tuple[np.ndarray, TaskSpec]:
        if self.class_weight is not None:
            raise InvalidArgumentError(
                f"class_weight is {self.class_weight!r}, but {type(self).__name__} learns numbers, which have no "
                "classes; leave it out"
            )
        values = _numbers(y)
        if self.loss == "poisson" and (values < 0).any():
            raise InvalidArgumentError("y has negative values, but loss='poisson' is for counts")
        self.numbers_ = Numbers.of(values)
        names = () if self.numbers_.is_flat else class_names
        task = TaskSpec(
            "regression",
            4,
            self.numbers_.columns,
            loss=self.loss or "",
            metric=self.metric or "",
            class_names=names,
        )
        return self.numbers_.encode(values), task

    def _encode(self, y: Any) -> np.ndarray:
        return self.numbers_.encode(_numbers(y))

    def _decode(self, values: np.ndarray) -> np.ndarray:
        return self.numbers_.decode(values.astype(np.float64))

    def __sklearn_tags__(self) -> Tags:
        """Say that targets may be several."""
        tags: Tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _numbers(y: Any) -> np.ndarray:
    y = np.asarray(y)
    if y.dtype.kind in "OSU" and y.ndim:
        _refuse_words(y)
    if y.ndim == 2 and y.shape[1] == 1:
        return np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
    return np.asarray(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"))


def _refuse_words(y: np.ndarray) -> None:
    """Refuse targets ``(N,)`` or ``(N, T)`` that are no numbers; the message names the first row."""
    values = y.reshape(-1).tolist()
    wrong = pd.to_numeric(pd.Series(values), errors="coerce").isna().to_numpy()
    if wrong.any():
        first = int(wrong.argmax())
        raise InvalidArgumentError(
            f"y has {values[first]!r} in row {first * len(y) // y.size} ({int(wrong.sum())} values are no numbers), "
            "but DashaSequenceRegressor learns numbers; correct them, or fit DashaSequenceClassifier to classes"
        )
