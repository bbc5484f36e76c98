"""``--engine``: what does the work, whether rows are summed up, and what does not go with that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dasha._optional import require
from dasha._ray import Engine
from dasha.errors import InvalidArgumentError


def check_engine(asked: str) -> Engine:
    """Return what ``--engine`` says.

    Raises:
        InvalidArgumentError: If there is no such engine.
    """
    if asked not in ("local", "ray"):
        raise InvalidArgumentError(f"--engine is {asked!r}, but must be 'local' or 'ray'")
    return "ray" if asked == "ray" else "local"


def choose_engine(asked: str | None, file: str, settings: Mapping[str, Any], *, count_rows: bool) -> Engine | None:
    """Return what sums up the rows; None where a file is read as a whole, which is what nobody can do to a folder.

    Args:
        asked: What ``--engine`` says.
        file: File, folder or address.
        settings: Options of the model by name.
        count_rows: Whether times are left out.

    Raises:
        InvalidArgumentError: If the engine is unknown, or other options ask for what it cannot do.
        OptionalDependencyError: If Ray is asked for and not installed.
    """
    if asked is not None:
        asked = check_engine(asked)
    elif not Path(file).is_dir():
        return None
    _require_summable(f"--engine {asked}" if asked else f"{file} is a folder, of which --engine local", settings)
    if asked != "ray":
        return "local"
    if count_rows:
        raise InvalidArgumentError(
            "--engine ray needs times, because partitions have no order, and --row-numbers leaves them out; give one "
            "of the two"
        )
    require("ray.data", extra="ray")
    return "ray"


def _require_summable(who: str, settings: Mapping[str, Any]) -> None:
    allowed = {"mode": ("trained",), "strategy": ("recursive",), "pooling": (None, "pooled")}
    for name, values in allowed.items():
        if settings[name] not in values:
            raise InvalidArgumentError(
                f"{who} sums up rows, but --{name} {settings[name]} needs the rows themselves; leave --{name} out, or "
                "give a single file without --engine, which is read as a whole"
            )
    if settings["criterion"] == "validation" and settings["lookback"] is None:
        raise InvalidArgumentError(
            f"{who} sums up rows, but --criterion validation needs the last of them apart; choose another --criterion, "
            "or give a single file without --engine, which is read as a whole"
        )
