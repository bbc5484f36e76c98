"""Pictures of samples, which TorchGeo's trainers log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

_SIDE = 4.0  # inches of one picture
_ACROSS = 3  # entries of the legend below one picture
_STRETCH = (2.0, 98.0)  # percentiles that become black and white


def draw_sample(
    image: Tensor,
    *,
    titles: Sequence[str],
    masks: Sequence[Tensor] = (),
    class_names: Sequence[str] = (),
    suptitle: str | None = None,
) -> Figure:
    """Draw an image, and masks beside it, with the colours of the classes in them below.

    Args:
        image: Shape ``(C, H, W)``; the first three channels are red, green and blue, unless there are fewer.
        titles: Of the image and of every mask; empty for none.
        masks: Class of every pixel, ``(H, W)``.
        class_names: Of all classes; values that are no class are left white.
        suptitle: Above everything.
    """
    figure = Figure(figsize=(_SIDE * (1 + len(masks)), _SIDE), layout="constrained")
    axes = figure.subplots(1, 1 + len(masks), squeeze=False)[0]
    classes = len(class_names)
    colours, range_of_colours = colormaps["tab20"], Normalize(0, max(classes - 1, 19))
    pixels = image[:3] if len(image) >= 3 else image[:1]
    axes[0].imshow(_stretched(pixels.float().numpy()).transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    for axis, mask in zip(axes[1:], masks, strict=True):
        values = np.ma.masked_outside(mask.numpy(), 0, classes - 1)
        axis.imshow(values, cmap=colours, norm=range_of_colours, interpolation="none")
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title)
    for axis in axes:
        axis.set_axis_off()
    drawn = sorted({value for mask in masks for value in np.unique(mask.numpy()).tolist() if 0 <= value < classes})
    if drawn:
        patches = [Patch(color=colours(range_of_colours(value)), label=class_names[value]) for value in drawn]
        figure.legend(handles=patches, loc="outside lower center", ncols=min(len(drawn), _ACROSS * (1 + len(masks))))
    if suptitle is not None:
        figure.suptitle(suptitle)
    return figure


def _stretched(pixels: np.ndarray) -> np.ndarray:
    """Values between 0 and 1, every channel by its own percentiles."""
    low, high = np.nanpercentile(pixels, _STRETCH, axis=(1, 2), keepdims=True)
    stretched: np.ndarray = np.clip(np.nan_to_num((pixels - low) / np.maximum(high - low, 1e-12)), 0.0, 1.0)
    return stretched
