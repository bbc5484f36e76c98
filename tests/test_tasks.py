"""Tasks: what they refuse, and losses against those computed by hand."""

import json
import math
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch

from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec

KINDS = ("binary", "multiclass", "multilabel", "regression", "segmentation", "dense_regression")
OUTPUTS = {"binary": 1, "regression": 1, "dense_regression": 1}


def task(kind, **options):
    return TaskSpec(kind, **{"in_channels": 2, "num_outputs": OUTPUTS.get(kind, 3), **options})


def loss(spec, outputs, target):
    return float(spec.loss_function()(torch.tensor(outputs, dtype=torch.float64), torch.as_tensor(target)))


def nll(logits, label):
    """Minus the logarithm of the softmax."""
    return math.log(sum(math.exp(value) for value in logits)) - logits[label]


LOGITS = [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]
LABELS = [1, 0]
ERRORS = [nll(logits, label) for logits, label in zip(LOGITS, LABELS, strict=True)]


@pytest.mark.parametrize(
    ("kind", "chosen", "metric", "output", "lower"),
    [
        ("binary", "cross_entropy", "accuracy", "vector", False),
        ("multiclass", "cross_entropy", "accuracy", "vector", False),
        ("multilabel", "cross_entropy", "average_precision", "vector", False),
        ("regression", "mse", "mse", "vector", True),
        ("segmentation", "cross_entropy", "jaccard", "dense", False),
        ("dense_regression", "mse", "mse", "dense", True),
    ],
)
def test_defaults_of_every_kind(kind, chosen, metric, output, lower):
    spec = task(kind)
    assert (spec.loss, spec.metric, spec.output, spec.is_lower_better) == (chosen, metric, output, lower)
    assert spec.is_dense == (output == "dense")
    assert spec.has_classes == (kind in ("binary", "multiclass", "segmentation"))


def test_a_task_is_a_value():
    one, other = (task("multiclass", class_weights=weights) for weights in ([1, 2, 3], (1, 2, 3)))
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one


def test_whole_numbers_of_numpy_are_taken():
    spec = task("multiclass", num_outputs=np.int64(3), in_channels=np.int32(2))
    assert type(spec.num_outputs) is type(spec.in_channels) is int
    assert type(task("segmentation", ignore_index=np.uint8(255)).ignore_index) is int


@pytest.mark.parametrize("weights", [torch.tensor([1.0, 2.0, 4.0]), np.array([1, 2, 4]), [np.float32(1), 2, 4.0]])
def test_weights_may_be_an_array(weights):
    assert task("multiclass", class_weights=weights) == task("multiclass", class_weights=(1.0, 2.0, 4.0))
    assert json.dumps(asdict(task("multiclass", class_weights=weights)))


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_binary_loss_is_that_of_the_logistic_function(shape):
    expected = (math.log1p(math.exp(-0.7)) + math.log1p(math.exp(-1.2))) / 2
    target = torch.tensor([1, 0]).reshape(shape)
    assert loss(task("binary"), [[0.7], [-1.2]], target) == pytest.approx(expected)


def test_binary_loss_with_weights_of_classes():
    first, second = math.log1p(math.exp(-0.7)), math.log1p(math.exp(-1.2))
    spec = task("binary", class_weights=(1.0, 3.0))
    assert loss(spec, [[0.7], [-1.2]], [1, 0]) == pytest.approx((3 * first + second) / 4)


def test_cross_entropy_and_its_weights():
    assert loss(task("multiclass"), LOGITS, LABELS) == pytest.approx(sum(ERRORS) / 2)
    spec = task("multiclass", class_weights=(2.0, 0.5, 1.0))
    assert loss(spec, LOGITS, LABELS) == pytest.approx((0.5 * ERRORS[0] + 2.0 * ERRORS[1]) / 2.5)


def test_a_batch_without_weight_has_loss_0():
    spec = task("multiclass", class_weights=(0.0, 0.0, 1.0))
    assert loss(spec, LOGITS, LABELS) == 0.0


def test_label_smoothing_spreads_a_share_of_the_target():
    spread = [sum(nll(logits, label) for label in range(3)) / 3 for logits in LOGITS]
    expected = sum(0.9 * error + 0.1 * mean for error, mean in zip(ERRORS, spread, strict=True)) / 2
    assert loss(task("multiclass", label_smoothing=0.1), LOGITS, LABELS) == pytest.approx(expected)


@pytest.mark.parametrize("weights", [(), (2.0, 0.5, 1.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ignored", [None, 0, 255, -1])
def test_cross_entropy_is_that_of_torch(weights, smoothing, ignored):
    kind = "multiclass" if ignored is None else "segmentation"
    spec = task(kind, class_weights=weights, label_smoothing=smoothing * (kind == "multiclass"), ignore_index=ignored)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 3, 4, 5, generator=generator) if spec.is_dense else torch.randn(7, 3, generator=generator)
    target = torch.randint(3, (2, 4, 5) if spec.is_dense else (7,), generator=generator)
    if ignored is not None:
        target[0, :2] = ignored
    expected = torch.nn.functional.cross_entropy(
        outputs,
        target,
        torch.tensor(weights) if weights else None,
        label_smoothing=smoothing * (kind == "multiclass"),
        ignore_index=-100 if ignored is None else ignored,
    )
    torch.testing.assert_close(spec.loss_function()(outputs, target), expected)


def test_label_smoothing_of_two_classes_is_that_of_probabilities():
    outputs, labels = torch.tensor([[0.3], [-1.2], [2.0]]), torch.tensor([1, 0, 0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], labels * 0.8 + 0.1)
    assert task("binary", num_outputs=1, label_smoothing=0.2).loss_function()(outputs, labels) == pytest.approx(
        float(expected)
    )


def test_labels_are_smoothed_where_the_task_leaves_that_open():
    for kind in ("binary", "multiclass"):
        assert task(kind, num_outputs=1 if kind == "binary" else 3).smoothed(0.1).label_smoothing == 0.1
    for own in (
        task("multiclass", label_smoothing=0.3),
        task("multiclass", label_smoothing=0.0),
        task("multiclass", loss="focal"),
        task("segmentation"),
        task("multilabel"),
        task("regression"),
    ):
        assert own.smoothed(0.1) == own


def test_focal_loss_lowers_what_is_sure():
    shares = [(1 - math.exp(-error)) ** 2 for error in ERRORS]
    expected = sum(share * error for share, error in zip(shares, ERRORS, strict=True)) / 2
    assert loss(task("multiclass", loss="focal"), LOGITS, LABELS) == pytest.approx(expected)
    weighted = (0.5 * shares[0] * ERRORS[0] + 2.0 * shares[1] * ERRORS[1]) / 2.5
    spec = task("multiclass", loss="focal", class_weights=(2.0, 0.5, 1.0))
    assert loss(spec, LOGITS, LABELS) == pytest.approx(weighted)


def test_focal_loss_of_two_classes():
    error = math.log1p(math.exp(-0.7))
    assert loss(task("binary", loss="focal"), [[0.7]], [1]) == pytest.approx((1 - math.exp(-error)) ** 2 * error)


def dense(columns):
    """Outputs ``(1, classes, positions)``."""
    return torch.tensor(columns, dtype=torch.float64).T[None].tolist()


@pytest.mark.parametrize("ignored", [255, -1, 2])
def test_ignored_positions_do_not_count(ignored):
    spec = task("segmentation", ignore_index=ignored)
    target = [[*LABELS, ignored]]
    assert loss(spec, dense([*LOGITS, [9.0, 9.0, -9.0]]), target) == pytest.approx(sum(ERRORS) / 2)
    focal = task("segmentation", ignore_index=ignored, loss="focal")
    expected = sum((1 - math.exp(-error)) ** 2 * error for error in ERRORS) / 2
    assert loss(focal, dense([*LOGITS, [9.0, 9.0, -9.0]]), target) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_a_batch_in_which_nothing_counts_has_loss_and_gradient_0(name):
    outputs = torch.randn(2, 3, 4, requires_grad=True)
    value = task("segmentation", ignore_index=255, loss=name).loss_function()(outputs, torch.full((2, 4), 255))
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.equal(outputs.grad, torch.zeros_like(outputs))


@pytest.mark.parametrize("kind", ["multiclass", "binary"])
def test_a_batch_without_weight_has_loss_and_gradient_0_under_smoothing(kind):
    weights = (0.0, 1.0, 1.0)[: 2 if kind == "binary" else 3]
    spec = task(kind, class_weights=weights, label_smoothing=0.1)
    outputs = torch.randn(4, spec.num_outputs, requires_grad=True)
    value = spec.loss_function()(outputs, torch.zeros(4, dtype=torch.long))
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.equal(outputs.grad, torch.zeros_like(outputs))


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 1, 4, 5)])
def test_masks_may_have_an_axis_of_length_1(shape):
    value = task("segmentation").loss_function()(torch.zeros(2, 3, 4, 5), torch.zeros(shape, dtype=torch.uint8))
    assert float(value) == pytest.approx(math.log(3))


def test_multilabel_loss_and_its_weights():
    errors = [math.log1p(math.exp(-0.7)), math.log1p(math.exp(-1.2)), math.log1p(math.exp(0.3))]
    outputs, target = [[0.7, -1.2, 0.3]], [[1, 0, 0]]
    assert loss(task("multilabel"), outputs, target) == pytest.approx(sum(errors) / 3)
    weighted = (errors[0] + 2 * errors[1] + 4 * errors[2]) / 3
    assert loss(task("multilabel", class_weights=(1, 2, 4)), outputs, target) == pytest.approx(weighted)
    assert loss(task("multilabel", num_outputs=1), [[0.7], [-1.2]], [1, 0]) == pytest.approx(sum(errors[:2]) / 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mse", (0.25 + 9.0) / 2), ("mae", (0.5 + 3.0) / 2), ("huber", (0.125 + 2.5) / 2)],
)
@pytest.mark.parametrize("kind", ["regression", "dense_regression"])
def test_losses_of_numbers(kind, name, expected):
    outputs = [[1.5], [-1.0]] if kind == "regression" else [[[1.5, -1.0]]]
    target = [1.0, 2.0] if kind == "regression" else [[1.0, 2.0]]
    assert loss(task(kind, loss=name), outputs, target) == pytest.approx(expected)


def test_poisson_loss_takes_logarithms():
    expected = (math.exp(0.5) - 3 * 0.5 + math.exp(-1.0) - 0) / 2
    assert loss(task("regression", loss="poisson"), [[0.5], [-1.0]], [3, 0]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_loss_is_differentiable_in_every_precision(kind, dtype):
    spec = task(kind)
    weighted = () if "regression" in kind else (1.0,) * (spec.classes if spec.has_classes else spec.num_outputs)
    spec = task(kind, class_weights=weighted)
    shape = (4, spec.num_outputs, 5) if spec.is_dense else (4, spec.num_outputs)
    outputs = torch.zeros(shape, dtype=dtype, requires_grad=True)
    target = torch.ones((4, 5) if spec.is_dense else (4,) if spec.num_outputs == 1 or spec.has_classes else (4, 3))
    value = spec.loss_function()(outputs, target.long())
    value.backward()
    assert value.shape == ()
    assert value.dtype == dtype
    assert outputs.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("spec", "target", "weight"),
    [
        (task("multiclass"), [0, 1, 2], 3),
        (task("multiclass", class_weights=(1, 2, 4)), [0, 1, 2, 2], 11),
        (task("binary", class_weights=(1, 20)), [[0], [1]], 21),
        (task("multilabel", class_weights=(1, 2, 4)), [[0, 0, 1]], 1),
        (task("regression"), [[0.5], [2.0]], 2),
        (task("segmentation"), [[[0, 1], [2, 2]]], 1),
        (task("segmentation", ignore_index=255), [[[0, 1], [255, 2]], [[255, 255], [255, 255]]], 0.75),
        (task("segmentation", ignore_index=-1, class_weights=(1, 2, 4)), [[[[0, 1], [-1, 2]]]], 1.75),
    ],
)
def test_a_batch_weighs_what_its_loss_is_divided_by(spec, target, weight):
    assert spec.weight_of(torch.tensor(target)) == weight


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("multi-class", {}, "kind='multi-class' must be one of 'binary', .*; did you mean 'multiclass'"),
        ("xyz", {}, "kind='xyz' must be one of .*'dense_regression'$"),
        ("binary", {"in_channels": 0}, "in_channels is 0, but must be an integer of at least 1"),
        ("multiclass", {"num_outputs": 2.5}, "num_outputs is 2.5, but must be an integer"),
        ("multiclass", {"num_outputs": True}, "num_outputs is True, but must be an integer"),
        ("binary", {"num_outputs": 2}, "num_outputs=2 must be 1 for kind='binary'; use kind='multiclass'"),
        ("multiclass", {"num_outputs": 1}, "num_outputs=1 must be at least 2 .*; use kind='binary'"),
        ("segmentation", {"num_outputs": 1}, "num_outputs=1 must be at least 2 for kind='segmentation'$"),
        ("multilabel", {"loss": "focal"}, "loss='focal' must be one of 'cross_entropy' for kind='multilabel'"),
        ("dense_regression", {"loss": "poisson"}, "loss='poisson' must be one of 'mse', 'mae', 'huber'"),
        ("multiclass", {"metric": "acuracy"}, "metric='acuracy' must be one of .*; did you mean 'accuracy'"),
        ("segmentation", {"metric": "auroc"}, "metric='auroc' must be one of .* for kind='segmentation'"),
        ("regression", {"metric": "mcc"}, "metric='mcc' must be one of .* for kind='regression'$"),
        ("binary", {"class_weights": (1.0,)}, "class_weights has 1 entries, but kind='binary' has 2"),
        ("multilabel", {"class_weights": (1.0, 2.0)}, "class_weights has 2 entries, but kind='multilabel' has 3"),
        ("multiclass", {"class_names": ("a", "b")}, "class_names has 2 entries, but kind='multiclass' has 3"),
        ("multiclass", {"class_names": "abc"}, "class_names='abc' must be a sequence of names"),
        ("regression", {"class_weights": (1.0,)}, "class_weights are for classes or labels, not for kind='regression'"),
        ("multiclass", {"class_weights": (1.0, -1.0, 1.0)}, "must be finite, not negative, and not all zero"),
        ("multiclass", {"class_weights": (1.0, math.nan, 1.0)}, "must be finite, not negative, and not all zero"),
        ("multiclass", {"class_weights": (0.0, 0.0, 0.0)}, "must be finite, not negative, and not all zero"),
        (
            "multiclass",
            {"class_weights": "balanced"},
            "class_weights='balanced' must be a sequence of numbers, .*balanced_",
        ),
        (
            "multiclass",
            {"class_weights": ("a", "b", "c")},
            r"class_weights=\('a', 'b', 'c'\) must be a sequence of numbers",
        ),
        ("multiclass", {"class_weights": 3}, "class_weights=3 must be a sequence of numbers"),
        ("multiclass", {"label_smoothing": "a"}, "label_smoothing='a' must be 0, or below 1"),
        ("multiclass", {"label_smoothing": 1.0}, "label_smoothing=1.0 must be 0, or below 1"),
        (
            "segmentation",
            {"label_smoothing": 0.1},
            "label_smoothing=0.1 must be 0, or below 1 with kind='binary' or 'multiclass'",
        ),
        ("multiclass", {"label_smoothing": 0.1, "loss": "focal"}, "label_smoothing=0.1 must be 0 with loss='focal'"),
        ("multiclass", {"ignore_index": 0}, "ignore_index=0 is for kind='segmentation' alone"),
        ("segmentation", {"ignore_index": 1.5}, "ignore_index=1.5 must be an integer or None"),
    ],
)
def test_what_is_refused(kind, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        task(kind, **options)
