"""Folders and files that are written completely or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dasha.errors import InvalidArgumentError

# Lists what was written: a folder with anything else in it is never replaced.
MANIFEST = ".dasha-folder.json"
# End of the name of a file that is not whole yet: what a killed process leaves in a run folder is cleared up there.
UNFINISHED = ".dasha-tmp"


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``target`` when the block ends without an error.

    Whatever interrupts the block, ``target`` is as it was before or complete. An existing folder is replaced only if
    it is empty, or if everything in it was written by an earlier call.

    Args:
        target: Folder to make; its parents are made too. A link to a folder stands for that folder.

    Yields:
        The folder to write into, beside ``target``.

    Raises:
        InvalidArgumentError: If ``target`` is a file or a mount point, holds anything else, or cannot be written.
    """
    target = Path(target).resolve()
    try:
        _check_target(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        working = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    try:
        yield working
        written = sorted(entry.name for entry in working.iterdir())
        (working / MANIFEST).write_text(json.dumps(written) + "\n", encoding="utf-8")
        working.chmod(0o777 & ~_umask())
        _check_target(target)
        _swap(working, target)
    finally:
        shutil.rmtree(working, ignore_errors=True)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give the name of a file to write beside the target, which it replaces once it is on the disk.

    Args:
        target: File to write or replace, which stays as it was if the block raises; its folder is made.

    Yields:
        The file to write.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}-{os.getpid()}{UNFINISHED}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(target: Path, text: str) -> None:
    """Write a text file, which is as it was before or complete, whatever interrupts it.

    Args:
        target: File to write or replace.
        text: Its content, which is written as UTF-8.
    """
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _check_target(target: Path) -> None:
    if target.is_mount():
        raise InvalidArgumentError(f"{target} is a mount point and cannot be replaced; choose a folder inside it")
    if target.is_dir():
        foreign = sorted({entry.name for entry in target.iterdir()} - _ours(target))
        if foreign:
            names = ", ".join(foreign[:3]) + (" …" if foreign[3:] else "")
            raise InvalidArgumentError(
                f"{target} holds other files ({names}) and is left alone; choose an empty or a new folder"
            )
    elif target.exists():
        raise InvalidArgumentError(f"{target} exists and is not a folder; choose another name")


def _ours(folder: Path) -> set[str]:
    """Names that an earlier call wrote into a folder, by its manifest."""
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {MANIFEST, *names} if isinstance(names, list) and all(isinstance(name, str) for name in names) else set()


def _swap(working: Path, target: Path) -> None:
    if not target.exists():
        working.replace(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    try:
        target.replace(aside / "old")
        working.replace(target)
    except BaseException:
        if (aside / "old").exists() and not target.exists():
            (aside / "old").replace(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
