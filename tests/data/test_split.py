"""Data of any origin as batches."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    SubsetRandomSampler,
    TensorDataset,
)

from dasha.data import as_split
from dasha.data.part import Part
from dasha.data.split import Counted, LoaderSplit, keeps_order
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.randomness import seeded

X = torch.arange(10 * 2 * 3, dtype=torch.float32).reshape(10, 2, 3)
Y = torch.arange(10)


class Samples(Dataset):
    """Samples made one by one."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def mappings(first, second):
    return Samples([{first: x, second: y, "bbox": 1} for x, y in zip(X, Y, strict=True)])


ORIGINS = {
    "torch": lambda: (X, Y),
    "numpy": lambda: (X.numpy(), Y.numpy()),
    "list": lambda: [X, Y],
    "lists": lambda: (X.tolist(), Y.tolist()),
    "labels in a list": lambda: (X, Y.tolist()),
    "pairs": lambda: TensorDataset(X, Y),
    "triples": lambda: TensorDataset(X, Y, Y),
    "arrays": lambda: Samples([(x.numpy(), int(y)) for x, y in zip(X, Y, strict=True)]),
    "list of pairs": lambda: list(zip(X, Y, strict=True)),
    "image and label": lambda: mappings("image", "label"),
    "image and mask": lambda: mappings("image", "mask"),
    "loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=4),
    "loader of mappings": lambda: DataLoader(mappings("image", "label"), batch_size=4),
    "joined": lambda: as_split((X[:6], Y[:6]), "train").joined(as_split(TensorDataset(X[6:], Y[6:]), "train")),
}
SHUFFLED = {
    **ORIGINS,
    "loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True),
    "loader of mappings": lambda: DataLoader(mappings("image", "label"), batch_size=4, shuffle=True),
    "loader with a generator": lambda: DataLoader(
        TensorDataset(X, Y), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(9)
    ),
    "loader with a sampler": lambda: DataLoader(
        TensorDataset(X, Y), batch_size=4, sampler=SubsetRandomSampler(range(10), torch.Generator().manual_seed(9))
    ),
    "joined twice": lambda: ORIGINS["joined"]().joined(LoaderSplit(DataLoader(TensorDataset(X, Y)))),
}


def whole(split, size=4, *, shuffle=False):
    batches = list(split.batches(size, shuffle=shuffle))
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_origin_gives_all_samples_in_order(origin):
    split = as_split(ORIGINS[origin](), "validation")
    x, y = whole(split)
    assert torch.equal(x, X)
    assert torch.equal(y, Y)
    assert x.dtype == torch.float32
    assert split.size == 10
    assert as_split(split, "validation") is split


@pytest.mark.parametrize("origin", SHUFFLED)
def test_shuffled_passes_follow_from_the_seed_and_hold_every_sample(origin):
    split = as_split(SHUFFLED[origin](), "train")
    passes = []
    for seed in (1, 1, 2):
        with seeded(seed):
            passes.append(whole(split, 3, shuffle=True))
    (x, y), again, other = passes
    assert torch.equal(y, again[1])
    assert not torch.equal(y, other[1])
    assert torch.equal(X[y], x)
    assert set(y.tolist()) == set(range(10))
    assert len(y) == split.size


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_batches_have_the_size_that_is_asked_for(size):
    for data in ((X, Y), TensorDataset(X, Y)):
        sizes = [len(y) for _, y in as_split(data, "train").batches(size, shuffle=False)]
        assert sizes == [size] * (10 // size) + [10 % size] * (10 % size > 0)


def test_a_loader_keeps_its_size_and_its_generator():
    generator = torch.Generator().manual_seed(9)
    state = generator.get_state()
    split = as_split(DataLoader(TensorDataset(X, Y), batch_size=7, shuffle=True, generator=generator), "train")
    assert [len(y) for _, y in split.batches(2, shuffle=True)] == [7, 3]
    next(split.batches(2, shuffle=True))  # left in the middle
    assert torch.equal(generator.get_state(), state)


def test_a_loader_counts_what_its_sampler_draws():
    loader = DataLoader(TensorDataset(X, Y), sampler=SubsetRandomSampler(range(4)))
    assert as_split(loader, "train").size == 4


@pytest.mark.parametrize("is_dense", [False, True])
@pytest.mark.parametrize("wrapped", [lambda data: data, lambda data: DataLoader(data, batch_size=4)])
def test_of_a_label_and_a_mask_the_task_takes_its_own(is_dense, wrapped):
    both = Samples([{"image": x, "label": y, "mask": x[0]} for x, y in zip(X, Y, strict=True)])
    _, targets = whole(as_split(wrapped(both), "validation", is_dense=is_dense))
    assert torch.equal(targets, X[:, 0] if is_dense else Y)
    only = wrapped(mappings("image", "label"))
    assert torch.equal(whole(as_split(only, "validation", is_dense=is_dense))[1], Y)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_loader_that_drops_samples_is_named(name):
    pairs = TensorDataset(X, Y)
    batches = BatchSampler(range(10), batch_size=4, drop_last=True)
    for loader in (DataLoader(pairs, batch_size=4, drop_last=True), DataLoader(pairs, batch_sampler=batches)):
        with pytest.warns(DashaWarning, match=rf"^{name} is a DataLoader .* leaves 2 of 10 samples out of every score"):
            as_split(loader, name)
    with pytest.warns(DashaWarning, match="leaves samples out of every score"):
        as_split(DataLoader(Stream(), batch_size=4, drop_last=True), name)


def test_a_loader_that_drops_nothing_or_is_trained_on_is_taken_silently():
    pairs = TensorDataset(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_split(DataLoader(pairs, batch_size=5, drop_last=True), "validation")
        as_split(DataLoader(pairs, batch_size=4), "validation")
        as_split(DataLoader(pairs, batch_size=4, drop_last=True, shuffle=True), "train")


def test_a_loader_that_does_not_shuffle_training_data_is_named():
    pairs = TensorDataset(X, Y)
    for loader in (DataLoader(pairs, batch_size=4), DataLoader(pairs, batch_size=None)):
        with pytest.warns(
            DashaWarning, match=r"^train is a DataLoader that does not shuffle.*make it with shuffle=True"
        ):
            as_split(loader, "train")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_split(DataLoader(Stream(), batch_size=4), "train")
        as_split(DataLoader(pairs, batch_size=4, shuffle=True), "train")
        as_split(DataLoader(pairs, batch_sampler=BatchSampler(SubsetRandomSampler(range(10)), 4, False)), "train")


def test_splits_say_whether_they_keep_their_order():
    pairs = TensorDataset(X, Y)
    sequential, shuffled = (LoaderSplit(DataLoader(pairs, batch_size=4, shuffle=shuffle)) for shuffle in (False, True))
    stream = LoaderSplit(DataLoader(Stream(), batch_size=4))
    drawn = LoaderSplit(DataLoader(pairs, batch_sampler=BatchSampler(SubsetRandomSampler(range(10)), 4, False)))
    whole_batches = LoaderSplit(DataLoader(pairs, batch_size=None))
    own = OwnBatches([])
    assert all(map(keeps_order, (sequential, stream, whole_batches, Counted(stream, 10), Part(sequential, 0.5))))
    assert not any(map(keeps_order, (shuffled, drawn, own, as_split((X, Y), "train"), Counted(shuffled, 10))))
    assert keeps_order(shuffled.joined(sequential))
    assert not keeps_order(shuffled.joined(own))


class Noise(Samples):
    """Samples to which numbers are added that are drawn where they are read."""

    def __getitem__(self, index):
        x, y = self.samples[index]
        return x + torch.rand(()), y


def test_workers_that_a_loader_keeps_draw_the_same_in_equal_passes():
    loader = DataLoader(Noise(list(zip(X, Y, strict=True))), batch_size=4, num_workers=1, persistent_workers=True)
    split = LoaderSplit(loader)
    passes = []
    for seed in (5, 5, 6):
        with seeded(seed):
            passes.append(whole(split)[0])
    assert torch.equal(passes[0], passes[1])
    assert not torch.equal(passes[0], passes[2])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


class OwnBatches(Samples):
    """A data set that makes whole batches itself."""

    size = 10
    is_partial = False

    def batches(self, size, *, shuffle):
        yield X, Y

    def joined(self, other):
        return other


def test_what_makes_its_own_batches_is_taken_as_it_is():
    data = OwnBatches(list(zip(X, Y, strict=True)))
    assert as_split(data, "train") is data
    assert as_split((X, Y), "train").joined(data).size == 20


def test_a_stream_has_no_size():
    split = as_split(DataLoader(Stream(), batch_size=4), "train")
    assert split.size is None
    assert split.joined(split).size is None
    assert torch.equal(whole(split)[1], Y)
    with seeded(0):
        assert sorted(whole(split.joined(split), shuffle=True)[1].tolist()) == sorted(Y.tolist() * 2)


def test_a_stream_that_was_counted_has_a_size_and_the_same_batches():
    stream = as_split(DataLoader(Stream(), batch_size=4), "train")
    counted = Counted(stream, 10)
    assert torch.equal(whole(counted)[1], Y)
    assert counted.joined(counted).size == 20
    assert not counted.is_partial
    assert Counted(as_split(LoaderSplit(DataLoader(Stream()), max_batches=1), "train"), 1).is_partial


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float64])
def test_arrays_keep_their_type_until_a_batch_is_made(dtype):
    x = np.arange(24).reshape(4, 2, 3).astype(dtype)
    split = as_split((x, np.arange(4)), "train")
    assert split.inputs.element_size() == x.itemsize
    assert np.shares_memory(split.inputs.numpy(), x)
    batch, _ = next(split.batches(2, shuffle=True))
    assert batch.dtype == torch.float32
    assert torch.equal(whole(split)[0], torch.from_numpy(x.astype(np.float32)))
    both = split.joined(split)
    assert both.inputs.element_size() == x.itemsize
    assert both.size == 8


def test_arrays_that_cannot_be_written_to_or_run_backwards_are_taken_silently():
    x = X.numpy().copy()
    x.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = as_split((x[::-1], Y.numpy()[::-1]), "train")
        fixed = as_split((x, Y), "train")
    assert torch.equal(whole(split)[0], X.flip(0))
    assert np.shares_memory(fixed.inputs.numpy(), x)


@pytest.mark.parametrize("place", [0, 1])
def test_masked_values_are_refused(place):
    pair = [np.ma.masked_equal(part.numpy(), -9999) for part in (X, Y)]
    assert torch.equal(whole(as_split(tuple(pair), "train"))[place], (X, Y)[place])
    pair[place][2:4] = np.ma.masked
    count = pair[place][2:4].size
    with pytest.raises(InvalidArgumentError, match=rf"train\[{place}\] has {count} masked values; fill them, as with"):
        as_split(tuple(pair), "train")
    with pytest.raises(InvalidArgumentError, match="masked values"):
        whole(as_split(Samples(list(zip(*map(np.ma.array, pair), strict=True))), "train"))
    with pytest.raises(InvalidArgumentError, match=f"has {count} masked values"):
        as_split(tuple(map(list, pair)), "train")


@pytest.mark.parametrize("dtype", [">f4", ">i2", "<f8"])
def test_arrays_of_any_byte_order_are_taken(dtype):
    split = as_split((X.numpy().astype(dtype), Y.numpy().astype(">i8")), "train")
    assert torch.equal(whole(split)[0], torch.as_tensor(X.numpy().astype(dtype).astype("f4")))
    assert torch.equal(whole(split)[1], Y)


def test_labels_may_be_a_pandas_series_of_any_index():
    pandas = pytest.importorskip("pandas")
    split = as_split((X, pandas.Series(Y.numpy(), index=range(100, 110))), "train")
    assert torch.equal(whole(split)[1], Y)


def test_the_data_are_not_modified():
    x, y = X.clone(), Y.clone()
    before = copy.deepcopy((x, y))
    whole(as_split((x, y), "train"), shuffle=True)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_arrays_of_one_shape_join_to_arrays_and_others_batch_by_batch():
    one = as_split((X, Y), "train")
    assert whole(one.joined(one))[0].shape == (20, 2, 3)
    other = as_split((torch.zeros(3, 2, 5), torch.zeros(3, dtype=torch.long)), "train")
    shapes = [tuple(x.shape) for x, _ in one.joined(other).batches(8, shuffle=False)]
    assert shapes == [(8, 2, 3), (2, 2, 3), (3, 2, 5)]


def test_a_small_part_is_spread_over_the_pass():
    large, small = torch.zeros(900, 1, 1), torch.ones(100, 1, 1)
    joined = as_split(list(zip(large, torch.zeros(900), strict=True)), "train").joined(
        as_split(list(zip(small, torch.ones(100), strict=True)), "train")
    )
    with seeded(0):
        places = whole(joined, 10, shuffle=True)[1].nonzero().double().mean()
    assert 350 < float(places) < 650


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, "train is Tensor, but must be a pair of arrays"),
        (X.numpy(), "train is ndarray, but must be a pair of arrays"),
        ({"image": X}, "train is dict, but must be"),
        (3, "train is int, but must be"),
        ("data.csv", "train is str, but must be"),
        ((X, Y, Y), "train is tuple, but must be"),
        ((X, {"y": 1}), r"^train\[1\] is dict, but must be an array, or a list of numbers"),
        (("x.csv", Y), r"^train\[0\] is str, but must be an array"),
        (Stream(), "train is Stream, but must be .* a dataset with a length, or a DataLoader"),
        ((X, Y[:9]), r"inputs of shape \(10, 2, 3\) and targets of shape \(9,\), but must have .* as many targets"),
        ((X, Y[0]), r"targets of shape \(\), but must have"),
        ((X[0], Y[:2]), r"inputs of shape \(2, 3\) .* but must have inputs \(N, C, L\) or \(N, C, H, W\)"),
        ((X, np.array(["a"] * 10)), r"^train\[1\] is not numeric: it holds text, such as 'a'; number labels from 0"),
        ((X, ["a"] * 10), r"^train\[1\] is not numeric"),
        ((X, pd.Series(["b", "a"] * 5).astype("category")), r"such as 'b'; .* \.cat\.codes of pandas .* class_names$"),
        (([[[1, 2]], [[1]]], [0, 1]), r"^train\[0\] is not numeric"),
        ((X.to(torch.complex64), Y), r"^train\[0\] is complex; supply real and imaginary parts"),
    ],
    ids=range(17),
)
def test_what_is_not_data(data, message):
    with pytest.raises(InvalidArgumentError, match=message):
        as_split(data, "train")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (list(X), "samples are Tensor, but must be pairs"),
        ([(X[0],)], "samples are tuple, but must be pairs"),
        ([{"image": X[0], "class": 1}], "samples are mappings with 'image', 'class', but must have one of 'image'"),
        ([(X[0], "forest")], "a target is not numeric"),
        (
            [(X[0], 1), (X[0, :, :2], 1)],
            r"inputs have unequal shapes, \(2, 3\) of the first sample and \(2, 2\) of sample 1 after it; resize, pad",
        ),
        ([(X[0], Y[:1]), (X[0], Y[:2])], "targets have unequal shapes"),
    ],
    ids=range(6),
)
def test_samples_that_make_no_batch(samples, message):
    with pytest.raises(InvalidArgumentError, match=message):
        whole(as_split(Samples(samples), "train"))


def test_batches_of_a_loader_can_be_prepared_and_limited():
    data = [{"image": torch.full((1, 2), float(i)), "mask": i, "crs": "EPSG:4326"} for i in range(10)]
    loader = DataLoader(data, batch_size=2)

    def prepare(batch):
        return {"image": batch["image"] / 2, "mask": batch["mask"]}

    split = as_split(LoaderSplit(loader, prepare=prepare, max_batches=3), "train")
    batches = list(split.batches(5, shuffle=False))
    assert [targets.tolist() for _, targets in batches] == [[0, 1], [2, 3], [4, 5]]
    assert batches[1][0][:, 0, 0].tolist() == [1.0, 1.5]
    assert (split.size, split.is_partial) == (None, True)
    assert split.joined(as_split(loader, "validation")).is_partial
    assert not as_split(loader, "validation").is_partial


class Draws(Sampler):
    """Batches drawn in a way of their own, more samples than there are."""

    def __iter__(self):
        return iter([[0, 1, 2], [3, 4, 5]] * 4)

    def __len__(self):
        return 8


def test_the_size_of_a_pass_is_that_of_what_is_drawn():
    pairs = TensorDataset(X, Y)
    known = BatchSampler(SubsetRandomSampler(range(7)), 4, False)
    assert LoaderSplit(DataLoader(pairs, batch_sampler=known)).size == 7
    # torch puts a sampler of all samples beside it, which draws nothing.
    own = LoaderSplit(DataLoader(pairs, batch_sampler=Draws()))
    assert own.size is None
    assert not keeps_order(own)
    assert len(whole(own)[0]) == 24
    crops = LoaderSplit(DataLoader(pairs, batch_size=5), prepare=lambda batch: [part.repeat(2, 1) for part in batch])
    assert crops.size is None
