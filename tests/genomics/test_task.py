import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("sklearn")
pytest.importorskip("lightning")
pytest.importorskip("jsonargparse")

import yaml
from lightning.pytorch import Callback, LightningDataModule, Trainer

from dasha import TaskSpec
from dasha.errors import DashaWarning, InvalidArgumentError, NotFittedError
from dasha.search.result import SearchResult
from genomics_adapter.card import model_card
from genomics_adapter.datamodules import SequenceDataModule
from genomics_adapter.encoding import decode, one_hot, reverse_complement
from genomics_adapter.sequence_files import SequenceFiles
from genomics_adapter.sequences import SequenceData, SequenceSplits, read_file
from genomics_adapter.tasks import DashaSequenceTask

TINY = {"search.epochs": 1, "search.width": 1, "search.kernel_sizes": [3, 5], "search.dilations": [1]}
TINY |= {"tune.trials": 1, "tune.max_resource": 1, "tune.lr": [0.05, 0.05], "width": 1}
SETTINGS = {"budget": "smoke", "backbone": "wide_resnet_1d", "overrides": TINY, "is_shown": False}
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own


def part(count, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, 16), dtype=np.uint8)
    labels = np.arange(count) % 2
    codes[labels == 1, 5:9] = [0, 1, 2, 3]
    return SequenceData(codes, labels)


SPLITS = SequenceSplits(part(96, 0), part(32, 1), part(40, 2))


def data():
    return SequenceDataModule(SPLITS, TaskSpec("binary", 4, 1), batch_size=16)


def trainer(folder, epochs=1, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(default_root_dir=folder, max_epochs=epochs, accelerator="cpu", **quiet, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    own, task = trainer(folder, epochs=2), DashaSequenceTask(**SETTINGS)
    own.fit(task, datamodule=data())
    return own, task, own.checkpoint_callback.best_model_path


def test_a_fit_searches_and_trains(trained):
    own, task, _ = trained
    assert isinstance(task.result, SearchResult)
    assert {"val_mcc", "val_loss", "val_auroc", "train_loss"} <= set(own.callback_metrics)
    assert own.optimizers[0].defaults["momentum"] == task.result.hyperparameters["momentum"]
    assert own.optimizers[0].param_groups[0]["lr"] < 0.2 * task.result.hyperparameters["lr"]
    assert task.hparams["metric"] == ""
    assert task.task.metric == "mcc"


def test_a_checkpoint_holds_the_search_as_plain_values(trained):
    _, task, path = trained
    content = torch.load(path, weights_only=True)
    found = SearchResult.of_dict(json.loads(content["hyper_parameters"]["found"]))
    assert found == task.result


def test_a_checkpoint_is_read_without_a_search(trained, monkeypatch, tmp_path):
    _, task, path = trained
    monkeypatch.setattr(DashaSequenceTask, "_search", lambda self, folder: pytest.fail("searched again"))
    codes = SPLITS.test.codes
    loaded = DashaSequenceTask.load_from_checkpoint(path).eval()
    with torch.no_grad():
        expected = task.eval()(one_hot(codes))
        torch.testing.assert_close(loaded(one_hot(codes)), expected)
        torch.testing.assert_close(loaded(one_hot(reverse_complement(codes))), expected, rtol=1e-4, atol=1e-5)
    (tested,) = trainer(tmp_path).test(DashaSequenceTask(), datamodule=data(), ckpt_path=path, weights_only=True)
    right = (expected[:, 0] > 0).long().numpy() == SPLITS.test.labels
    assert tested["test_accuracy"] == pytest.approx(right.mean())
    again = trainer(tmp_path, epochs=3)
    again.fit(loaded, datamodule=data(), ckpt_path=path, weights_only=True)
    assert again.current_epoch == 3


def test_an_interrupted_fit_uses_the_search_in_its_folder(trained, tmp_path):
    own, task, path = trained
    shutil.copytree(f"{own.default_root_dir}/dasha", tmp_path / "dasha")
    files = [file for file in (tmp_path / "dasha").rglob("*.json") if file.name != "model_card.json"]
    before = {file: file.stat().st_mtime_ns for file in files}
    again, fresh = trainer(tmp_path, epochs=3), DashaSequenceTask(**SETTINGS)
    again.fit(fresh, datamodule=data(), ckpt_path=path, weights_only=True)
    assert fresh.result == task.result
    assert {file: file.stat().st_mtime_ns for file in before} == before


def card_in(folder):
    return json.loads((folder / "dasha" / "model_card.json").read_text())


def test_a_fit_leaves_a_card_beside_its_search(trained):
    own, _, _ = trained
    folder = Path(own.default_root_dir)
    content = card_in(folder)
    assert content["test"] is None
    for name in ("mcc", "auroc"):
        assert content["validation"][name]["mean"] == pytest.approx(float(own.callback_metrics[f"val_{name}"]))
    assert content["leaks"]["count"] == 0
    assert content["data"]["train"]["count"] == 96
    assert set(content["data"]) == {"train", "validation"}
    assert content["settings"]["budget"] == "smoke"
    assert content["architecture"]["flops"] > 0
    assert "There is none: nothing here says" in (folder / "dasha" / "model_card.md").read_text()
    assert not list(folder.glob("model_card*"))


def test_a_card_compares_test_data_with_what_the_fit_saw(trained):
    _, task, path = trained
    seen = SPLITS.train.subset(range(8))
    with pytest.warns(DashaWarning, match="100 % of test is in train: 8 sequences"):
        content = model_card(task, test=seen, resamples=0).content
    assert content["data"]["train"]["count"] == 96
    assert model_card(DashaSequenceTask.load_from_checkpoint(path), test=seen, resamples=0).content["leaks"] is None


def test_a_card_is_only_left_where_the_search_is(trained, tmp_path):
    _, _, path = trained
    trainer(tmp_path).fit(DashaSequenceTask.load_from_checkpoint(path), datamodule=data())
    trainer(tmp_path, fast_dev_run=True).fit(DashaSequenceTask(**SETTINGS), datamodule=data())
    quiet = DashaSequenceTask(**SETTINGS, run_dir=str(tmp_path / "search"))
    quiet.writes_card = False
    trainer(tmp_path).fit(quiet, datamodule=data())
    assert (tmp_path / "search" / "plan.json").is_file()
    assert not list(tmp_path.rglob("model_card*"))
    again = trainer(tmp_path, epochs=2, check_val_every_n_epoch=3, num_sanity_val_steps=2)
    again.fit(DashaSequenceTask(**SETTINGS, run_dir=str(tmp_path / "search")), datamodule=data())
    content = json.loads((tmp_path / "search" / "model_card.json").read_text())
    assert content["validation"] == {}  # the check before training measures nothing that counts


def test_the_card_of_other_data_modules_has_what_is_known(trained, tmp_path):
    class Other(LightningDataModule):
        def train_dataloader(self):
            return data().train_dataloader()

        def val_dataloader(self):
            return data().val_dataloader()

    trainer(tmp_path).fit(DashaSequenceTask(**SETTINGS), datamodule=Other())
    content = card_in(tmp_path)
    assert content["data"] == {
        "train": {"count": 96, "shape": [4, 16]},
        "validation": {"count": 32, "shape": [4, 16]},
    }
    assert content["leaks"] is None
    assert "mcc" in content["validation"]


def test_a_card_that_cannot_be_made_does_not_end_a_fit(trained, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no card today")

    monkeypatch.setattr("genomics_adapter._kept_cards.card_of", fail)
    own, task = trainer(tmp_path), DashaSequenceTask(**SETTINGS)
    with pytest.warns(DashaWarning, match=r"no model card is written into \S+dasha \(RuntimeError: no card today\)"):
        own.fit(task, datamodule=data())
    assert own.state.finished
    assert Path(own.checkpoint_callback.best_model_path).is_file()


@pytest.mark.parametrize(("precision", "is_fast"), [("bf16-mixed", True), ("32-true", False)])
def test_reduced_precision_is_computed_with_channels_last(precision, is_fast, trained, tmp_path):
    task, orders = DashaSequenceTask.load_from_checkpoint(trained[2]), []
    first = next(module for module in task.network.modules() if isinstance(module, torch.nn.Conv1d))
    first.register_forward_hook(lambda module, inputs, output: orders.append(output.mT.is_contiguous()))
    trainer(tmp_path, precision=precision).fit(task, datamodule=data())
    assert orders
    assert set(orders) == {is_fast}


@pytest.mark.parametrize("ending", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("stage", ["validate", "test"])
def test_an_evaluation_that_was_ended_leaves_nothing_to_the_next(stage, ending, trained, tmp_path):
    _, _, path = trained
    task = DashaSequenceTask.load_from_checkpoint(path)
    (expected,) = getattr(trainer(tmp_path), stage)(task, datamodule=data())

    class End(Callback):
        def on_validation_batch_end(self, *args, **kwargs):
            raise ending

        on_test_batch_end = on_validation_batch_end

    with pytest.raises((ending, SystemExit)):  # Lightning ends the process where a key interrupted it
        getattr(trainer(tmp_path, callbacks=[End()]), stage)(task, datamodule=data())
    assert getattr(trainer(tmp_path), stage)(task, datamodule=data()) == [expected]


@pytest.mark.parametrize(("precision", "kind"), [("64-true", torch.float64), ("bf16-true", torch.bfloat16)])
def test_batches_are_in_the_precision_of_the_network(precision, kind, trained, tmp_path):
    _, task, path = trained
    own, again = trainer(tmp_path, precision=precision), DashaSequenceTask.load_from_checkpoint(path)
    own.fit(again, datamodule=data())
    assert {parameter.dtype for parameter in again.network.parameters()} == {kind}
    assert np.isfinite(own.callback_metrics["val_loss"])
    (tested,) = own.test(again, datamodule=data())
    measured = model_card(again, test=SPLITS.test, resamples=0).content["test"]["metrics"]["auroc"]["value"]
    assert tested["test_auroc"] == pytest.approx(measured, abs=0.05)
    read = DashaSequenceTask()
    inputs = torch.utils.data.DataLoader([row for row, _ in data().test_data], 16)
    predicted = torch.cat(trainer(tmp_path, precision=precision).predict(read, inputs, ckpt_path=path))
    with torch.no_grad():
        expected = task.eval()(one_hot(SPLITS.test.codes)).sigmoid()
    torch.testing.assert_close(predicted.float(), expected, rtol=0.05, atol=0.02)


def test_predictions_are_probabilities(trained, tmp_path):
    _, task, _ = trained
    parts = trainer(tmp_path).predict(task, data().val_dataloader())
    probabilities = torch.cat(parts)
    assert probabilities.shape == (32, 1)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_other_kinds_of_task(tmp_path):
    train, validation, _ = SPLITS
    numbers = [SequenceData(one.codes, np.stack([one.labels, 2.0 * one.labels], 1)) for one in (train, validation)]
    module = SequenceDataModule(SequenceSplits(*numbers), TaskSpec("regression", 4, 2), batch_size=16)
    own, task = trainer(tmp_path), DashaSequenceTask("regression", 2, **{**SETTINGS, "search": False})
    own.fit(task, datamodule=module)
    assert task.hparams["search"] == "off"  # which YAML reads as False
    assert {"val_mse", "val_pearson"} <= set(own.callback_metrics)


def test_what_a_task_refuses(trained, tmp_path):
    with pytest.raises(InvalidArgumentError, match="kind='segmentation' has an output for every base"):
        DashaSequenceTask("segmentation", 2, metric="jaccard")
    with pytest.raises(NotFittedError, match="there is no network yet"):
        DashaSequenceTask()(torch.zeros(1, 4, 8))
    with pytest.raises(InvalidArgumentError, match="found= belongs to another task"):
        DashaSequenceTask("multiclass", 3, found=trained[1].hparams["found"])
    with pytest.raises(InvalidArgumentError, match="the search needs a datamodule"):
        trainer(tmp_path).fit(DashaSequenceTask(**SETTINGS), data().train_dataloader())
    other = LightningDataModule.from_datasets([1], [1])
    with pytest.raises(InvalidArgumentError):
        trainer(tmp_path).fit(DashaSequenceTask(**SETTINGS), datamodule=other)


def write_csv(folder, *, leaks=()):
    """Files of the parts; of the training sequences ``leaks`` the first is in the test file as it is, others turned."""
    folder.mkdir()
    for name, one in zip(("train", "dev", "test"), SPLITS, strict=True):
        codes, labels = one.codes, one.labels
        if name == "test" and leaks:
            own = SPLITS.train.codes[list(leaks)]
            own[1:] = reverse_complement(own[1:])
            codes = np.concatenate([codes, own])
            labels = np.concatenate([labels, SPLITS.train.labels[list(leaks)]])
        rows = "".join(f"{text},{label}\n" for text, label in zip(decode(codes), labels.tolist(), strict=True))
        (folder / f"{name}.csv").write_text("sequence,label\n" + rows)


def write_settings(folder, **data):
    settings = {
        "model": {"kind": "binary", **SETTINGS},
        "data": {"path": "data", "batch_size": 16, **data},
        "trainer": {
            "max_epochs": 1,
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "default_root_dir": "run",
        },
    }
    (folder / "fit.yaml").write_text(yaml.safe_dump(settings))


def test_the_command_fits_and_tests_by_a_file_of_settings(tmp_path, monkeypatch, capsys, recwarn):
    from dasha.cli import main

    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data")
    write_settings(tmp_path)
    assert main(["genomics", "fit", "--config", "fit.yaml"]) == 0
    (checkpoint,) = (tmp_path / "run").rglob("*.ckpt")
    assert (tmp_path / "run" / "dasha" / "plan.json").is_file()
    card = tmp_path / "run" / "model_card.md"
    assert "There is none: nothing here says how well" in card.read_text()
    assert list((tmp_path / "run").rglob("model_card*.md")) == [card]
    capsys.readouterr()
    assert main(["genomics", "test", "--config", "fit.yaml", "--ckpt_path", str(checkpoint), "--fail-on-leak"]) == 0
    assert "test_mcc" in capsys.readouterr().out
    assert "| 95 % interval |" in card.read_text()
    content = json.loads(card.with_suffix(".json").read_text())
    assert content["test"]["samples"] == len(SPLITS.test)
    assert content["test"]["is_strand_average"]
    assert content["validation"]["mcc"]["interval"] is None
    assert content["architecture"]["flops"] > 0
    assert content["leaks"]["count"] == 0
    assert not [warning for warning in recwarn if "args parameter" in str(warning.message)]


def test_the_command_predicts_sequences_without_labels(trained, tmp_path, monkeypatch, capsys):
    from dasha.cli import main

    _, task, checkpoint = trained
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data")
    write_settings(tmp_path)
    codes = SPLITS.test.codes
    longer = np.pad(codes, ((0, 0), (3, 4)))  # four bases are cropped at the start, three at the end
    rows = "".join(f">s{number}\n{text}\n" for number, text in enumerate(decode(longer)))
    (tmp_path / "new.fa").write_text(rows)
    words = ["genomics", "predict", "--config", "fit.yaml", "--ckpt_path", checkpoint, "--out", "out/new.csv"]
    assert main([*words, "--data.path", "new.fa", "--data.length", "16"]) == 0
    assert "40 predictions in out/new.csv" in capsys.readouterr().out
    lines = (tmp_path / "out" / "new.csv").read_text().split()
    assert lines[0] == "name,probability"
    assert [line.split(",")[0] for line in lines[1:]] == [f"s{number}" for number in range(40)]
    with torch.no_grad():
        expected = task.eval()(one_hot(codes))[:, 0].sigmoid()
    found = torch.tensor([float(line.split(",")[1]) for line in lines[1:]])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    tables = {".csv.gz": pd.read_csv, ".tsv": partial(pd.read_csv, sep="\t"), ".parquet": pd.read_parquet}
    for ending, read in tables.items():
        assert main([*words, "--data.path", "new.fa", "--data.length", "16", f"--out=new{ending}"]) == 0
        table = read(tmp_path / f"new{ending}")
        assert table.columns.tolist() == ["name", "probability"]
        np.testing.assert_allclose(table["probability"], found, rtol=1e-4)
    for out, why in (("new.xlsx", "ends in '.xlsx', but must end in .csv, .csv.gz, .tsv"), ("out", "is a folder")):
        assert main([*words, "--data.path", "absent.fa", "--out", out]) == 2
        assert f"--out '{out}' {why}" in capsys.readouterr().err
    assert main([*words, "--data.path", "data", "--trainer.devices=2"]) == 2
    assert "but the trainer has 2 processes; add --trainer.devices=1" in capsys.readouterr().err
    assert main([*words, "--data.path", "data"]) == 0
    assert "data/test.csv, line 2" in (tmp_path / "out" / "new.csv").read_text()


@pytest.mark.parametrize("command", ["test", "fit"])
def test_the_command_takes_no_file_that_is_no_checkpoint(command, tmp_path, monkeypatch, capsys):
    from dasha.cli import main

    monkeypatch.chdir(tmp_path)
    Path("cut.ckpt").write_bytes(b"cut off")
    torch.save({"weights": torch.zeros(2)}, "other.ckpt")
    for name in ("cut.ckpt", "other.ckpt"):
        assert main(["genomics", command, "--data.path=data", "--ckpt_path", name]) == 2
        error = capsys.readouterr().err
        assert f"{name} is no checkpoint of a DashaSequenceTask" in error
        assert "weights_only" not in error


def test_the_command_offers_no_optimizer_because_the_task_has_its_own(capsys):
    from genomics_adapter.lightning_cli import run_cli

    with pytest.raises(SystemExit):
        run_cli(["fit", "--help"])
    offered = capsys.readouterr().out
    assert "--trainer.max_epochs" in offered
    assert "--optimizer" not in offered
    assert "--lr_scheduler" not in offered


def test_the_command_tests_all_of_a_file_that_is_not_the_data_of_the_training(tmp_path, monkeypatch, capsys):
    from dasha.cli import main

    monkeypatch.chdir(tmp_path)
    rows = zip(decode(SPLITS.train.codes), SPLITS.train.labels, strict=True)
    (tmp_path / "a.csv").write_text(
        "bases,label\n" + "".join(f"{text},{('no', 'yes')[label]}\n" for text, label in rows)
    )
    (tmp_path / "new.csv").write_text("bases,label\n" + "ACGTACGT,yes\n" * 3)
    (tmp_path / "new.fa").write_text(">s0\nACGT\n")
    write_settings(tmp_path, path="a.csv", sequence="bases")
    common = ["--config", "fit.yaml", "--model.kind=multiclass", "--model.num_outputs=2"]
    assert main(["fit", "genomics", *common]) == 0
    notes = capsys.readouterr().err
    assert "note: 10 sequences of 16 bases from a.csv" in notes
    assert "note: model card in run/model_card.md" in notes
    (checkpoint,) = (tmp_path / "run").rglob("*.ckpt")
    common += ["--ckpt_path", str(checkpoint)]
    card = tmp_path / "run" / "model_card.json"
    before = card.read_text()
    assert main(["genomics", "test", *common, "--data.path=new.csv"]) == 0
    notes = capsys.readouterr().err
    assert "note: tested, and not the data of the training: 3 sequences of 16 bases from new.csv" in notes
    assert "note: sequences have 8 to 8 bases: 3 are padded and 0 cropped to 16, centred" in notes
    assert "note: labels: yes 3" in notes
    assert "note: no model card is written" in notes
    assert card.read_text() == before
    assert main(["genomics", "test", *common, "--data.seed=1"]) == 2
    assert "the options were {'split': 'random', 'seed': 0}, but now they are" in capsys.readouterr().err
    assert main(["genomics", "test", *common]) == 0
    assert json.loads(card.read_text())["test"]["samples"] == 10
    predict = ["genomics", "predict", *common, "--data.path=new.fa"]
    assert main(predict) == 2
    assert "leave it out, or where a file of settings has it, add --data.sequence=null" in capsys.readouterr().err
    assert main([*predict, "--data.sequence=null"]) == 0
    assert "1 are padded and 0 cropped to 16" in capsys.readouterr().err
    assert (tmp_path / "predictions.csv").read_text().startswith("name,no,yes\ns0,")


def test_a_folder_that_is_not_the_data_of_the_training_is_tested_on_its_test_part(tmp_path):
    write_csv(tmp_path / "data")
    module = SequenceFiles(str(tmp_path / "data"))
    module.setup("fit")
    same, unknown = SequenceFiles(str(tmp_path / "data")), SequenceFiles(str(tmp_path / "data"))
    same.load_state_dict(module.state_dict())
    assert sum(map(len, (targets for _, targets in same.test_dataloader()))) == len(SPLITS.test)
    assert same.is_of_training
    assert len(unknown.test_dataloader().dataset) == len(SPLITS.test)
    assert not unknown.is_of_training
    (tmp_path / "data" / "dev.csv").unlink()
    changed = SequenceFiles(str(tmp_path / "data"))
    changed.load_state_dict(module.state_dict())
    with pytest.raises(InvalidArgumentError, match="was trained on, but has other sequences or labels now"):
        changed.test_dataloader()
    (tmp_path / "data").rename(tmp_path / "moved")
    for split in ("auto", "random"):
        other = SequenceFiles(str(tmp_path / "moved"), split=split)
        other.load_state_dict(module.state_dict())
        assert len(other.test_dataloader().dataset) == len(SPLITS.test)
        assert not other.is_of_training
    (tmp_path / "moved" / "test.csv").unlink()
    none = SequenceFiles(str(tmp_path / "moved"))
    none.load_state_dict(module.state_dict())
    with pytest.raises(InvalidArgumentError, match="has no test file; give a file of sequences with labels"):
        none.test_dataloader()


def test_the_training_sequences_are_not_tested_on_when_they_are_read_otherwise(tmp_path):
    rows = zip(decode(SPLITS.train.codes), SPLITS.train.labels, strict=True)
    path = tmp_path / "a.csv"
    path.write_text("sequence,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    module, again = SequenceFiles(str(path)), SequenceFiles(str(path), length=12)
    module.setup("fit")
    again.load_state_dict(module.state_dict())
    with pytest.raises(InvalidArgumentError, match="leave file and options as they were"):
        again.test_dataloader()


def test_a_test_file_that_is_split_anew_belongs_to_the_data(tmp_path):
    write_csv(tmp_path / "data")
    module, again = (SequenceFiles(str(tmp_path / "data"), split="random") for _ in range(2))
    module.setup("fit")
    again.load_state_dict(module.state_dict())
    (tmp_path / "data" / "test.csv").write_text("sequence,label\nACGTACGTACGTACGT,1\n")
    with pytest.raises(InvalidArgumentError, match="has other sequences or labels now"):
        again.test_dataloader()


class EnoughError(Exception):
    """Ends a fit where it would search."""


def first_batches(task, datamodule, folder, monkeypatch):
    """What the search of a fit is given."""
    seen = []

    def search(self, place):
        seen.extend(inputs for inputs, _ in self.trainer.datamodule.train_dataloader())
        raise EnoughError

    monkeypatch.setattr(DashaSequenceTask, "_search", search)
    with pytest.raises(EnoughError):
        trainer(folder).fit(task, datamodule=datamodule)
    return {tuple(row) for row in torch.cat(seen).argmax(1).tolist()}


def test_the_strand_is_shown_as_the_task_says(tmp_path, monkeypatch):
    write_csv(tmp_path / "data")
    own = {tuple(row) for row in SPLITS.train.codes.tolist()}
    for module in (data(), SequenceFiles(str(tmp_path / "data"))):
        assert first_batches(DashaSequenceTask(reverse_complement=False), module, tmp_path, monkeypatch) == own
        assert first_batches(DashaSequenceTask(), module, tmp_path, monkeypatch) - own
    for is_random in (True, False):
        module = SequenceDataModule(SPLITS, TaskSpec("binary", 4, 1), reverse_complement=is_random)
        task = DashaSequenceTask(reverse_complement=not is_random, is_shown=False)
        message = f"the data module has reverse_complement={is_random}, but the task reverse_complement={not is_random}"
        monkeypatch.setattr(
            DashaSequenceTask, "_search", lambda self, folder: self.trainer.datamodule.train_dataloader()
        )
        with pytest.raises(InvalidArgumentError, match=message):
            trainer(tmp_path).fit(task, datamodule=module)


def test_predicted_sequences_come_to_the_length_of_the_training(tmp_path):
    write_csv(tmp_path / "data")
    module = SequenceFiles(str(tmp_path / "data"))
    module.setup("fit")
    new = SequenceFiles(str(tmp_path / "new.csv"))
    (tmp_path / "new.csv").write_text("sequence\n" + "ACGTA\n" * 3)
    new.load_state_dict(module.state_dict())
    new.setup("predict")
    (batch,) = new.predict_dataloader()
    assert batch.shape == (3, 4, 16)


def test_sequences_are_read_as_in_the_training_where_nothing_else_is_said(tmp_path):
    texts = decode(SPLITS.train.codes), SPLITS.train.labels.tolist()
    rows = "".join(f"{text}{'AC' * (label + 1)},{label}\n" for text, label in zip(*texts, strict=True))
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("sequence,label\n" + rows.replace("A", "R", 1))
    module = SequenceFiles(str(tmp_path / "a.csv"), crop="end", ambiguous="fractions", length=14)
    module.setup("fit")
    expected = one_hot(read_file(tmp_path / "b.csv", length=14, crop="end").codes, ambiguous="fractions")
    other = one_hot(read_file(tmp_path / "b.csv", length=14, crop="start").codes)
    for options, wanted in (({}, expected), ({"crop": "start", "ambiguous": "zeros"}, other)):
        new = SequenceFiles(str(tmp_path / "b.csv"), **options)
        new.load_state_dict(module.state_dict() | {"data": "of another file"})
        assert torch.equal(torch.cat(list(new.predict_dataloader())), wanted)
        assert torch.equal(torch.cat([inputs for inputs, _ in new.test_dataloader()]), wanted)
    tested, validated = (SequenceFiles(str(tmp_path / "a.csv"), length=14) for _ in range(2))
    for same in (tested, validated):
        same.setup("validate")
        same.load_state_dict(module.state_dict())
    assert len(tested.test_dataloader().dataset) == 10
    assert tested.is_of_training
    for found, wanted in zip(validated.val_dataloader(), module.val_dataloader(), strict=True):
        assert torch.equal(found[0], wanted[0])


def splits_of(path, **options):
    module = SequenceFiles(str(path), **options)
    module.setup("fit")
    return module.inner.splits


@pytest.mark.parametrize("split", ["random", "similarity"])
def test_files_that_are_split_anew_are_used_whole(split, tmp_path):
    write_csv(tmp_path / "data")
    parts = splits_of(tmp_path / "data", split=split)
    assert sum(map(len, parts)) == sum(map(len, SPLITS))
    places = {part.source.place(0).rpartition("/")[2].split(",")[0] for part in parts}
    assert places <= {"train.csv", "dev.csv", "test.csv"}
    assert sorted(decode(np.concatenate([part.codes for part in parts]))) == sorted(
        decode(np.concatenate([part.codes for part in SPLITS]))
    )


def test_one_file_of_any_form_is_enough(tmp_path):
    pytest.importorskip("pyfaidx")
    texts, labels = decode(SPLITS.train.codes), SPLITS.train.labels.tolist()
    chromosomes = [f"chr{number % 4}" for number in range(len(texts))]
    rows = [",".join(map(str, row)) for row in zip(texts, labels, chromosomes, strict=True)]
    (tmp_path / "a.csv").write_text("bases,bound,where\n" + "\n".join(rows))
    columns = {"sequence": "bases", "label": "bound"}
    assert list(map(len, splits_of(tmp_path / "a.csv", **columns))) == [76, 10, 10]
    rule = {"split": "chromosome", "chromosome": "where", "validation_chromosomes": ["chr1"]}
    parts = splits_of(tmp_path / "a.csv", **columns, **rule, test_chromosomes=["chr2"])
    assert [set(part.chromosomes.tolist()) for part in parts] == [{"chr0", "chr3"}, {"chr1"}, {"chr2"}]
    (tmp_path / "b.csv").write_text((tmp_path / "a.csv").read_text().replace("chr", ""))
    numbered = splits_of(tmp_path / "b.csv", **columns, **{**rule, "validation_chromosomes": [1]}, test_chromosomes=[2])
    assert [set(part.chromosomes.tolist()) for part in numbered] == [{"0", "3"}, {"1"}, {"2"}]
    (tmp_path / "a.fa").write_text(
        "".join(
            f">s{number} label={label}\n{text}\n"
            for number, (text, label) in enumerate(zip(texts, labels, strict=True))
        )
    )
    by_header = splits_of(tmp_path / "a.fa")
    assert by_header.train.codes.shape == (76, 16)
    (tmp_path / "genome.fa").write_text(">chr1\n" + "".join(texts) + "\n")
    (tmp_path / "a.bed").write_text(
        "".join(f"chr1\t{16 * number}\t{16 * number + 16}\tx\t{label}\t+\n" for number, label in enumerate(labels))
    )
    by_genome = splits_of(tmp_path / "a.bed", genome=str(tmp_path / "genome.fa"))
    assert sorted(decode(by_genome.train.codes)) == sorted(decode(by_header.train.codes))
    with pytest.raises(InvalidArgumentError, match=r"genome is None, but .*a\.bed is a BED file; name the FASTA file"):
        splits_of(tmp_path / "a.bed")
    with pytest.raises(InvalidArgumentError, match=r"genome='g\.fa' is for a BED file, but .*a\.csv is a table file"):
        splits_of(tmp_path / "a.csv", genome="g.fa")
    with pytest.raises(InvalidArgumentError, match="split='files' needs a folder"):
        splits_of(tmp_path / "a.csv", split="files")


def test_labels_in_several_columns(tmp_path):
    texts, labels = decode(SPLITS.train.codes), SPLITS.train.labels
    rows = [f"{text},{label},{1 - label}" for text, label in zip(texts, labels, strict=True)]
    (tmp_path / "a.csv").write_text("sequence,a,b\n" + "\n".join(rows))
    module = SequenceFiles(str(tmp_path / "a.csv"), "multilabel", 2, label=["a", "b"])
    module.setup("fit")
    assert module.inner.train_data.targets.shape == (77, 2)
    (tmp_path / "b.csv").write_text(
        "sequence,label\n" + "\n".join(f"{text},{-1}" for text in decode(SPLITS.test.codes))
    )
    counts = SequenceFiles(str(tmp_path / "b.csv"), "regression", loss="poisson")
    with pytest.raises(InvalidArgumentError, match="counts of at least 0"):
        counts.setup("fit")


def test_columns_of_labels_keep_their_names(tmp_path, monkeypatch):
    from dasha.cli import main

    monkeypatch.chdir(tmp_path)
    rows = zip(decode(SPLITS.train.codes), SPLITS.train.labels, strict=True)
    Path("a.csv").write_text("sequence,bound,free\n" + "".join(f"{text},{one},{1 - one}\n" for text, one in rows))
    write_settings(tmp_path, path="a.csv", label=["bound", "free"])
    common = ["--config", "fit.yaml", "--model.kind=multilabel", "--model.num_outputs=2"]
    assert main(["genomics", "fit", *common]) == 0
    assert "Labels: bound, free." in Path("run/model_card.md").read_text()
    (checkpoint,) = Path("run").rglob("*.ckpt")
    assert main(["genomics", "predict", *common, "--ckpt_path", str(checkpoint)]) == 0
    assert pd.read_csv("predictions.csv").columns.tolist() == ["name", "bound", "free"]


@pytest.mark.parametrize("label", ["score", 7, [5, 7], ["a", "b"]])
@pytest.mark.parametrize("is_option", [True, False])
def test_the_command_takes_one_column_of_labels_or_several(label, is_option, tmp_path, monkeypatch, capsys):
    from dasha.cli import main

    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, **({} if is_option else {"label": label}))
    written = label if isinstance(label, str) else json.dumps(label)
    words = [f"--data.label={written}"] if is_option else []
    with pytest.raises(SystemExit):
        main(["genomics", "fit", "--config", "fit.yaml", *words, "--print_config"])
    assert yaml.safe_load(capsys.readouterr().out)["data"]["label"] == label


def test_a_dev_run_searches_little_and_leaves_nothing(tmp_path):
    own = Trainer(default_root_dir=tmp_path, accelerator="cpu", fast_dev_run=True, enable_progress_bar=False)
    task = DashaSequenceTask(backbone="wide_resnet_1d", is_shown=False)
    own.fit(task, datamodule=data())
    assert task.result is not None
    assert not list(tmp_path.iterdir())


def test_a_training_without_end_has_a_constant_rate(trained, tmp_path):
    own = trainer(tmp_path, epochs=-1, max_time={"seconds": 1})
    task = DashaSequenceTask(**SETTINGS, found=trained[1].hparams["found"])
    own.fit(task, datamodule=data())
    assert own.optimizers[0].param_groups[0]["lr"] == task.result.hyperparameters["lr"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"fail_on_leak": True}, []),
        ({}, ["--fail-on-leak"]),
        ({"fail_on_leak": False}, ["--fail_on_leak"]),
        ({}, ["--data.fail_on_leak=true"]),
    ],
    ids=["settings", "flag", "flag_over_settings", "option"],
)
def test_the_command_refuses_leaks_before_anything_is_searched(data, words, tmp_path, monkeypatch, capsys):
    from dasha.cli import main

    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data", leaks=(3, 4, 5))
    write_settings(tmp_path, **data)
    monkeypatch.setattr(DashaSequenceTask, "_search", lambda self, folder: pytest.fail("searched"))
    assert main(["fit", "genomics", "--config", "fit.yaml", *words]) == 2
    error = capsys.readouterr().err
    assert "dasha: error: 3 sequences of one part of the data are in another, too: " in error
    assert "6.98 % of test is in train: 1 sequences, and 2 more as reverse complements; exact: " in error
    assert not list((tmp_path / "run").rglob("*.ckpt"))


@pytest.mark.slow
def test_a_process_that_finds_leaks_ends_with_status_2(tmp_path):
    write_csv(tmp_path / "data", leaks=(3,))
    write_settings(tmp_path)
    words = [sys.executable, "-m", "dasha", "genomics", "fit", "--config", "fit.yaml", "--fail-on-leak"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "1 sequences, and 0 more as reverse complements" in done.stderr
    assert "args parameter" not in done.stderr
    assert not (tmp_path / "run").exists()
