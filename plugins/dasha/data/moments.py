"""Mean and spread of every channel in one pass over the data."""

from __future__ import annotations

import torch
from torch import Tensor

_CONSTANT = 1e-10  # spread of a constant channel, relative to its mean: what rounding leaves


class ChannelMoments:
    """Mean and variance of every channel, merged part by part without loss of digits (Chan et al. 1983).

    Attributes:
        count: Values of every channel so far, float64.
        mean: Of every channel, float64.
        variance: Of every channel, float64, divided by the count.
    """

    def __init__(self, channels: int) -> None:
        self.count, self.mean, self.variance = torch.zeros(3, channels, dtype=torch.float64)

    def add(self, inputs: Tensor) -> None:
        """Take inputs ``(N, C, …)``."""
        values = inputs.transpose(0, 1).flatten(1).double()
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        self.merge(torch.full_like(mean, values.shape[1]), mean, variance)

    def merge(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Take the moments of another part, ``(C,)`` each; where a count is 0, the others do not matter."""
        self.count = self.count + count
        share = count / self.count.clamp(min=1)
        apart = torch.where(count > 0, mean - self.mean, 0.0)
        self.mean = self.mean + share * apart
        change = share * (variance - self.variance + (1 - share) * apart**2)
        self.variance = self.variance + torch.where(count > 0, change, 0.0)

    @property
    def std(self) -> Tensor:
        """Standard deviations, 1 for a constant channel."""
        std = self.variance.sqrt()
        return torch.where(std > _CONSTANT * self.mean.abs(), std, 1.0)
