"""Sequences as batches, for torch, for Lightning and for dasha."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from dasha import Dasha, TaskSpec
from dasha.data import as_split, inspect
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.randomness import seeded
from genomics_adapter.dataset import SequenceDataset
from genomics_adapter.encoding import one_hot
from genomics_adapter.sequences import SequenceData, SequenceSplits, read_arrays, read_table

RNG = np.random.default_rng(0)
BINARY = TaskSpec("binary", 4, 1)
TINY = {"search.epochs": 1, "search.kernel_sizes": (3, 5), "tune.trials": 1, "retrain.epochs": 1}


def some(count=60, length=16):
    codes = RNG.integers(0, 4, (count, length), dtype=np.uint8)
    return read_arrays(codes, (np.arange(count) % 2))


def test_every_way_to_a_batch_gives_the_same():
    data = some()
    dataset = SequenceDataset(data, BINARY)
    inputs, targets = one_hot(data.codes), torch.from_numpy(data.labels)
    assert np.shares_memory(dataset.codes.numpy(), data.codes)
    assert dataset.codes.element_size() == 1
    split = as_split(dataset, "train")
    assert split is dataset
    for batches in (split.batches(7, shuffle=False), DataLoader(dataset, 7), DataLoader(dataset, 7, num_workers=1)):
        found = list(batches)
        assert torch.equal(torch.cat([x for x, _ in found]), inputs)
        assert torch.equal(torch.cat([y for _, y in found]), targets)
        assert found[0][0].dtype == torch.float32
    assert torch.equal(dataset[3][0], inputs[3])
    with seeded(0):
        first = torch.cat([y for _, y in split.batches(7, shuffle=True)])
    with seeded(0):
        assert torch.equal(torch.cat([y for _, y in split.batches(7, shuffle=True)]), first)
    assert sorted(first.tolist()) == sorted(targets.tolist())
    assert split.joined(split).size == 120


def test_arrays_that_cannot_be_written_to_are_taken_silently():
    data = some()
    data.codes.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(SequenceDataset(data, BINARY)[0][0], one_hot(data.codes)[0])


def test_fractions_of_ambiguous_bases():
    data = read_arrays(["ANR", "CGT"], [0, 1])
    assert SequenceDataset(data, BINARY, ambiguous="fractions")[0][0][:, 1].tolist() == [0.25] * 4
    with pytest.raises(InvalidArgumentError, match="ambiguous is 'x'"):
        SequenceDataset(data, BINARY, ambiguous="x")


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        (
            BINARY,
            "0,1,2",
            r"a\.csv, line 4 has label 2, but kind='binary' with num_outputs=1 allows whole numbers",
        ),
        (BINARY, "0,1,-1", r"line 4 has label -1, .* from 0 to 1 \(1 sequences do not fit\)"),
        (BINARY, "0,0.5,1", r"line 3 has label 0\.5, but kind='binary'"),
        (TaskSpec("multiclass", 4, 3), "0,3,7", r"line 3 has label 3, .* from 0 to 2 \(2 sequences"),
        (BINARY, "a,b,c", r"line 4 has label 'c', but kind='binary'"),
        (TaskSpec("regression", 4, 1), "a,b,c", r"line 2 has label 'a', but kind='regression' .* allows numbers"),
        (
            TaskSpec("regression", 4, 1, loss="poisson"),
            "1,2,-3",
            r"line 4 has label -3, .* counts of at least 0",
        ),
        (TaskSpec("regression", 4, 2), "1,2,3", r"has labels of shape \(3,\), but .* needs 2 for every sequence"),
        (TaskSpec("multiclass", 4, 2, class_names=("x", "y")), "a,b,b", "has classes a, b, but the task x, y; read it"),
        (TaskSpec("binary", 3, 1), "0,1,1", "in_channels=3, but DNA has 4"),
    ],
)
def test_labels_that_do_not_fit_the_task(task, labels, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sequence,label\n" + "".join(f"ACGT,{label}\n" for label in labels.split(",")))
    with pytest.raises(InvalidArgumentError, match=message):
        SequenceDataset(read_table(path), task)


def test_targets_have_the_type_of_the_task():
    texts = ["ACGT", "AAAA"]
    for task, labels, kind, shape in (
        (BINARY, [0.0, 1.0], torch.int64, (2,)),
        (TaskSpec("multiclass", 4, 2), [[0], [1]], torch.int64, (2,)),
        (TaskSpec("multilabel", 4, 3), np.eye(2, 3), torch.int64, (2, 3)),
        (TaskSpec("regression", 4, 1), [1, 2], torch.float32, (2,)),
        (TaskSpec("regression", 4, 2), np.eye(2), torch.float32, (2, 2)),
        (TaskSpec("segmentation", 4, 2), np.ones((2, 4), int), torch.int64, (2, 4)),
    ):
        targets = SequenceDataset(read_arrays(texts, labels), task).targets
        assert (targets.dtype, tuple(targets.shape)) == (kind, shape)
    with pytest.raises(InvalidArgumentError, match="sequences has no labels, but kind='binary' needs them"):
        SequenceDataset(read_arrays(texts), BINARY)
    with pytest.raises(InvalidArgumentError, match="label 2, but kind='multilabel'"):
        SequenceDataset(read_arrays(texts, [[0, 2], [1, 1]]), TaskSpec("multilabel", 4, 2))


@pytest.mark.parametrize("ambiguous", ["zeros", "fractions"])
def test_data_is_inspected_as_bytes(ambiguous, monkeypatch):
    data = read_arrays(["ACGTNRYACG", "ACCTNRYAAA", "TTTTTT"] * 20, [0, 1, 1] * 20)
    dataset = SequenceDataset(data, BINARY, ambiguous=ambiguous)
    columns = one_hot(data.codes, ambiguous=ambiguous)
    expected = inspect(BINARY, as_split((columns, dataset.targets), "train"), "train")
    monkeypatch.setattr(dataset, "batch", lambda indices: pytest.fail("unfolded"))
    found = inspect(BINARY, as_split(dataset, "train"), "train")
    assert (found.count, found.shape, found.class_counts) == (60, (4, 10), (20, 40))
    assert found.mean == pytest.approx(expected.mean)
    assert found.std == pytest.approx(expected.std)


def test_fingerprints_know_bases_and_not_how_uncertain_ones_are_written():
    def fingerprint(texts, **options):
        data = read_arrays(texts, [0, 1])
        return inspect(BINARY, SequenceDataset(data, BINARY, **options), "train").fingerprint

    assert fingerprint(["ACGTN", "AAAAA"]) == fingerprint(["ACGTR", "AAAAA"])  # zeros either way
    assert fingerprint(["ACGTN", "AAAAA"]) != fingerprint(["ACGTA", "AAAAA"])
    fractions = {"ambiguous": "fractions"}
    assert fingerprint(["ACGTN", "AAAAA"], **fractions) != fingerprint(["ACGTR", "AAAAA"], **fractions)
    assert fingerprint(["ACGTT", "AAAAA"], **fractions) == fingerprint(["ACGTT", "AAAAA"])


def test_dasha_learns_from_bytes(tmp_path):
    from genomics_adapter.augment import Augmentation

    data = some()
    train, validation = SequenceDataset(data, BINARY), SequenceDataset(some(), BINARY)
    options = {"backbone": "wide_resnet_1d", "budget": "smoke", "overrides": TINY, "is_shown": False, "device": "cpu"}
    run = Dasha(BINARY, tmp_path / "run", normalize=False, augment=Augmentation(shift=2), **options)
    run.fit(train, validation)
    assert run.predict(one_hot(data.codes)).shape[0] == 60
    assert set(run.evaluate(validation).metrics) >= {"accuracy", "loss"}
    assert run.fit(train, validation) is run  # the same fingerprints
    with pytest.raises(InvalidArgumentError, match="fingerprint"):
        Dasha(BINARY, tmp_path / "run", normalize=False, **options).fit(SequenceDataset(some(), BINARY), validation)


def module(*arguments, **options):
    pytest.importorskip("lightning")
    from genomics_adapter.datamodules import SequenceDataModule

    return SequenceDataModule(*arguments, **options)


def test_a_data_module():
    data = some(200)
    made = module(data, BINARY, batch_size=32, shift=2)
    assert [len(part) for part in made.splits] == [160, 20, 20]
    assert made.leaks.count == 0
    inputs, targets = next(iter(made.train_dataloader()))
    assert inputs.shape == (32, 4, 16)
    assert targets.shape == (32,)
    whole = torch.cat([x for x, _ in made.val_dataloader()])
    assert torch.equal(whole, one_hot(made.splits.validation.codes))
    assert len(made.test_dataloader()) == 1
    assert "160 sequences of 16 bases from sequences" in made.describe()
    assert "train and test share no sequence" in made.describe()
    plain = module(data, BINARY, reverse_complement=False)
    rows = {tuple(row) for row in data.codes.tolist()}
    codes = torch.cat([x for x, _ in plain.train_dataloader()]).argmax(1)
    assert {tuple(row) for row in codes.tolist()} <= rows


def test_validation_data_is_drawn_from_training_data_only():
    train, test = some(100), some(30)
    made = module(SequenceSplits(train, None, test), BINARY)
    assert [len(part) for part in made.splits] == [90, 10, 30]
    with pytest.raises(InvalidArgumentError, match="there is no test data"):
        module(SequenceSplits(train), BINARY).test_dataloader()


def test_leaks_are_a_warning_or_an_error():
    data = some(50)
    splits = SequenceSplits(data, data.subset(np.arange(10)))
    with pytest.warns(DashaWarning, match=r"parts of the data are not apart:\n100 % of validation is in train"):
        made = module(splits, BINARY)
    assert made.leaks.count == 10
    with pytest.raises(InvalidArgumentError, match="of validation is in train: 10 sequences"):
        module(splits, BINARY, fail_on_leak=True)


def test_words_are_numbered_before_they_are_labels():
    with pytest.raises(InvalidArgumentError, match=r"labels of sequences are <U1, .*read_arrays numbers words"):
        SequenceData(some(2).codes, np.array(["p", "n"]))
    assert module(read_arrays(some(50).codes, np.array(["p", "n"] * 25)), BINARY).splits.train.class_names == ("n", "p")


def test_what_a_data_module_refuses():
    data = some(50)
    for options, message in (
        ({"batch_size": 0}, "batch_size is 0"),
        ({"num_workers": -1}, "num_workers is -1"),
        ({"shift": -1}, "shift is -1"),
        ({"shift": 16}, "shift is 16, but sequences have 16 bases"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            module(data, BINARY, **options)
    with pytest.raises(InvalidArgumentError, match="the parts have sequences of 16, 20 bases; make them equal"):
        module(SequenceSplits(data, some(20, 20)), BINARY)


@pytest.mark.parametrize("workers", [0, 1])
def test_lightning_trains_on_it(workers, tmp_path):
    lightning = pytest.importorskip("lightning")

    class Task(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = nn.Sequential(nn.Conv1d(4, 4, 3), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 1))
            self.seen = []

        def training_step(self, batch, _):
            inputs, targets = batch
            self.seen.append(tuple(inputs.shape))
            return nn.functional.binary_cross_entropy_with_logits(self.network(inputs)[:, 0], targets.float())

        def validation_step(self, batch, _):
            self.log("score", self.network(batch[0]).mean())

        test_step = validation_step

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    task, data = Task(), module(some(100), BINARY, batch_size=40, num_workers=workers)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(max_epochs=2, default_root_dir=tmp_path, enable_checkpointing=False, **quiet)
        trainer.fit(task, data)
        trainer.test(task, data, verbose=False)
    assert task.seen == [(40, 4, 16)] * 4


def test_the_package_names_its_host_only_when_it_is_used():
    import genomics_adapter

    for name in genomics_adapter.__all__:
        if name != "SequenceDataModule":
            assert getattr(genomics_adapter, name) is not None
    assert "SequenceDataModule" in dir(genomics_adapter)
