"""Satellite imagery: dasha inside TorchGeo.

Public names are imported when they are first used, and TorchGeo with them.
"""

from typing import TYPE_CHECKING

from dasha._lazy import lazy_names

if TYPE_CHECKING:
    from torchgeo_dasha.data.image_folder import ImageFolderDataModule as ImageFolderDataModule
    from torchgeo_dasha.data.segmentation import TileSegmentationDataModule as TileSegmentationDataModule

_HOMES = {
    "ImageFolderDataModule": "data.image_folder",
    "TileSegmentationDataModule": "data.segmentation",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
