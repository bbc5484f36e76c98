"""Flips and turns of training images that have no up and no down, as those from above."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FlipsAndTurns:
    """Every image of a batch is flipped or not, and turned by a multiple of a right angle; fits ``augment=`` of Dasha.

    Images that are not square are turned by half a circle at most. Draws from torch's global generator of the CPU, on
    whatever device the batch is.

    Attributes:
        is_dense: Whether targets ``(N, …, H, W)`` belong to positions, and go with the image.
    """

    is_dense: bool = False

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Change inputs ``(N, C, H, W)`` and, if they belong to positions, their targets."""
        step = 1 if inputs.shape[-1] == inputs.shape[-2] else 2
        flips = torch.randint(0, 2, (len(inputs),))
        turns = step * torch.randint(0, 4 // step, (len(inputs),))
        return _moved(inputs, flips, turns), _moved(targets, flips, turns) if self.is_dense else targets


def _moved(batch: Tensor, flips: Tensor, turns: Tensor) -> Tensor:
    moved = torch.empty_like(batch)
    for flip in (0, 1):
        for turn in range(4):
            chosen = ((flips == flip) & (turns == turn)).to(batch.device)
            if chosen.any():
                own = batch[chosen]
                moved[chosen] = torch.rot90(own.flip(-1) if flip else own, turn, (-2, -1))
    return moved
