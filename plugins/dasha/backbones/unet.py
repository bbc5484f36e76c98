"""U-Nets for sequences and images of any size."""

from __future__ import annotations

from itertools import pairwise
from typing import Unpack

import torch
from torch import Tensor, nn

from dasha.arguments import whole_number
from dasha.backbones.base import Arguments, Backbone, odd
from dasha.backbones.dropout import Dropout
from dasha.backbones.heads import make_head
from dasha.backbones.layers import NORMS, POOLS, convolution, initialise, resize


class DoubleConvolution(nn.Module):
    """Two convolutions, each normalised and activated; dropout between them."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int, *, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = convolution(ndim, in_channels, out_channels, kernel_size)
        self.norm1 = NORMS[ndim](out_channels)
        self.act1 = nn.ReLU()
        self.drop = Dropout(dropout)
        self.conv2 = convolution(ndim, out_channels, out_channels, kernel_size)
        self.norm2 = NORMS[ndim](out_channels)
        self.act2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, *spatial)`` to ``(N, C', *spatial)``."""
        x = self.drop(self.act1(self.norm1(self.conv1(x))))
        return self.act2(self.norm2(self.conv2(x)))  # type: ignore[no-any-return]


class UNet(Backbone):
    """Encoder and decoder with skips between levels of the same size (arXiv 1505.04597).

    Level ``i`` has ``16 * width * 2**i`` channels at ``1 / 2**i`` of the resolution. Maps are halved by max-pooling,
    rounding up, so that any size from 1 on passes through, and enlarged by linear interpolation to the exact size of
    the skip. Convolutions keep the size.

    Dense outputs are read from the finest level of the decoder. A vector is read from the averages of that level and
    of the bottom: the bottom alone would leave the decoder without gradient, and the finest level alone has only
    ``16 * width`` channels to tell all outputs apart.

    Args:
        levels: Number of resolutions, at least 2.
        kernel_size: Size of every kernel, odd.
        **arguments: ``in_channels``, ``num_outputs``, ``output``, ``width``, ``dropout`` and ``patch_size`` of
            `Backbone`.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
    """

    def __init__(self, *, levels: int, kernel_size: int, **arguments: Unpack[Arguments]) -> None:
        super().__init__(**arguments)
        odd("kernel_size", kernel_size)
        channels = [16 * self.width * 2**level for level in range(whole_number("levels", levels, minimum=2))]

        def block(before: int, after: int) -> DoubleConvolution:
            return DoubleConvolution(self.ndim, before, after, kernel_size=kernel_size, dropout=self.dropout)

        self.encoder = nn.ModuleList(
            block(before, after) for before, after in pairwise([self.inner_channels, *channels])
        )
        self.pools = nn.ModuleList(POOLS[self.ndim](2, ceil_mode=True) for _ in channels[1:])
        # decoder.i ends at the size and channels of encoder.i
        self.decoder = nn.ModuleList(block(fine + coarse, fine) for fine, coarse in pairwise(channels))
        read = channels[:1] if self.output == "dense" else [channels[0], channels[-1]]
        self.head = make_head(self.output, self.ndim, read, self.inner_outputs)
        initialise(self)

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the finest map of the decoder and, for a vector, also the map at the bottom."""
        skips = [self.encoder[0](x)]
        for pool, block in zip(self.pools, self.encoder[1:], strict=True):
            skips.append(block(pool(skips[-1])))
        x = bottom = skips.pop()
        for block in reversed(self.decoder):
            skip = skips.pop()
            x = block(torch.cat([skip, resize(x, like=skip)], dim=1))
        return (x,) if self.output == "dense" else (x, bottom)


class UNet1d(UNet):
    """U-Net for sequences; kernels of size 7 unless told otherwise, since a sequence has fewer neighbours."""

    ndim = 1

    def __init__(self, *, levels: int = 4, kernel_size: int = 7, **arguments: Unpack[Arguments]) -> None:
        super().__init__(levels=levels, kernel_size=kernel_size, **arguments)


class UNet2d(UNet):
    """U-Net for images."""

    ndim = 2

    def __init__(self, *, levels: int = 4, kernel_size: int = 3, **arguments: Unpack[Arguments]) -> None:
        super().__init__(levels=levels, kernel_size=kernel_size, **arguments)
