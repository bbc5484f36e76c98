import json

import numpy as np
import pytest

from dasha.errors import InvalidArgumentError
from dasha.search.budgets import Budget, budget_of
from dasha.search.config import RunConfig, config_dict


@pytest.mark.parametrize("name", ["smoke", "quick", "standard", "paper"])
@pytest.mark.parametrize("ndim", [1, 2])
def test_budgets_have_valid_values(name, ndim):
    budget = budget_of(name, ndim)
    assert budget.replaced({}) == budget
    assert (ndim == 1) == (11 in budget.search.kernel_sizes)


@pytest.mark.parametrize("name", ["smoke", "quick", "standard", "paper"])
@pytest.mark.parametrize("ndim", [1, 2])
def test_only_thorough_budgets_search_a_wider_network_than_they_train(name, ndim):
    budget = budget_of(name, ndim)
    assert budget.search.width <= budget.width or name == "standard"


def test_the_paper_of_images_is_the_default_but_for_depth_and_smoothing():
    assert budget_of("paper", 2) == Budget(backbone_options={"depth": 22}, label_smoothing=0.1)
    sequences = budget_of("paper", 1)
    assert (sequences.backbone_options, sequences.label_smoothing) == ({}, 0.0)


def test_values_are_replaced_by_name_in_any_order():
    budget = Budget().replaced(
        {"tune.min_resource": 30, "width": 3, "tune.max_resource": 40, "search.dilations": [1, 2]}
    )
    assert (budget.tune.min_resource, budget.width, budget.search.dilations) == (30, 3, (1, 2))
    assert Budget().width == 8


def test_numbers_of_numpy_are_taken_and_stored_as_those_of_python():
    changes = {
        "tune.trials": np.int64(4),
        "tune.lr": (np.float32(0.25), np.float64(0.5)),
        "tune.first": {"lr": np.float64(0.5)},
        "search.kernel_sizes": list(np.arange(3, 6, 2)),
        "label_smoothing": np.float64(0.5),
        "max_positions": np.int32(64),
    }
    same = {
        "tune.trials": 4,
        "tune.lr": (0.25, 0.5),
        "tune.first": {"lr": 0.5},
        "search.kernel_sizes": [3, 5],
        "label_smoothing": 0.5,
        "max_positions": 64,
    }
    budget = Budget().replaced(changes)
    assert repr(budget) == repr(Budget().replaced(same))
    config = RunConfig(seed=np.int64(3), n_seeds=np.int16(2), overrides=changes)
    assert json.dumps(config_dict(config)) == json.dumps(config_dict(RunConfig(seed=3, n_seeds=2, overrides=same)))
    with pytest.raises(InvalidArgumentError, match="must be a whole number"):
        RunConfig(seed=np.bool_(True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune.trails": 2}, "did you mean 'trials'"),
        ({"tuen.trials": 2}, "did you mean 'tune'"),
        ({"widht": 2}, "did you mean 'width'"),
        ({"tune": {}}, "no value 'tune'"),
        ({"tune.trials": 0}, r"tune\.trials=0 must be a whole number, at least 1"),
        ({"tune.trials": "8"}, "whole number"),
        ({"tune.reduction_factor": 1}, "at least 2"),
        ({"tune.min_resource": 0}, "at least 1"),
        ({"tune.schedule": "step"}, "must be one of 'constant', 'cosine'"),
        ({"tune.first": 0.1}, r"tune\.first=0\.1 must be a mapping"),
        ({"tune.lr": (0.1, 0.01)}, "pair of numbers"),
        ({"tune.lr": (0, 0.1)}, r"tune\.lr=\(0, 0\.1\) must be a pair .* both above 0, where the scale is logarithmic"),
        ({"tune.lr": "0.1"}, "pair of numbers"),
        ({"tune.lr": ("0.1", "1")}, "pair of numbers"),
        ({"tune.lr": (0.1, float("inf"))}, "pair of numbers"),
        ({"tune.weight_decay": [0, 0.001]}, "both above 0"),
        ({"tune.weight_decay": [0, 0]}, "both above 0"),
        ({"tune.momentum": (0.9, 1.1)}, "both at least 0 and at most 1"),
        ({"tune.dropout": 0.1}, r"tune\.dropout=0\.1 must be a tuple of numbers, each at least 0 and below 1"),
        ({"tune.dropout": (0.5, 1.0)}, "at least 0 and below 1"),
        ({"tune.dropout": ()}, "must have a value at least"),
        ({"tune.gpus_per_trial": float("nan")}, "whole number of GPUs"),
        ({"search.kernel_sizes": ()}, "whole numbers"),
        ({"search.kernel_sizes": 5}, r"search\.kernel_sizes=5 must be a tuple of whole numbers.*such as \(3, 5\)"),
        ({"search.kernel_sizes": [3, 3]}, r"search\.kernel_sizes=\(3, 3\) must be different numbers"),
        ({"search.dilations": (1, 2.0)}, "whole numbers"),
        ({"search.temperature": 0}, r"search\.temperature=0 must be a number above 0"),
        ({"search.lr": "x"}, r"search\.lr='x' must be a number above 0"),
        ({"search.alpha_lr": -1}, "at least 0"),
        ({"search.momentum": 1.0}, "at least 0 and below 1"),
        ({"search.max_norm": 0}, "above 0, or None"),
        ({"search.grad_scale": float("nan")}, "above 0"),
        ({"search.milestones": (30, 60)}, "each at least 0 and at most 1"),
        ({"search.gamma": True}, "above 0 and at most 1"),
        ({"search.size_penalty": None}, "at least 0"),
        ({"search.batch_fraction": "0.5"}, "above 0 and at most 1"),
        ({"retrain.milestones": 0.5}, r"retrain\.milestones=0\.5 must be a tuple of numbers"),
        ({"retrain.max_norm": -1}, "above 0, or None"),
        ({"retrain.warmup": 2}, "at least 0 and at most 1"),
        ({"label_smoothing": "0.1"}, r"label_smoothing='0\.1' must be a number at least 0 and below 1"),
        ({"search.batch_fraction": 0.0}, "above 0"),
        ({"retrain.schedule": "cosin"}, "must be one of 'step', 'cosine'"),
        ({"precision": "int8"}, "must be one of 'auto', 'float32'"),
        ({"accumulate": True}, "whole number"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Budget().replaced(changes)


def test_ranges_may_be_a_single_value_and_lists_may_be_given():
    changes = {"tune.lr": [0.05, 0.05], "tune.weight_decay": (1e-4, 1e-4), "tune.momentum": (0, 0), "tune.dropout": [0]}
    budget = Budget().replaced({**changes, "search.milestones": [], "search.max_norm": None, "search.alpha_lr": 0})
    assert (budget.tune.lr, budget.tune.dropout, budget.search.milestones) == ((0.05, 0.05), (0,), ())


def test_an_unknown_budget_names_the_known_ones():
    with pytest.raises(InvalidArgumentError, match=r"'smoke'.*did you mean 'quick'"):
        budget_of("quikc", 1)


def test_kernels_that_no_input_can_tell_apart_are_left_out():
    search = Budget().fitted_to((8, 6), 99).search
    assert (search.kernel_sizes, search.dilations) == ((3, 5), (1, 3))
    tiny = Budget().fitted_to((1,), 99).search
    assert (tiny.kernel_sizes, tiny.dilations) == ((3,), (1,))


@pytest.mark.parametrize(
    ("sizes", "is_dense", "patch_size"),
    [
        ((32, 32), False, 1),
        ((64, 64), False, 2),
        ((65, 64), False, 3),
        ((400, 300), False, 4),
        ((400, 300), True, 2),
        ((1024,), False, 1),
        ((1025,), False, 2),
    ],
)
def test_large_inputs_go_in_as_patches(sizes, is_dense, patch_size):
    assert budget_of("quick", len(sizes)).fitted_to(sizes, 99, is_dense=is_dense).patch_size == patch_size
    assert budget_of("paper", len(sizes)).fitted_to(sizes, 99).patch_size == 1


@pytest.mark.parametrize(
    ("samples", "is_dense", "batch_size"),
    [(1024, False, 32), (1023, False, 16), (512, False, 16), (511, False, 8), (9, False, 8), (10**6, True, 8)],
)
def test_batches_leave_an_epoch_its_steps(samples, is_dense, batch_size):
    fitted = budget_of("quick", 2).fitted_to((64, 64), samples, is_dense=is_dense)
    assert (fitted.batch_size, fitted.search.batch_size) == (batch_size, batch_size)
    smaller = budget_of("quick", 2).replaced({"batch_size": 4}).fitted_to((64, 64), samples, is_dense=is_dense)
    assert (smaller.batch_size, smaller.search.batch_size) == (4, batch_size)
    assert budget_of("paper", 2).fitted_to((64, 64), samples, is_dense=is_dense).batch_size == 16


def test_kernels_are_those_that_patches_leave_room_for():
    search = Budget(max_positions=64).fitted_to((16, 16), 99).search
    assert (search.kernel_sizes, search.dilations) == ((3, 5, 7), (1, 3, 7))
