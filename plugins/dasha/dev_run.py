"""The search inside a trainer's ``fast_dev_run``: a batch of everything, in a folder that does not stay."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

from dasha.processes import Processes

LEAST: dict[str, Any] = {
    "search.epochs": 1,
    "search.batch_fraction": 1e-9,
    "search.settled_epochs": 1,
    "tune.trials": 1,
    "tune.min_resource": 1,
    "tune.max_resource": 1,
    "tune.lr": (1e-6, 1e-6),  # a single trial must not diverge
    "selection_epochs": 1,
    "width": 1,
}
"""Values of a budget: one batch, one trial, the narrowest network."""


def is_dev_run(trainer: Any) -> bool:
    """Whether a Lightning trainer only tries everything out."""
    return bool(trainer.fast_dev_run)


def dev_folder(trainer: Processes, home: Path) -> Path:
    """A folder for one dev run, the same on all processes."""
    return home / f"dev-run-{trainer.strategy.broadcast(uuid.uuid4().hex)}"


def clear(trainer: Processes, folder: Path) -> None:
    """Remove what only a dev run needed; all processes have read it."""
    if trainer.is_global_zero and is_dev_run(trainer):
        shutil.rmtree(folder, ignore_errors=True)
        if folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()
