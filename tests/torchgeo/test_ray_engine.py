"""Trials of TorchGeo's tasks on a Ray cluster, which get the datamodule with all its transforms."""

import json

import pytest

pytest.importorskip("torchgeo", reason="torchgeo is not installed")
pytest.importorskip("ray", reason="Ray is not installed")

import torchgeo_dasha
from tests.torchgeo.conftest import OPTIONS
from torchgeo_dasha import ImageFolderDataModule

pytestmark = pytest.mark.slow


def test_trials_on_ray_are_those_of_one_process(class_folders, trainer_of, tmp_path):
    found = {}
    for engine in ("local", "ray"):
        task = torchgeo_dasha.DashaClassificationTask(
            in_channels=4, num_classes=2, **{**OPTIONS, "engine": engine, "run_dir": str(tmp_path / engine)}
        )
        data = ImageFolderDataModule(class_folders, batch_size=4, num_workers=0)
        trainer_of().fit(task, data)
        found[engine] = json.loads((tmp_path / engine / "tune.json").read_text())
        assert task.found.plan.architecture
    first, second = ([trial["hyperparameters"] for trial in found[engine]["trials"]] for engine in ("local", "ray"))
    assert first == second
