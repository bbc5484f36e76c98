"""Layers for one or two spatial axes; activations are modules, one object per use, as attribution tools need."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
NORMS: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
POOLS: dict[int, type[nn.MaxPool1d | nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


def convolution(
    ndim: int, in_channels: int, out_channels: int, kernel_size: int = 1, *, stride: int = 1, bias: bool = False
) -> nn.Conv1d | nn.Conv2d:
    """Make a centred convolution: the output has the size of the input divided by ``stride``, rounded up.

    Args:
        ndim: Number of spatial axes, 1 or 2.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd.
        stride: Step of the output, in steps of the input.
        bias: Whether to add one; pointless where batch normalisation follows.
    """
    padding = kernel_size // 2
    return CONVOLUTIONS[ndim](in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)


def initialise(network: nn.Module) -> None:
    """Draw the weights as He et al. (arXiv 1502.01852) do, so that signals keep their size on the way forward.

    Layers with a bias are those that compute outputs: no activation halves their signal, and the bias starts at 0.
    The last layer of a residual branch is drawn like the others and not set to 0, as is common in very deep networks:
    behind a 0, no gradient reaches in the first step the layers whose kernels are searched.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu" if module.bias is None else "linear")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Interpolate linearly to the spatial size of another map.

    Args:
        x: Shape ``(N, C, *any)`` with one or two spatial axes.
        like: Shape ``(N, any, *spatial)``.

    Returns:
        Shape ``(N, C, *spatial)``.
    """
    size = like.shape[2:]
    if x.shape[2:] == size:
        return x
    if x.ndim == 4:
        return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
    # As an image of one row: unlike mode="linear" this has a deterministic backward pass on GPUs.
    image = functional.interpolate(x.unsqueeze(2), size=(1, *size), mode="bilinear", align_corners=False)
    return image.squeeze(2)
