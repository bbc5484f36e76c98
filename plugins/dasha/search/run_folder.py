"""The folder of a run: files that are whole or absent, a lock against a second process, a log."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save
from torch import Tensor

from dasha.errors import InvalidArgumentError, StateFileError, failures_as
from dasha.runs import UNFINISHED, replacing

CONFIG_FILE = "config.json"
PLAN_FILE = "plan.json"
RESULT_FILE = "result.json"
SOURCE_FILE = "source.json"
_LOCK = ".lock"
# May be there before the run begins: the lock, and where the data is.
_EARLY = (_LOCK, SOURCE_FILE)


class RunFolder:
    """Files of one run.

    Args:
        path: The folder; made if it is absent.

    Raises:
        InvalidArgumentError: If there is a file of that name, or the folder holds files of something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InvalidArgumentError(f"run_dir={str(path)!r} is a file; choose another name")
        found = [] if self.has(CONFIG_FILE) or not self.path.exists() else [entry.name for entry in self.path.iterdir()]
        foreign = sorted(name for name in found if name not in _EARLY and not name.endswith(UNFINISHED))
        if foreign:
            names = ", ".join(foreign[:3])
            raise InvalidArgumentError(
                f"run_dir={str(path)!r} holds other files ({names}) and is left alone; choose an empty or a new folder"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidArgumentError(f"run_dir={str(path)!r} cannot be made: {error.strerror}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; the system releases the lock of a process that dies.

        Raises:
            InvalidArgumentError: If another process works in the folder, or it cannot be written to.
        """
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InvalidArgumentError(
                f"another process works in {self.path}; wait for it, or choose another run_dir"
            ) from None
        except OSError as error:
            raise InvalidArgumentError(
                f"{self.path} cannot be written to: {error.strerror}; open a finished run by Dasha.resume(path) "
                "without data, or work on a copy of the folder"
            ) from error
        try:
            for unfinished in (*self.path.glob(f".*{UNFINISHED}"), *self.path.glob(f"*/.*{UNFINISHED}")):
                unfinished.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def has(self, name: str) -> bool:
        """Whether a file was written."""
        return (self.path / name).is_file()

    def has_any(self, name: str) -> bool:
        """Whether a folder inside holds anything."""
        inside = self.path / name
        return inside.is_dir() and any(inside.iterdir())

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file; numbers that are not finite become null."""
        text = json.dumps(_plain(content), indent=1, allow_nan=False)
        self._write(name, text.encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file that holds an object.

        Raises:
            StateFileError: If it is absent or damaged.
        """
        with self.reading(name):
            content = json.loads((self.path / name).read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise TypeError("not a JSON object")
        return content

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str]) -> None:
        """Write tensors by name, with texts beside them."""
        whole = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
        self._write(name, save(whole, metadata=dict(metadata)))

    def read_tensors(self, name: str) -> dict[str, Tensor]:
        """Read tensors by name; nothing in the file is executed.

        Raises:
            StateFileError: If it is absent or damaged.
        """
        with self.reading(name):
            return load_file(self.path / name)

    def reading(self, name: str) -> AbstractContextManager[None]:
        """Turn what goes wrong inside, where the content of a file is used, into an error that names the file.

        Raises:
            StateFileError: If the block fails.
        """
        way_out = "put back a copy of it" if name == CONFIG_FILE else "delete it to repeat that stage"
        return failures_as(
            lambda why: StateFileError(
                f"cannot use {self.path / name}: {why}; {way_out}, or begin the run again in another folder"
            )
        )

    def save_state(self, name: str, state: Mapping[str, Any]) -> None:
        """Write a checkpoint: tensors, numbers, texts, lists and dictionaries."""
        target = self.path / name
        with replacing(target) as temporary:
            torch.save(dict(state), temporary)

    def load_state(self, name: str) -> dict[str, Any] | None:
        """Read a checkpoint; None if there is none. Nothing in the file is executed.

        Raises:
            StateFileError: If it is damaged.
        """
        if not self.has(name):
            return None
        with self.reading(name):
            state = torch.load(self.path / name, map_location="cpu", weights_only=True)
            if not isinstance(state, dict):
                raise TypeError("not a checkpoint")
        return state

    def remove(self, name: str) -> None:
        """Delete a file that is not needed any more."""
        (self.path / name).unlink(missing_ok=True)

    def log(self, event: str, **values: Any) -> None:
        """Add a line to ``log.jsonl``; half a line that a killed process left there stays a line of its own."""
        line = json.dumps(_plain({"time": round(time.time(), 3), "event": event, **values}), allow_nan=False)
        with (self.path / "log.jsonl").open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            torn = size > 0 and file.read(1) != b"\n"
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")

    def _write(self, name: str, content: bytes) -> None:
        with replacing(self.path / name) as temporary:
            temporary.write_bytes(content)


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
