"""What the shapes of a mixed convolution in the frequency domain determine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from dasha.search._geometry import Geometry
from dasha.search._taps import stacked_sizes
from dasha.search._waves import Axis, make_axis

# Bytes that are worked on at a time: about the cache of a core, or enough to occupy a GPU.
_PORTION = {"cpu": 2**22, "cuda": 2**28}


@dataclass(frozen=True)
class Plan:
    """All that the shapes determine.

    Attributes:
        axes: One per spatial dimension.
        groups: Groups of the convolution.
        in_channels: Channels of the input, of all groups together.
        out_channels: Channels of the output, likewise.
        kernel_sizes: Size of every stack of kernels.
    """

    axes: tuple[Axis, ...]
    groups: int
    in_channels: int
    out_channels: int
    kernel_sizes: tuple[int, ...]

    @property
    def phases(self) -> int:
        """Phases of the stride: as many inputs as each channel becomes."""
        return math.prod(axis.stride for axis in self.axes)

    @property
    def is_pointwise(self) -> bool:
        """Whether a group is so small that matrix products do not pay."""
        return self.out_channels // self.groups * (self.in_channels // self.groups) * self.phases <= 8


def make_plan(geometry: Geometry) -> Plan:
    """Plan of a mixed convolution."""
    sizes = tuple(stacked_sizes(geometry.kernel_sizes))
    spatial = zip(geometry.x_shape[2:], geometry.stride, strict=True)
    axes = tuple(make_axis(n, s, sizes, geometry.dilations) for n, s in spatial)
    return Plan(axes, geometry.groups, geometry.x_shape[1], geometry.out_channels, sizes)


def portions(count: int, size: int, device: torch.device) -> Iterator[slice]:
    """Slices of ``count`` things of ``size`` bytes that together are as large as the device likes."""
    step = max(1, _PORTION.get(device.type, _PORTION["cuda"]) // max(1, size))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
