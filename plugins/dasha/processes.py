"""Work that one of several training processes does while the others wait, however long it takes."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from dasha.errors import DashaError

_SECONDS_BETWEEN_LOOKS = 0.2


class Processes(Protocol):
    """What a Lightning trainer knows about its processes."""

    @property
    def world_size(self) -> int:
        """Number of processes."""

    @property
    def is_global_zero(self) -> bool:
        """Whether this is the first one."""

    @property
    def strategy(self) -> Any:
        """Has ``broadcast`` and ``barrier``."""


def on_first_process(trainer: Processes, folder: Path, work: Callable[[], None]) -> None:
    """Do something on the first process; the others watch for a file rather than in an operation that would time out.

    Args:
        trainer: Knows the processes.
        folder: On storage that all processes see.
        work: Leaves its results in the folder.

    Raises:
        DashaError: On the others, if the first process failed.
    """
    if trainer.world_size == 1:
        work()
        return
    signal = folder.with_name(f"{folder.name}.{trainer.strategy.broadcast(uuid.uuid4().hex)}.json")
    if trainer.is_global_zero:
        error: str | None = "it was stopped"
        try:
            work()
            error = None
        except BaseException as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            _send(signal, error)
    else:
        while not signal.is_file():
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        error = json.loads(signal.read_text(encoding="utf-8"))["error"]
        if error is not None:
            raise DashaError(f"the search failed on the first process: {error}")
    trainer.strategy.barrier()
    if trainer.is_global_zero:
        signal.unlink(missing_ok=True)


def _send(signal: Path, error: str | None) -> None:
    signal.parent.mkdir(parents=True, exist_ok=True)
    unfinished = signal.with_suffix(".part")
    unfinished.write_text(json.dumps({"error": error}), encoding="utf-8")
    unfinished.replace(signal)
