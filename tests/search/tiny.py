"""A network, data and settings with which a run takes less than a second."""

import numpy as np
import torch
from torch import nn

from dasha import Dasha, TaskSpec

OVERRIDES = {
    "search.epochs": 2,
    "search.width": 1,
    "search.kernel_sizes": (3, 5),
    "search.dilations": (1, 2),
    "search.batch_size": 8,
    "search.batch_fraction": 1.0,
    "tune.trials": 3,
    "tune.max_resource": 2,
    "retrain.epochs": 2,
    "batch_size": 8,
    "width": 1,
}
TASK = TaskSpec("multiclass", 1, 2)


class Tiny(nn.Module):
    """Two convolutions; the second one has as many outputs as inputs."""

    def __init__(self, *, in_channels, num_outputs, output="vector", width=1, dropout=0.0, ndim=1, norm=True):
        super().__init__()
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        channels = 4 * width
        self.first = conv(in_channels, channels, 3, padding=1)
        self.norm = (nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d)(channels) if norm else nn.Identity()
        self.drop = nn.Dropout(dropout)
        self.second = conv(channels, channels, 3, padding=1)
        self.is_dense = output == "dense"
        self.head = conv(channels, num_outputs, 1) if self.is_dense else nn.Linear(channels, num_outputs)

    def forward(self, x):
        x = self.second(self.drop(self.norm(self.first(x)).relu())).relu()
        return self.head(x if self.is_dense else x.flatten(2).mean(-1))


def sequences(count, *, seed=0):
    """Sequences of two frequencies."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    waves = np.sin(np.arange(12) * (0.4 + 1.2 * labels[:, None]) + rng.uniform(0, 6, (count, 1)))
    return (waves + 0.3 * rng.standard_normal(waves.shape))[:, None].astype("float32"), labels


TRAIN, VALIDATION, TEST = sequences(20, seed=1), sequences(10, seed=2), sequences(10, seed=3)


def run_of(path=None, *, task=TASK, backbone=Tiny, overrides=(), **options):
    """A run that shows nothing, with searched kernels unless the options say otherwise."""
    return Dasha(
        task,
        path,
        backbone=backbone,
        budget="smoke",
        is_shown=False,
        overrides={**OVERRIDES, **dict(overrides)},
        **{"search": "on", **options},
    )


def states_of_generators():
    """What the global generators would draw next."""
    import random

    return (
        torch.random.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
    )
