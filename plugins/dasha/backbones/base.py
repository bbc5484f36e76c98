"""What the networks have in common: their arguments, and a check of what comes in."""

from __future__ import annotations

from typing import ClassVar, Required, TypedDict

from torch import Tensor, nn

from dasha.arguments import whole_number
from dasha.backbones.heads import Output
from dasha.backbones.patches import from_patches, to_patches
from dasha.errors import InvalidArgumentError

_SPATIAL = {1: "L", 2: "H, W"}


class Arguments(TypedDict, total=False):
    """The arguments that every `Backbone` takes; they are described there."""

    in_channels: Required[int]
    num_outputs: Required[int]
    output: Output
    width: int
    dropout: float
    patch_size: int


class Backbone(nn.Module):
    """A network that makes maps of features, and a head that turns them into outputs.

    A subclass sets ``ndim``, implements :meth:`features` for inputs of ``inner_channels``, and makes a ``head`` that
    takes these features and gives ``inner_outputs``.

    Args:
        in_channels: Channels of the input.
        num_outputs: Length of the output, for example the number of classes.
        output: ``"vector"`` for one output per input, ``"dense"`` for one at every position, as segmentation needs.
        width: Widening factor; the narrowest layers have ``16 * width`` channels.
        dropout: Probability with which a value is dropped in training, at least 0 and below 1.
        patch_size: Positions along each axis that go in as the channels of one; 2 makes a network for images about four
            times as fast, and kernels twice as far-reaching.

    Attributes:
        ndim: Number of spatial axes of the input: 1 for sequences, 2 for images.

    Raises:
        InvalidArgumentError: If an argument is not allowed.
    """

    ndim: ClassVar[int]
    head: nn.Module

    def __init__(
        self,
        *,
        in_channels: int,
        num_outputs: int,
        output: Output = "vector",
        width: int = 4,
        dropout: float = 0.0,
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        self.in_channels = whole_number("in_channels", in_channels, minimum=1)
        self.num_outputs = whole_number("num_outputs", num_outputs, minimum=1)
        self.width = whole_number("width", width, minimum=1)
        if output not in ("vector", "dense"):
            raise InvalidArgumentError(f"output is {output!r}, but must be 'vector' or 'dense'")
        if not isinstance(dropout, int | float) or not 0.0 <= dropout < 1.0:
            raise InvalidArgumentError(f"dropout is {dropout!r}, but must be at least 0 and below 1")
        self.output = output
        self.dropout = float(dropout)
        self.patch_size = whole_number("patch_size", patch_size, minimum=1)

    @property
    def inner_channels(self) -> int:
        """Channels of a patch of the input."""
        return int(self.in_channels * self.patch_size**self.ndim)

    @property
    def inner_outputs(self) -> int:
        """Outputs of the head: for dense ones, those of a patch."""
        return int(self.num_outputs * self.patch_size**self.ndim) if self.output == "dense" else self.num_outputs

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Turn the patches of an input that has been checked into the maps that the head takes."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Compute the outputs.

        Args:
            x: Shape ``(N, in_channels, L)`` or ``(N, in_channels, H, W)``, of any spatial size from 1 on.

        Returns:
            Shape ``(N, num_outputs)``, or for ``output="dense"`` ``(N, num_outputs, L)`` or ``(N, num_outputs, H, W)``.

        Raises:
            InvalidArgumentError: If the input has another shape, or is not of a floating type.
            ValueError: From batch normalisation, in training, if a single input is so small that some map has one
                position only.
        """
        check_input(x, in_channels=self.in_channels, ndim=self.ndim)
        outputs: Tensor = self.head(*self.features(to_patches(x, self.patch_size)))
        return from_patches(outputs, self.patch_size, x.shape[2:]) if self.output == "dense" else outputs


def check_input(x: Tensor, *, in_channels: int, ndim: int) -> None:
    """Check what a network is called with.

    Args:
        x: The input.
        in_channels: Channels it must have.
        ndim: Spatial axes it must have, 1 or 2.

    Raises:
        InvalidArgumentError: If the input has another shape, holds nothing, or is not of a floating type.
    """
    expected = f"(N, {in_channels}, {_SPATIAL[ndim]})"
    if x.ndim != ndim + 2:
        raise InvalidArgumentError(
            f"the input has shape {tuple(x.shape)}, but must have {ndim + 2} axes, {expected}; "
            f"a single input needs an axis in front, x[None]"
        )
    if x.shape[1] != in_channels:
        raise InvalidArgumentError(
            f"the input has {x.shape[1]} channels, its shape is {tuple(x.shape)}, but must have {in_channels}, "
            f"{expected}; make the network with in_channels={x.shape[1]}, or move the channels to axis 1"
        )
    if 0 in x.shape:
        raise InvalidArgumentError(f"the input has shape {tuple(x.shape)}, but no axis of {expected} may be empty")
    if not x.is_floating_point():
        raise InvalidArgumentError(f"the input is {x.dtype}, but must be of a floating type; pass x.float()")


def odd(name: str, value: int) -> int:
    """Return an odd number of at least 1, or raise :class:`~dasha.errors.InvalidArgumentError`."""
    if whole_number(name, value, minimum=1) % 2 == 0:
        raise InvalidArgumentError(f"{name} is {value!r}, but must be odd, so that the kernel has a centre")
    return value
