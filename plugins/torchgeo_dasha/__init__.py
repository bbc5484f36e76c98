"""Satellite imagery: dasha inside TorchGeo.

Public names are imported when they are first used, and TorchGeo with them.
"""

from typing import TYPE_CHECKING

from dasha._lazy import lazy_names

if TYPE_CHECKING:
    from torchgeo_dasha.data.image_folder import ImageFolderDataModule as ImageFolderDataModule
    from torchgeo_dasha.data.segmentation import TileSegmentationDataModule as TileSegmentationDataModule
    from torchgeo_dasha.tasks import DashaChangeDetectionTask as DashaChangeDetectionTask
    from torchgeo_dasha.tasks import DashaClassificationTask as DashaClassificationTask
    from torchgeo_dasha.tasks import DashaPixelwiseRegressionTask as DashaPixelwiseRegressionTask
    from torchgeo_dasha.tasks import DashaRegressionTask as DashaRegressionTask
    from torchgeo_dasha.tasks import DashaSemanticSegmentationTask as DashaSemanticSegmentationTask
    from torchgeo_dasha.timm_models import RegisterNetworks as RegisterNetworks

_HOMES = {
    "DashaChangeDetectionTask": "tasks",
    "DashaClassificationTask": "tasks",
    "DashaPixelwiseRegressionTask": "tasks",
    "DashaRegressionTask": "tasks",
    "DashaSemanticSegmentationTask": "tasks",
    "ImageFolderDataModule": "data.image_folder",
    "RegisterNetworks": "timm_models",
    "TileSegmentationDataModule": "data.segmentation",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
