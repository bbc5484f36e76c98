import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dasha.data.part import Part
from dasha.data.split import LoaderSplit, as_split
from dasha.errors import InvalidArgumentError
from dasha.randomness import seeded
from dasha.search.cost import affordable, expected_passes, operations_of
from dasha.search.settings import RetrainSettings, TuneSettings

SPLIT = as_split((np.zeros((100, 2, 8), dtype="float32"), np.zeros(100, dtype=int)), "train")


def test_operations_are_those_of_one_sample():
    # Two operations for every multiplication: 8 positions, 2 × 3 weights, 5 outputs.
    assert operations_of(nn.Conv1d(2, 5, 3, padding=1), (2, 8)) == 2 * 8 * 2 * 3 * 5
    assert operations_of(nn.Linear(3, 1), (2, 8)) == 0  # cannot be computed


@pytest.mark.parametrize(
    ("max_cost", "operations", "seen"),
    [(None, 480, 100), (1.44e-6, 480, 100), (0.72e-6, 480, 50), (1e-12, 480, 1), (1e-12, 0, 100)],
)
def test_passes_see_what_a_budget_can_afford(max_cost, operations, seen):
    # 3 × 100 samples × 10 passes × 480 operations are 1.44e-6 tera operations.
    split = affordable(SPLIT, max_cost, passes=10, operations=operations)
    assert sum(len(inputs) for inputs, _ in split.batches(1, shuffle=True)) == seen


def test_shuffled_parts_see_other_samples_every_time():
    numbers = torch.arange(100.0).view(100, 1, 1).expand(100, 1, 8)
    part = Part(as_split((numbers.numpy(), np.zeros(100, dtype=int)), "train"), 0.2)
    seen = {float(value) for _ in range(20) for inputs, _ in part.batches(5, shuffle=True) for value in inputs[:, 0, 0]}
    assert len(seen) > 80


def in_order(**options):
    """The numbers from 0 to 99, in batches of a loader that does not shuffle."""
    numbers = torch.arange(100.0).view(100, 1, 1)
    return LoaderSplit(DataLoader(TensorDataset(numbers, numbers), **{"batch_size": 10, **options}))


def numbers_of(split, *, shuffle=True):
    return [int(value) for inputs, _ in split.batches(99, shuffle=shuffle) for value in inputs.flatten()]


def test_parts_of_what_keeps_its_order_are_drawn_from_the_whole_pass():
    part = Part(in_order(), 0.25)
    with seeded(0):
        passes = [numbers_of(part) for _ in range(400)]
    assert {len(one) for one in passes} == {30}
    assert all(one == sorted(one) for one in passes)
    shares = np.bincount(np.concatenate(passes)[::10] // 10, minlength=10) / 400
    np.testing.assert_allclose(shares, 0.3, atol=0.1)
    assert numbers_of(part, shuffle=False) == list(range(30))


@pytest.mark.parametrize("options", [{}, {"drop_last": True, "batch_size": 60}, {"batch_size": 30}, {"batch_size": 99}])
def test_parts_of_what_keeps_its_order_are_never_empty(options):
    with seeded(0):
        assert all(numbers_of(Part(in_order(**options), 0.01)) for _ in range(50))
        assert numbers_of(Part(in_order(**options), 1.0)) == numbers_of(in_order(**options))


def test_parts_of_shuffled_loaders_are_their_first_batches():
    loader = in_order(shuffle=True)
    with seeded(1):
        whole = numbers_of(loader)
    with seeded(1):
        assert numbers_of(Part(loader, 0.2)) == whole[:20]


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        # 8 trials: all for one epoch, half for a second, a quarter for two more.
        ({"trials": 8, "max_resource": 4}, 8 + 4 + 2 * 2),
        ({"trials": 8, "max_resource": 1}, 8),
        ({"trials": 9, "min_resource": 2, "max_resource": 3, "reduction_factor": 3}, 9 * 2 + 3),
    ],
)
def test_trials_that_are_stopped_cost_less(options, passes):
    assert expected_passes(TuneSettings(**options)) == passes


@pytest.mark.parametrize("value", [0, -1.0, True, "1"])
def test_a_limit_is_a_positive_number(value):
    with pytest.raises(InvalidArgumentError, match=r"retrain\.max_cost=.* above 0, or None"):
        RetrainSettings(max_cost=value)
