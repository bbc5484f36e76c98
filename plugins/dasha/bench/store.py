"""Measurements kept in a folder, so that a run that was killed goes on where it stopped and measures nothing twice.

Every measurement has a folder with ``settings.json``, what was asked for (the hash of the data included), and
``part-*.npz``, what came out of some of its items, each with the versions and the machine of the time. Every file
appears complete or not at all. What was measured for other settings stays where it is, and so does what other versions
gave; neither is mixed with what is measured now.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dasha.bench.environment import conditions, now
from dasha.bench.output import write_text
from dasha.errors import InvalidArgumentError, StateFileError

# A run that is killed loses this much, or one item if that takes longer.
_SECONDS_BETWEEN_PARTS = 20.0
_SETTINGS = "settings.json"
_RESERVED = ("number", "measured", "environment")

Item = Mapping[str, Any]
"""Arrays, numbers and texts by name; those of one name have one shape throughout a measurement."""


@dataclass(frozen=True)
class Store:
    """A folder of measurements.

    Attributes:
        folder: Where they are kept; made if it is not there.
        environment: Versions and machine, kept beside what is measured from now on.
    """

    folder: Path
    environment: dict[str, Any]

    def open(self, *names: str, settings: dict[str, Any], packages: tuple[str, ...], is_ours: bool) -> Results:
        """Return what is known of one measurement.

        Args:
            *names: Folders, from the outer to the inner.
            settings: What it depends on.
            packages: Packages whose versions it depends on.
            is_ours: Whether it depends on our own engine.

        Raises:
            InvalidArgumentError: If the folder cannot be written.
            StateFileError: If a file cannot be read.
        """
        return Results(
            self.folder.joinpath(*names),
            settings,
            self.environment,
            lambda environment: conditions(environment, packages, is_ours=is_ours),
        )


class Results:
    """Items of one measurement by number, on disk and in memory.

    Args:
        folder: Where they are kept; if that holds other settings, a folder beside it with their hash in its name.
        settings: What they depend on.
        environment: Versions and machine of now.
        depends_on: Picks from an environment what the items depend on.

    Attributes:
        items: What is known, by number.
        measured: When it was, one time for every part.
        environment: Versions and machine of the latest part; those of now before there is any.
        outdated: Number of items that are left aside because other versions gave them.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        environment: dict[str, Any],
        depends_on: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self.items: dict[int, Item] = {}
        self.measured: list[str] = []
        self.environment = self._environment = environment
        self.outdated = 0
        self._depends_on = depends_on
        self._pending: dict[int, Item] = {}
        self._written = time.monotonic()
        self._settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._folder = _place(folder, self._settings)
        for part in sorted(self._folder.glob("part-*.npz")):
            self._read(part)

    def add(self, number: int, item: Item) -> None:
        """Keep an item; it is on disk after some seconds, or after `flush`."""
        self.items[number] = self._pending[number] = item
        if time.monotonic() - self._written > _SECONDS_BETWEEN_PARTS:
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet."""
        self._written = time.monotonic()
        if not self._pending:
            return
        numbers, items = zip(*sorted(self._pending.items()), strict=True)
        # What stands in for an item that failed may have more than the others: what all have is kept.
        names = [name for name in items[0] if all(name in item for item in items)]
        measured = now()
        content: dict[str, Any] = {
            **{name: np.array([item[name] for item in items]) for name in names},
            "number": np.array(numbers),
            "measured": np.array(measured),
            "environment": np.array(json.dumps(self._environment)),
        }
        self._prepare()
        target = self._folder / f"part-{numbers[0]:06d}-{numbers[-1]:06d}.npz"
        working = target.with_suffix(".writing")
        with working.open("wb") as file:
            np.savez_compressed(file, **content)
        working.replace(target)
        self.measured.append(measured)
        self.environment = self._environment
        self._pending.clear()

    def forget(self) -> None:
        """Delete everything of these settings."""
        for part in self._folder.glob("part-*.npz"):
            part.unlink()
        self.items, self.measured, self.outdated = {}, [], 0
        self.environment = self._environment

    def _prepare(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not (self._folder / _SETTINGS).exists():
                write_text(self._folder / _SETTINGS, json.dumps(self._settings, indent=2, sort_keys=True))
        except OSError as error:
            raise InvalidArgumentError(
                f"cannot write {self._folder}: {error.strerror}; choose another folder for results"
            ) from error

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as part:
                content = {name: part[name] for name in part.files}
            environment: dict[str, Any] = json.loads(str(content["environment"]))
            numbers, measured = content["number"].tolist(), str(content["measured"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise StateFileError(
                f"{path} cannot be read ({type(error).__name__}: {error}); delete it, and what it held is measured "
                "again"
            ) from error
        if self._depends_on(environment) != self._depends_on(self._environment):
            self.outdated += len(numbers)
            return
        names = [name for name in content if name not in _RESERVED]
        for place, number in enumerate(numbers):
            self.items[number] = {name: content[name][place] for name in names}
        self.measured.append(measured)
        self.environment = environment


def _place(folder: Path, settings: dict[str, Any]) -> Path:
    try:
        known = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return folder
    except (OSError, ValueError):
        known = None
    if known == settings:
        return folder
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return folder.with_name(f"{folder.name}-{digest[:8]}")
