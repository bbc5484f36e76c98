"""Search of kernel sizes and dilations: the mixed convolution, networks made of it, and trained networks as files.

Public names are imported when they are first used, so that one of them does not cost what all of them do.
"""

from typing import TYPE_CHECKING

from dasha._lazy import lazy_names

if TYPE_CHECKING:
    from dasha.search.found import initial_weights as initial_weights
    from dasha.search.found import load_search as load_search
    from dasha.search.mixture import choose_method as choose_method
    from dasha.search.mixture import mixed_convolution as mixed_convolution
    from dasha.search.model import load_model as load_model
    from dasha.search.supernet import apply_architecture as apply_architecture
    from dasha.search.supernet import to_fixed as to_fixed
    from dasha.search.supernet import to_supernet as to_supernet

_HOMES = {
    "apply_architecture": "supernet",
    "choose_method": "mixture",
    "initial_weights": "found",
    "load_model": "model",
    "load_search": "found",
    "mixed_convolution": "mixture",
    "to_fixed": "supernet",
    "to_supernet": "supernet",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
