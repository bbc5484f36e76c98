"""Seeds that follow from one another, and blocks whose randomness they fix without touching the caller's."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import numpy as np
import torch

# The generators are of the whole process: blocks of several threads go one after the other.
_alone = threading.RLock()


def derive_seed(seed: int, *labels: str | int) -> int:
    """Seed of one part of a computation, from the seed of the whole and the names and numbers of the part.

    Args:
        seed: Of the whole.
        labels: Tell the parts apart.

    Returns:
        A number below 2**31, the same on every machine.
    """
    words = [label if isinstance(label, str) else int(label) for label in (seed, *labels)]
    return int.from_bytes(sha256(repr(words).encode()).digest()[:4], "big") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Fix what torch, NumPy and Python draw inside the block; afterwards their states are what they were before.

    One thread of a process at a time is inside such blocks, nested ones included; others wait. Nothing inside may wait
    for a thread that enters one.
    """
    with _alone:
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - data sets of users draw from it
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            try:
                torch.manual_seed(seed)
                np.random.seed(seed % 2**32)  # noqa: NPY002
                random.seed(seed)
                yield
            finally:
                np.random.set_state(numpy_state)  # noqa: NPY002
                random.setstate(python_state)
