"""What a benchmark leaves behind: tables on the terminal, files that appear complete, the folder of a command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dasha.errors import InvalidArgumentError

_MARKER = "bench.json"
_MEASUREMENTS = "measurements"
_WIDTH = 120


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """Print one table; the first column is text, the others are numbers."""
    table = Table(title=title, caption=caption or None)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    Console(width=console.width if console.is_terminal else _WIDTH).print(table)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, complete or not at all; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def write_text(path: Path, text: str) -> None:
    """Write a text file, complete or not at all."""
    working = path.with_name(f"{path.name}.writing")
    working.write_text(text + "\n", encoding="utf-8")
    working.replace(path)


class OutputFolder:
    """Folder of one benchmark: ``results.json``, ``report.html``, and what was measured, for the next run.

    Args:
        folder: New, empty, or of the same benchmark.
        benchmark: Its name.

    Attributes:
        measurements: Folder of the store.

    Raises:
        InvalidArgumentError: If the folder is something else, or cannot be written.
    """

    def __init__(self, folder: Path, benchmark: str) -> None:
        self.folder = folder
        self.measurements = folder / _MEASUREMENTS
        try:
            _check(folder, benchmark)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / _MARKER, {"benchmark": benchmark})
        except OSError as error:
            raise InvalidArgumentError(
                f"cannot write --out {str(folder)!r}: {error.strerror}; choose another folder"
            ) from error

    def write(self, content: dict[str, Any], page: str) -> None:
        """Write ``results.json`` and ``report.html``."""
        write_json(self.folder / "results.json", content)
        write_text(self.folder / "report.html", page)


def _check(folder: Path, benchmark: str) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InvalidArgumentError(f"--out is {str(folder)!r}, which exists and is not a folder; choose another name")
    try:
        found = json.loads((folder / _MARKER).read_text(encoding="utf-8"))["benchmark"]
    except FileNotFoundError:
        if foreign := sorted(entry.name for entry in folder.iterdir()):
            names = ", ".join(foreign[:3]) + (" …" if foreign[3:] else "")
            raise InvalidArgumentError(
                f"--out {str(folder)!r} holds other files ({names}) and is left alone; choose an empty or a new "
                f"folder, or that of an earlier `dasha bench {benchmark}`"
            ) from None
        return
    except (ValueError, KeyError, TypeError):
        found = "another program"
    if found != benchmark:
        raise InvalidArgumentError(
            f"--out {str(folder)!r} belongs to {found!r}, but must be a folder for {benchmark!r}; choose another folder"
        )
