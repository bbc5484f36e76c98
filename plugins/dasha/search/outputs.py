"""Whether networks give what the task needs, found out before any training."""

from __future__ import annotations

import torch

from dasha.errors import InvalidArgumentError
from dasha.randomness import seeded
from dasha.search.networks import NetworkSource
from dasha.search.own_functions import failures
from dasha.search.training import Learning

_SAMPLES = 2


def check_outputs(source: NetworkSource, learning: Learning, shape: tuple[int, ...], *, width: int) -> None:
    """Send zeros through a network in evaluation mode; the global generators are as before afterwards.

    Args:
        source: Makes the network.
        learning: Task, device, precision.
        shape: Of one input.
        width: Of the network.

    Raises:
        InvalidArgumentError: If nothing of the network can be trained, it fails, or its outputs have another shape than
            the task needs.
    """
    task, inputs = learning.task, (_SAMPLES, *shape)
    spatial = shape[1:] if task.is_dense else ()
    with seeded(0), torch.no_grad():
        network = source.make(width=width).to(learning.device).eval()
        with failures(
            f"backbone {source.name} fails on inputs of shape {inputs}", "it must take inputs of the shape of the data"
        ):
            outputs = learning.forward(network, torch.zeros(inputs, device=learning.device))
    found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if found != (_SAMPLES, task.num_outputs, *spatial):
        needed = ", ".join(map(str, ("N", task.num_outputs, *spatial)))
        what = f"outputs of shape {found}" if isinstance(found, tuple) else f"a {found}"
        raise InvalidArgumentError(
            f"backbone {source.name} gives {what} for inputs of shape {inputs}, but kind={task.kind!r} with "
            f"num_outputs={task.num_outputs} needs ({needed}); change its last layer, or the task"
        )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InvalidArgumentError(
            f"backbone {source.name} has no parameter to train; call requires_grad_() on what is to be trained, "
            "its last layer at least"
        )
