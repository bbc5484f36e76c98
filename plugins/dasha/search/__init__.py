"""Search of kernel sizes and dilations: the mixed convolution, networks made of it, and trained networks as files.

Public names are imported when they are first used, so that one of them does not cost what all of them do.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dasha.search.mixture import choose_method as choose_method
    from dasha.search.mixture import mixed_convolution as mixed_convolution
    from dasha.search.model import load_model as load_model
    from dasha.search.supernet import apply_architecture as apply_architecture
    from dasha.search.supernet import to_fixed as to_fixed
    from dasha.search.supernet import to_supernet as to_supernet

_HOMES = {
    "apply_architecture": "supernet",
    "choose_method": "mixture",
    "load_model": "model",
    "mixed_convolution": "mixture",
    "to_fixed": "supernet",
    "to_supernet": "supernet",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it, and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dasha.search' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"dasha.search.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
