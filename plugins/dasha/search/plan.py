"""A network as plain values: what a search decides, a file keeps, and any process builds again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from dasha.errors import InvalidArgumentError
from dasha.search.networks import Factory, network_sources
from dasha.search.supernet import Architecture, apply_architecture
from dasha.search.units import Normalize, TargetScale
from dasha.tasks import Loss, TaskSpec


@dataclass(frozen=True)
class NetworkPlan:
    """What builds a network, without its weights; every value is plain, so that JSON and safe checkpoints hold it.

    Attributes:
        task: What the network is for.
        ndim: 1 for sequences, 2 for images.
        backbone: Name of the backbone, the factory or the module's class.
        is_registered: Whether the name alone is enough.
        width: Of the backbone.
        dropout: Probability with which a value is dropped in training.
        options: Further options of the backbone.
        architecture: Kernel size and dilation of every searched layer; empty for the backbone's own kernels.
        normalization: ``mean`` and ``std`` of every channel; empty where inputs go in as they are.
        target_scale: ``mean`` and ``std`` of every target, of counts ``mean`` alone; empty where outputs are what they
            are.
        label_smoothing: In training, where the task has classes and no share of its own.
    """

    task: TaskSpec
    ndim: int
    backbone: str
    is_registered: bool
    width: int
    dropout: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    architecture: Architecture = field(default_factory=dict)
    normalization: Mapping[str, Sequence[float]] = field(default_factory=dict)
    target_scale: Mapping[str, Sequence[float]] = field(default_factory=dict)
    label_smoothing: float = 0.0

    def build(self, network: nn.Module | Factory | None = None) -> nn.Module:
        """The network in the units of the data, with initial weights from torch's global generator.

        Args:
            network: The module or factory that was given as the backbone, for those that are not registered.

        Raises:
            InvalidArgumentError: If the backbone is unknown here and ``network`` is missing.
        """
        return self.normalized(self.build_plain(network))

    def build_plain(self, network: nn.Module | Factory | None = None) -> nn.Module:
        """The network alone; otherwise as `build`."""
        if network is None and not self.is_registered:
            raise InvalidArgumentError(
                f"backbone {self.backbone!r} is not registered with dasha; pass network= with the module or factory"
            )
        given = self.backbone if network is None else network
        (source,) = network_sources(given, self.task, ndim=self.ndim, options=self.options)
        return with_kernels(source.make(width=self.width, dropout=self.dropout), self.architecture)

    def normalized(self, plain: nn.Module) -> nn.Module:
        """The network in the units of the data: between normalisation and target scale, where there are such."""
        parts = [plain]
        if self.normalization:
            parts.insert(0, Normalize(**self.normalization, ndim=self.ndim))
        if self.target_scale:
            parts.append(self._scale())
        return nn.Sequential(*parts) if len(parts) > 1 else plain

    def training_loss(self, device: torch.device | str = "cpu") -> Loss:
        """What training makes small, as it was searched with: the loss, with smoothed labels where there were such."""
        loss_of = self.task.smoothed(self.label_smoothing).loss_function(device)
        return self._scale().training_loss(loss_of, gives_units=True) if self.target_scale else loss_of

    def loss_function(self, device: torch.device | str = "cpu") -> Loss:
        """Loss of the network in the units of the data."""
        loss_of = self.task.loss_function(device)
        return self._scale().loss_function(loss_of, gives_units=True) if self.target_scale else loss_of

    def _scale(self) -> TargetScale:
        return TargetScale.of_task(self.task, self.target_scale, ndim=self.ndim)

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> NetworkPlan:
        """What `as_dict` gave, also after JSON, which has lists for tuples."""
        architecture = architecture_of(content["architecture"])
        task: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content["task"].items()
        }
        return cls(**{**content, "task": TaskSpec(**task), "architecture": architecture})


def architecture_of(content: Mapping[str, Any]) -> Architecture:
    """Kernel sizes and dilations as they come back from JSON, which has lists for tuples."""
    return {name: (int(size), int(dilation)) for name, (size, dilation) in content.items()}


def with_kernels(network: nn.Module, architecture: Architecture) -> nn.Module:
    """The network with searched kernels; without a search, the network itself."""
    return apply_architecture(network, architecture) if architecture else network
