"""The trained network as a plain module, and as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from dasha.errors import DashaError, InvalidArgumentError, StateFileError
from dasha.randomness import seeded
from dasha.search.mixed_layers import Choice
from dasha.search.networks import Factory, network_sources
from dasha.search.run_folder import RunFolder
from dasha.search.supernet import apply_architecture
from dasha.tasks import TaskSpec

MODEL_FILE = "model.safetensors"
_FORMAT = 1


class Normalize(nn.Module):
    """Brings every channel to mean 0 and standard deviation 1, as measured on the training data.

    Args:
        mean: Of every channel.
        std: Of every channel.
        ndim: Spatial dimensions of the input.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], ndim: int) -> None:
        super().__init__()
        shape = (-1, *ndim * (1,))
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(shape))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise inputs ``(N, C, …)``."""
        return (x - self.mean) / self.std


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


def save_members(folder: RunFolder, members: Sequence[nn.Module], description: Mapping[str, Any]) -> None:
    """Write the weights of all seeds, with what is needed to build the networks beside them.

    Args:
        folder: Of the run.
        members: Trained networks of the same kind.
        description: Task, backbone, architecture and normalisation, as `load_members` takes them.
    """
    text = json.dumps({"format": _FORMAT, **description})
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
    return Ensemble(members).eval() if description["is_ensemble"] and len(members) > 1 else members[0]


def load_members(path: str | Path, *, network: nn.Module | Factory | None = None) -> list[nn.Module]:
    """The networks of all seeds; see `load_model`."""
    return _load(path, network)[1]


def _load(path: str | Path, network: nn.Module | Factory | None) -> tuple[dict[str, Any], list[nn.Module]]:
    path = Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    try:
        with safe_open(file, framework="pt") as opened:
            description: dict[str, Any] = json.loads(opened.metadata()["dasha"])
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - no mapping
    except Exception as error:
        raise StateFileError(f"cannot read {file}: {type(error).__name__}: {error}") from error
    if description.get("format") != _FORMAT:
        raise StateFileError(f"{file} has format {description.get('format')!r}, but this version reads {_FORMAT}")
    try:
        # Initial weights are drawn, and replaced: the caller's generators stay as they are.
        with seeded(0):
            members = nn.ModuleList(_build(description, network) for _ in range(description["members"]))
        members.load_state_dict(state)
    except DashaError:
        raise
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise StateFileError(f"{file} does not fit the network it names: {error}") from error
    return description, list(members.eval())


def _build(description: Mapping[str, Any], network: nn.Module | Factory | None) -> nn.Module:
    """The network that a description means, with arbitrary weights."""
    task, backbone = TaskSpec(**description["task"]), description["backbone"]
    if network is None and not backbone["is_registered"]:
        raise InvalidArgumentError(
            f"backbone {backbone['name']!r} is not registered with dasha; pass network= with the module or factory"
        )
    given = backbone["name"] if network is None else network
    (source,) = network_sources(given, task, ndim=description["ndim"], options=backbone["options"])
    plain = source.make(width=backbone["width"], dropout=backbone["dropout"])
    architecture = {name: (size, dilation) for name, (size, dilation) in description["architecture"].items()}
    return normalized(with_kernels(plain, architecture), description["normalization"], ndim=description["ndim"])


def with_kernels(network: nn.Module, architecture: Mapping[str, Choice]) -> nn.Module:
    """The network with searched kernels; without a search, the network itself."""
    return apply_architecture(network, architecture) if architecture else network


def normalized(network: nn.Module, normalization: Mapping[str, Any] | None, *, ndim: int) -> nn.Module:
    """The network behind its normalisation, if there is one."""
    if normalization is None:
        return network
    return nn.Sequential(Normalize(normalization["mean"], normalization["std"], ndim), network)
