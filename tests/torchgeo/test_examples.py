import csv
import inspect
import os
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

import torch
from lightning.pytorch.cli import LightningCLI
from torchgeo.datamodules import BaseDataModule
from torchgeo.main import main

from dasha.search.budgets import budget_of
from tests.torchgeo.conftest import EXAMPLES, OVERRIDES
from torchgeo_dasha._compat import BaseTask
from torchgeo_dasha.batches import has_statistics

SATELLITE = Path(os.environ.get("DASHA_DATA", "/nowhere")) / "satellite"
GENERATED = ["generated_multilabel.yaml", "generated_regression.yaml"]
REAL = {
    "eurosat.yaml": ("dict_kwargs.root", "eurosat_ms_sample"),
    "image_folder.yaml": ("init_args.root", "eurosat_rgb_3000"),
    "tiles.yaml": ("init_args.root", "mbrsc_dubai_256"),
}
FILES = sorted(EXAMPLES.rglob("*.yaml"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run where nothing lies, on the CPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["torchgeo"])


def torchgeo(command, name, *arguments):
    main([command, "--config", str(EXAMPLES / name), "--trainer.accelerator", "cpu", *arguments])


@pytest.mark.parametrize("name", GENERATED)
def test_examples_on_generated_data(name, tmp_path):
    torchgeo("fit", name, "--trainer.fast_dev_run", "true")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def real():
    """Words that name the real data of an example, which is loaded in this process."""

    def words(name):
        root, folder = REAL[name]
        if not (SATELLITE / folder).is_dir():
            pytest.skip(f"DASHA_DATA names no folder with satellite/{folder}")
        return [f"--data.{root}", str(SATELLITE / folder), "--data.init_args.num_workers", "0"]

    return words


@pytest.mark.parametrize("name", REAL)
def test_examples_on_real_data(name, real):
    torchgeo("fit", name, "--trainer.fast_dev_run", "true", *real(name), "--data.init_args.batch_size", "4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least", "options"),
    [
        ("eurosat.yaml", {"val": 0.3, "test": 0.3}, []),  # of ten classes, all about as frequent
        ("image_folder.yaml", {"val": 0.3, "test": 0.3}, []),
        # the most frequent of six classes has 63 % and 45 % of the pixels
        ("tiles.yaml", {"val": 0.64, "test": 0.5}, ["--data.init_args.image_size", "64"]),
    ],
)
def test_examples_learn_from_real_data(name, least, options, real, tmp_path, request):
    given = [*real(name), *options, "--data.init_args.batch_size", "16", "--trainer.enable_progress_bar", "false"]
    log = ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", str(tmp_path)]
    short = ["--trainer.max_epochs", "6", "--trainer.limit_train_batches", "12"]
    torchgeo("fit", name, *given, *log, *short, "--model.init_args.budget", "smoke")
    validated = logged(tmp_path, 0)
    assert validated["val_loss"][-1] < validated["val_loss"][0]
    assert accuracy(validated, "val")[-1] > least["val"]
    (path,) = tmp_path.glob("lightning_logs/version_0/checkpoints/*.ckpt")
    request.getfixturevalue("no_search")
    torchgeo("test", name, *given, *log, "--ckpt_path", str(path))
    (tested,) = accuracy(logged(tmp_path, 1), "test")
    assert tested > least["test"]


def logged(folder, version):
    """Values of every metric, in their order, as the logger has them in a table with gaps."""
    found = defaultdict(list)
    with (folder / f"lightning_logs/version_{version}/metrics.csv").open() as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                found[name] += [float(text)] if text else []
    return found


def accuracy(metrics, part):
    """Share of images or pixels that are right, by the name that the task gives it."""
    names = [f"{part}_{kind}Accuracy" for kind in ("Overall", "Multiclass", "")]
    return next(metrics[name] for name in names if name in metrics)


def test_fit_test_predict_and_resume_on_the_command_line(tmp_path, request):
    small = [f"--model.init_args.overrides={OVERRIDES}", "--model.init_args.backbone=unet_2d"]
    quiet = ["--trainer.logger", "false", "--trainer.enable_progress_bar", "false"]
    torchgeo("fit", GENERATED[0], *small, *quiet, "--trainer.max_epochs", "1")
    (path,) = tmp_path.glob("checkpoints/*.ckpt")
    torch.load(path, weights_only=True)
    (tmp_path / "dasha").rename(tmp_path / "gone")
    request.getfixturevalue("no_search")
    torchgeo("test", GENERATED[0], *quiet, "--ckpt_path", str(path))
    torchgeo("predict", GENERATED[0], *quiet, "--ckpt_path", str(path))
    torchgeo("fit", GENERATED[0], *quiet, "--ckpt_path", str(path), "--trainer.max_epochs", "2")
    assert max(torch.load(file, weights_only=True)["epoch"] for file in tmp_path.glob("checkpoints/*.ckpt")) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_examples_name_what_exists(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    given = content["model"]["init_args"]
    budget_of(given.get("budget", "quick"), 2).replaced(given.get("overrides", {}))
    assert content["model"]["class_path"].startswith("torchgeo_dasha.")
    assert "/" not in str(content["data"].get("init_args", {}).get("root", ""))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_task_and_datamodule_of_examples_can_be_made(path, monkeypatch):
    """As the command line makes them, before there are data."""
    monkeypatch.setattr("sys.argv", ["torchgeo"])
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    root = ["--data.init_args.root=nowhere"] if content["data"]["class_path"].startswith("torchgeo_dasha.") else []
    made = LightningCLI(
        model_class=BaseTask,
        datamodule_class=BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        seed_everything_default=False,
        run=False,
        args=["--config", str(path), *root, "--trainer.accelerator=cpu", "--trainer.logger=false"],
    )
    data, channels = made.datamodule, made.model.hparams["in_channels"]
    assert data.batch_size == content["data"]["init_args"]["batch_size"]
    if has_statistics(data, channels):
        assert len(data.mean) == channels
    # TorchGeo hands the other arguments to the data set without looking at them.
    assert set(data.kwargs) <= set(inspect.signature(data.dataset_class).parameters)
