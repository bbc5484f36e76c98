"""Seeds that follow from one another, and blocks whose randomness they fix without touching the caller's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

import numpy as np
import torch


def derive_seed(seed: int, *labels: str | int) -> int:
    """Seed of one part of a computation, from the seed of the whole and the names and numbers of the part.

    Args:
        seed: Not negative.
        labels: Tell the parts apart.

    Returns:
        A number below 2**31, the same on every machine.
    """
    words = [label if isinstance(label, int) else crc32(label.encode()) for label in labels]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0] >> 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Fix what torch, NumPy and Python draw inside the block; afterwards their states are what they were before."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - data sets of users draw from it
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
