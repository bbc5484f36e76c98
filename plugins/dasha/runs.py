"""Folders that are written completely or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dasha.errors import InvalidArgumentError


@contextmanager
def atomic_folder(target: Path, *, marker: str) -> Iterator[Path]:
    """Give a temporary folder that becomes ``target`` when the block ends without an error.

    Whatever interrupts the block, ``target`` is as it was before or complete. An existing folder is replaced only if
    it is empty or holds ``marker``, the file by which a folder of the same kind is known.

    Args:
        target: Folder to make; its parents are made too.
        marker: Name of a file that every finished folder of this kind holds.

    Yields:
        The folder to write into, beside ``target``.

    Raises:
        InvalidArgumentError: If ``target`` is a file, is a folder of another kind, or cannot be written.
    """
    target = Path(target).absolute()
    try:
        _check_target(target, marker)
        target.parent.mkdir(parents=True, exist_ok=True)
        working = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    try:
        yield working
        working.chmod(0o777 & ~_umask())
        _swap(working, target)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _check_target(target: Path, marker: str) -> None:
    if target.is_dir():
        if any(target.iterdir()) and not (target / marker).exists():
            raise InvalidArgumentError(
                f"{target} holds other files (no {marker}) and is left alone; choose an empty or a new folder"
            )
    elif target.exists() or target.is_symlink():
        raise InvalidArgumentError(f"{target} exists and is not a folder; choose another name")


def _swap(working: Path, target: Path) -> None:
    if not target.exists():
        working.replace(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    target.replace(aside / "old")
    try:
        working.replace(target)
    except OSError:
        (aside / "old").replace(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
