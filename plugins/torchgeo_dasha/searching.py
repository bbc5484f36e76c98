"""The search inside a trainer: where it happens, on which process, and with which of the trainer's settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from dasha._ray import Engine
from dasha.data.inspection import inspect
from dasha.data.split import LoaderSplit
from dasha.dev_run import LEAST, dev_folder, is_dev_run
from dasha.errors import InvalidArgumentError
from dasha.search.run_folder import CONFIG_FILE, PLAN_FILE
from dasha.search.workflow import Dasha
from dasha.tasks import TaskSpec
from torchgeo_dasha.batches import batch_size_of
from torchgeo_dasha.units import source_of

_OF_TRAINER = ("precision", "accumulate_grad_batches", "limit_train_batches", "limit_val_batches")
_WITHOUT_EFFECT = (
    *("engine", "num_workers", "pin_memory", "persistent_workers", "prefetch_factor"),
    *("download", "checksum"),
)
_OF_DATAMODULE = ("batch_size", "patch_size", "length", "searched_files")
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


def folder_of(
    trainer: Trainer, datamodule: LightningDataModule | None, spec: TaskSpec, settings: Settings, run_dir: str | None
) -> Path:
    """The run folder: as given, or below the trainer's folder, another one for other settings or arguments of the data.

    A dev run has one of its own, which is removed afterwards.
    """
    home = Path(trainer.default_root_dir) / "dasha"
    if is_dev_run(trainer):
        return dev_folder(trainer, home)
    if run_dir is not None:
        return Path(run_dir)
    of_task = {name: value for name, value in vars(settings).items() if name not in _WITHOUT_EFFECT}
    of_trainer = {name: getattr(trainer, name) for name in _OF_TRAINER}
    text = _text([asdict(spec), of_task, of_trainer, _arguments(datamodule)])
    return home / f"{spec.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _arguments(datamodule: LightningDataModule | None) -> dict[str, Any]:
    """What tells a datamodule from others: TorchGeo's have the arguments of the data set, and ours the files."""
    given = {**(getattr(datamodule, "kwargs", None) or {}), **(getattr(datamodule, "hparams", None) or {})}
    given |= {name: getattr(datamodule, name, None) for name in _OF_DATAMODULE}
    kept = {name: value for name, value in given.items() if name not in _WITHOUT_EFFECT and not name.startswith("_")}
    return {**kept, "class": f"{type(datamodule).__module__}.{type(datamodule).__qualname__}"}


def _text(value: object) -> str:
    """The same in every process, which the address in the text of an object would not be."""
    return json.dumps(_told(value), sort_keys=True)


def _told(value: Any) -> Any:
    """What JSON has for a value, with texts as the keys of all mappings."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else _text(key): _told(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(held) for held in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value) if isinstance(value, Path) else type(value).__qualname__


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
    done = f"the search in {folder} is finished and used again" if (folder / PLAN_FILE).is_file() else ""
    doing = done or f"searching into {folder}"
    rank_zero_info(f"dasha: {doing}; mean and spread of the channels are {source_of(normalize)}")
    run.search(*splits)


def check_unchanged(folder: Path, spec: TaskSpec, parts: Mapping[str, LoaderSplit]) -> None:
    """Compare the data with what a run folder was begun for, if it was.

    Args:
        folder: Of the run.
        spec: What the data is for.
        parts: The data, by the names that the folder has for it.

    Raises:
        InvalidArgumentError: If they differ.
    """
    try:
        before = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError):
        return
    changed = [
        name for name, part in parts.items() if inspect(spec, part, name).fingerprint != before[name]["fingerprint"]
    ]
    if changed:
        raise InvalidArgumentError(
            f"the images or targets for {' and '.join(changed)} have changed since the search in {folder}; delete that "
            "folder to search again, or set run_dir to another one"
        )


def _of_trainer(trainer: Trainer, train: LoaderSplit) -> dict[str, Any]:
    """Values of the budget that the trainer decides."""
    values: dict[str, Any] = {"accumulate": trainer.accumulate_grad_batches}
    if trainer.precision in _PRECISIONS:
        values["precision"] = _PRECISIONS[trainer.precision]
    size = batch_size_of(train.loader)
    return values if size is None else {**values, "batch_size": size}
