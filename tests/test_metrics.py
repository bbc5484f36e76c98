"""Metrics against those of scikit-learn, computed once over all predictions."""

import math
import warnings

import numpy as np
import pytest
import torch

from dasha.errors import InvalidArgumentError
from dasha.metrics import METRICS, Metrics, has_value, metric_names, prediction_of, score_of
from dasha.tasks import TaskSpec

KINDS = {"binary": 1, "multiclass": 4, "multilabel": 3, "regression": 2, "segmentation": 3, "dense_regression": 2}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def reference():
    return pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")


def task(kind, **options):
    return TaskSpec(kind, **{"in_channels": 1, "num_outputs": KINDS[kind], **options})


def sample(spec, count=60, seed=0):
    """Outputs that have something to do with the targets."""
    generator = torch.Generator().manual_seed(seed)
    spatial = (5,) if spec.is_dense else ()
    outputs = torch.randn(count, spec.num_outputs, *spatial, generator=generator, dtype=torch.float64)
    noisy = outputs + 1.5 * torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
    if spec.kind in ("multiclass", "segmentation"):
        return outputs, noisy.argmax(1)
    if spec.kind == "binary":
        return outputs, (noisy[:, 0] > 0.5).long()
    return outputs, (noisy > 0.3).long() if spec.kind == "multilabel" else noisy


def measured(spec, outputs, target, *, batch=None, names=()):
    metrics = Metrics(spec, names)
    for start in range(0, len(outputs), batch or len(outputs)):
        chosen = slice(start, start + (batch or len(outputs)))
        metrics.update(outputs[chosen], target[chosen])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return metrics.compute()


def expected_of(m, spec, outputs, target):
    """The same from scikit-learn."""
    y = target.numpy()
    if spec.kind == "binary":
        p = outputs[:, 0].sigmoid().numpy()
        d, ranked, macro = (p > 0.5).astype(int), {}, {}
    elif spec.kind == "multilabel":
        p = outputs.sigmoid().numpy()
        d, ranked, macro = (p > 0.5).astype(int), {"average": "macro"}, {"average": "macro"}
    elif spec.has_classes:
        p, d, y = outputs.softmax(1).numpy(), outputs.argmax(1).numpy().ravel(), y.ravel()
        ranked, macro = {"average": "macro", "multi_class": "ovr"}, {"average": "macro"}
    else:
        y, p = (part.movedim(1, -1).flatten(0, -2).numpy() for part in (target, outputs))
        mse = m.mean_squared_error(y, p)
        pearson = np.mean([np.corrcoef(y[:, i], p[:, i])[0, 1] for i in range(y.shape[1])])
        return {
            "mse": mse,
            "rmse": math.sqrt(mse),
            "mae": m.mean_absolute_error(y, p),
            "r2": m.r2_score(y, p),
            "pearson": pearson,
        }
    values = {
        "accuracy": m.accuracy_score(y.ravel(), d.ravel()),
        "f1": m.f1_score(y, d, **macro),
        "mcc": m.matthews_corrcoef(y.ravel(), d.ravel()),
        "jaccard": m.jaccard_score(y, d, **macro),
    }
    if spec.kind != "multilabel":
        values["balanced_accuracy"] = m.balanced_accuracy_score(y, d)
    if spec.kind != "segmentation":
        values["auroc"] = m.roc_auc_score(y, p, **ranked)
        one_hot = np.eye(spec.num_outputs)[y] if spec.kind == "multiclass" else y
        values["average_precision"] = m.average_precision_score(one_hot, p)
    return values


def test_every_metric_is_that_of_scikit_learn(reference, kind):
    spec = task(kind)
    outputs, target = sample(spec)
    values = measured(spec, outputs, target)
    assert set(values) == set(metric_names(kind))
    assert values == pytest.approx(expected_of(reference, spec, outputs, target), rel=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 59])
def test_batches_give_what_the_whole_gives(kind, batch):
    spec = task(kind)
    outputs, target = sample(spec)
    whole = measured(spec, outputs, target)
    assert measured(spec, outputs, target, batch=batch) == pytest.approx(whole, rel=1e-6)


def test_mcc_is_not_the_mean_over_batches():
    spec = task("binary")
    outputs, target = sample(spec)
    whole = measured(spec, outputs, target, batch=6, names=["mcc"])["mcc"]
    parts = [
        measured(spec, outputs[i : i + 6], target[i : i + 6], names=["mcc"])["mcc"] for i in range(0, len(outputs), 6)
    ]
    assert abs(whole - np.mean(parts)) > 0.02


@pytest.mark.parametrize("num_outputs", [2, 3])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "segmentation"])
@pytest.mark.parametrize(
    ("decided", "wanted"),
    [
        ([1] * 20, [1] * 18 + [0] * 2),  # always the same
        ([0, 1] * 10, [1] * 20),  # nothing to tell apart
        ([1], [0]),
        ([0] * 19 + [1], [0] * 10 + [1] * 10),
        ([0, 1] * 10, [1, 0] * 10),
    ],
)
def test_mcc_is_that_of_scikit_learn_at_its_edges(reference, kind, num_outputs, decided, wanted):
    spec = task(kind, num_outputs=1 if kind == "binary" else num_outputs)
    decided, wanted = torch.tensor(decided), torch.tensor(wanted)
    if kind in ("multiclass", "segmentation"):
        outputs = torch.nn.functional.one_hot(decided, num_outputs).double()
    else:
        outputs = (2.0 * decided - 1)[:, None].expand(-1, spec.num_outputs)
    outputs, target = (outputs[..., None], wanted[:, None]) if kind == "segmentation" else (outputs, wanted)
    target = target[:, None].expand(outputs.shape) if kind == "multilabel" else target
    values = measured(spec, outputs, target, batch=7, names=["mcc"])
    assert values["mcc"] == pytest.approx(reference.matthews_corrcoef(wanted, decided))


@pytest.mark.parametrize("name", METRICS)
def test_better_predictions_score_better(name):
    info = METRICS[name]
    for kind in info.kinds:
        spec = task(kind, metric=name)
        outputs, target = sample(spec)
        good = target.double() if "regression" in kind else target
        if kind in ("multiclass", "segmentation"):
            good = torch.nn.functional.one_hot(target, spec.num_outputs).double().movedim(-1, 1) * 5
        elif kind in ("binary", "multilabel"):
            good = (2.0 * target.double() - 1).reshape(outputs.shape)
        worse, better = (score_of(spec, measured(spec, part, target, names=[name])) for part in (outputs, good))
        assert worse < better


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_outputs_between_0_and_1_are_logits_too(kind):
    spec = task(kind, num_outputs=1 if kind == "binary" else 2)
    outputs = torch.tensor([[0.1], [0.2], [0.4]]).expand(3, spec.num_outputs)
    target = torch.ones(outputs.shape, dtype=torch.long)
    assert measured(spec, outputs, target, names=["accuracy"]) == {"accuracy": 1.0}


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_single_label_may_lack_its_axis(shape):
    spec = task("multilabel", num_outputs=1)
    target = torch.tensor([0, 1, 1, 0]).reshape(shape)
    values = measured(spec, torch.tensor([[-1.0], [1.0], [1.0], [1.0]]), target)
    assert values["accuracy"] == 0.75
    assert values["average_precision"] == pytest.approx(2 / 3)


def test_masks_may_have_an_axis_of_length_1():
    spec = task("segmentation")
    outputs, target = sample(spec)
    assert measured(spec, outputs, target[:, None]) == measured(spec, outputs, target)


@pytest.mark.parametrize("ignored", [255, -1, -100])
def test_ignored_positions_do_not_count(reference, ignored):
    spec = task("segmentation", ignore_index=ignored)
    outputs, target = sample(spec)
    target = target.masked_fill(torch.arange(5) == 2, ignored)
    kept = [0, 1, 3, 4]
    expected = expected_of(reference, task("segmentation"), outputs[..., kept], target[..., kept])
    assert measured(spec, outputs, target, batch=11) == pytest.approx(expected, rel=1e-6)


def test_a_class_that_does_not_count_is_left_out_of_all_means(reference):
    spec = task("segmentation", ignore_index=0)
    outputs, target = sample(spec)
    counted = target != 0
    y, d = target[counted], outputs.argmax(1)[counted]
    assert (d == 0).any()
    values = measured(spec, outputs, target, batch=7)
    assert values["f1"] == pytest.approx(reference.f1_score(y, d, labels=[1, 2], average="macro"))
    assert values["jaccard"] == pytest.approx(reference.jaccard_score(y, d, labels=[1, 2], average="macro"))
    assert values["balanced_accuracy"] == pytest.approx(np.mean([(d[y == i] == i).double().mean() for i in (1, 2)]))
    assert values["mcc"] == pytest.approx(reference.matthews_corrcoef(y, d))


def test_nothing_that_counts_gives_nan():
    spec = task("segmentation", ignore_index=255)
    values = measured(spec, torch.randn(2, 3, 5), torch.full((2, 5), 255))
    assert all(math.isnan(value) for value in values.values())


def test_no_batch_at_all_gives_nan_without_a_warning(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = Metrics(task(kind)).compute()
    assert all(math.isnan(value) for value in values.values())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_network_that_left_the_range_of_numbers_scores_nothing(kind, bad):
    spec = task(kind)
    outputs, target = sample(spec)
    outputs[3] = bad if "regression" in kind else math.nan
    values = measured(spec, outputs, target, batch=20)
    assert all(math.isnan(value) for value in values.values())
    assert score_of(spec, values) == -math.inf


def test_classes_that_are_absent_do_not_count():
    spec = task("multiclass")
    outputs, target = sample(spec)
    outputs, target = outputs[target < 3], target[target < 3]
    probabilities = outputs.softmax(1)
    values = measured(spec, outputs, target)
    recalls = [float((outputs[target == i].argmax(1) == i).double().mean()) for i in range(3)]
    assert values["balanced_accuracy"] == pytest.approx(np.mean(recalls))

    def pairs_in_order(i):
        higher = probabilities[target == i, i][:, None] > probabilities[target != i, i]
        return float(higher.double().mean())

    assert values["auroc"] == pytest.approx(np.mean([pairs_in_order(i) for i in range(3)]))


def test_labels_that_are_absent_are_left_out_of_the_mean(reference):
    spec = task("multilabel")
    outputs, target = sample(spec)
    target[:, 1] = 0
    values = measured(spec, outputs, target, batch=7)
    assert set(values) == set(metric_names("multilabel"))
    assert all(math.isfinite(value) for value in values.values())
    kept, p = [0, 2], outputs.sigmoid()
    for name, function in (("average_precision", "average_precision_score"), ("auroc", "roc_auc_score")):
        expected = getattr(reference, function)(target[:, kept], p[:, kept], average="macro")
        assert values[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["f1", "jaccard"])
def test_labels_that_are_neither_there_nor_predicted_are_left_out_of_f1_and_jaccard(name):
    spec = task("multilabel", metric=name)
    target = torch.tensor([[1, 0, 0], [0, 0, 1], [1, 0, 1]])
    perfect = 2.0 * target - 1
    assert measured(spec, perfect, target, batch=1, names=[name])[name] == 1
    # A label that is predicted where there is none is a mistake.
    wrong = perfect.clone()
    wrong[0, 1] = 1.0
    assert measured(spec, wrong, target, batch=1, names=[name])[name] == pytest.approx(2 / 3)
    assert math.isnan(measured(spec, -torch.ones(3, 3), torch.zeros_like(target), names=[name])[name])
    assert has_value(spec, [2, 0, 2], 3)
    assert not has_value(spec, [0, 0, 0], 3)
    single = task("multilabel", num_outputs=1, metric=name)
    assert measured(single, perfect[:, :1], target[:, :1], names=[name])[name] == 1
    assert math.isnan(measured(single, -torch.ones(3, 1), torch.zeros(3, 1).long(), names=[name])[name])


@pytest.mark.parametrize("label", [0, 1])
def test_what_needs_two_classes_is_nan_of_one(label):
    spec = task("binary")
    values = measured(spec, torch.randn(5, 1), torch.full((5,), label))
    assert math.isnan(values["auroc"])
    assert math.isnan(values["average_precision"]) == (label == 0)
    assert 0 <= values["balanced_accuracy"] <= 1


def test_r2_of_one_sample_is_nan():
    values = measured(task("regression"), torch.zeros(1, 2), torch.ones(1, 2))
    assert values["mse"] == 1.0
    assert math.isnan(values["r2"])


def test_numbers_far_from_0_lose_no_digits(reference):
    spec = task("regression")
    outputs, target = sample(spec)
    near = measured(spec, outputs, target)
    far = measured(spec, outputs + 1e5, target + 1e5, batch=7)
    assert far == pytest.approx(near, rel=1e-4)


def test_float32_logits_that_are_almost_sure_are_still_ranked():
    spec = task("binary")
    values = measured(spec, torch.tensor([[20.0], [21.0], [22.0], [23.0]]), torch.tensor([0, 0, 1, 1]))
    assert values["auroc"] == 1.0


def test_counts_are_predicted_by_the_exponential():
    spec = task("regression", num_outputs=1, loss="poisson")
    outputs = torch.tensor([[0.0], [1.0]])
    torch.testing.assert_close(prediction_of(spec, outputs), outputs.exp())
    assert measured(spec, outputs, torch.tensor([1.0, math.e]))["mse"] == pytest.approx(0.0, abs=1e-12)


def test_the_metrics_leave_their_inputs_alone(kind):
    spec = task(kind)
    outputs, target = (part.clone() for part in sample(spec))
    copies = outputs.clone(), target.clone()
    Metrics(spec).update(outputs.requires_grad_(), target)
    assert torch.equal(outputs, copies[0])
    assert torch.equal(target, copies[1])


def test_a_metric_of_another_kind_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"metric='mse' must be one of 'accuracy', .* for kind='binary'$"):
        Metrics(task("binary"), ["mse"])


def test_metrics_of_one_process_do_not_wait_for_the_others(monkeypatch):
    monkeypatch.setattr("torchmetrics.metric.jit_distributed_available", lambda: True)
    metrics = Metrics(TaskSpec("multiclass", 1, 2))
    metrics.update(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    assert metrics.compute()["accuracy"] == 1.0
