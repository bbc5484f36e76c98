"""Both strands count: the other strand of a one-hot batch, and predictions averaged over the two."""

from __future__ import annotations

from torch import Tensor, nn


def other_strand(inputs: Tensor) -> Tensor:
    """Reverse complement of one-hot inputs ``(N, 4, L)``: order A, C, G, T makes it a flip of both axes."""
    return inputs.flip((-2, -1))


class StrandAverage(nn.Module):
    """A network whose outputs are averaged over both strands.

    Args:
        network: From one-hot inputs ``(N, 4, L)`` to outputs ``(N, T)``, or ``(N, T, L)``.
        is_dense: Whether there is an output for every position; those of the other strand are turned back.

    Attributes:
        network: As given; its weights are shared, not copied.
    """

    def __init__(self, network: nn.Module, *, is_dense: bool = False) -> None:
        super().__init__()
        self.network, self.is_dense = network, is_dense

    def forward(self, inputs: Tensor) -> Tensor:
        """Mean of the outputs (of classes: logits) for both strands."""
        here: Tensor = self.network(inputs)
        there: Tensor = self.network(other_strand(inputs))
        return (here + (there.flip(-1) if self.is_dense else there)) / 2
