"""Rules about randomness: the caller's generator decides, and only in training."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from dasha.testing._networks import Subject

T = TypeVar("T")


def seeds_nothing(subject: Subject) -> None:
    """Check that weights and dropout follow from torch's global generator, which is never seeded, and nothing else."""
    _, python, numpy = generator_states()
    (first, first_state), (other, other_state), (again, _) = (_after_seed(seed, subject.make) for seed in (1, 2, 1))
    assert not torch.equal(first_state, other_state), "the factory seeds torch's global generator"
    assert not _equal_weights(first, other), "the weights must not be the same whatever the seed"
    assert _equal_weights(first, again), "the weights must follow from torch's global generator"
    network, x = subject.make(dropout=0.5), subject.draw()
    states = [_after_seed(seed, partial(network, x))[1] for seed in (1, 2)]
    assert not torch.equal(*states), "the forward pass seeds torch's global generator"
    before = torch.get_rng_state()
    network.eval()(x)
    assert torch.equal(before, torch.get_rng_state()), "in evaluation, nothing may be drawn"
    _, python_after, numpy_after = generator_states()
    assert python_after == python, "Python's global generator was used; draw from torch's"
    assert numpy_after == numpy, "NumPy's global generator was used; draw from torch's"


def drops_as_told(subject: Subject) -> None:
    """Check that ``dropout`` does something in training, and that without it training is deterministic."""
    x = subject.draw()
    for dropout, equal in ((0.5, False), (0.0, True)):
        network = subject.make(dropout=dropout)
        outputs = [_after_seed(seed, partial(network, x))[0] for seed in (1, 2)]
        reason = "two training passes must agree" if equal else "two training passes must differ"
        assert torch.equal(*outputs) is equal, f"with dropout={dropout}, {reason}"


def _after_seed(seed: int, make: Callable[[], T]) -> tuple[T, Tensor]:
    """Seed torch, make something, and return it with the state of the generator afterwards."""
    torch.manual_seed(seed)
    made = make()
    return made, torch.get_rng_state()


def _equal_weights(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def generator_states() -> tuple[object, object, object]:
    """States of the global generators of torch, Python and NumPy."""
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002  # only looked at
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), (np.asarray(keys).tobytes(), int(position))
