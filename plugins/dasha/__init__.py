"""DASHA: forecasting and architecture search that plug into the libraries people already use.

Public names are imported when they are first used, so that ``import dasha`` costs next to nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dasha._markers import hookimpl as hookimpl
    from dasha._optional import Requirement as Requirement
    from dasha.autoar import AutoAR as AutoAR
    from dasha.errors import DashaError as DashaError
    from dasha.errors import DashaWarning as DashaWarning
    from dasha.manager import PluginManager as PluginManager
    from dasha.manager import get_manager as get_manager
    from dasha.search.workflow import Dasha as Dasha
    from dasha.tasks import TaskSpec as TaskSpec

    __version__: str

_HOMES = {
    "AutoAR": "dasha.autoar",
    "Dasha": "dasha.search.workflow",
    "DashaError": "dasha.errors",
    "DashaWarning": "dasha.errors",
    "PluginManager": "dasha.manager",
    "Requirement": "dasha._optional",
    "TaskSpec": "dasha.tasks",
    "get_manager": "dasha.manager",
    "hookimpl": "dasha._markers",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it, and keep it."""
    if name == "__version__":
        value: object = _version()
    elif name in _HOMES:
        import importlib

        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'dasha' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})


def _version() -> str:
    """Return the installed version, or a stand-in where the source is used without installation."""
    from importlib import metadata

    try:
        return metadata.version("dasha-plugins")
    except metadata.PackageNotFoundError:
        return "0+unknown"
