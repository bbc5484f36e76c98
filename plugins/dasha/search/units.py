"""Between the units of the data and those a network learns best in: inputs and targets of mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dasha.tasks import Loss, TaskSpec


class _Units(nn.Module):
    """Mean and standard deviation of every channel, as buffers that fit ``(N, C, …)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], ndim: int) -> None:
        super().__init__()
        shape = (-1, *ndim * (1,))
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(shape))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(shape))


class Normalize(_Units):
    """Brings every channel to mean 0 and standard deviation 1, as measured on the training data.

    Args:
        mean: Of every channel.
        std: Of every channel.
        ndim: Spatial dimensions of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise inputs ``(N, C, …)``."""
        return (x - self.mean) / self.std


class TargetScale(_Units):
    """Brings outputs of mean 0 and standard deviation 1 to the units of the targets.

    Args:
        mean: Of every target on the training data.
        std: Of every target.
        ndim: Spatial dimensions of the outputs, 0 for vectors.
    """

    @classmethod
    def of_task(cls, task: TaskSpec, values: Mapping[str, Sequence[float]], *, ndim: int) -> TargetScale:
        """The scale of a task's outputs.

        Args:
            task: Decides whether every position has an output.
            values: Mean and standard deviation of every target.
            ndim: Spatial dimensions of the input.
        """
        return cls(**values, ndim=ndim if task.is_dense else 0)

    def forward(self, outputs: Tensor) -> Tensor:
        """Outputs ``(N, num_outputs, …)`` in the units of the targets, on the device where they are."""
        return outputs * self.std.to(outputs.device) + self.mean.to(outputs.device)

    def standardized(self, targets: Tensor) -> Tensor:
        """The inverse, for targets of the shape of outputs."""
        return (targets - self.mean.to(targets.device)) / self.std.to(targets.device)

    def loss_function(self, loss_of: Loss, *, gives_units: bool) -> Loss:
        """The loss in standard deviations of the targets.

        Args:
            loss_of: Of outputs and targets of mean 0 and standard deviation 1.
            gives_units: Whether outputs come in the units of the targets.
        """

        def standard(outputs: Tensor, targets: Tensor) -> Tensor:
            outputs = self.standardized(outputs) if gives_units else outputs
            return loss_of(outputs, self.standardized(targets.reshape(outputs.shape)))

        return standard


def target_scale_of(network: nn.Module) -> TargetScale | None:
    """The scale behind a network that gives the units of its targets; None if it learnt them as they are."""
    return next((part for part in network.modules() if isinstance(part, TargetScale)), None)
