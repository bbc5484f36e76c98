"""Auto-AR: arrays in, arrays out, on CPU and GPU.

Public names are imported when they are first used, so that workers that only sum up rows do without PyTorch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dasha.autoar.config import AutoARConfig as AutoARConfig
    from dasha.autoar.fitted import FittedAR as FittedAR
    from dasha.autoar.fitted import FittedMaps as FittedMaps
    from dasha.autoar.fitted import Selection as Selection
    from dasha.autoar.model import AutoAR as AutoAR
    from dasha.autoar.streaming import SeriesSummary as SeriesSummary
    from dasha.autoar.streaming import accumulate as accumulate
    from dasha.autoar.zero_shot_prediction import ZeroShotChoices as ZeroShotChoices

_HOMES = {
    "AutoAR": "model",
    "AutoARConfig": "config",
    "FittedAR": "fitted",
    "FittedMaps": "fitted",
    "Selection": "fitted",
    "SeriesSummary": "streaming",
    "ZeroShotChoices": "zero_shot_prediction",
    "accumulate": "streaming",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it, and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dasha.autoar' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"dasha.autoar.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
