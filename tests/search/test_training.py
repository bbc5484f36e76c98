import math

import pytest
import torch
from torch import nn

from dasha import TaskSpec
from dasha.data.split import LoaderSplit, as_split
from dasha.errors import InvalidArgumentError
from dasha.randomness import seeded
from dasha.search.settings import RetrainSettings
from dasha.search.training import (
    Diverged,
    Learning,
    cosine_factor,
    evaluate,
    make_sgd,
    predict,
    rate_factor,
    step_factor,
    train_epoch,
)

from .tiny import TASK, TRAIN, VALIDATION, Tiny, states_of_generators

CPU = torch.device("cpu")


def trained(learning, *, count=20, seed=0, lr=0.1, scale=1.0):
    with seeded(seed):
        network = Tiny(in_channels=1, num_outputs=learning.task.num_outputs, norm=False)
        optimizer = make_sgd(network, lr=lr, momentum=0.9, weight_decay=0.0)
        loss = train_epoch(
            network, optimizer, as_split((scale * TRAIN[0][:count], TRAIN[1][:count]), "train"), learning
        )
    return network, loss


@pytest.mark.parametrize("count", [20, 19])
def test_accumulated_batches_equal_large_ones(count):
    small, small_loss = trained(Learning(TASK, 4, CPU, accumulate=2), count=count)
    large, large_loss = trained(Learning(TASK, 8, CPU), count=count)
    assert small_loss == pytest.approx(large_loss, abs=1e-6)
    for one, other in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def unlike(kind):
    """A task whose samples or positions do not count alike, and data of it."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 1, 12, generator=generator)
    if kind == "segmentation":
        positions = torch.rand(20, 12, generator=generator)
        labels = (positions < 0.2 + 0.03 * torch.arange(20)[:, None]).long()
        labels[positions > 0.5 + 0.02 * torch.arange(20)[:, None]] = 255
        labels[8:12] = 255
        return TaskSpec(kind, 1, 2, ignore_index=255, class_weights=(1, 3)), x, labels
    options = {"binary": (1, {"loss": "focal"}), "multiclass": (2, {"label_smoothing": 0.1})}
    outputs, others = options[kind]
    return TaskSpec(kind, 1, outputs, class_weights=(1, 20), **others), x, (torch.arange(20) % 7 == 0).long()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "segmentation"])
def test_losses_and_accumulated_gradients_do_not_depend_on_batches_where_samples_count_differently(kind):
    task, x, y = unlike(kind)
    output = "dense" if kind == "segmentation" else "vector"

    def of_batches(size, accumulate):
        learning, split = Learning(task, size, CPU, accumulate=accumulate), as_split((x, y), "train")
        with seeded(0):
            network = Tiny(in_channels=1, num_outputs=task.num_outputs, output=output, norm=False)
            measured = evaluate(network, split, learning, size=size)["loss"]
            optimizer = make_sgd(network, lr=0.1, momentum=0.0, weight_decay=0.0)
            return measured, train_epoch(network, optimizer, split, learning), list(network.parameters())

    measured, loss, weights = of_batches(20, 1)
    assert measured == pytest.approx(loss, rel=1e-5)
    for size, accumulate in [(4, 5), (3, 7)]:
        of_small, small_loss, small_weights = of_batches(size, accumulate)
        assert (of_small, small_loss) == pytest.approx((measured, loss), rel=1e-5)
        for one, other in zip(small_weights, weights, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_a_pass_in_which_nothing_counts_teaches_nothing():
    task, x, y = unlike("segmentation")
    network = Tiny(in_channels=1, num_outputs=2, output="dense", norm=False)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = make_sgd(network, lr=0.1, momentum=0.0, weight_decay=0.0)
    nothing = as_split((x, torch.full_like(y, 255)), "train")
    assert train_epoch(network, optimizer, nothing, Learning(task, 4, CPU, accumulate=2)) == 0
    assert all(torch.equal(one, other) for one, other in zip(before, network.parameters(), strict=True))
    assert evaluate(network, nothing, Learning(task, 4, CPU), only_deciding=True)["loss"] == 0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_trains_float32_weights(precision):
    network, loss = trained(Learning(TASK, 8, CPU, precision=precision))
    assert network.first.weight.dtype == torch.float32
    assert math.isfinite(loss)
    assert loss == pytest.approx(trained(Learning(TASK, 8, CPU))[1], rel=0.1)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_values_that_are_not_finite_end_the_epoch(poison):
    with pytest.raises(Diverged, match="in batch 1"):
        trained(Learning(TASK, 8, CPU, augment=lambda x, y: (x * poison, y)))


def test_an_explosion_ends_the_epoch():
    with pytest.raises(Diverged, match="in batch"):
        trained(Learning(TASK, 4, CPU), lr=1e6)


def test_augmentation_and_normalisation_come_in_this_order():
    seen = []

    class Record(nn.Module):
        def forward(self, x):
            seen.append(float(x.max()))
            return x / 100

    trained(Learning(TASK, 20, CPU, augment=lambda x, y: (x * 0 + 100, y), normalize=Record()))
    assert seen == [100.0]


def test_evaluation_computes_once_over_all_and_changes_nothing():
    network = Tiny(in_channels=1, num_outputs=2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loader = torch.utils.data.DataLoader([(x, y) for x, y in zip(*VALIDATION, strict=True)], batch_size=3, shuffle=True)
    generators = states_of_generators()
    by_loader = evaluate(network, as_split(loader, "validation"), Learning(TASK, 8, CPU))
    assert states_of_generators() == generators
    whole = evaluate(network, as_split(VALIDATION, "validation"), Learning(TASK, 100, CPU))
    assert by_loader == pytest.approx(whole, abs=1e-6)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    deciding = evaluate(network, as_split(VALIDATION, "v"), Learning(TASK, 8, CPU), only_deciding=True)
    assert set(deciding) == {"accuracy", "loss"}


def test_prediction_takes_batches_of_the_size_that_is_asked_for():
    sizes = []
    split, learning = as_split(VALIDATION, "validation"), Learning(TASK, 1, CPU)
    network = Tiny(in_channels=1, num_outputs=2)
    predict(network, split, learning, lambda outputs, targets: sizes.append(len(outputs)), size=7)
    predict(network, split, learning, lambda outputs, targets: sizes.append(len(outputs)))
    assert sizes == [7, 3, 4, 4, 2]
    assert evaluate(network, split, learning, size=7) == pytest.approx(evaluate(network, split, learning), abs=1e-6)


def test_outputs_that_are_not_finite_have_no_metrics():
    network = Tiny(in_channels=1, num_outputs=2)
    network.head.bias.data.fill_(math.nan)
    values = evaluate(network, as_split(VALIDATION, "validation"), Learning(TASK, 8, CPU))
    assert all(math.isnan(value) for value in values.values())
    assert {"accuracy", "mcc", "loss"} <= set(values)


def test_regression_has_the_mean_loss():
    task = TaskSpec("regression", 1, 1)
    network = Tiny(in_channels=1, num_outputs=1).eval()
    targets = VALIDATION[1][:, None].astype("float32")
    values = evaluate(network, as_split((VALIDATION[0], targets), "validation"), Learning(task, 1, CPU))
    assert values["loss"] == pytest.approx(values["mse"], rel=1e-5)


def test_schedules():
    assert [step_factor(progress, (0.3, 0.6), 0.2) for progress in (0, 0.3, 0.5, 0.9)] == pytest.approx(
        [1, 0.2, 0.2, 0.04]
    )
    assert cosine_factor(0.05, 0.1) == pytest.approx(0.5)
    assert cosine_factor(0.1, 0.1) == pytest.approx(1)
    assert cosine_factor(1.0, 0.1) == pytest.approx(0)
    assert cosine_factor(0.0, 0.0) == 1
    assert rate_factor(RetrainSettings(milestones=(0.5,), gamma=0.1), 0.5) == pytest.approx(0.1)
    assert rate_factor(RetrainSettings(schedule="cosine", warmup=0.1), 0.05) == pytest.approx(0.5)


class Normalised(nn.Sequential):
    """Normalises over the batch alone, so that one sample is too few."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def trained_on(network, sizes):
    """Mean loss, and whether anything was learnt, of one pass over batches of given sizes."""
    ends = torch.tensor(sizes).cumsum(0).tolist()
    pairs = [
        tuple(torch.as_tensor(part[end - size : end]) for part in TRAIN) for size, end in zip(sizes, ends, strict=True)
    ]
    split = LoaderSplit(torch.utils.data.DataLoader(pairs, batch_size=None))
    before = [weight.detach().clone() for weight in network.parameters()]
    optimizer = make_sgd(network, lr=0.1, momentum=0.0, weight_decay=0.0)
    loss = train_epoch(network, optimizer, split, Learning(TASK, 8, CPU))
    return loss, not all(torch.equal(one, other) for one, other in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("sizes", [[1, 8, 8], [8, 8, 1], [1, 1, 8, 1], [8, 1, 8]])
def test_a_lone_sample_does_not_stop_training(sizes):
    for make in (Normalised, lambda: Tiny(in_channels=1, num_outputs=2)):
        with seeded(0):
            loss, has_learnt = trained_on(make(), sizes)
        assert math.isfinite(loss)
        assert has_learnt


def test_batches_of_one_sample_train_a_network_that_can_be():
    with seeded(0):
        network = Tiny(in_channels=1, num_outputs=2)
        whole, _ = trained_on(network, [1] * 20)
    assert int(network.norm.num_batches_tracked) == 20
    assert math.isfinite(whole)


def test_batches_of_one_sample_are_named_where_none_can_be_trained_on():
    with pytest.raises(InvalidArgumentError, match=r"every batch of train has one sample, .* raise batch_size"):
        trained_on(Normalised(), [1, 1, 1])


class Once(torch.utils.data.IterableDataset):
    """A stream that can be gone through once."""

    def __init__(self, pairs):
        self.samples = iter(pairs)

    def __iter__(self):
        return self.samples


def test_a_pass_without_a_batch_is_an_error_whether_it_trains_or_measures():
    pairs = list(zip(*TRAIN, strict=True))
    network, learning = Tiny(in_channels=1, num_outputs=2), Learning(TASK, 8, CPU)
    optimizer = make_sgd(network, lr=0.1, momentum=0.0, weight_decay=0.0)
    once = as_split(torch.utils.data.DataLoader(Once(pairs), batch_size=8), "train")
    assert train_epoch(network, optimizer, once, learning) > 0
    with pytest.raises(InvalidArgumentError, match=r"train gave no batch in this pass; .* again and again"):
        train_epoch(network, optimizer, once, learning)
    once = as_split(torch.utils.data.DataLoader(Once(pairs), batch_size=8), "validation")
    assert evaluate(network, once, learning)["loss"] > 0
    with pytest.raises(InvalidArgumentError, match="the data to predict gave no batch in this pass"):
        evaluate(network, once, learning)


def test_an_explosion_is_told_by_the_first_batch_of_its_own_pass():
    network = nn.Linear(1, 1, bias=False)

    def losses(*values):
        """Batches of one sample, whose squared errors are the values, of a network that stays as it is."""
        network.weight.data.zero_()
        pairs = [(torch.zeros(1, 1), torch.tensor([[value**0.5]])) for value in values]
        split = LoaderSplit(torch.utils.data.DataLoader(pairs, batch_size=None))
        learning = Learning(TaskSpec("regression", 1, 1), 1, CPU)
        return train_epoch(network, make_sgd(network, lr=0.1, momentum=0.0, weight_decay=0.0), split, learning)

    assert losses(0.001, 900.0) == pytest.approx(450, rel=1e-3)
    assert losses(5e3, 5e5) > 1e5
    with pytest.raises(Diverged, match=r"loss is 1\.1e"):
        losses(0.001, 1.1e3)


def test_other_errors_of_a_network_are_its_own():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            raise ValueError("own")

    with pytest.raises(ValueError, match=r"^own$"):
        trained_on(Fails(), [1])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_strided_convolutions_of_any_network_have_right_gradients(precision):
    torch.manual_seed(0)
    conv, x = nn.Conv1d(32, 32, 9, stride=2, dilation=7, padding=28), torch.randn(8, 32, 101)

    def gradient(outputs):
        return torch.autograd.grad(outputs.double().square().mean(), conv.weight)[0]

    actual = gradient(Learning(TASK, 8, CPU, precision=precision).forward(conv, x))
    expected = gradient(conv.double()(x.double()))
    assert float((actual - expected).abs().max()) <= (1e-5 if precision == "float32" else 0.02) * float(
        expected.abs().max()
    )
