"""Auto-AR: arrays in, arrays out, on CPU and GPU."""

from dasha.autoar.config import AutoARConfig
from dasha.autoar.fitted import FittedAR, FittedMaps, Selection
from dasha.autoar.model import AutoAR

__all__ = ["AutoAR", "AutoARConfig", "FittedAR", "FittedMaps", "Selection"]
