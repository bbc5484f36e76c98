"""Between the units of the data and those a network learns best in: mean 0 and deviation 1, or shares of the mean."""

from __future__ import annotations

import math
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

    @staticmethod
    def of_task(task: TaskSpec, values: Mapping[str, Sequence[float]], *, ndim: int) -> TargetScale:
        """The scale of a task's outputs.

        Args:
            task: Decides whether targets are counts, and whether every position has an output.
            values: Mean and standard deviation of every target; of counts, the mean alone.
            ndim: Spatial dimensions of the input.
        """
        kind = CountScale if task.has_counts else TargetScale
        return kind(**values, ndim=ndim if task.is_dense else 0)

    def forward(self, outputs: Tensor) -> Tensor:
        """Outputs ``(N, num_outputs, …)`` in the units of the targets, on the device where they are."""
        return outputs * self.std.to(outputs.device) + self.mean.to(outputs.device)

    def standardized(self, targets: Tensor) -> Tensor:
        """The inverse, for targets of the shape of outputs; those that are true or false are 1 or 0."""
        targets = targets.float() if targets.dtype == torch.bool else targets
        return (targets - self.mean.to(targets.device)) / self.std.to(targets.device)

    def loss_function(self, loss_of: Loss, *, gives_units: bool) -> Loss:
        """The loss that is told: in standard deviations of the targets.

        Args:
            loss_of: Of outputs and targets of mean 0 and standard deviation 1.
            gives_units: Whether outputs come in the units of the targets.
        """

        def standard(outputs: Tensor, targets: Tensor) -> Tensor:
            outputs = self.standardized(outputs) if gives_units else outputs
            return loss_of(outputs, self.standardized(targets.reshape(outputs.shape)))

        return standard

    def training_loss(self, loss_of: Loss, *, gives_units: bool) -> Loss:
        """What training makes small: the same."""
        return self.loss_function(loss_of, gives_units=gives_units)


class CountScale(TargetScale):
    """Brings outputs, logarithms of counts as shares of their mean, to logarithms of counts.

    A network that gives 0 then predicts the mean of every target, and its gradients do not depend on how large counts
    are: with outputs ``z`` and counts ``y`` of mean ``m``, the Poisson loss of ``z + log m`` and ``y``, divided by
    ``m``, is that of ``z`` and ``y / m`` but for a constant.

    Args:
        mean: Of every target on the training data; where it is 0, it counts as 1.
        ndim: Spatial dimensions of the outputs, 0 for vectors.
    """

    def __init__(self, mean: Sequence[float], *, ndim: int) -> None:
        mean = [value or 1.0 for value in mean]
        super().__init__([math.log(value) for value in mean], [1.0] * len(mean), ndim)

    def loss_function(self, loss_of: Loss, *, gives_units: bool) -> Loss:
        """The loss that is told: of counts as they are.

        Args:
            loss_of: Of logarithms and counts.
            gives_units: Whether outputs are logarithms of counts already.
        """

        def plain(outputs: Tensor, targets: Tensor) -> Tensor:
            return loss_of(outputs if gives_units else self(outputs), targets)

        return plain

    def training_loss(self, loss_of: Loss, *, gives_units: bool) -> Loss:
        """What training makes small: the loss of shares of the mean, for arguments see `loss_function`."""

        def of_shares(outputs: Tensor, targets: Tensor) -> Tensor:
            outputs = self.standardized(outputs) if gives_units else outputs
            mean = self.mean.exp().to(targets.device)
            return loss_of(outputs, targets.reshape(outputs.shape) / mean)

        return of_shares


def target_scale_of(network: nn.Module) -> TargetScale | None:
    """The scale behind a network that gives the units of its targets; None if it learnt them as they are."""
    return next((part for part in network.modules() if isinstance(part, TargetScale)), None)
