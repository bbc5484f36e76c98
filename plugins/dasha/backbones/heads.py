"""Heads: from maps of features to one vector for each input, or one for each of its positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from dasha.backbones.layers import convolution, resize

Output = Literal["vector", "dense"]
# Five of these hold a million positions. One that long would be slow: torch goes over windows, not over what is there.
_WINDOW, _WINDOWS = 16, 5


def make_head(output: Output, ndim: int, channels: Sequence[int], num_outputs: int) -> nn.Module:
    """Make the head that computes an output from maps of the given channels, the finest map first."""
    if output == "dense":
        return DenseHead(ndim, channels, num_outputs)
    return VectorHead(channels, num_outputs)


class VectorHead(nn.Module):
    """Average every map over its positions, lay the averages side by side, and map them linearly.

    Args:
        channels: Channels of every map.
        num_outputs: Length of the output.
    """

    def __init__(self, channels: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(sum(channels), num_outputs)

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps ``(N, C, *spatial)``, each of its own size, to ``(N, num_outputs)``."""
        # A mean rather than adaptive pooling, whose backward pass is not deterministic on GPUs.
        averages = [features.flatten(2).mean(-1) for features in maps]
        return self.linear(torch.cat(averages, dim=1))  # type: ignore[no-any-return]


class AlignedHead(nn.Module):
    """Average a map around several places of the sequence, lay the averages side by side, and map them linearly.

    The places are spread evenly from the first position to the last, and weights fall linearly to 0 at the neighbouring
    ones. Of one place, this is `VectorHead`.

    Args:
        channels: Channels of the map.
        num_outputs: Length of the output.
        places: How many.
    """

    def __init__(self, channels: int, num_outputs: int, *, places: int) -> None:
        super().__init__()
        self.places = places
        self.linear = nn.Linear(channels * places, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """A map ``(N, C, L)`` to ``(N, num_outputs)``."""
        # Not in the precision of the features: half of it cannot tell long sequences' positions apart.
        positions = torch.linspace(0, self.places - 1, features.shape[-1], device=features.device)
        distances = (positions[:, None] - torch.arange(self.places, device=features.device)).abs()
        weights = (1 - distances).clamp(min=0)
        # A place of which a short sequence has no position counts as 0.
        weights = weights / weights.sum(0).clamp(min=1e-6)
        return self.linear((features @ weights.to(features)).flatten(1))  # type: ignore[no-any-return]


class PeakHead(nn.Module):
    """Take the largest value of every channel of a map, wherever it is, and map them linearly.

    Args:
        channels: Channels of the map.
        num_outputs: Length of the output.
    """

    def __init__(self, channels: int, num_outputs: int) -> None:
        super().__init__()
        # Modules, for which methods such as DeepLIFT have rules, each used once.
        self.pool = nn.Sequential(*(nn.MaxPool1d(_WINDOW, ceil_mode=True) for _ in range(_WINDOWS)))
        self.linear = nn.Linear(channels, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """A map ``(N, C, L)`` to ``(N, num_outputs)``."""
        return self.linear(self.pool(features).amax(-1))  # type: ignore[no-any-return]


class DenseHead(nn.Module):
    """Map every position of every map linearly, enlarge the results to the size of the finest map, and add them.

    Fully convolutional networks (arXiv 1411.4038) do so: coarse maps say what there is, the finest where its border
    runs. Only maps of ``num_outputs`` channels are made at full resolution.

    Args:
        ndim: Number of spatial axes.
        channels: Channels of every map.
        num_outputs: Length of the output at every position.
    """

    def __init__(self, ndim: int, channels: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        self.scores = nn.ModuleList(convolution(ndim, count, num_outputs, bias=True) for count in channels)

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps ``(N, C, *any)``, the first the finest, to ``(N, num_outputs, *spatial)`` of the first."""
        finest, *coarser = (score(features) for score, features in zip(self.scores, maps, strict=True))
        return sum((resize(scores, like=finest) for scores in coarser), start=finest)
