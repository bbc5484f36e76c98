"""The mixed convolution out of the sight of ``torch.compile``: it is called as it is, between two compiled parts.

A module of its own, since ``torch.compiler.disable`` imports the compiler, which takes seconds.
"""

import torch

from dasha.search import mixture

mixed_convolution = torch.compiler.disable(mixture.mixed_convolution)  # type: ignore[no-untyped-call]
choose_method = torch.compiler.disable(mixture.choose_method)  # type: ignore[no-untyped-call]
