"""Auto-AR: arrays in, arrays out, on CPU and GPU.

Public names are imported when they are first used, so that workers that only sum up rows do without PyTorch.
"""

from typing import TYPE_CHECKING

from dasha._lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
