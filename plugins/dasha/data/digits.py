"""Handwritten digits that come with scikit-learn: a task that needs no file and no download."""

from __future__ import annotations

from typing import Any

import numpy as np

from dasha._optional import Requirement
from dasha.tasks import TaskSpec
from dasha.types import SupervisedTask

_BOUNDS = (1000, 1300)


def read_digits() -> SupervisedTask:
    """The 1797 handwritten digits of scikit-learn, 8 × 8 pixels, in a fixed random order.

    Raises:
        OptionalDependencyError: If scikit-learn is not installed.
    """
    datasets: Any = Requirement("sklearn.datasets", install="scikit-learn").load()
    digits = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    inputs, targets = digits.images[order, None].astype(np.float32), digits.target[order].astype(np.int64)
    parts = [slice(None, _BOUNDS[0]), slice(*_BOUNDS), slice(_BOUNDS[1], None)]
    train, validation, test = ((inputs[part], targets[part]) for part in parts)
    return SupervisedTask(
        TaskSpec("multiclass", 1, 10),
        train,
        validation,
        test,
        description="Handwritten digits, 8 × 8 pixels.",
        source="scikit-learn; 1000 for training, 300 for validation, 497 for test, in a fixed random order",
    )
