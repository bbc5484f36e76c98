"""Convolutional networks for sequences (1-D) and images (2-D), registered like anyone else's.

Public names are imported when they are first used, so that naming a network costs nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dasha.backbones.base import Backbone as Backbone
    from dasha.backbones.base import check_input as check_input
    from dasha.backbones.searchable import searchable_layers as searchable_layers
    from dasha.backbones.unet import UNet1d as UNet1d
    from dasha.backbones.unet import UNet2d as UNet2d
    from dasha.backbones.wide_resnet import WideResNet1d as WideResNet1d
    from dasha.backbones.wide_resnet import WideResNet2d as WideResNet2d

_HOMES = {
    "Backbone": "base",
    "UNet1d": "unet",
    "UNet2d": "unet",
    "WideResNet1d": "wide_resnet",
    "WideResNet2d": "wide_resnet",
    "check_input": "base",
    "searchable_layers": "searchable",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it, and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dasha.backbones' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"dasha.backbones.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
