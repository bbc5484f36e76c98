"""The task `direction`: whether a random walk drifts up or down."""

import numpy as np

from dasha import TaskSpec
from dasha.types import SupervisedTask


def direction():
    """Return the data, drawn once and for all, and what is to be learnt from it."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    steps = rng.normal(size=(300, 1, 24)) + 0.5 * (2 * labels - 1)[:, None, None]
    walks = steps.cumsum(-1).astype("float32")  # samples × channels × positions
    return SupervisedTask(
        TaskSpec("multiclass", in_channels=1, num_outputs=2, class_names=("down", "up")),
        train=(walks[:200], labels[:200]),
        validation=(walks[200:250], labels[200:250]),
        test=(walks[250:], labels[250:]),
        description="Direction of 300 random walks of 24 steps.",
        source="drawn at random; 200 for training, 50 for validation, 50 for test",
    )
