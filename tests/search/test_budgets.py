import pytest

from dasha.errors import InvalidArgumentError
from dasha.search.budgets import Budget, budget_of


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
        ({"search.kernel_sizes": ()}, "whole numbers"),
        ({"search.batch_fraction": 0.0}, "above 0"),
        ({"retrain.schedule": "cosin"}, "must be one of 'step', 'cosine'"),
        ({"precision": "int8"}, "must be one of 'auto', 'float32'"),
        ({"accumulate": True}, "whole number"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Budget().replaced(changes)


def test_an_unknown_budget_names_the_known_ones():
    with pytest.raises(InvalidArgumentError, match=r"'smoke'.*did you mean 'quick'"):
        budget_of("quikc", 1)


def test_kernels_that_no_input_can_tell_apart_are_left_out():
    search = Budget().fitted_to((8, 6)).search
    assert (search.kernel_sizes, search.dilations) == ((3, 5), (1, 3))
    tiny = Budget().fitted_to((1,)).search
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
    assert budget_of("quick", len(sizes)).fitted_to(sizes, is_dense=is_dense).patch_size == patch_size
    assert budget_of("paper", len(sizes)).fitted_to(sizes).patch_size == 1


def test_kernels_are_those_that_patches_leave_room_for():
    search = Budget(max_positions=64).fitted_to((16, 16)).search
    assert (search.kernel_sizes, search.dilations) == ((3, 5, 7), (1, 3, 7))
