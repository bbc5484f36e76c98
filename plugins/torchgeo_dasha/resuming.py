"""What Lightning has for a task before it says so: a checkpoint to restore, an optimizer from a file."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.optim import Optimizer

from dasha.errors import StateFileError

# What damaged, missing, remote or foreign files make of reading.
_NOT_READ = (pickle.UnpicklingError, EOFError, ImportError, OSError, RuntimeError, ValueError)


def checkpoint_ahead(trainer: Trainer) -> dict[str, Any] | None:
    """What the trainer will restore, read as it reads checkpoints, but without executing code; None if nothing.

    Lightning tells the path to no hook before the network must be there: it is an argument of a call further up.

    Raises:
        StateFileError: If the checkpoint cannot be read.
    """
    path = _path_ahead(trainer)
    if not path:
        return None
    try:
        content: dict[str, Any] = trainer.strategy.checkpoint_io.load_checkpoint(
            path, map_location="cpu", weights_only=True
        )
    except _NOT_READ as error:
        raise StateFileError(
            f"{path}, with which the training is to go on, cannot be read without executing code, so that its network "
            f"is not known before a search ({type(error).__name__}); if you trust the file, load the task "
            "with load_from_checkpoint(path, weights_only=False) first and fit that, or pass another ckpt_path"
        ) from error
    return content


def optimizer_of_file(task: LightningModule) -> Optimizer | None:
    """The optimizer that Lightning's command line made as a file says, from the parameters at that time; None if none.

    It is bound to a method that the command line puts in place of the task's own.
    """
    method = getattr(vars(task).get("configure_optimizers"), "__func__", None)
    optimizer: Optimizer | None = getattr(method, "keywords", {}).get("optimizer")
    return optimizer


def _path_ahead(trainer: Trainer) -> str | Path | None:
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "_run" and frame.f_locals.get("self") is trainer:
            path: str | Path | None = frame.f_locals.get("ckpt_path")
            return path
        frame = frame.f_back
    return None
