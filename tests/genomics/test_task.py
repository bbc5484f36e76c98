import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
pytest.importorskip("lightning")
pytest.importorskip("jsonargparse")

import yaml
from lightning.pytorch import LightningDataModule, Trainer

from dasha import TaskSpec
from dasha.errors import InvalidArgumentError, NotFittedError
from dasha.search.result import SearchResult
from genomics_adapter.datamodules import SequenceDataModule
from genomics_adapter.encoding import decode, one_hot, reverse_complement
from genomics_adapter.sequences import SequenceData, SequenceSplits
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


def trainer(folder, epochs=1):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(default_root_dir=folder, max_epochs=epochs, accelerator="cpu", **quiet)


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
    monkeypatch.setattr(DashaSequenceTask, "_search", lambda self: pytest.fail("searched again"))
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
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "dasha").rglob("*.json")}
    again, fresh = trainer(tmp_path, epochs=3), DashaSequenceTask(**SETTINGS)
    again.fit(fresh, datamodule=data(), ckpt_path=path, weights_only=True)
    assert fresh.result == task.result
    assert {file: file.stat().st_mtime_ns for file in before} == before


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
    own, task = trainer(tmp_path), DashaSequenceTask("regression", 2, **{**SETTINGS, "search": "off"})
    own.fit(task, datamodule=module)
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
    capsys.readouterr()
    assert main(["genomics", "test", "--config", "fit.yaml", "--ckpt_path", str(checkpoint), "--fail-on-leak"]) == 0
    assert "test_mcc" in capsys.readouterr().out
    assert not [warning for warning in recwarn if "args parameter" in str(warning.message)]


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
    monkeypatch.setattr(DashaSequenceTask, "_search", lambda self: pytest.fail("searched"))
    assert main(["genomics", "fit", "--config", "fit.yaml", *words]) == 2
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
