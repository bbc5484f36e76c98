"""Search of kernel sizes and dilations: the mixed convolution."""

from dasha.search.mixture import choose_method as choose_method
from dasha.search.mixture import mixed_convolution as mixed_convolution

__all__ = ["choose_method", "mixed_convolution"]
