"""What differs between versions: TorchGeo 0.8 has its tasks in ``trainers``, later versions in ``tasks``."""

from __future__ import annotations

from importlib import import_module, util
from typing import Any

from lightning.pytorch import callbacks

from dasha._optional import require

require("torchgeo", extra="torchgeo")


def _host(name: str) -> Any:
    """A task of TorchGeo by the name that 0.9 and later give it."""
    if util.find_spec("torchgeo.tasks") is not None:
        return getattr(import_module("torchgeo.tasks"), name)
    return getattr(import_module("torchgeo.trainers"), name if name == "BaseTask" else f"{name}Task")


BaseTask = _host("BaseTask")
Classification = _host("Classification")
Regression = _host("Regression")
PixelwiseRegression = _host("PixelwiseRegression")
SemanticSegmentation = _host("SemanticSegmentation")
ChangeDetection = _host("ChangeDetection")
AVERAGING: tuple[type[callbacks.Callback], ...] = tuple(
    getattr(callbacks, name) for name in ("StochasticWeightAveraging", "WeightAveraging") if hasattr(callbacks, name)
)
"""Callbacks of Lightning that keep a copy of the task; earlier versions have only the first."""
