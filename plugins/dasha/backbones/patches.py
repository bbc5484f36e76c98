"""Patches of an input as the channels of one position, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def to_patches(x: Tensor, size: int) -> Tensor:
    """Lay the positions of every patch side by side as channels; nothing of the input is lost.

    Args:
        x: Shape ``(N, C, L)`` or ``(N, C, H, W)``; zeros fill up the last patches.
        size: Side of a patch, in positions.

    Returns:
        Shape ``(N, C * size**ndim, ceil(L / size))`` or ``(N, C * size**ndim, ceil(H / size), ceil(W / size))``.
    """
    if size == 1:
        return x
    missing = [amount for length in reversed(x.shape[2:]) for amount in (0, -length % size)]
    x = functional.pad(x, missing)
    if x.ndim == 4:
        return functional.pixel_unshuffle(x, size)
    # (N, C, L) -> (N, C, L / size, size) -> (N, C * size, L / size)
    return x.reshape(*x.shape[:2], -1, size).transpose(2, 3).flatten(1, 2)


def from_patches(x: Tensor, size: int, shape: torch.Size) -> Tensor:
    """The inverse of `to_patches`.

    Args:
        x: Shape ``(N, C * size**ndim, *spatial)``.
        size: Side of a patch, in positions.
        shape: Spatial shape of the result; what was filled up is cut off.

    Returns:
        Shape ``(N, C, *shape)``.
    """
    if size == 1:
        return x
    if x.ndim == 4:
        return functional.pixel_shuffle(x, size)[..., : shape[0], : shape[1]]
    # (N, C * size, L / size) -> (N, C, size, L / size) -> (N, C, L)
    return x.reshape(len(x), -1, size, x.shape[2]).transpose(2, 3).flatten(2)[..., : shape[0]]
