"""The shipped suite over the tasks of the core and of the example plugin, and over tasks that break one rule each."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import dasha
from dasha import TaskSpec
from dasha.testing import check_task
from dasha.types import SupervisedTask

TASKS = dasha.get_manager().tasks
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 1, 6)).astype("float32"), np.arange(40) % 2
GOOD = SupervisedTask(
    TaskSpec("binary", 1, 1),
    (X[:20], Y[:20]),
    (X[20:30], Y[20:30]),
    (X[30:], Y[30:]),
    description="Noise.",
    source="drawn",
)


@pytest.mark.parametrize("name", TASKS.names_of("dasha"))
def test_tasks_of_the_core_conform(name):
    pytest.importorskip("sklearn")
    check_task(TASKS[name])


def test_the_example_conforms(example_source, monkeypatch):
    monkeypatch.syspath_prepend(str(example_source / "src"))
    from dasha_naive.plugin import make_direction

    check_task(make_direction)
    for name in [name for name in sys.modules if name.startswith("dasha_naive")]:
        del sys.modules[name]


def test_datasets_and_loaders_conform():
    def pairs(part):
        return list(zip(*(torch.as_tensor(array) for array in part), strict=True))

    loader = torch.utils.data.DataLoader(pairs(GOOD.validation), batch_size=4)
    check_task(lambda: replace(GOOD, train=pairs(GOOD.train), validation=loader, test=None))


def drawn_anew():
    return replace(GOOD, train=(np.random.default_rng().normal(size=(20, 1, 6)).astype("float32"), Y[:20]))


def seeding():
    torch.manual_seed(0)
    return GOOD


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (lambda: (X, Y), "made tuple, not a dasha.types.SupervisedTask"),
        (lambda: replace(GOOD, spec="binary"), "spec is str, but must be a dasha.TaskSpec"),
        (lambda: replace(GOOD, description=" "), "description is empty"),
        (lambda: replace(GOOD, source=None), "source is NoneType, but must be text"),
        (lambda: replace(GOOD, source="a\nb"), "source must be one line"),
        (lambda: replace(GOOD, validation=None), "there must be data for training and for validation"),
        (lambda: replace(GOOD, validation=(X[20:30], Y[20:30] + 1)), r"must fit the spec, but validation has labels"),
        (lambda: replace(GOOD, train=(X[:20], 0 * Y[:20])), "must fit the spec, but train holds one class only"),
        (lambda: replace(GOOD, test=(X[15:35], Y[15:35])), "5 of 20 samples of test are in train, too"),
        (drawn_anew, "two calls of the factory must give the same samples"),
        (seeding, "a global generator was seeded or drawn from"),
    ],
    ids=range(11),
)
def test_a_broken_rule_is_named(factory, reason):
    with pytest.raises(AssertionError, match=reason):
        check_task(factory)
