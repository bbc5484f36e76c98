"""Predictions of trained networks, and how good they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dasha.data.split import Split
from dasha.errors import InvalidArgumentError
from dasha.metrics import prediction_of
from dasha.search.devices import evaluating
from dasha.search.result import Collected, Evaluation, over_seeds
from dasha.search.trained import Trained
from dasha.search.training import Learning, evaluate, predict
from dasha.search.units import target_scale_of
from dasha.tasks import TaskSpec

Predictor = Callable[[nn.Module], nn.Module]

# Samples that go through a network together.
_PREDICTED_AT_ONCE = 256


def predictions(model: nn.Module, inputs: Any, task: TaskSpec, device: torch.device) -> np.ndarray:
    """Probabilities of classes or labels, or expected numbers.

    Args:
        model: In the units of the data.
        inputs: Shape ``(N, C, …)``.
        task: What the outputs mean.
        device: Where to compute.

    Raises:
        InvalidArgumentError: If the inputs have another shape.
    """
    inputs = inputs.detach() if isinstance(inputs, Tensor) else torch.as_tensor(np.asarray(inputs))
    if inputs.ndim not in (3, 4) or inputs.shape[1] != task.in_channels:
        raise InvalidArgumentError(
            f"inputs have shape {tuple(inputs.shape)}, but must be (N, {task.in_channels}, L) or "
            f"(N, {task.in_channels}, H, W)"
        )
    with evaluating(model, device) as network, torch.no_grad():
        parts = [network(part.float().to(device)).cpu() for part in inputs.split(_PREDICTED_AT_ONCE)]
    return prediction_of(task, torch.cat(parts)).numpy()


def evaluation_of(
    trained: Trained,
    split: Split,
    count: int,
    task: TaskSpec,
    device: torch.device,
    *,
    is_ensemble: bool,
    predictor: Predictor | None = None,
) -> Evaluation:
    """Metrics of every seed, of their mean or their ensemble, and what is confused with what.

    Args:
        trained: The networks.
        split: Data that nothing was chosen on.
        count: Its samples.
        task: What the outputs mean.
        device: Where to compute.
        is_ensemble: Whether the ensemble is what counts.
        predictor: Makes what predicts of a trained network; by default the network itself.
    """
    predicting = predictor or _itself
    scale = target_scale_of(trained.model)
    learning = Learning(task, _PREDICTED_AT_ONCE // 4, device, target_scale=scale, gives_units=True)
    per_seed = []
    for member in trained.members:
        with evaluating(predicting(member), device) as network:
            per_seed.append(evaluate(network, split, learning))
    metrics, interval = over_seeds(per_seed)
    collected = Collected(task)
    with evaluating(predicting(trained.model), device) as network:
        predict(network, split, learning, collected.add)
        if is_ensemble and len(per_seed) > 1:
            metrics = evaluate(network, split, learning)
    return Evaluation(metrics, per_seed, interval, count, collected.confusion, collected.scatter)


def _itself(network: nn.Module) -> nn.Module:
    return network
