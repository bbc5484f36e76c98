"""A fitted `AutoAR` as plain containers, and as two files: ``model.json`` and ``model.safetensors``.

JSON holds the settings and single numbers, safetensors the arrays; reading them executes nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from dasha.autoar.config import AutoARConfig
from dasha.autoar.device import resolve_device
from dasha.autoar.fitted import FittedAR, FittedMaps, RecordedSeries, Selection
from dasha.autoar.model import AutoAR
from dasha.autoar.panel import Scale
from dasha.autoar.summary_state import summaries_from_plain, summaries_to_plain
from dasha.errors import DashaError, StateFileError
from dasha.runs import atomic_folder
from dasha.types import FloatArray

FORMAT = "dasha-autoar"
FORMAT_VERSION = 2
_JSON_NAME = "model.json"
_TENSORS_NAME = "model.safetensors"
_NUMBERS = ("diff_order", "intercept", "count", "jitter", "ratio", "is_list")
_MAP_ARRAYS = ("weights", "bias", "groups", "spread", "factor")
_SELECTION_ARRAYS = ("errors", "weights", "common")


def to_plain(model: AutoAR) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Settings and numbers as JSON values, and the arrays by name."""
    values: dict[str, Any] = {"format": FORMAT, "version": FORMAT_VERSION, "config": asdict(model.config)}
    if model.config.is_zero_shot:
        recorded = model.recorded
        values["fitted"] = None if recorded is None else {"is_list": recorded.is_list}
        return values, {} if recorded is None else _plain_tails(recorded.tails)
    fitted = model.fitted
    values["fitted"] = {name: getattr(fitted, name) for name in _NUMBERS}
    arrays = {"coefficients": fitted.coefficients, "criterion_path": fitted.criterion_path}
    for name in ("mean", "std", "sigma"):
        arrays[f"scale.{name}"] = np.concatenate([getattr(scale, name) for scale in fitted.scales])
    arrays |= _plain_tails(fitted.tails)
    values["selection"] = None
    if fitted.maps is not None:
        selection = fitted.maps.selection
        values["selection"] = {"names": list(selection.names), "error": selection.error}
        arrays |= {f"maps.{name}": getattr(fitted.maps, name) for name in _MAP_ARRAYS}
        arrays |= {f"selection.{name}": getattr(selection, name) for name in _SELECTION_ARRAYS}
    if fitted.summaries is not None:
        values["summaries"], of_channels = summaries_to_plain(fitted.summaries)
        arrays |= of_channels
    return values, arrays


def from_plain(values: dict[str, Any], arrays: dict[str, FloatArray]) -> AutoAR:
    """Inverse of `to_plain`.

    Raises:
        StateFileError: If something is missing, or was written by a version with another layout.
    """
    if values.get("format") != FORMAT or values.get("version") != FORMAT_VERSION:
        raise StateFileError(
            f"the state says format {values.get('format')!r} version {values.get('version')!r}, but this version of "
            f"dasha-plugins reads {FORMAT!r} version {FORMAT_VERSION}; save the model again with this version"
        )
    try:
        config = AutoARConfig(**values["config"])
        if config.is_zero_shot:
            return AutoAR.restore(config, _recorded(values["fitted"], arrays))
        tails = _tails(arrays)
        bounds = np.cumsum([0, *(tail.shape[1] for tail in tails)])
        fitted = FittedAR(
            **{name: values["fitted"][name] for name in _NUMBERS},
            coefficients=arrays["coefficients"],
            criterion_path=arrays["criterion_path"],
            scales=[
                Scale(**{name: arrays[f"scale.{name}"][a:b] for name in ("mean", "std", "sigma")})
                for a, b in pairwise(bounds)
            ],
            tails=tails,
            maps=_maps(values["selection"], arrays),
            summaries=summaries_from_plain(values["summaries"], arrays) if "summaries" in values else None,
        )
        return AutoAR.restore(config, fitted)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StateFileError(f"the state is incomplete or damaged ({error}); save the model again") from error


def _plain_tails(tails: list[FloatArray]) -> dict[str, FloatArray]:
    """Last rows of all series; they differ in length and channels: flat, with their shapes."""
    return {
        "tails": np.concatenate([tail.reshape(-1) for tail in tails]),
        "tails.shapes": np.array([tail.shape for tail in tails], dtype=np.float64),
    }


def _tails(arrays: dict[str, FloatArray]) -> list[FloatArray]:
    shapes = arrays["tails.shapes"].astype(np.int64)
    pieces = np.split(arrays["tails"], np.cumsum(shapes.prod(1))[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _recorded(values: dict[str, Any] | None, arrays: dict[str, FloatArray]) -> RecordedSeries | None:
    return None if values is None else RecordedSeries(_tails(arrays), values["is_list"])


def _maps(selection: dict[str, Any] | None, arrays: dict[str, FloatArray]) -> FittedMaps | None:
    if selection is None:
        return None
    weighed = {name: arrays[f"selection.{name}"] for name in _SELECTION_ARRAYS}
    maps = {name: arrays[f"maps.{name}"] for name in _MAP_ARRAYS}
    maps["groups"] = maps["groups"].astype(np.int64)
    return FittedMaps(
        **maps, selection=Selection(names=tuple(selection["names"]), error=float(selection["error"]), **weighed)
    )


def save_model(model: AutoAR, directory: Path) -> Path:
    """Write both files; the folder is complete or untouched whatever happens.

    Raises:
        NotFittedError: If there is nothing to save; without training there is always the mode.
        InvalidArgumentError: If ``directory`` holds other things, or cannot be written.
    """
    values, arrays = to_plain(model)
    tensors = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    values["tensors_sha256"] = hashlib.sha256(tensors).hexdigest()
    with atomic_folder(directory) as folder:
        (folder / _TENSORS_NAME).write_bytes(tensors)
        (folder / _JSON_NAME).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return directory


def load_model(directory: Path, *, device: str = "auto") -> AutoAR:
    """Read what `save_model` wrote.

    Args:
        directory: The folder.
        device: Where the loaded model computes; the one it was fitted on may not exist here.

    Raises:
        InvalidArgumentError: If ``device`` is unknown or not there.
        StateFileError: If a file is missing, damaged, or of an unknown version.
    """
    resolve_device(device)
    try:
        values = json.loads((directory / _JSON_NAME).read_text(encoding="utf-8"))
        tensors = (directory / _TENSORS_NAME).read_bytes()
        if hashlib.sha256(tensors).hexdigest() != values["tensors_sha256"]:
            raise StateFileError(f"{_TENSORS_NAME} does not belong to {_JSON_NAME}")
        arrays = load(tensors)
        values["config"]["device"] = device
        return from_plain(values, arrays)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError, DashaError) as error:
        raise StateFileError(f"{directory} holds no complete AutoAR model: {error}") from error
