"""Seeds that follow from one another, and blocks that leave the caller's generators alone."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from dasha.randomness import derive_seed, seeded


def draws():
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002


def states():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


def test_a_block_draws_the_same_each_time_and_leaves_the_callers_states():
    before = states()
    with seeded(3):
        first = draws()
    with seeded(3):
        assert draws() == first
    with seeded(4):
        assert draws() != first
    assert states() == before


def test_states_are_restored_after_an_exception():
    before = states()

    def fail():
        with seeded(3):
            raise RuntimeError(f"midway, after {draws()}")

    with pytest.raises(RuntimeError, match="midway"):
        fail()
    assert states() == before


def test_states_are_restored_when_the_seed_is_refused():
    before = states()
    with pytest.raises((RuntimeError, ValueError)), seeded(2**70):
        pass
    assert states() == before


def test_blocks_can_be_nested():
    with seeded(1):
        expected = [draws(), draws()]
    with seeded(1):
        outer = [draws()]
        with seeded(2):
            draws()
        outer.append(draws())
    assert outer == expected


def slow_draws(seed):
    with seeded(seed):
        first = draws()
        time.sleep(0.02)
        return first, draws()


def test_threads_do_not_disturb_one_another():
    expected, before = [slow_draws(seed) for seed in range(4)], states()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(slow_draws, range(4))) == expected
    assert states() == before


class Seeded:
    """Samples that are drawn in a block of their own."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        with seeded(index):
            return torch.rand(())


def test_workers_forked_inside_a_block_enter_blocks():
    expected = [Seeded()[index].item() for index in range(4)]
    with seeded(0):
        loader = DataLoader(Seeded(), num_workers=2, multiprocessing_context="fork", timeout=30)
        assert [batch.item() for batch in loader] == expected


def test_a_seed_may_be_larger_than_numpy_takes():
    with seeded(2**40):
        first = draws()
    with seeded(2**40):
        assert draws() == first


def test_derived_seeds_are_stable():
    assert derive_seed(0, "search", 1) == 730618734
    assert derive_seed(np.int64(0), "search", np.int64(1)) == derive_seed(0, "search", 1)


def test_derived_seeds_are_distinct_and_in_range():
    parts = [(), (0,), (0, 0), ("",), ("0",), (-1,), (2**32,), (0, 1), (1, 0), ("a", "b"), ("ab",), ("a, b",)]
    seeds = [derive_seed(seed, *part) for seed in range(50) for part in parts]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
