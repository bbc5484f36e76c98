"""A run folder opened again: what it is about, and where its data is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from dasha.data.sources import SourceData, read_again
from dasha.errors import InvalidArgumentError, StateFileError
from dasha.manager import get_manager
from dasha.search.networks import Factory
from dasha.search.own_objects import layers_of
from dasha.search.run_folder import CONFIG_FILE, SOURCE_FILE, RunFolder
from dasha.tasks import TaskSpec

# Arguments of `Dasha` that no file holds, or that change nothing; the others are those of the run.
_MAY_CHANGE = ("augment", "backbone", "device", "engine", "is_searched", "is_shown", "space")


def stored_arguments(path: str | Path, changes: Mapping[str, Any]) -> tuple[TaskSpec, dict[str, Any]]:
    """Task and settings of a run, as `dasha.Dasha` takes them.

    Args:
        path: Run folder.
        changes: Arguments that are not in the folder, or may change.

    Raises:
        StateFileError: If there is no run, or its file is damaged.
        InvalidArgumentError: If an argument belongs to the run, or the backbone is not registered here.
    """
    for name in changes:
        if name not in _MAY_CHANGE:
            raise InvalidArgumentError(
                f"{name}= belongs to the run in {path} and cannot be changed; allowed: {', '.join(_MAY_CHANGE)}"
            )
    if not (Path(path) / CONFIG_FILE).is_file():
        raise StateFileError(f"there is no run in {path}: {CONFIG_FILE} is missing")
    folder = RunFolder(path)
    with folder.reading(CONFIG_FILE):
        stored = folder.read_json(CONFIG_FILE)
        task, settings = TaskSpec(**stored["task"]), dict(stored["settings"])
    given = changes.get("backbone", settings["backbone"])
    if given not in ("auto", *get_manager().backbones) and isinstance(given, str):
        raise InvalidArgumentError(
            f"the run in {path} is for backbone {given!r}, which is not registered here; pass the module or "
            "factory as backbone="
        )
    return task, {**settings, **changes}


def check_layers(folder: RunFolder, network: nn.Module | Factory | None) -> None:
    """Compare a module, whose weights do not matter, with that of a finished run.

    Args:
        folder: Of the run.
        network: The user's own; only modules are looked at.

    Raises:
        InvalidArgumentError: If it has other layers.
    """
    if not isinstance(network, nn.Module):
        return
    with folder.reading(CONFIG_FILE):
        stored = folder.read_json(CONFIG_FILE).get("own", {}).get("backbone")
    if isinstance(stored, Mapping) and stored["layers"] != layers_of(network):
        raise InvalidArgumentError(
            f"backbone={type(network).__name__} has other layers than that of the run in {folder.path}; pass the "
            "module that the run was begun with"
        )


def stored_data(path: str | Path) -> SourceData:
    """Data of a run that was begun on files or a registered task, read again.

    Args:
        path: Run folder.

    Raises:
        InvalidArgumentError: If nothing says where the data is, or it is not there any more.
        StateFileError: If the file that says it is damaged.
    """
    folder = RunFolder(path)
    if not folder.has(SOURCE_FILE):
        raise InvalidArgumentError(f"the run in {path} is not finished; pass its train and validation data to go on")
    with folder.reading(SOURCE_FILE):
        stored = folder.read_json(SOURCE_FILE)
        place = {name: stored[name] for name in ("path", "test_path", "rule", "is_registered")}
    return read_again(place)
