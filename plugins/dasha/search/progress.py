"""Progress of the stages, for people who wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Stage(Protocol):
    """One stage of work that is counted."""

    def advance(self, done: int, note: str = "") -> None:
        """Say how much is done, and something worth knowing such as the best score."""


class Silent:
    """Shows nothing."""

    def advance(self, done: int, note: str = "") -> None:
        """Ignore it."""


class _Bar:
    def __init__(self, progress: Progress, number: TaskID) -> None:
        self._progress, self._number = progress, number

    def advance(self, done: int, note: str = "") -> None:
        self._progress.update(self._number, completed=done, note=note)


@contextmanager
def stage(title: str, total: int, *, is_shown: bool) -> Iterator[Stage]:
    """Show a bar on standard error while a stage runs.

    Args:
        title: Name of the stage.
        total: What it counts to.
        is_shown: Whether there is a bar.
    """
    if not is_shown:
        yield Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, progress.add_task(title, total=total, note=""))
