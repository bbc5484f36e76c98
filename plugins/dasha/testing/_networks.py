"""How the suite for backbones makes networks, draws inputs and looks at outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dasha.search.networks import outputs_of

CHANNELS = 3
NUM_OUTPUTS = 2
BATCH = 8


@dataclass(frozen=True)
class Subject:
    """A factory under test.

    Attributes:
        factory: Makes the networks.
        ndim: Spatial axes of their input.
    """

    factory: Callable[..., nn.Module]
    ndim: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """The kinds of output that the factory offers."""
        return outputs_of(self.factory)

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """Spatial sizes that a network must take, even and odd, square and not; the first is the usual one."""
        return ((33,), (8,), (100,)) if self.ndim == 1 else ((16, 16), (17, 24), (33, 9), (8, 8))

    @property
    def small_sizes(self) -> tuple[tuple[int, ...], ...]:
        """Spatial sizes that a network may refuse."""
        return ((1,), (2,), (3,), (5,)) if self.ndim == 1 else ((1, 1), (2, 3), (1, 9), (5, 1))

    def make(self, *, output: str = "", width: int = 1, dropout: float = 0.0) -> nn.Module:
        """Make a network in training mode, by default with the first output that the factory offers."""
        return self.factory(
            in_channels=CHANNELS,
            num_outputs=NUM_OUTPUTS,
            output=output or self.outputs[0],
            width=width,
            dropout=dropout,
        ).train()

    def draw(self, size: tuple[int, ...] | None = None) -> Tensor:
        """Draw the same standard normal input every time, shape ``(BATCH, CHANNELS, *size)``."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(BATCH, CHANNELS, *(size or self.sizes[0]), generator=generator)

    def evaluate(self, network: nn.Module, x: Tensor, *, output: str) -> None:
        """Compute outputs and check their shape and type, and that they are finite."""
        with torch.no_grad():
            result = network(x)
        expected = (len(x), NUM_OUTPUTS, *(x.shape[2:] if output == "dense" else ()))
        what = f"output={output!r} of an input of shape {tuple(x.shape)}"
        assert isinstance(result, Tensor), f"{what} is {type(result).__name__}, not a tensor"
        assert result.shape == expected, f"{what} has shape {tuple(result.shape)}, not {expected}"
        expected_type = result.dtype if torch.is_autocast_enabled("cpu") else x.dtype
        assert result.dtype == expected_type, f"{what} is {result.dtype}, but the input is {x.dtype}"
        assert result.isfinite().all(), f"{what} is not finite"
