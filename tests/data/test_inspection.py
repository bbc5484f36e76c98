"""What is wrong with data is said before any training starts."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from dasha.data import as_split, inspect
from dasha.data.inspection import check_pair, first_shape
from dasha.data.split import LoaderSplit
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.tasks import TaskSpec

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(150, 2, 6, generator=GENERATOR)
Y = torch.arange(150) % 3
MASKS = torch.randint(3, (150, 6), generator=GENERATOR)
LABELS = torch.randint(2, (150, 3), generator=GENERATOR)


def task(kind="multiclass", **options):
    return TaskSpec(kind, **{"in_channels": 2, "num_outputs": 1 if kind == "binary" else 3, **options})


def looked_at(inputs, targets, spec=None):
    return inspect(spec or task(), as_split((inputs, targets), "train"), "train")


def changed(tensor, index, value):
    copy = tensor.clone()
    copy[index] = value
    return copy


def test_a_summary_tells_what_there_is():
    summary = looked_at(X, Y)
    assert (summary.count, summary.shape, summary.class_counts) == (150, (2, 6), (50, 50, 50))
    values = X.double().transpose(0, 1).flatten(1)
    assert summary.mean == pytest.approx(values.mean(1).tolist())
    assert summary.std == pytest.approx(values.std(1, correction=0).tolist())


@pytest.mark.parametrize(
    ("kind", "targets", "counts"),
    [
        ("binary", Y[:, None] % 2, (100, 50)),
        ("multiclass", Y.to(torch.uint8)[:, None], (50, 50, 50)),
        ("multilabel", LABELS.bool(), tuple(LABELS.sum(0).tolist())),
        ("multilabel", LABELS.double(), tuple(LABELS.sum(0).tolist())),
        ("segmentation", MASKS, tuple(torch.bincount(MASKS.flatten()).tolist())),
        ("segmentation", MASKS[:, None].to(torch.uint16), tuple(torch.bincount(MASKS.flatten()).tolist())),
        ("regression", X[:, 0, :3], ()),
        ("dense_regression", X.repeat(1, 2, 1)[:, :3], ()),
    ],
)
def test_every_kind_of_target_and_its_counts(kind, targets, counts):
    assert looked_at(X, targets, task(kind)).class_counts == counts


@pytest.mark.parametrize("ignored", [255, -1, 0])
def test_ignored_positions_are_not_counted(ignored):
    masks = changed(MASKS, MASKS == 0, ignored)
    summary = looked_at(X, masks, task("segmentation", ignore_index=ignored))
    assert summary.class_counts == (0, *torch.bincount(MASKS.flatten()).tolist()[1:])


def test_bytes_of_255_are_not_ignored_for_minus_1():
    masks = changed(MASKS, 0, 255).to(torch.uint8)
    with pytest.raises(InvalidArgumentError, match=r"labels \[255\], but num_outputs=3 allows 0 to 2; mark"):
        looked_at(X, masks, task("segmentation", ignore_index=-1))


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e6])
def test_mean_and_spread_are_exact_far_from_0(offset):
    inputs = (X + offset).float()
    summary, values = looked_at(inputs, Y), inputs.double().transpose(0, 1).flatten(1).numpy()
    assert summary.mean == pytest.approx(values.mean(1), rel=1e-12)
    assert summary.std == pytest.approx(values.std(1), rel=1e-10)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_spread_of_any_scale_is_told_from_a_constant(scale):
    inputs = torch.stack([X[:, 0] * scale, torch.full_like(X[:, 0], 0.1 * scale)], 1)
    summary = looked_at(inputs, Y)
    assert summary.std[0] == pytest.approx(float((X[:, 0] * scale).double().std(correction=0)), rel=1e-6)
    assert summary.std[1] == 1.0


def test_the_shape_of_the_first_input_is_seen_without_a_whole_pass():
    assert first_shape(as_split((X, Y), "train")) == X.shape[1:]
    assert first_shape(as_split((X[:0], Y[:0]), "train")) == ()


def loader(size):
    return LoaderSplit(DataLoader(TensorDataset(X, Y), batch_size=size))


def test_the_fingerprint_knows_values_and_not_batches_or_types():
    expected = looked_at(X, Y).fingerprint
    for split in (loader(1), loader(7), loader(150), as_split(TensorDataset(X, Y), "train")):
        assert inspect(task(), split, "train").fingerprint == expected
    assert looked_at(X.double().numpy(), Y.to(torch.uint8).numpy()).fingerprint == expected


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (changed(X, (70, 1, 3), 0.0), Y),
        (changed(X, (149, 1, 5), torch.nextafter(X[149, 1, 5], torch.tensor(9.0))), Y),
        (X, changed(Y, 5, 0)),
        (X.flip(0), Y),
        (X[:149], Y[:149]),
        (X.reshape(150, 2, 2, 3), Y),
        (changed(X, 0, X[1]), changed(Y, 0, Y[1])),
    ],
    ids=range(7),
)
def test_the_fingerprint_changes_with_any_change(inputs, targets):
    assert looked_at(inputs, targets).fingerprint != looked_at(X, Y).fingerprint


def test_looking_leaves_generators_and_data_alone():
    before, inputs = torch.get_rng_state(), X.clone()
    looked_at(inputs, Y)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(inputs, X)


@pytest.mark.parametrize(
    ("inputs", "targets", "spec", "message"),
    [
        (X[:0], Y[:0], task(), "train is empty; at least one sample is needed"),
        (X[:, :1], Y, task(), r"train has inputs with 1 channels \(shape \(1, 6\)\), but in_channels=2; channels come"),
        (X[:, :, None, None], Y, task(), r"batches of shape \(64, 2, 1, 1, 6\), but must give \(N, C, L\) or"),
        (changed(X, (70, 1, 2), torch.nan), Y, task(), r"1 values that are not finite .*, first in sample 70; fill"),
        (changed(X, (3, 0, 0), torch.inf), Y, task(), "not finite .*, first in sample 3"),
        (
            changed(X.double(), (3, 0, 0), 1e39),
            Y,
            task(),
            "not finite in float32 .* beyond 3.4e38.*, first in sample 3",
        ),
        (X, Y + 1, task(), r"train has labels \[3\], but num_outputs=3 allows 0 to 2$"),
        (X, Y - 1, task(), r"train has labels \[-1\], but num_outputs=3 allows 0 to 2$"),
        (X, Y, task("binary"), r"train has labels \[2\], but num_outputs=1 allows 0 to 1$"),
        (
            X,
            Y.float(),
            task(),
            r"labels of type torch.float32, but classes are whole numbers; .* without a label \(NaN\)",
        ),
        (
            X,
            changed(Y.double(), 63, torch.nan),
            task(),
            r"has missing labels \(NaN\), 1 in all, first in sample 63; leave",
        ),
        (X, changed(MASKS.float(), (2, 5), torch.nan), task("segmentation"), "sample 2; give them the number of"),
        (X, changed(LABELS.float(), (9, 1), torch.nan), task("multilabel"), "missing labels .* sample 9; leave out"),
        (X, torch.eye(3)[Y], task(), r"targets of shape \(64, 3\), .* needs \(N\) or \(N, 1\); use .argmax\(1\)"),
        (X, MASKS, task(), r"targets of shape \(64, 6\), but kind='multiclass' with num_outputs=3 needs \(N\) or"),
        (X, Y, task("segmentation"), r"targets of shape \(64,\), .* needs \(N, 6\) or \(N, 1, 6\)$"),
        (X, MASKS + 1, task("segmentation"), "allows 0 to 2; mark positions that do not count with ignore_index"),
        (X, Y, task("multilabel"), r"targets of shape \(64,\), .* needs \(N, 3\)$"),
        (X, LABELS + 1, task("multilabel"), "labels other than 0 and 1, which is all that kind='multilabel'"),
        (X, X[:, 0, :2], task("regression"), r"targets of shape \(64, 2\), .* needs \(N, 3\)$"),
        (X, X[:, 0, :3] / 0, task("regression"), "targets that are not finite"),
        (X, X[:, 0, :3], task("regression", loss="poisson"), "negative targets, but loss='poisson' is for counts"),
        (X, X[:, 0, :3], task("dense_regression"), r"needs \(N, 3, 6\)$"),
    ],
    ids=range(23),
)
def test_what_is_wrong_with_a_split(inputs, targets, spec, message):
    with pytest.raises(InvalidArgumentError, match=message):
        looked_at(inputs, targets, spec)


@pytest.mark.parametrize("data", [(X, Y), TensorDataset(X, Y)])
def test_messages_name_the_split(data):
    with pytest.raises(InvalidArgumentError, match=r"^validation has inputs with 2 channels"):
        inspect(task(in_channels=3), as_split(data, "validation"), "validation")


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_of_unequal_shapes_are_told_with_the_part_and_the_place(workers):
    pairs = [(torch.zeros(1, 12), 0)] * 5 + [(torch.zeros(1, 9), 1)]
    loader = DataLoader(pairs, batch_size=4, num_workers=workers)
    match = r"validation, in the batch after 4 samples: samples of a batch have unequal shapes.*; resize, .* collate_fn"
    with pytest.raises(InvalidArgumentError, match=match):
        inspect(TaskSpec("multiclass", 1, 2), as_split(loader, "validation"), "validation")
    match = r"train, in the batch after 0 samples: inputs have unequal shapes, .* \(1, 9\) of sample 5 after it"
    with pytest.raises(InvalidArgumentError, match=match):
        inspect(TaskSpec("multiclass", 1, 2), as_split(pairs, "train"), "train")


def test_images_of_unequal_size_are_found_between_batches_too():
    batches = [(X[:4], Y[:4]), (X[:4, :, :5], Y[:4])]
    split = LoaderSplit(DataLoader(batches, batch_size=None))
    with pytest.raises(InvalidArgumentError, match=r"inputs of unequal shapes, \(2, 6\) and \(2, 5\); resize, pad"):
        inspect(task(), split, "train")


def test_batches_with_fewer_targets_than_inputs():
    split = LoaderSplit(DataLoader([(X[:4], Y[:3])], batch_size=None))
    with pytest.raises(InvalidArgumentError, match=r"train gives 4 inputs with targets of shape \(3,\), but must give"):
        inspect(task(), split, "train")


def compare(spec, train, validation):
    check_pair(spec, looked_at(*train, spec), looked_at(*validation, spec))


def test_splits_that_fit():
    compare(task(), (X, Y), (X[:3, :, :4], Y[:3]))
    compare(task("regression"), (X, X[:, 0, :3]), (X, X[:, 0, :3]))
    ones = torch.ones(150, 6, dtype=torch.long)
    # A class of positions that is nowhere asked for may be absent.
    with pytest.warns(DashaWarning, match="validation has no sample of class 0, so that no choice"):
        compare(task("segmentation"), (X, changed(ones, 0, 0)), (X, ones))


@pytest.mark.parametrize(
    ("spec", "train", "validation", "message"),
    [
        (task(), (X, Y), (X[..., None], Y), r"shape \(2, 6\) in train but \(2, 6, 1\) in validation"),
        (task(), (X, Y * 0 + 1), (X, Y), r"train holds one class only \(1\); there is nothing to tell apart"),
        (
            task("binary", class_names=("no", "yes")),
            (X, Y * 0),
            (X, Y * 0),
            r"train holds one class only \(no\); there is nothing",
        ),
        (task(), (X, Y % 2), (X, Y), "train has no sample of class 2; supply some, or .* lower num_outputs=3"),
        (task(class_names=tuple("abc")), (X, Y % 2), (X, Y % 2), "train has no sample of class c"),
        (task(), (X, 1 + Y % 2), (X, 1 + Y % 2), "class 0, nor has validation; labels begin at 0: subtract 1 if yours"),
        (task(), (X, 1 + Y % 2), (X, Y), "train has no sample of class 0; supply some"),
        (task("multilabel"), (X, changed(LABELS, (slice(None), 1), 0)), (X, LABELS), "no sample of label 1"),
        (task("segmentation"), (X, MASKS % 2), (X, MASKS), "train has no sample of class 2"),
        (
            task("segmentation", ignore_index=255),
            (X, MASKS * 0 + 255),
            (X, MASKS),
            "train holds no label that counts",
        ),
    ],
    ids=range(10),
)
def test_splits_that_do_not_fit(spec, train, validation, message):
    with pytest.raises(InvalidArgumentError, match=message):
        compare(spec, train, validation)


@pytest.mark.parametrize(
    ("spec", "targets", "absent", "named"),
    [
        (task("multilabel"), LABELS, changed(LABELS, (slice(None), 1), 0), "label 1,"),
        (task("multilabel", class_names=tuple("abc")), LABELS, changed(LABELS, (slice(None), 2), 0), "label c,"),
        (task(), Y, Y % 2, "class 2,"),
        (task("binary"), Y % 2, Y * 0, "class 1,"),
        (
            TaskSpec("multiclass", 2, 9, class_names=tuple("abcdefghi")),
            torch.arange(150) % 9,
            torch.arange(150) % 2,
            "class c, d, e, f, g and 2 more,",
        ),
    ],
    ids=range(5),
)
def test_what_no_choice_takes_into_account_is_named(spec, targets, absent, named):
    with pytest.warns(
        DashaWarning, match=f"validation has no sample of {named} so that no choice .* means leave it out"
    ):
        compare(spec, (X, targets), (X, absent))


@pytest.mark.parametrize(
    ("spec", "train", "validation", "lacks"),
    [
        (task("multilabel"), LABELS, LABELS * 0, "positive samples"),
        (task("multilabel", metric="auroc"), LABELS, LABELS * 0 + 1, "samples with and without a label"),
        (task("binary", metric="average_precision"), Y % 2, Y * 0, "positive samples"),
        (task("binary", metric="auroc"), Y % 2, Y * 0 + 1, "samples with and without a label"),
        (task("segmentation", ignore_index=9), MASKS, MASKS * 0 + 9, "positive samples"),
    ],
    ids=range(5),
)
def test_a_metric_that_has_no_value_on_validation_is_refused(spec, train, validation, lacks):
    with pytest.raises(
        InvalidArgumentError, match=f"metric='{spec.metric}' has no value on validation, which lacks {lacks}"
    ):
        compare(spec, (X, train), (X, validation))


@pytest.mark.filterwarnings("ignore::dasha.DashaWarning")
def test_balanced_accuracy_has_a_value_on_one_class():
    compare(task("binary", metric="balanced_accuracy"), (X, Y % 2), (X, Y * 0))


def test_balanced_weights_give_every_class_the_same_share():
    weights = looked_at(X, Y // 2 + 0 * Y, task("binary")).balanced_weights
    assert weights == pytest.approx((150 / 200, 150 / 100))
    assert looked_at(X, LABELS * 0 + torch.tensor([1, 0, 1]), task("multilabel")).balanced_weights == (1.0, 0.0, 1.0)
    assert looked_at(X, X[:, 0, :3], task("regression")).balanced_weights == ()


def test_a_memory_map_is_read_where_it_lies(tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=(5, 2, 6))
    array[:] = np.arange(60).reshape(5, 2, 6)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    split = as_split((mapped, np.arange(5) % 3), "train")
    assert np.shares_memory(split.inputs.numpy(), mapped)
    assert inspect(task(), split, "train").mean == pytest.approx(array.mean((0, 2)))


def test_a_class_may_be_missing_from_a_pass_that_leaves_out_samples():
    split = LoaderSplit(DataLoader(TensorDataset(X, Y), batch_size=1), max_batches=1)
    part = inspect(task(), split, "train")
    with pytest.warns(DashaWarning, match=r"train has no sample of class 1, 2 in one pass, which may leave"):
        check_pair(task(), part, part)
