"""The folder of a run: files that are whole or absent, a lock against a second process, a log."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save
from torch import Tensor

from dasha.errors import InvalidArgumentError, StateFileError

_LOCK = ".lock"
# May be there before the run begins: the lock, and where the data is.
_EARLY = (_LOCK, "source.json")


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
        foreign = [] if self.has("config.json") or not self.path.exists() else list(self.path.iterdir())
        if any(entry.name not in _EARLY for entry in foreign):
            names = ", ".join(sorted(entry.name for entry in foreign)[:3])
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
            InvalidArgumentError: If another process works in the folder.
        """
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InvalidArgumentError(
                f"another process works in {self.path}; wait for it, or choose another run_dir"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def has(self, name: str) -> bool:
        """Whether a file was written."""
        return (self.path / name).is_file()

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file; numbers that are not finite become null."""
        text = json.dumps(_plain(content), indent=1, allow_nan=False)
        self._write(name, text.encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file.

        Raises:
            StateFileError: If it is absent or damaged.
        """
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StateFileError(f"cannot read {self.path / name}: {error}; start the run again") from error
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
        try:
            return load_file(self.path / name)
        except Exception as error:
            raise StateFileError(f"cannot read {self.path / name}: {error}") from error

    def save_state(self, name: str, state: Mapping[str, Any]) -> None:
        """Write a checkpoint: tensors, numbers, texts, lists and dictionaries."""
        target = self.path / name
        with self._replacing(target) as temporary:
            torch.save(dict(state), temporary)

    def load_state(self, name: str) -> dict[str, Any] | None:
        """Read a checkpoint; None if there is none. Nothing in the file is executed.

        Raises:
            StateFileError: If it is damaged.
        """
        if not self.has(name):
            return None
        try:
            state: dict[str, Any] = torch.load(self.path / name, map_location="cpu", weights_only=True)
        except Exception as error:
            raise StateFileError(f"cannot read {self.path / name}: {error}; delete it to repeat that stage") from error
        return state

    def remove(self, name: str) -> None:
        """Delete a file that is not needed any more."""
        (self.path / name).unlink(missing_ok=True)

    def log(self, event: str, **values: Any) -> None:
        """Add a line to ``log.jsonl``."""
        line = json.dumps(_plain({"time": round(time.time(), 3), "event": event, **values}), allow_nan=False)
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _write(self, name: str, content: bytes) -> None:
        with self._replacing(self.path / name) as temporary:
            temporary.write_bytes(content)

    @contextmanager
    def _replacing(self, target: Path) -> Iterator[Path]:
        """A file beside the target that takes its place once it is on the disk."""
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        os.close(handle)
        try:
            yield Path(name)
            with Path(name).open("rb") as file:
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
