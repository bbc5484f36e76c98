"""One way to print results: a table for people, or JSON alone on standard output for programs."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
"""Annotation of the ``--json`` parameter that every command printing a table takes."""

DEBUG = "debug"
"""What ``typer.Context.find_root().obj`` holds when ``--debug`` was given."""

PIPE_WIDTH = 160
"""Columns used where the output is no terminal, so that files keep one line per row."""


def print_json(value: object) -> None:
    """Print a value as JSON; NaN and infinities become ``null``, which every JSON reader understands."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_table(rows: Sequence[Mapping[str, object]], *, title: str = "") -> None:
    """Print rows as a table; the keys of the first row are the columns.

    Args:
        rows: One mapping per row, all with the same keys; numbers are aligned to the right.
        title: Line above the table.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    table = Table(title=Text(title) if title else None, title_justify="left")
    for column in rows[0] if rows else ():
        numeric = all(isinstance(row[column], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # Text, because square brackets as in pip's extras would be taken for markup.
        table.add_row(*(Text(format_cell(value)) for value in row.values()))
    console.print(table)


def print_rows(rows: Sequence[Mapping[str, object]], *, as_json: bool, title: str = "") -> None:
    """Print rows as a JSON list or as a table."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, title=title)


def format_cell(value: object) -> str:
    """Return the text of a table cell: four significant digits for floats, nothing for ``None``."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "-"
    return str(value)


def note(text: str) -> None:
    """Print one line for people on standard error, where it cannot disturb ``--json``."""
    sys.stderr.write(" ".join(text.split()) + "\n")


def _plain(value: Any) -> Any:
    """Return the value with only what JSON knows: numpy scalars and arrays, paths and tuples are converted."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
