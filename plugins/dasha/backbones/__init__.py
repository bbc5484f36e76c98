"""Convolutional networks for sequences (1-D) and images (2-D), registered like anyone else's.

Public names are imported when they are first used, so that naming a network costs nothing.
"""

from typing import TYPE_CHECKING

from dasha._lazy import lazy_names

if TYPE_CHECKING:
    from dasha.backbones.base import Backbone as Backbone
    from dasha.backbones.base import check_input as check_input
    from dasha.backbones.searchable import searchable_layers as searchable_layers
    from dasha.backbones.unet import UNet1d as UNet1d
    from dasha.backbones.unet import UNet2d as UNet2d
    from dasha.backbones.wide_resnet import AlignedResNet1d as AlignedResNet1d
    from dasha.backbones.wide_resnet import PeakResNet1d as PeakResNet1d
    from dasha.backbones.wide_resnet import WideResNet1d as WideResNet1d
    from dasha.backbones.wide_resnet import WideResNet2d as WideResNet2d

_HOMES = {
    "AlignedResNet1d": "wide_resnet",
    "Backbone": "base",
    "PeakResNet1d": "wide_resnet",
    "UNet1d": "unet",
    "UNet2d": "unet",
    "WideResNet1d": "wide_resnet",
    "WideResNet2d": "wide_resnet",
    "check_input": "base",
    "searchable_layers": "searchable",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
