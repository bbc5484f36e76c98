"""A run about to begin: its data checked, its folder locked and claimed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dasha.data.inspection import DataSummary, check_pair, inspect
from dasha.data.split import Counted, Split, as_split, form_of
from dasha.search.budgets import budget_of
from dasha.search.config import RunConfig, claim, config_dict, stored_precision
from dasha.search.devices import deterministic, own_precision, precision_of
from dasha.search.found import load_search
from dasha.search.networks import BackboneArgument, NetworkSource, network_sources
from dasha.search.outputs import check_outputs
from dasha.search.own_functions import check_augment, check_callable, check_rule, check_space
from dasha.search.own_objects import described
from dasha.search.run import Run
from dasha.search.run_folder import PLAN_FILE, RunFolder
from dasha.search.supernet import Rule, is_ordinary
from dasha.search.training import Augment, Learning
from dasha.search.tune import Space
from dasha.search.units import Normalize, TargetScale
from dasha.tasks import TaskSpec


@dataclass(frozen=True)
class Setup:
    """What a user decides before there is data.

    Attributes:
        task: What is to be learnt.
        config: The settings that are stored.
        path: Folder of the run.
        backbone: Name, factory or module.
        augment: Changes training batches; None for nothing.
        space: Values that a trial suggests; None for the paper's.
        is_searched: Which convolutions are searched.
        device: Where to compute.
        is_shown: Whether progress is shown.
    """

    task: TaskSpec
    config: RunConfig
    path: Path
    backbone: BackboneArgument
    augment: Augment | None
    space: Space | None
    is_searched: Rule
    device: torch.device
    is_shown: bool

    def __post_init__(self) -> None:
        """Refuse what is no function where one is needed."""
        check_callable(augment=self.augment, space=self.space, is_searched=self.is_searched)
        if not isinstance(self.backbone, str):
            check_callable(backbone=self.backbone)

    @property
    def own(self) -> dict[str, Any]:
        """What tells the user's own objects from others; None where there are none."""
        backbone = None if isinstance(self.backbone, str) else self.backbone
        is_searched = None if self.is_searched is is_ordinary else self.is_searched
        objects = {"backbone": backbone, "augment": self.augment, "space": self.space, "is_searched": is_searched}
        return {name: None if one is None else described(one) for name, one in objects.items()}


@contextmanager
def begun(setup: Setup, train: Any, validation: Any) -> Iterator[tuple[Run, list[NetworkSource]]]:
    """What all stages share, and the networks to choose from, while the folder is locked.

    Args:
        setup: What was decided.
        train: Pair of arrays, dataset or DataLoader.
        validation: Likewise.

    Raises:
        InvalidArgumentError: If data or a network does not fit the task, a function of the user's own fails, or the
            folder belongs to other data, settings, networks or functions.
    """
    # Whatever the caller is in the middle of, networks are trained, and in the precision of the run.
    with torch.inference_mode(False), torch.enable_grad(), own_precision(setup.device):
        run, sources, data = _prepared(setup, train, validation)
        about = {"task": asdict(setup.task), "settings": config_dict(setup.config), "budget": run.budget.as_dict()}
        with run.folder.locked(), deterministic(setup.config.is_deterministic):
            claim(run.folder, {**about, "own": setup.own, "data": data})
            yield run, sources


def _prepared(setup: Setup, train: Any, validation: Any) -> tuple[Run, list[NetworkSource], dict[str, Any]]:
    """What all stages share, the networks to choose from, and what tells the data from other data."""
    task, config = setup.task, setup.config
    data = {"train": train, "validation": validation}
    splits: dict[str, Split] = {name: as_split(part, name, is_dense=task.is_dense) for name, part in data.items()}
    summaries = {name: inspect(task, split, name) for name, split in splits.items()}
    check_pair(task, **summaries)
    described = {name: _described(summaries[name], split) for name, split in splits.items()}
    # What a pass may cost depends on how many samples it has.
    splits = {
        name: Counted(split, summaries[name].count) if split.size is None else split for name, split in splits.items()
    }
    shape = summaries["train"].shape
    ndim = len(shape) - 1
    budget = budget_of(config.budget, ndim).replaced(config.overrides)
    budget = budget.fitted_to(shape[1:], summaries["train"].count, is_dense=task.is_dense).replaced(config.overrides)
    folder = RunFolder(setup.path)
    # On another machine a run goes on in the precision that it was begun in.
    precision = stored_precision(folder) or precision_of(budget.precision, setup.device)
    budget = replace(budget, precision=precision)
    # What the user did not ask for goes to the backbones that have it.
    patches = {"patch_size": budget.patch_size} if budget.patch_size > 1 else {}
    sources = network_sources(
        setup.backbone,
        task,
        ndim=ndim,
        options=config.overrides.get("backbone_options", {}),
        defaults={**budget.backbone_options, **patches},
    )
    learning = Learning(
        task,
        budget.batch_size,
        setup.device,
        accumulate=budget.accumulate,
        precision=precision,
        label_smoothing=budget.label_smoothing,
        augment=setup.augment,
    )
    run = Run(
        config=config,
        budget=budget,
        learning=learning,
        train=splits["train"],
        validation=splits["validation"],
        summary=summaries["train"],
        folder=folder,
        is_searched=setup.is_searched,
        space=setup.space,
        is_shown=setup.is_shown,
    )
    if run.normalization:
        normalize = Normalize(**run.normalization, ndim=ndim).to(setup.device)
        run = replace(run, learning=replace(run.learning, normalize=normalize))
    if values := _target_scale(folder, summaries["train"]):
        scale = TargetScale.of_task(task, values, ndim=ndim).to(setup.device)
        run = replace(run, target_scale=values, learning=replace(run.learning, target_scale=scale))
    # Neither the shape of outputs nor the names of modules depend on the width.
    width = min(budget.width, budget.search.width)
    for source in sources:
        check_outputs(source, run.learning, shape, width=width)
        if setup.is_searched is not is_ordinary and config.search != "off":
            check_rule(setup.is_searched, source, width=width)
    first = config.overrides.get("tune.first", {})
    check_space(setup.space, budget.tune, first, seed=config.seed, chooses_kernels=config.search == "auto")
    if setup.augment is not None:
        check_augment(setup.augment, run.train, run.learning)
    return run, sources, described


def _target_scale(folder: RunFolder, train: DataSummary) -> Mapping[str, Sequence[float]]:
    """What targets are learnt in: as the training data has it, or as it was in a search that is finished already."""
    if folder.has(PLAN_FILE):
        return load_search(folder.path).plan.target_scale
    measured = {"mean": list(train.target_mean), "std": list(train.target_std)}
    return {name: values for name, values in measured.items() if values}


def _described(summary: DataSummary, split: Split) -> dict[str, Any]:
    values = {"count": summary.count, "shape": summary.shape, "fingerprint": summary.fingerprint}
    return {**values, "batches": form_of(split)}
