"""Trained networks from whatever file or folder holds them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dasha.errors import StateFileError
from dasha.search.model import load_model
from genomics_adapter._fitted import FILE
from genomics_adapter.encoding import Ambiguous, Crop


@dataclass(frozen=True)
class TrainedModel:
    """A network for sequences.

    Attributes:
        network: From one-hot inputs ``(N, 4, L)`` to outputs ``(N, T)``.
        length: Bases that it was trained on, where that is known.
        crop: What keeps its place where sequences are cropped or padded to it.
        ambiguous: How it sees bases that are not certain.
    """

    network: nn.Module
    length: int | None = None
    crop: Crop = "center"
    ambiguous: Ambiguous = "zeros"


def open_model(path: str | Path) -> TrainedModel:
    """Read a network; nothing in a file is executed.

    Args:
        path: Checkpoint of `genomics_adapter.tasks.DashaSequenceTask` (``.ckpt``), folder that an estimator's ``save``
            wrote, or the folder of a run, whose network then predicts by one strand.

    Raises:
        StateFileError: If nothing of these is there, or it is damaged.
    """
    path = Path(path)
    if path.is_file():
        return _of_checkpoint(path)
    if (path / FILE).is_file():
        return _of_estimator(path)
    return TrainedModel(load_model(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of Lightning; nothing in it is executed.

    Raises:
        StateFileError: If it is none, or holds more than plain values and tensors.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        content["state_dict"]
    except Exception as error:  # of torch and pickle: the file may hold anything
        raise StateFileError(
            f"{path} is no checkpoint of a DashaSequenceTask: plain values and tensors are not found in it "
            f"({type(error).__name__}); pass one that a fit left, or look whether the file is complete"
        ) from error
    return content


def _of_checkpoint(path: Path) -> TrainedModel:
    from genomics_adapter.tasks import DashaSequenceTask

    content = read_checkpoint(path)
    try:
        task = DashaSequenceTask.load_from_checkpoint(path, map_location="cpu", weights_only=True)
        network = task.model
    except Exception as error:  # of torch, Lightning and ours: the checkpoint may be of anything
        raise StateFileError(
            f"{path} is no checkpoint of a DashaSequenceTask ({type(error).__name__}: {error}); pass one, or a folder"
        ) from error
    data = content.get("SequenceFiles", {})
    read_as = {name: data[name] for name in ("length", "crop", "ambiguous") if name in data}
    return TrainedModel(network.eval(), **read_as)


def _of_estimator(path: Path) -> TrainedModel:
    from genomics_adapter.estimator import DashaSequenceClassifier, DashaSequenceRegressor

    kinds = {kind.__name__: kind for kind in (DashaSequenceClassifier, DashaSequenceRegressor)}
    try:
        kind = kinds[json.loads((path / FILE).read_text(encoding="utf-8"))["class"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateFileError(f"cannot read {path / FILE}: {type(error).__name__}: {error}") from error
    estimator: Any = kind.load(path)
    return TrainedModel(estimator.model_, estimator.length_, estimator.crop, estimator.ambiguous)
