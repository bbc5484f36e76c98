"""Wide residual networks: that of Zagoruyko and Komodakis for images, three blocks of three for sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Unpack

from torch import Tensor, nn

from dasha.arguments import whole_number
from dasha.backbones.base import Arguments, Backbone, odd
from dasha.backbones.dropout import Dropout
from dasha.backbones.heads import AlignedHead, PeakHead, make_head
from dasha.backbones.layers import convolution, initialise
from dasha.errors import InvalidArgumentError


class PreActivationBlock(nn.Module):
    """Two times normalisation, activation and 3×3 convolution, and a skip; dropout between the convolutions."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.act1 = nn.ReLU()
        self.conv1 = convolution(2, in_channels, out_channels, 3, stride=stride)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.act2 = nn.ReLU()
        self.drop = Dropout(dropout)
        self.conv2 = convolution(2, out_channels, out_channels, 3)
        changes = stride > 1 or in_channels != out_channels
        self.shortcut = convolution(2, in_channels, out_channels, stride=stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', ceil(H / stride), ceil(W / stride))``."""
        active = self.act1(self.norm1(x))
        branch = self.conv2(self.drop(self.act2(self.norm2(self.conv1(active)))))
        skip = x if self.shortcut is None else self.shortcut(active)
        return skip + branch  # type: ignore[no-any-return]


class WideResNet2d(Backbone):
    """Wide residual network for images, WRN-``depth``-``width`` of arXiv 1605.07146.

    Args:
        depth: Depth as the paper counts it, ``6 n + 4`` for ``n`` blocks in each group: 10, 16, 22, 28, …
        **arguments: ``in_channels``, ``num_outputs``, ``output``, ``width``, ``dropout`` and ``patch_size`` of
            `Backbone`.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
    """

    ndim = 2

    def __init__(self, *, depth: int = 16, **arguments: Unpack[Arguments]) -> None:
        super().__init__(**arguments)
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 10 or (depth - 4) % 6:
            raise InvalidArgumentError(f"depth is {depth!r}, but must be 6 n + 4 with n at least 1: 10, 16, 22, 28, …")
        channels = [scale * self.width for scale in (16, 32, 64)]
        self.stem = convolution(2, self.inner_channels, 16, 3)
        self.groups = nn.ModuleList(
            self._group(before, after, blocks=(depth - 4) // 6, stride=stride)
            for (before, after), stride in zip(pairwise([16, *channels]), (1, 2, 2), strict=True)
        )
        # One vector is read from the coarsest map alone, as in the paper; dense outputs from all three.
        read = channels if self.output == "dense" else channels[-1:]
        self.activations = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(count), nn.ReLU()) for count in read)
        self.head = make_head(self.output, 2, read, self.inner_outputs)
        initialise(self)

    def _group(self, before: int, after: int, *, blocks: int, stride: int) -> nn.Sequential:
        """Make blocks of the same resolution; the first one changes channels and size."""
        first = PreActivationBlock(before, after, stride=stride, dropout=self.dropout)
        return nn.Sequential(
            first, *(PreActivationBlock(after, after, stride=1, dropout=self.dropout) for _ in range(blocks - 1))
        )

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps that are read, from fine to coarse, at strides 1, 2 and 4."""
        x = self.stem(x)
        maps = []
        for group in self.groups:
            x = group(x)
            maps.append(x)
        read = maps[-len(self.activations) :]
        return tuple(activation(features) for activation, features in zip(self.activations, read, strict=True))


class TripleBlock(nn.Module):
    """Three convolutions, each normalised, and a skip; dropout after the first two activations."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel_sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        first, second, third = kernel_sizes
        self.conv1 = convolution(1, in_channels, out_channels, first)
        self.norm1 = nn.BatchNorm1d(out_channels)
        self.act1 = nn.ReLU()
        self.drop1 = Dropout(dropout)
        self.conv2 = convolution(1, out_channels, out_channels, second)
        self.norm2 = nn.BatchNorm1d(out_channels)
        self.act2 = nn.ReLU()
        self.drop2 = Dropout(dropout)
        self.conv3 = convolution(1, out_channels, out_channels, third)
        self.norm3 = nn.BatchNorm1d(out_channels)
        self.act3 = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(convolution(1, in_channels, out_channels), nn.BatchNorm1d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, L)`` to ``(N, C', L)``."""
        branch = self.drop1(self.act1(self.norm1(self.conv1(x))))
        branch = self.drop2(self.act2(self.norm2(self.conv2(branch))))
        return self.act3(self.norm3(self.conv3(branch)) + self.shortcut(x))  # type: ignore[no-any-return]


class WideResNet1d(Backbone):
    """Residual network for sequences: three blocks of three convolutions, ``m``, ``2 m`` and ``2 m`` channels wide.

    This is the network of arXiv 1611.06455 for time series, ``m = 16 * width``, with centred kernels of odd size and a
    skip in every block. The length stays that of the input throughout.

    Args:
        kernel_sizes: Kernel sizes of the three convolutions of every block, odd.
        **arguments: ``in_channels``, ``num_outputs``, ``output``, ``width``, ``dropout`` and ``patch_size`` of
            `Backbone`.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
    """

    ndim = 1

    def __init__(self, *, kernel_sizes: Sequence[int] = (11, 7, 5), **arguments: Unpack[Arguments]) -> None:
        super().__init__(**arguments)
        if len(kernel_sizes) != 3:
            raise InvalidArgumentError(f"kernel_sizes is {kernel_sizes!r}, but must be three odd numbers")
        for kernel_size in kernel_sizes:
            odd("kernel_sizes", kernel_size)
        middle = 16 * self.width
        self.blocks = nn.Sequential(
            *(
                TripleBlock(before, after, kernel_sizes=kernel_sizes, dropout=self.dropout)
                for before, after in pairwise([self.inner_channels, middle, 2 * middle, 2 * middle])
            )
        )
        self.head = make_head(self.output, 1, [2 * middle], self.inner_outputs)
        initialise(self)

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the one map there is, as long as the input."""
        return (self.blocks(x),)


class AlignedResNet1d(WideResNet1d):
    """`WideResNet1d` whose output depends on where in the sequence something is found.

    For inputs in which a position means the same in every sample: DNA centred on a site, heartbeats cut at the beat,
    spectra. The mean over all positions, which the other networks take, knows of places only what padding tells.

    Args:
        places: Places along the sequence around which features are averaged, at least 1.
        **arguments: Those of `WideResNet1d`; ``output`` must be ``"vector"``.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
    """

    def __init__(self, *, places: int = 8, **arguments: Any) -> None:
        super().__init__(**arguments)
        _check_output(self)
        self.places = whole_number("places", places, minimum=1)
        self.head = AlignedHead(2 * 16 * self.width, self.num_outputs, places=self.places)
        initialise(self.head)


class PeakResNet1d(WideResNet1d):
    """`WideResNet1d` whose output depends on how well the best position fits, and not on how many do.

    For inputs that are told apart by something short that they have or have not: the binding site of a protein in DNA,
    a single odd beat. In the mean over all positions, which `WideResNet1d` takes, it drowns.

    Args:
        **arguments: Those of `WideResNet1d`; ``output`` must be ``"vector"``.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _check_output(self)
        self.head = PeakHead(2 * 16 * self.width, self.num_outputs)
        initialise(self.head)


def _check_output(network: Backbone) -> None:
    """Refuse what a head that gives one output per input cannot.

    Raises:
        InvalidArgumentError: If there is to be an output at every position.
    """
    if network.output != "vector":
        raise InvalidArgumentError(
            f"output is {network.output!r}, but {type(network).__name__} gives one output per input, 'vector'; take "
            "WideResNet1d or UNet1d for an output at every position"
        )
