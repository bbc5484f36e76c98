"""Normalisation of inputs and scale of targets, for data that a network was not searched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import nn

from dasha.data.inspection import inspect
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.search.plan import NetworkPlan
from dasha.tasks import TaskSpec
from torchgeo_dasha import batches
from torchgeo_dasha.networks import OneLogit

Values = Mapping[str, Sequence[float]]


def plan_for_data(plan: NetworkPlan, trainer: Trainer, *, target: str, in_channels: int) -> NetworkPlan:
    """The plan in the units of the trainer's data, measured as a search on them would.

    Args:
        plan: Of a search elsewhere.
        trainer: Has set its datamodule up; without one, the plan stays as it is.
        target: Key of the targets in a batch.
        in_channels: Of one image.

    Warns:
        DashaWarning: If the data can be trained on, but not measured; the plan stays as it is.
    """
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, LightningDataModule):
        rank_zero_info(
            "dasha: there is no datamodule to measure; images are normalised and numbers scaled as for the search"
        )
        return plan
    normalize = not batches.has_statistics(datamodule, in_channels)
    measured: dict[str, Values] = {"normalization": {}, "target_scale": {}}
    if normalize or plan.task.has_standard_targets:
        # All processes go over the same data, so that none waits for another for long; the first one's numbers count.
        measured, problem = trainer.strategy.broadcast(_measured(trainer, plan.task, target, normalize=normalize))
        if problem is not None:
            rank_zero_warn(
                f"the training data cannot be measured: {problem}; images are normalised and numbers scaled as for the "
                "search, which is wrong for data in other units",
                category=DashaWarning,
            )
            return plan
    rank_zero_info(f"dasha: mean and spread of the channels are {source_of(normalize)}")
    return replace(plan, normalization=measured["normalization"], target_scale=measured["target_scale"])


def source_of(normalize: bool) -> str:
    """Words for where mean and spread of the channels come from."""
    return "measured on the training batches" if normalize else "the datamodule's"


def say_scale(plan: NetworkPlan) -> None:
    """Say what numbers are predicted in, and losses measured in."""
    if scale := plan.target_scale:
        shown = " and ".join(
            f"{name} {', '.join(f'{value:.4g}' for value in values)}" for name, values in scale.items()
        )
        rank_zero_info(
            f"dasha: targets have {shown} on the training batches; losses are in units of this spread, predictions "
            "and metrics in those of the data"
        )


def between_units(network: nn.Module, before: NetworkPlan, after: NetworkPlan) -> nn.Module:
    """A network that was built for the units of one plan, in those of another."""
    if (before.normalization, before.target_scale) == (after.normalization, after.target_scale):
        return network
    if isinstance(network, OneLogit):
        return OneLogit(between_units(network.network, before, after))
    if before.normalization or before.target_scale:
        assert isinstance(network, nn.Sequential)
        network = network[1 if before.normalization else 0]
    return after.normalized(network)


def _measured(
    trainer: Trainer, spec: TaskSpec, target: str, *, normalize: bool
) -> tuple[dict[str, Values], str | None]:
    """Fields of a plan, or nothing and why there is nothing; the pass is seeded."""
    try:
        summary = inspect(spec, batches.train_split(trainer, spec, target), "train")
    except InvalidArgumentError as error:
        return {}, str(error)
    scale = {"mean": list(summary.target_mean), "std": list(summary.target_std)}
    return {
        "normalization": {"mean": list(summary.mean), "std": list(summary.std)} if normalize else {},
        "target_scale": scale if spec.has_standard_targets else {},
    }, None
