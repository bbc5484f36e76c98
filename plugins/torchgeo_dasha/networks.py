"""From what a search decided to the network that the trainer trains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from segmentation_models_pytorch.losses import JaccardLoss  # type: ignore[import-untyped,unused-ignore]
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dasha.errors import InvalidArgumentError, NotFittedError, StateFileError
from dasha.randomness import derive_seed, seeded
from dasha.search import initial_weights, load_search
from dasha.search.plan import NetworkPlan
from dasha.search.result import SearchResult
from dasha.tasks import TaskSpec

Weights = dict[str, Tensor]


class NotBuilt(nn.Module):
    """Stands for a network before the search.

    Attributes:
        stand_in: What an optimizer can be made from; no state holds it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stand_in = [nn.Parameter(torch.zeros(1))]  # in a list, PyTorch does not count it among the parameters

    def forward(self, *inputs: Any) -> Tensor:
        """Say what is missing.

        Raises:
            NotFittedError: Always.
        """
        raise NotFittedError(
            "there is no network before the search; run 'torchgeo fit', pass --ckpt_path, or set architecture="
        )


class OneLogit(nn.Module):
    """Two classes as one output, the logit of the second: a softmax of two is a sigmoid of their difference.

    Args:
        network: Gives two outputs.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Inputs to outputs of shape ``(N, 1, …)``."""
        outputs: Tensor = self.network(x)
        return outputs[:, 1:2] - outputs[:, 0:1]


class InSpreads(nn.Module):
    """A loss of numbers in standard deviations of the targets, as in the search.

    Args:
        loss: Of outputs and targets ``(N, num_outputs, …)``; the difference alone must count.
        spread: Standard deviation of every target.
    """

    spread: Tensor

    def __init__(self, loss: nn.Module, spread: Sequence[float]) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32), persistent=False)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Outputs and targets in the units of the data to a scalar."""
        spread = self.spread.view(-1, *(outputs.ndim - 2) * (1,))
        loss: Tensor = self.loss(outputs / spread, targets / spread)
        return loss


class Counted(nn.BCEWithLogitsLoss):
    """A binary loss of the positions that count: TorchGeo's takes every one for yes or no.

    Args:
        pos_weight: Of yes.
        ignore_index: Target of positions that do not count.
    """

    def __init__(self, pos_weight: Tensor | None, ignore_index: int) -> None:
        super().__init__(pos_weight=pos_weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Outputs and targets of one shape to a scalar, 0 where nothing counts."""
        counts = target != self.ignore_index
        return super().forward(input[counts], target[counts]) if counts.any() else 0 * input.sum()


def counted(criterion: nn.Module, ignore_index: int | None) -> nn.Module:
    """TorchGeo's loss, without the positions that it would not leave out by itself."""
    if ignore_index is None:
        return criterion
    if isinstance(criterion, nn.BCEWithLogitsLoss):
        return Counted(criterion.pos_weight, ignore_index)
    if isinstance(criterion, JaccardLoss):
        criterion.ignore_index = ignore_index
    return criterion


def build(found: SearchResult, weights: Weights | None, *, seed: int) -> nn.Module:
    """The network from the units of the images to those of the targets.

    Args:
        found: Result of a search.
        weights: To begin with; None for fresh ones, always the same.
        seed: Of fresh weights.
    """
    with seeded(derive_seed(seed, "weights", found.hyperparameters["seed"])):
        plain = found.plan.build_plain()
    if weights is not None:
        plain.load_state_dict(weights)
    return found.plan.normalized(plain)


def plain(found: SearchResult) -> dict[str, Any]:
    """The result as JSON has it: what checkpoints hold, which are read without executing code."""
    content: dict[str, Any] = json.loads(json.dumps(found.as_dict()))
    return content


class SmoothedInTraining(nn.CrossEntropyLoss):
    """Cross-entropy with smoothed labels while the network is trained, and with plain ones when it is measured."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Loss of outputs ``(N, num_classes)`` and classes ``(N,)``."""
        share = self.label_smoothing if self.training else 0.0
        return cross_entropy(input, target, self.weight, ignore_index=self.ignore_index, label_smoothing=share)


def smoothed(criterion: nn.Module, plan: NetworkPlan) -> nn.Module:
    """TorchGeo's loss, with smoothed labels in training where the search had them and it is cross-entropy."""
    share = plan.task.smoothed(plan.label_smoothing).label_smoothing or 0.0
    if not share or not isinstance(criterion, nn.CrossEntropyLoss):
        return criterion
    return SmoothedInTraining(criterion.weight, ignore_index=criterion.ignore_index, label_smoothing=share)


def read_architecture(given: str | Path | Mapping[str, Any], spec: TaskSpec) -> tuple[SearchResult, Weights | None]:
    """A search that is finished.

    Args:
        given: A run folder, a file in it, or what `plain` gave.
        spec: What the network is for now.

    Returns:
        The result for this task; initial weights of the winning trial where they fit.

    Raises:
        StateFileError: If there is no finished search, or it is damaged.
        InvalidArgumentError: If it is for inputs of other channels, or for other targets.
    """
    if isinstance(given, Mapping):
        try:
            return _adapted(SearchResult.of_dict(given), spec), None
        except (KeyError, TypeError, AttributeError) as error:
            raise StateFileError(f"architecture is no result of a search ({type(error).__name__}: {error})") from error
    found = load_search(given)
    is_same = (found.plan.task.kind, found.plan.task.num_outputs) == (spec.kind, spec.num_outputs)
    return _adapted(found, spec), initial_weights(given) if is_same else None


def _adapted(found: SearchResult, spec: TaskSpec) -> SearchResult:
    """The result with the outputs of another task."""
    before = found.plan.task
    if before.in_channels != spec.in_channels or before.output != spec.output or found.plan.ndim != 2:
        raise InvalidArgumentError(
            f"architecture is for {found.plan.ndim}-D inputs with {before.in_channels} channels and kind="
            f"{before.kind!r}, but this task has images with {spec.in_channels} channels and kind={spec.kind!r}; "
            "search again, or name another run"
        )
    is_same = (before.kind, before.num_outputs) == (spec.kind, spec.num_outputs)
    scale = found.plan.target_scale if is_same else {}
    return replace(found, plan=replace(found.plan, task=spec, target_scale=scale))
