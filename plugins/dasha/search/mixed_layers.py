"""Convolution layers whose kernel size and dilation are still open."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dasha.backbones.layers import CONVOLUTIONS
from dasha.backbones.searchable import Conv
from dasha.backbones.strided import StridedConv1d, goes_wrong
from dasha.search.mixture import mixed_convolution

_WEIGHT_STD = 0.01
_ALPHA_STD = 1e-3

Choice = tuple[int, int]  # kernel size and dilation


class MixedConv(nn.Module):
    """Weighted sum of convolutions of several kernel sizes and dilations, with weights of their own.

    In training the coefficients are drawn by the Gumbel softmax of the logits, anew at each call and from torch's
    global generator; in evaluation they are the softmax itself.

    Args:
        conv: Layer in whose place it stands: channels, stride and bias are kept, its weights are not.
        kernel_sizes: Candidates.
        dilations: Candidates; every pair of the two takes part.
        is_depthwise: Whether a dense layer with as many outputs as inputs becomes depthwise.
        temperature: Of the Gumbel softmax.

    Attributes:
        alpha: Logits, shape ``(len(kernel_sizes), len(dilations))``.
        method: How `dasha.search.mixture.mixed_convolution` computes.
        chosen: Fixes the coefficients to one pair; None for the mixture.
    """

    def __init__(
        self,
        conv: Conv,
        kernel_sizes: tuple[int, ...],
        dilations: tuple[int, ...],
        *,
        is_depthwise: bool = False,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.kernel_sizes, self.dilations = tuple(kernel_sizes), tuple(dilations)
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.stride = conv.stride
        is_square = conv.in_channels == conv.out_channels
        self.groups = conv.in_channels if is_depthwise and is_square else conv.groups
        self.temperature = temperature
        self.method = "auto"
        self.chosen: Choice | None = None
        inner = (conv.out_channels, conv.in_channels // self.groups)
        ndim, device, dtype = conv.weight.ndim - 2, conv.weight.device, conv.weight.dtype

        def draw(std: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(std * torch.randn(*shape, device=device, dtype=dtype))

        self.weights = nn.ParameterList(
            draw(_WEIGHT_STD, len(self.dilations), *inner, *(ndim * (size,))) for size in self.kernel_sizes
        )
        self.alpha = draw(_ALPHA_STD, len(self.kernel_sizes), len(self.dilations))
        self.bias = None if conv.bias is None else nn.Parameter(torch.zeros_like(conv.bias))
        self.train(conv.training)

    @property
    def choice(self) -> Choice:
        """Kernel size and dilation with the largest logit."""
        size, dilation = divmod(int(self.alpha.argmax()), len(self.dilations))
        return self.kernel_sizes[size], self.dilations[dilation]

    @property
    def fields(self) -> Tensor:
        """Receptive field of every pair, like ``alpha``."""
        sizes = torch.tensor(self.kernel_sizes, dtype=self.alpha.dtype, device=self.alpha.device)
        return torch.tensor(self.dilations, dtype=sizes.dtype, device=sizes.device) * (sizes[:, None] - 1) + 1

    def coefficients(self) -> Tensor:
        """Coefficients of one call, like ``alpha``."""
        if self.chosen is not None:
            fixed = torch.zeros_like(self.alpha)
            fixed[self.kernel_sizes.index(self.chosen[0]), self.dilations.index(self.chosen[1])] = 1.0
            return fixed
        logits = self.alpha.flatten()
        if self.training:
            return functional.gumbel_softmax(logits, tau=self.temperature).view_as(self.alpha)
        return (logits / self.temperature).softmax(0).view_as(self.alpha)

    def forward(self, x: Tensor) -> Tensor:
        """Mix; shape ``(N, C_in, …)`` to ``(N, C_out, …)`` with the size divided by the stride, or without ``N``."""
        is_alone = x.ndim == self.weights[0].ndim - 2
        mixed = mixed_convolution(
            x.unsqueeze(0) if is_alone else x,
            list(self.weights),
            self.coefficients(),
            dilations=self.dilations,
            stride=self.stride,
            groups=self.groups,
            method=self.method,
        )
        if self.bias is not None:
            mixed = mixed + self.bias.view(-1, *(mixed.ndim - 2) * (1,)).to(mixed.dtype)
        return mixed.squeeze(0) if is_alone else mixed

    def weight_of(self, choice: Choice) -> Tensor:
        """Weights of one pair, shape ``(C_out, C_in/groups, k, …)``."""
        weight: Tensor = self.weights[self.kernel_sizes.index(choice[0])][self.dilations.index(choice[1])]
        return weight

    def extra_repr(self) -> str:
        """Show what is mixed."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_sizes={self.kernel_sizes}, dilations={self.dilations}, "
            f"stride={self.stride}, groups={self.groups}"
        )


def same_conv(like: Conv | MixedConv, choice: Choice, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A convolution of one kernel size and dilation that keeps the size, or divides it by the stride.

    Args:
        like: Gives channels, stride and mode.
        choice: Kernel size and dilation.
        weight: Copied; its shape gives the groups.
        bias: Copied; None for none.

    Returns:
        The convolution; behind a padding, if its zeros are not as many on both sides.
    """
    size, dilation = choice
    padding, ndim = dilation * (size - 1), weight.ndim - 2
    around = padding // 2 if padding % 2 == 0 else 0
    is_strided = ndim == 1 and goes_wrong(like.stride, around, dilation)
    layer = StridedConv1d if is_strided else CONVOLUTIONS[ndim]
    # On the meta device no weights are drawn.
    conv = layer(
        like.in_channels,
        like.out_channels,
        size,
        stride=like.stride,  # type: ignore[arg-type]
        padding=around,
        dilation=dilation,
        groups=like.in_channels // weight.shape[1],
        bias=bias is not None,
        device="meta",
    )
    conv.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone())
    conv.train(like.training)
    if padding % 2 == 0:
        return conv
    # An even kernel has one position more on the right.
    sides = padding // 2, padding - padding // 2
    pad = nn.ConstantPad1d(sides, 0.0) if ndim == 1 else nn.ConstantPad2d(sides + sides, 0.0)
    return nn.Sequential(pad, conv).train(like.training)
