"""Where networks come from: registered backbones, factories and modules of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from torch import nn

from dasha.backbones.heads import Output
from dasha.errors import InvalidArgumentError, failures_as
from dasha.manager import get_manager
from dasha.registry import close_matches
from dasha.search.copies import copied
from dasha.tasks import TaskSpec

Factory = Callable[..., nn.Module]
BackboneArgument = str | Factory | nn.Module

_CALLED = "a factory takes in_channels, num_outputs, output, width, dropout and what backbone_options has"


@dataclass(frozen=True)
class NetworkSource:
    """Makes networks for a task.

    Attributes:
        name: Of a registered backbone; of a class or function otherwise.
        is_registered: Whether the name alone is enough to make the network again.
        factory: Called with ``in_channels``, ``num_outputs``, ``output``, ``width``, ``dropout`` and options.
        task: What the network is for.
        options: Further arguments of the factory.
        is_copied: Whether it is a module, of which every network is a copy: weights, width and dropout are its own.
    """

    name: str
    is_registered: bool
    factory: Factory = field(repr=False)
    task: TaskSpec
    options: Mapping[str, Any] = field(default_factory=dict)
    is_copied: bool = False

    def make(self, *, width: int, dropout: float = 0.0) -> nn.Module:
        """A network with initial weights from torch's global generator; of a module, the copy it always is.

        Raises:
            InvalidArgumentError: If a factory of the user's own fails, or what comes cannot be trained here.
        """
        arguments = {
            "in_channels": self.task.in_channels,
            "num_outputs": self.task.num_outputs,
            "output": self.task.output,
            "width": width,
            "dropout": dropout,
            **self.options,
        }
        if self.is_registered or self.is_copied:
            network = self.factory(**arguments)
        else:
            with failures_as(
                lambda why: InvalidArgumentError(f"backbone {self.name} cannot be made ({why}); {_CALLED}")
            ):
                network = self.factory(**arguments)
        _check_network(network, self.name)
        return network


def _check_network(network: Any, name: str) -> None:
    """Refuse what cannot be trained in float32, the precision of all weights.

    Raises:
        InvalidArgumentError: If it is no module, one of TorchScript, or has weights of other types or of no shape yet.
    """
    if not isinstance(network, nn.Module):
        raise InvalidArgumentError(f"backbone {name} gives {type(network).__name__}, but must give a torch.nn.Module")
    if isinstance(network, torch.jit.ScriptModule):
        raise InvalidArgumentError(
            f"backbone {name} is a module of TorchScript, which cannot be trained here; pass the module that it was "
            "made from"
        )
    for path, parameter in network.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise InvalidArgumentError(
                f"backbone {name} has a lazy module, whose {path!r} has no shape yet; call the network on an input "
                "first, or give the numbers of channels"
            )
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            raise InvalidArgumentError(
                f"backbone {name} has weights in {parameter.dtype} ({path!r}), but must have them in torch.float32; "
                "convert it by .float(), or bring torch's default dtype back to that"
            )


def network_sources(
    backbone: BackboneArgument,
    task: TaskSpec,
    *,
    ndim: int,
    options: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> list[NetworkSource]:
    """Networks to choose from; one unless ``backbone`` is ``"auto"``.

    Args:
        backbone: ``"auto"`` for every registered backbone of that many dimensions, the name of one, a factory, or a
            module, which is copied with its weights whenever a network is needed.
        task: What the network is for.
        ndim: 1 for sequences, 2 for images.
        options: Further arguments of the factory; of ``"auto"``, every candidate gets those that its attribute
            ``options`` names, and at least one must name each.
        defaults: Further options of the registered backbones whose attribute ``options`` names them, unless ``options``
            of this call has them.

    Raises:
        InvalidArgumentError: If there is no such backbone, it is for another number of dimensions, or it says what
            options it takes and these are others.
    """
    if isinstance(backbone, nn.Module):
        module = backbone

        def make_copy(**arguments: Any) -> nn.Module:
            return copied(module).cpu()

        return [NetworkSource(type(module).__name__, False, make_copy, task, is_copied=True)]
    if not isinstance(backbone, str):
        name = getattr(backbone, "__qualname__", type(backbone).__name__)
        return [NetworkSource(name, False, backbone, task, options)]
    registered = get_manager().backbones
    suitable = {name: factory for name, factory in registered.items() if _suits(factory, task, ndim)}
    if backbone != "auto" and backbone not in suitable:
        why = _why_not(registered[backbone], task, ndim) if backbone in registered else "is unknown"
        raise InvalidArgumentError(
            f"backbone={backbone!r} {why};{close_matches(backbone, suitable)} allowed: 'auto', "
            f"{', '.join(map(repr, suitable))}"
        )
    if not suitable:
        raise InvalidArgumentError(f"no registered backbone is for {ndim}-D inputs; run 'dasha doctor'")

    candidates = suitable if backbone == "auto" else {backbone: suitable[backbone]}
    if backbone == "auto" or hasattr(suitable[backbone], "options"):
        _check_options(backbone, options, sorted({name for each in candidates.values() for name in options_of(each)}))

    def taken(factory: Factory) -> dict[str, Any]:
        known = options_of(factory)
        own = {key: value for key, value in options.items() if key in known or backbone != "auto"}
        return {**{key: value for key, value in (defaults or {}).items() if key in known}, **own}

    return [NetworkSource(name, True, factory, task, taken(factory)) for name, factory in candidates.items()]


def _check_options(backbone: str, options: Mapping[str, Any], known: list[str]) -> None:
    for name in options:
        if name not in known:
            raise InvalidArgumentError(
                f"backbone_options has {name!r}, which backbone={backbone!r} does not take;"
                f"{close_matches(name, known)} allowed: {', '.join(map(repr, known))}"
            )


def _suits(factory: Factory, task: TaskSpec, ndim: int) -> bool:
    return getattr(factory, "ndim", ndim) == ndim and task.output in outputs_of(factory)


def _why_not(factory: Factory, task: TaskSpec, ndim: int) -> str:
    own = getattr(factory, "ndim", ndim)
    if own != ndim:
        return f"is for {own}-D inputs, but data has {ndim} spatial dimensions"
    return f"has outputs {', '.join(outputs_of(factory))}, but the task is {task.kind}, which needs {task.output}"


def outputs_of(factory: Factory) -> tuple[str, ...]:
    """Kinds of output that a factory says it can make: all, unless it says otherwise."""
    return tuple(getattr(factory, "outputs", get_args(Output)))


def options_of(factory: Factory) -> tuple[str, ...]:
    """Names of the further options that a factory says it takes."""
    return tuple(getattr(factory, "options", ()))
