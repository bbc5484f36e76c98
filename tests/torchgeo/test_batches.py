import pytest
import torch

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

from kornia import augmentation
from lightning.pytorch import LightningDataModule
from lightning.pytorch.trainer.states import RunningStage
from torch.utils.data import DataLoader, TensorDataset
from torchgeo.datamodules import BaseDataModule

from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec
from tests.torchgeo.test_tasks import streamed, task_of
from torchgeo_dasha.batches import has_statistics, splits_of

SPEC = TaskSpec("multiclass", 4, 4)


class StopError(Exception):
    """Ends a fit where the splits are there."""


@pytest.fixture
def splits_for(trainer_of, monkeypatch):
    """The splits that a fit would search on, and its trainer; ``use`` is called inside the fit."""

    def make(data, use, *, spec=SPEC, target="label", **options):
        def look(task, stage):
            use(*splits_of(task.trainer, spec, target), task.trainer)
            raise StopError

        task, trainer = task_of(), trainer_of(**options)
        monkeypatch.setattr(type(task), "setup", look)
        with pytest.raises(StopError):
            trainer.fit(task, data)

    return make


def first(split):
    return next(iter(split.batches(4, shuffle=False)))


def test_batches_are_those_of_the_trainer(data_of, splits_for):
    data = data_of()
    data.train_aug = augmentation.AugmentationSequential(
        augmentation.Normalize(0, 255), augmentation.RandomCrop((4, 4)), data_keys=None, keepdim=True
    )
    data.val_aug = augmentation.AugmentationSequential(augmentation.Normalize(0, 500), data_keys=None, keepdim=True)

    def use(train, validation, trainer):
        inputs, targets = first(train)
        assert inputs.shape == (4, 4, 4, 4)
        assert 0.5 < float(inputs.max()) < 1
        assert targets.dtype == torch.long
        inputs, _ = first(validation)
        assert inputs.shape == (4, 4, 8, 8)
        assert float(inputs.max()) < 0.51
        assert trainer.state.stage == RunningStage.TRAINING
        assert train.is_partial  # TorchGeo drops the last training batch
        assert not validation.is_partial

    splits_for(data, use)


def test_limits_of_the_trainer_hold(data_of, splits_for):
    def use(train, validation, trainer):
        assert len(list(train.batches(4, shuffle=True))) == 2
        assert len(list(validation.batches(4, shuffle=False))) == 1
        assert train.size is None
        assert validation.is_partial

    splits_for(data_of(count=16), use, limit_train_batches=0.5, limit_val_batches=1)


def test_both_images_of_a_change_go_in_together(data_of, splits_for):
    def use(train, validation, trainer):
        inputs, targets = first(train)
        assert inputs.shape == (4, 8, 8, 8)
        assert targets.dtype == torch.long

    splits_for(data_of("change"), use, spec=TaskSpec("segmentation", 8, 2), target="mask")


class Geo(BaseDataModule):
    """Random patches with what a GeoDataset adds to a batch."""

    def __init__(self):
        super().__init__(None)
        self.seen = []

    def setup(self, stage):
        images = torch.rand(8, 4, 8, 8) * 255
        samples = [
            {"image": image, "mask": (image[0] > 128).long(), "crs": object(), "bounds": (0, 1)} for image in images
        ]
        self.samples = samples

    def train_dataloader(self):
        from torch.utils.data import BatchSampler, RandomSampler

        sampler = BatchSampler(RandomSampler(self.samples, replacement=True, num_samples=6), 3, drop_last=False)
        return DataLoader(self.samples, batch_sampler=sampler, collate_fn=self.collate)

    def val_dataloader(self):
        return DataLoader(self.samples, batch_size=4, collate_fn=self.collate)

    @staticmethod
    def collate(samples):
        stacked = {key: torch.stack([sample[key] for sample in samples]) for key in ("image", "mask")}
        return {**stacked, "crs": [sample["crs"] for sample in samples], "bounds": [(0, 1)]}

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        del batch["crs"], batch["bounds"]
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


def test_random_patches_and_their_batch_sampler(splits_for):
    from torchgeo_dasha.batches import batch_size_of

    def use(train, validation, trainer):
        shapes = [tuple(inputs.shape) for inputs, _ in train.batches(4, shuffle=True)]
        assert shapes == [(3, 4, 8, 8)] * 2
        assert train.is_partial
        assert batch_size_of(train.loader) == 3
        assert first(validation)[0].max() <= 1

    splits_for(Geo(), use, spec=TaskSpec("segmentation", 4, 2), target="mask")


def test_a_search_on_random_patches(trainer_of):
    task = task_of("segmentation", num_classes=2, ignore_index=None)
    trainer_of().fit(task, Geo())
    assert task.found is not None


@pytest.mark.parametrize(
    ("options", "limits", "message"),
    [
        ({"batch_size": 64}, {}, r"train_dataloader gives 0 batches .* lower batch_size \(TorchGeo drops"),
        ({}, {"limit_val_batches": 0}, r"limit_val_batches=0 leaves nothing of val_d.*, or set architecture="),
        ({"target": "mask"}, {}, r"batches have 'image', 'mask', but this task needs 'image' and 'label'"),
    ],
)
def test_data_that_cannot_be_searched_on(options, limits, message, data_of, trainer_of):
    with pytest.raises(InvalidArgumentError, match=message):
        trainer_of(**limits).fit(task_of(), data_of(**options))


def test_loaders_without_a_datamodule(trainer_of):
    loader = DataLoader(TensorDataset(torch.zeros(2, 4, 8, 8)), batch_size=2)
    with pytest.raises(InvalidArgumentError, match=r"needs the trainer's datamodule, but fit got loaders; pass data"):
        trainer_of().fit(task_of(), loader, loader)


def test_a_datamodule_with_loaders_of_its_own_kind(trainer_of):
    class Several(LightningDataModule):
        def train_dataloader(self):
            return {"a": DataLoader([1]), "b": DataLoader([2])}

        val_dataloader = train_dataloader

    with pytest.raises(InvalidArgumentError, match=r"train_dataloader gives dict, but only one DataLoader"):
        trainer_of().fit(task_of(), Several())


def test_a_stream_without_a_length(data_of, trainer_of):
    with pytest.raises(InvalidArgumentError, match=r"train_dataloader gives a DataLoader without a length"):
        trainer_of().fit(task_of(), streamed(data_of()))


@pytest.mark.parametrize(
    ("values", "channels", "expected"),
    [
        ({}, 3, False),  # TorchGeo's default: bytes by 255
        ({"mean": torch.ones(3), "std": torch.ones(3)}, 3, True),
        ({"mean": torch.tensor(1.0), "std": torch.tensor(2.0)}, 1, True),
        ({"mean": torch.tensor(0.0), "std": torch.tensor(10000.0)}, 3, False),
        ({"mean": None}, 3, False),
    ],
)
def test_who_measures_mean_and_spread(values, channels, expected):
    data = BaseDataModule(None)
    for name, value in values.items():
        setattr(data, name, value)
    assert has_statistics(data, channels) is expected
    assert has_statistics(LightningDataModule(), channels) is False


def test_statistics_of_the_datamodule_are_used_alone(data_of, trainer_of):
    data = data_of()
    data.mean, data.std = torch.full((4,), 30.0), torch.full((4,), 50.0)
    task = task_of()
    trainer_of().fit(task, data)
    assert not task.found.plan.normalization
    task = task_of(seed=1)
    trainer_of().fit(task, data_of())
    assert len(task.found.plan.normalization["mean"]) == 4
