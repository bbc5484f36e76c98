"""The trained network as a plain module, and as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from dasha.errors import DashaError, StateFileError
from dasha.randomness import seeded
from dasha.search.networks import Factory
from dasha.search.plan import NetworkPlan
from dasha.search.run_folder import RunFolder

MODEL_FILE = "model.safetensors"
_FORMAT = 1


class Ensemble(nn.Module):
    """Mean of the outputs of several networks.

    Args:
        members: Networks with the same outputs.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Mean of the outputs."""
        return torch.stack([member(x) for member in self.members]).mean(0)


def save_members(folder: RunFolder, members: Sequence[nn.Module], plan: NetworkPlan, *, is_ensemble: bool) -> None:
    """Write the weights of all seeds, with what is needed to build the networks beside them.

    Args:
        folder: Of the run.
        members: Trained networks of the plan.
        plan: Builds the networks again.
        is_ensemble: Whether the model is the mean of them.
    """
    about = {"format": _FORMAT, "plan": plan.as_dict(), "is_ensemble": is_ensemble, "members": len(members)}
    text = json.dumps(about)
    state = nn.ModuleList(members).state_dict()
    folder.write_tensors(MODEL_FILE, state, metadata={"dasha": text})


def load_model(path: str | Path, *, network: nn.Module | Factory | None = None) -> nn.Module:
    """Read a trained network; nothing in the file is executed.

    Args:
        path: A run folder, or its ``model.safetensors``.
        network: The module or factory that was given as the backbone, for those that are not registered.

    Returns:
        The network in evaluation mode, on the CPU: inputs ``(N, C, …)`` in the units of the data to outputs.

    Raises:
        StateFileError: If the file is absent, damaged, or of another version.
        InvalidArgumentError: If the backbone is unknown here and ``network`` is missing.
    """
    description, members = _load(path, network)
    return together(members, is_ensemble=description["is_ensemble"])


def together(members: Sequence[nn.Module], *, is_ensemble: bool) -> nn.Module:
    """The first of several networks, or the mean of all."""
    return Ensemble(members).eval() if is_ensemble and len(members) > 1 else members[0]


def read_plan(path: str | Path) -> NetworkPlan:
    """What builds a trained network.

    Args:
        path: A run folder, or its ``model.safetensors``.

    Raises:
        StateFileError: If the file is absent, damaged, or of another version.
    """
    return _read(path)[1]


def load_members(path: str | Path, *, network: nn.Module | Factory | None = None) -> list[nn.Module]:
    """The networks of all seeds; see `load_model`."""
    return _load(path, network)[1]


def _file(path: str | Path) -> Path:
    return Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)


def _read(path: str | Path) -> tuple[dict[str, Any], NetworkPlan, dict[str, Tensor]]:
    file = _file(path)
    try:
        with safe_open(file, framework="pt") as opened:
            description: dict[str, Any] = json.loads(opened.metadata()["dasha"])
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - no mapping
    except Exception as error:
        raise StateFileError(f"cannot read {file}: {type(error).__name__}: {error}") from error
    if description.get("format") != _FORMAT:
        raise StateFileError(f"{file} has format {description.get('format')!r}, but this version reads {_FORMAT}")
    try:
        return description, NetworkPlan.of_dict(description["plan"]), state
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateFileError(f"{file} names no network: {type(error).__name__}: {error}") from error


def _load(path: str | Path, network: nn.Module | Factory | None) -> tuple[dict[str, Any], list[nn.Module]]:
    description, plan, state = _read(path)
    try:
        # Initial weights are drawn, and replaced: the caller's generators stay as they are.
        with seeded(0):
            members = nn.ModuleList(plan.build(network) for _ in range(description["members"]))
        members.load_state_dict(state)
    except DashaError:
        raise
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise StateFileError(f"{_file(path)} does not fit the network it names: {error}") from error
    return description, list(members.eval())
