"""Changes of training batches that leave what a sequence means as it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dasha.arguments import whole_number
from dasha.errors import InvalidArgumentError
from genomics_adapter.reverse_complement import other_strand


@dataclass(frozen=True)
class Augmentation:
    """Random strand and random shift of every sequence of a batch; fits ``augment=`` of `dasha.Dasha`.

    Draws from torch's global generator of the CPU, on whatever device the batch is.

    Attributes:
        reverse_complement: Whether every second sequence, at random, is replaced by its reverse complement.
        shift: Sequences move by up to so many bases, left or right; what comes in is zeros, as padding is.
        is_dense: Whether targets ``(N, …, L)`` belong to positions, and turn around with the strand.

    Raises:
        InvalidArgumentError: If ``shift`` is negative, or given for targets of positions.
    """

    reverse_complement: bool = True
    shift: int = 0
    is_dense: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        whole_number("shift", self.shift, minimum=0)
        if self.shift and self.is_dense:
            raise InvalidArgumentError(
                f"shift={self.shift} would leave positions without a target; use shift=0 with targets of positions"
            )

    def check_length(self, length: int) -> None:
        """Refuse a shift that would leave nothing of a sequence.

        Args:
            length: Bases of a sequence.

        Raises:
            InvalidArgumentError: If it moves as far or further.
        """
        if self.shift >= length:
            raise InvalidArgumentError(
                f"shift is {self.shift}, but sequences have {length} bases, of which nothing would be left; take a "
                "shift of a few bases"
            )

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Change one-hot inputs ``(N, 4, L)`` and, if they belong to positions, their targets."""
        if self.reverse_complement:
            turned = (torch.rand(len(inputs)) < 0.5).to(inputs.device)
            inputs = torch.where(turned[:, None, None], other_strand(inputs), inputs)
            if self.is_dense:
                chosen = turned.reshape(-1, *[1] * (targets.ndim - 1))
                targets = torch.where(chosen, targets.flip(-1), targets)
        return (_shifted(inputs, self.shift) if self.shift else inputs), targets


def _shifted(inputs: Tensor, most: int) -> Tensor:
    steps = torch.randint(-most, most + 1, (len(inputs), 1)).to(inputs.device)
    size = inputs.shape[-1]
    origin = torch.arange(size, device=inputs.device) - steps  # (N, L): where a base comes from
    inside = (origin >= 0) & (origin < size)
    moved = inputs.gather(-1, origin.clamp(0, size - 1)[:, None].expand_as(inputs))
    return moved * inside[:, None]
