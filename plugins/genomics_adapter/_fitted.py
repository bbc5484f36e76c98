"""Fitted estimators as files, and where their networks compute."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import nn

from dasha.errors import InvalidArgumentError, StateFileError
from dasha.runs import atomic_folder
from dasha.search.model import Ensemble, load_model, save_members
from dasha.search.plan import NetworkPlan
from dasha.search.run_folder import RunFolder
from genomics_adapter._targets import Labels, Numbers

if TYPE_CHECKING:
    from genomics_adapter._estimator import DashaSequenceEstimator

    Estimator = TypeVar("Estimator", bound=DashaSequenceEstimator)

FILE = "estimator.json"
_FORMAT = 1


def write_fitted(folder: Path, estimator: DashaSequenceEstimator) -> Path:
    """Write parameters and targets as JSON, the network as safetensors; the folder is complete or untouched.

    Raises:
        InvalidArgumentError: If ``folder`` holds other things, or cannot be written.
    """
    parameters = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in estimator.get_params(deep=False).items()
        if value is None or isinstance(value, str | int | float | dict | Path)
    }
    content = {
        "format": _FORMAT,
        "class": type(estimator).__name__,
        "parameters": {**parameters, "class_weight": _as_pairs(parameters["class_weight"])},
        "length": estimator.length_,
        "n_features_in": getattr(estimator, "n_features_in_", None),
        "targets": _targets_dict(estimator),
        "plan": estimator.plan_.as_dict(),
        "hyperparameters": estimator.hyperparameters_,
    }
    members = members_of(estimator.network_)
    with atomic_folder(folder) as working:
        run = RunFolder(working)
        save_members(run, members, estimator.plan_, is_ensemble=len(members) > 1)
        run.write_json(FILE, content)
    return folder


def read_fitted(kind: type[Estimator], folder: Path, network: Any) -> Estimator:
    """Read what `write_fitted` wrote."""
    file = folder / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StateFileError(f"cannot read {file}: {type(error).__name__}: {error}") from error
    if content.get("format") != _FORMAT or content.get("class") != kind.__name__:
        raise StateFileError(
            f"{file} is a {content.get('class')} of format {content.get('format')!r}, but a {kind.__name__} of format "
            f"{_FORMAT} is to be read"
        )
    trained = load_model(folder, network=network)
    try:
        extra = {} if network is None else {"backbone": network}
        parameters = content["parameters"]
        if isinstance(weights := parameters.get("class_weight"), list):
            parameters["class_weight"] = dict(weights)
        estimator = kind(**{**parameters, **extra})
        targets = content["targets"]
        if "classes" in targets:
            classes = np.array(targets["classes"], dtype=targets["dtype"])
            estimator.labels_ = Labels(targets["kind"], classes)
        else:
            estimator.numbers_ = Numbers(targets["columns"], targets["is_flat"])
        estimator.length_ = content["length"]
        if content["n_features_in"] is not None:
            estimator.n_features_in_ = content["n_features_in"]
        estimator.hyperparameters_ = content["hyperparameters"]
        estimator._take(NetworkPlan.of_dict(content["plan"]), trained)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateFileError(f"{file} does not hold a fitted estimator: {type(error).__name__}: {error}") from error
    return estimator


def members_of(network: nn.Module) -> list[nn.Module]:
    """The networks of an ensemble; of another network, itself."""
    return list(network.members) if isinstance(network, Ensemble) else [network]


@contextmanager
def on_device(network: nn.Module, name: str) -> Iterator[tuple[nn.Module, torch.device]]:
    """A network in evaluation mode where it computes; afterwards it is back where it was, and in its mode.

    Raises:
        InvalidArgumentError: If there is no such device.
    """
    held = next(chain(network.parameters(), network.buffers()), torch.empty(0)).device
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        network.to(device)
    except (RuntimeError, AssertionError, TypeError) as error:
        network.to(held)
        raise InvalidArgumentError(f"device={name!r} cannot be used: {str(error).splitlines()[0]}") from error
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield network.eval(), device
    finally:
        network.to(held)
        for module, is_training in modes:
            module.training = is_training


def _as_pairs(weights: Any) -> Any:
    """Weights by class as JSON can hold them, where keys of objects are texts."""
    if not isinstance(weights, Mapping):
        return weights
    return [[np.asarray(name).item(), float(weight)] for name, weight in weights.items()]


def _targets_dict(estimator: DashaSequenceEstimator) -> dict[str, Any]:
    labels: Labels | None = getattr(estimator, "labels_", None)
    if labels is not None:
        dtype = "object" if labels.classes.dtype.kind == "O" else labels.classes.dtype.str
        return {"kind": labels.kind, "classes": labels.classes.tolist(), "dtype": dtype}
    return asdict(estimator.numbers_)
