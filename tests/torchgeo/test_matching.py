"""Tasks and data that do not mean the same, before anything is searched."""

import inspect

import pytest
import torch

pytest.importorskip("torchgeo")

from lightning.pytorch import LightningDataModule
from torch.utils.data import Subset

from dasha.errors import InvalidArgumentError
from tests.torchgeo.conftest import OPTIONS
from torchgeo_dasha import (
    DashaChangeDetectionTask,
    DashaClassificationTask,
    DashaSemanticSegmentationTask,
    TileSegmentationDataModule,
    _compat,
)
from torchgeo_dasha.data.image_folder import ImageFolderDataModule, ImageFolderDataset
from torchgeo_dasha.inputs import InputSpec
from torchgeo_dasha.matching import check_classes

BINARY = {"task": "binary", "loss": "bce"}


def refused(message, trainer, task, data):
    with pytest.raises(InvalidArgumentError, match=message):
        trainer.fit(task, data)


def test_images_have_as_many_classes_as_the_task(class_folders, trainer_of, no_search):
    task, data = (
        DashaClassificationTask(in_channels=4, num_classes=10, **OPTIONS),
        ImageFolderDataModule(class_folders, 4),
    )
    refused(r"num_classes=10, but the data has 2 classes \(land, sea\); set num_classes=2", trainer_of(), task, data)
    task = DashaClassificationTask(in_channels=4, **BINARY, **OPTIONS)
    check_classes(task.hparams, task.spec, data)


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        ({"num_classes": 3, "ignore_index": 255}, {}, r"ignore_index=255 of the task is None in the datamodule; pass"),
        ({"num_classes": 3}, {"ignore_index": 255}, r"ignore_index=None of the task is 255 in the datamodule"),
        ({"num_classes": 2}, {}, r"num_classes=2, but the data has 3 classes \(0, 1, 2\); set num_classes=3"),
        (BINARY, {}, r"task='binary' is for 2 classes, but .* use task='multiclass', loss='ce' and num_classes=3"),
    ],
)
def test_pixels_mean_the_same_to_task_and_data(task, data, message, tiles, trainer_of, no_search):
    task = DashaSemanticSegmentationTask(in_channels=3, **OPTIONS, **task)
    refused(message, trainer_of(), task, TileSegmentationDataModule(tiles, batch_size=4, groups=r"^s\d", **data))


def test_pixels_may_lack_classes_of_the_task(tiles):
    data = TileSegmentationDataModule(tiles, batch_size=4, groups=r"^s\d", ignore_index=5)
    data.setup("fit")
    task = DashaSemanticSegmentationTask(in_channels=3, num_classes=6, ignore_index=5, **OPTIONS)
    check_classes(task.hparams, task.spec, data)
    check_classes(task.hparams, task.spec, None)  # loaders alone say nothing


@pytest.mark.parametrize(
    ("cls", "options", "target", "message"),
    [
        (
            DashaClassificationTask,
            {"num_classes": 2},
            "class",
            r"train has labels 2, 3, but num_classes=2 allows 0 to 1; convert them, or set num_classes=4$",
        ),
        (
            DashaClassificationTask,
            BINARY,
            "class",
            r"task='binary' allows 0 and 1; convert them, or use task='multiclass', loss='ce' and num_classes=4$",
        ),
        (
            DashaSemanticSegmentationTask,
            {"num_classes": 4, "ignore_index": 0},
            "mask",
            r"train has labels 4, but num_classes=4 .*, or set num_classes=5, or pass ignore_index if those pixels do",
        ),
    ],
)
def test_labels_that_are_not_allowed_are_told_in_the_words_of_the_task(
    cls, options, target, message, data_of, trainer_of
):
    refused(message, trainer_of(), cls(in_channels=4, **OPTIONS, **options), data_of(target))


def parts_of(change):
    """A datamodule whose samples are changed."""
    samples = [
        change(
            {"image": torch.rand(4, 8, 8), "label": torch.tensor(place % 2), "mask": (torch.rand(8, 8) > 0.5).long()}
        )
        for place in range(8)
    ]
    dataset = Subset(samples, range(8))
    return LightningDataModule.from_datasets(dataset, dataset, batch_size=4)


def test_a_class_that_training_lacks_is_told_in_the_words_of_the_task(trainer_of):
    task = DashaClassificationTask(in_channels=4, num_classes=3, **OPTIONS)
    message = r"train has no sample of class 2; supply some, or number the others without it and lower num_classes=3$"
    refused(message, trainer_of(), task, parts_of(lambda sample: sample))


LABELS = {"task": "multilabel", "loss": "bce", "num_labels": 3}


@pytest.mark.parametrize(
    ("cls", "options", "change", "message"),
    [
        (
            DashaClassificationTask,
            {"num_classes": 2},
            {"label": torch.Tensor.int},
            r"label int32 \(4,\) \(RuntimeError",
        ),
        (DashaClassificationTask, {"num_classes": 2}, {"label": lambda one: one[None]}, r"label int64 \(4, 1\)"),
        (
            DashaClassificationTask,
            {"num_classes": 2},
            {"image": torch.Tensor.double},
            r"float64 \(4, 4, 8, 8\), .*Double",
        ),
        (
            DashaClassificationTask,
            {"num_classes": 2},
            {"image": lambda one: one.view(2, 2, 8, 8)},
            r"\(4, 2, 2, 8, 8\)",
        ),
        (DashaClassificationTask, LABELS, {"label": lambda one: torch.ones(3)}, r"label float32 \(4, 3\) \(NotImpl"),
        (DashaSemanticSegmentationTask, {"num_classes": 2}, {"mask": lambda one: one[None]}, r"int64 \(4, 1, 8, 8\)"),
        (DashaSemanticSegmentationTask, {"num_classes": 2}, {"mask": torch.Tensor.float}, r"mask float32 \(4, 8, 8\)"),
        (
            DashaChangeDetectionTask,
            {**BINARY, "in_channels": 2},
            {"image": lambda one: one.view(2, 2, 8, 8)},
            r"int64 \(4, 8, 8\) .*Target size",
        ),
    ],
)
def test_what_torchgeos_step_refuses_is_told_before_the_search(cls, options, change, message, trainer_of, no_search):
    task = cls(**{"in_channels": 4, **OPTIONS, **options})
    data = parts_of(lambda sample: {key: change.get(key, lambda one: one)(value) for key, value in sample.items()})
    before = torch.random.get_rng_state()
    updates = [metric.update_called for metric in task.train_metrics.values()]
    refused(rf"step of TorchGeo's task refuses batches for train with .*{message}.*; let", trainer_of(), task, data)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [metric.update_called for metric in task.train_metrics.values()] == updates


def test_a_loss_that_torchgeo_has_not():
    if "num_labels" not in inspect.signature(_compat.SemanticSegmentation).parameters:
        pytest.skip("TorchGeo's losses are others")
    try:
        _compat.SemanticSegmentation(task="binary", loss="jaccard")
    except TypeError:
        with pytest.raises(InvalidArgumentError, match=r"no loss='jaccard' for task='binary' \(TypeError: .*choose an"):
            DashaSemanticSegmentationTask(in_channels=4, task="binary", loss="jaccard", **OPTIONS)


def test_a_step_of_the_users_own_is_not_tried(trainer_of, monkeypatch):
    class Own(DashaClassificationTask):
        def training_step(self, batch, number):
            return super().training_step({**batch, "label": batch["label"].long()}, number)

    task = Own(in_channels=4, num_classes=2, **OPTIONS)
    trainer_of(max_steps=0, num_sanity_val_steps=0).fit(
        task, parts_of(lambda sample: {**sample, "label": sample["label"].int()})
    )
    assert task.found is not None


def test_what_else_is_wrong_with_the_data_is_told_as_it_is(data_of, trainer_of):
    task = DashaClassificationTask(in_channels=3, num_classes=4, **OPTIONS)
    refused("inputs with 4 channels", trainer_of(), task, data_of())
    flat = parts_of(lambda sample: {**sample, "image": sample["image"][0]})  # which TorchGeo's step refuses, too
    refused(r"shape \(8, 8\)", trainer_of(), task, flat)


def test_a_picture_of_a_class_without_a_name():
    spec = InputSpec((0.0,), (1.0,), (1,), 1, class_names=("land",))
    dataset = ImageFolderDataset([], [], spec=spec, fill=torch.zeros(1), rgb=[0])
    sample = {"image": torch.zeros(1, 4, 4), "label": torch.tensor(0), "prediction": torch.tensor(9)}
    assert dataset.plot(sample).axes[0].get_title() == "label: land\nprediction: 9"
