"""The search inside a trainer: where it happens, on which process, and with which of the trainer's settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info

from dasha._ray import Engine
from dasha.data.split import LoaderSplit
from dasha.dev_run import LEAST, dev_folder, is_dev_run
from dasha.search.workflow import Dasha
from dasha.tasks import TaskSpec
from torchgeo_dasha.batches import batch_size_of

_PRECISIONS = {"16-mixed": "float16", "bf16-mixed": "bfloat16"}


@dataclass(frozen=True)
class Settings:
    """What a task says about its search; see `dasha.search.config.RunConfig`."""

    backbone: str
    budget: str
    overrides: Mapping[str, Any]
    search: Any
    seed: int
    engine: Engine = "local"


def folder_of(trainer: Trainer, spec: TaskSpec, settings: Settings, run_dir: str | None) -> Path:
    """The run folder: as given, or below the trainer's folder, another one for other settings.

    A dev run has one of its own, which is removed afterwards.
    """
    home = Path(trainer.default_root_dir) / "dasha"
    if is_dev_run(trainer):
        return dev_folder(trainer, home)
    if run_dir is not None:
        return Path(run_dir)
    about = {name: value for name, value in vars(settings).items() if name != "engine"}  # which changes no result
    text = json.dumps([asdict(spec), about], sort_keys=True, default=str)
    return home / f"{spec.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def search(
    trainer: Trainer,
    spec: TaskSpec,
    settings: Settings,
    folder: Path,
    splits: tuple[LoaderSplit, LoaderSplit],
    *,
    normalize: bool,
) -> None:
    """Search into a folder; what an earlier run left there is not repeated."""
    run = Dasha(
        spec,
        folder,
        backbone=settings.backbone,
        budget=settings.budget,
        overrides={
            **_of_trainer(trainer, splits[0]),
            **settings.overrides,
            **(LEAST if is_dev_run(trainer) else {}),
        },
        search=settings.search,
        seed=settings.seed,
        engine=settings.engine,
        normalize=normalize,
        device=str(trainer.strategy.root_device),
        is_shown=trainer.progress_bar_callback is not None,
    )
    measured = "measured on the training batches" if normalize else "the datamodule's"
    rank_zero_info(f"dasha: searching into {folder}; mean and spread of the channels are {measured}")
    run.search(*splits)


def _of_trainer(trainer: Trainer, train: LoaderSplit) -> dict[str, Any]:
    """Values of the budget that the trainer decides."""
    values: dict[str, Any] = {"accumulate": trainer.accumulate_grad_batches}
    if trainer.precision in _PRECISIONS:
        values["precision"] = _PRECISIONS[trainer.precision]
    size = batch_size_of(train.loader)
    return values if size is None else {**values, "batch_size": size}
