"""What a benchmark command is asked for, checked before anything runs."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_autoar.names import check_names
from dasha.autoar.device import resolve_device
from dasha.cli.forecast import split_names
from dasha.errors import InvalidArgumentError


@dataclass(frozen=True)
class Request:
    """Options that both commands have, as they were given.

    Attributes:
        out: Folder to write and to continue.
        data_dir: Folder with the data files.
        datasets: Names, separated by commas; None for all that are there.
        device: Where Auto-AR computes.
        threads: Threads of torch; None for its own choice.
        rerun: What to measure anew, separated by commas.
        only_report: Measure nothing.
    """

    out: Path
    data_dir: Path | None
    datasets: str | None = None
    device: str = "cpu"
    threads: int | None = None
    rerun: str | None = None
    only_report: bool = False

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            InvalidArgumentError: If it is so, or there is no such device.
        """
        resolve_device(self.device)
        if self.rerun and self.only_report:
            raise InvalidArgumentError("--rerun measures anew and --only-report measures nothing; give one of the two")

    def command(self, name: str, **options: Any) -> str:
        """The command that makes the same page, folders left out."""
        given = {"datasets": self.datasets, **options, "device": self.device, "threads": self.threads}
        words = [
            f"--{option.replace('_', '-')} {shlex.quote(str(value))}"
            for option, value in given.items()
            if value is not None
        ]
        return " ".join(["dasha bench", name, "--data-dir DIR --out FOLDER", *words])

    def nothing_to_show(self, remarks: Sequence[str]) -> InvalidArgumentError:
        """The error for a run without any result."""
        if self.only_report:
            return InvalidArgumentError(
                f"--out {str(self.out)!r} holds no measurement of this data, with these settings and versions; run the "
                "command without --only-report"
            )
        return InvalidArgumentError(f"nothing could be measured: {'; '.join(remarks)}")


def choose(option: str, noun: str, text: str | None, known: Collection[str]) -> list[str]:
    """Split names and check them.

    Args:
        option: Where they were given.
        noun: What they name.
        text: Separated by commas; None for none.
        known: What is allowed.

    Raises:
        UnknownNameError: If a name is not known.
        InvalidArgumentError: If a name is repeated, or the text has none.
    """
    if text is None:
        return []
    names = split_names(text) or []
    if not names:
        raise InvalidArgumentError(f"{option} is {text!r}, but must name a {noun}; known are {', '.join(known)}")
    check_names(option, noun, names, known)
    return names


def choose_horizons(text: str | None) -> list[int] | None:
    """Split ``"96,192"``.

    Raises:
        InvalidArgumentError: If it is anything but whole numbers of at least 1, each once.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words) or len(set(words)) < len(words):
        raise InvalidArgumentError(
            f"--horizons is {text!r}, but must be whole numbers of at least 1, each once, such as 96,192"
        )
    return [int(word) for word in words]
