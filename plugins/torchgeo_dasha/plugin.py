"""What this package adds to dasha: TorchGeo tasks whose network is searched, and a command that maps scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasha import Requirement, hookimpl

if TYPE_CHECKING:
    from dasha.hookspecs import CommandTable, Register
    from dasha.types import ConfigurationSearch

requires = (Requirement("torchgeo", install="dasha-plugins[torchgeo]"),)

_TASKS = {
    "torchgeo_classification": "DashaClassificationTask",
    "torchgeo_regression": "DashaRegressionTask",
    "torchgeo_segmentation": "DashaSemanticSegmentationTask",
    "torchgeo_pixelwise_regression": "DashaPixelwiseRegressionTask",
    "torchgeo_change_detection": "DashaChangeDetectionTask",
}


@hookimpl
def register_adapters(register: Register[object]) -> None:
    """Offer what users of TorchGeo write as ``class_path``."""
    for name, class_name in _TASKS.items():
        register(name, _Task(class_name))


@hookimpl
def register_configurations(register: Register[ConfigurationSearch]) -> None:
    """Offer to search as files of ``torchgeo fit`` say."""
    register("torchgeo", _files)


@hookimpl
def register_commands(cli: CommandTable) -> None:
    """Offer the command that uses what was trained."""
    cli.add_command(
        "predict",
        "torchgeo_dasha.commands.predict:predict",
        help="Predict classes or numbers of a whole satellite scene, as a GeoTIFF.",
    )


def _files() -> ConfigurationSearch:
    from torchgeo_dasha.configuration import TorchGeoFiles

    return TorchGeoFiles()


@dataclass(frozen=True)
class _Task:
    """Makes a task; TorchGeo is imported when it is called."""

    class_name: str

    def __call__(self, **options: Any) -> object:
        import torchgeo_dasha

        task: object = getattr(torchgeo_dasha, self.class_name)(**options)
        return task
