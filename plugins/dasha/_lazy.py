"""Packages whose public names are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Functions for the ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: Its name.
        homes: Module inside the package that defines each public name.
    """

    def get(name: str) -> object:
        """Import a public name from the module that defines it, and keep it."""
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        """List the public names, imported or not."""
        return sorted({*vars(sys.modules[package]), *homes, "__all__"})

    return get, names
