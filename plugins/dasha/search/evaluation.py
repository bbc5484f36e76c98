"""Predictions of trained networks, and how good they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from dasha.data.inspection import DataSummary, inspect
from dasha.data.split import Split, as_split
from dasha.data.tensors import as_tensor
from dasha.errors import InvalidArgumentError
from dasha.metrics import prediction_of
from dasha.search.devices import evaluating
from dasha.search.result import Collected, Evaluation, over_seeds
from dasha.search.trained import Trained
from dasha.search.training import Learning, evaluate, predict
from dasha.search.units import target_scale_of
from dasha.tasks import TaskSpec

Predictor = Callable[[nn.Module], nn.Module]

# Samples that go through a network together, and their positions: large inputs take memory.
_SAMPLES_AT_ONCE = 256
_POSITIONS_AT_ONCE = 1 << 20


def samples_at_once(shape: Sequence[int]) -> int:
    """Samples that go through a network together where it predicts: fewer of large inputs.

    Args:
        shape: Of one input, ``(C, …)``.
    """
    return max(1, min(_SAMPLES_AT_ONCE, _POSITIONS_AT_ONCE // max(1, math.prod(shape[1:]))))


def predictions(trained: Trained, inputs: Any, task: TaskSpec, device: torch.device) -> np.ndarray:
    """Probabilities of classes or labels, or expected numbers.

    Args:
        trained: The network, in the units of the data.
        inputs: Shape ``(N, C, …)``.
        task: What the outputs mean.
        device: Where to compute.

    Raises:
        InvalidArgumentError: If the inputs are no array, not numeric, or have another shape.
    """
    if isinstance(inputs, (Dataset, DataLoader)):
        raise InvalidArgumentError(
            f"inputs is {type(inputs).__name__}, but must be an array (N, C, …), whose order the predictions have; "
            "stack the inputs of the samples, or use evaluate for metrics"
        )
    inputs = as_tensor(inputs, "the array of inputs")
    shape = tuple(inputs.shape[1:])
    _check_dimensions(trained.ndim, shape, task, "inputs have")
    if not len(inputs):
        return np.zeros((0, task.num_outputs, *(shape[1:] if task.is_dense else ())), dtype=np.float32)
    with evaluating(trained.model, device) as network, torch.no_grad():
        parts = [network(part.float().to(device)).cpu() for part in inputs.split(samples_at_once(shape))]
    return prediction_of(task, torch.cat(parts)).numpy()


def inspected_test(test: Any, task: TaskSpec, *, ndim: int) -> tuple[Split, DataSummary]:
    """Look at test data, before a network is trained or afterwards; nothing is learnt from it.

    Args:
        test: Pair of arrays, dataset or DataLoader.
        task: What the data must fit.
        ndim: Spatial dimensions of the training data, whose sizes may differ.

    Raises:
        InvalidArgumentError: If the data does not fit the task, or has other dimensions.
    """
    split = as_split(test, "test", is_dense=task.is_dense)
    summary = inspect(task, split, "test")
    _check_dimensions(ndim, summary.shape, task, "test has inputs of")
    return split, summary


def _check_dimensions(ndim: int, shape: tuple[int, ...], task: TaskSpec, begin: str) -> None:
    """Compare an input with those of the training data, whose sizes may differ.

    Args:
        ndim: Spatial dimensions of the training data.
        shape: Of one input.
        task: Has the number of channels.
        begin: Of the message.

    Raises:
        InvalidArgumentError: If it has other channels or dimensions.
    """
    axes = ("L",) if ndim == 1 else ("H", "W")
    if len(shape) != 1 + ndim or shape[0] != task.in_channels:
        given = ", ".join(map(str, ("N", *shape)))
        needed = ", ".join(map(str, ("N", task.in_channels, *axes)))
        raise InvalidArgumentError(f"{begin} shape ({given}), but this network takes ({needed})")


def evaluation_of(
    trained: Trained,
    split: Split,
    summary: DataSummary,
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
        summary: Of the data.
        task: What the outputs mean.
        device: Where to compute.
        is_ensemble: Whether the ensemble is what counts.
        predictor: Makes what predicts of a trained network; by default the network itself.
    """
    predicting = predictor or _itself
    scale = target_scale_of(trained.model)
    size = samples_at_once(summary.shape)
    learning = Learning(task, size, device, target_scale=scale, gives_units=True)
    per_seed = []
    for member in trained.members:
        with evaluating(predicting(member), device) as network:
            per_seed.append(evaluate(network, split, learning, size=size))
    metrics, interval = over_seeds(per_seed)
    collected = Collected(task)
    with evaluating(predicting(trained.model), device) as network:
        predict(network, split, learning, collected.add, size=size)
        if is_ensemble and len(per_seed) > 1:
            metrics = evaluate(network, split, learning, size=size)
    return Evaluation(
        metrics, per_seed, interval, summary.count, collected.confusion, collected.scatter, collected.labels
    )


def _itself(network: nn.Module) -> nn.Module:
    return network
