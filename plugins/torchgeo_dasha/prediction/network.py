"""A trained network as a function of tiles in the units of the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dasha.errors import InvalidArgumentError

PredictTile = Callable[[Tensor], Tensor]
"""Tiles ``(N, C, h, w)``, NaN where there is no data, to outputs ``(N, K, h, w)`` or ``(N, K)`` before any softmax."""


@dataclass(frozen=True)
class TileNetwork:
    """A network, and what happens to its inputs.

    Attributes:
        network: In evaluation mode, on the device.
        device: Of the network.
        mean: Of every band, subtracted.
        std: Of every band, divided by.
        fill: What stands where there is no data, in the units of the files, for every band.
        scale: Size of the inputs over size of the tiles, height and width, if tiles are resized.
    """

    network: nn.Module
    device: torch.device
    mean: Sequence[float]
    std: Sequence[float]
    fill: Sequence[float]
    scale: tuple[float, float] = (1.0, 1.0)

    @torch.inference_mode()
    def __call__(self, tiles: Tensor) -> Tensor:
        """Outputs of tiles; see `PredictTile`."""
        x = tiles.to(self.device)
        mean, std, fill = (x.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std, self.fill))
        x = (torch.where(x.isnan(), fill, x) - mean) / std
        size = tuple(x.shape[2:])
        wanted = tuple(max(1, round(length * scale)) for length, scale in zip(size, self.scale, strict=True))
        if wanted != size:
            x = interpolate(x, wanted, mode="bilinear", antialias=True, align_corners=False)
        outputs: Tensor = self.network(x)
        if outputs.ndim == 4 and tuple(outputs.shape[2:]) != size:
            if tuple(outputs.shape[2:]) != wanted:
                raise InvalidArgumentError(
                    f"the network turns {wanted[0]} × {wanted[1]} pixels into {outputs.shape[2]} × {outputs.shape[3]}; "
                    "another tile size may suit it"
                )
            outputs = interpolate(outputs, size, mode="bilinear", align_corners=False)
        return outputs
