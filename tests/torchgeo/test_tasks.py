import inspect
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

from lightning.pytorch import Callback
from torch.utils.data import DataLoader, IterableDataset

import torchgeo_dasha
from dasha.errors import DashaWarning, InvalidArgumentError, NotFittedError, StateFileError
from tests.torchgeo.conftest import OPTIONS, OVERRIDES
from torchgeo_dasha import ImageFolderDataModule, _compat
from torchgeo_dasha.inputs import NORMALIZATION_KEY
from torchgeo_dasha.networks import counted
from torchgeo_dasha.searching import folder_of
from torchgeo_dasha.units import plan_for_data

KINDS = {
    "multiclass": ("DashaClassificationTask", "class", {"num_classes": 4, "class_weights": [1.0, 2.0, 1.0, 1.0]}),
    "binary": ("DashaClassificationTask", "binary", {"task": "binary", "loss": "bce"}),
    "multilabel": ("DashaClassificationTask", "labels", {"task": "multilabel", "loss": "bce", "num_labels": 4}),
    "regression": ("DashaRegressionTask", "number", {"loss": "mae"}),
    "segmentation": ("DashaSemanticSegmentationTask", "mask", {"num_classes": 5, "ignore_index": 0}),
    "binary segmentation": ("DashaSemanticSegmentationTask", "binary mask", {"task": "binary", "loss": "bce"}),
    "pixelwise regression": ("DashaPixelwiseRegressionTask", "height", {"loss": "mse"}),
    "change": ("DashaChangeDetectionTask", "change", {"task": "binary", "loss": "bce"}),
    "classes of change": (
        "DashaChangeDetectionTask",
        "change",
        {"task": "multiclass", "num_classes": 2, "loss": "ce"},
    ),
}
SHAPES = {
    "multiclass": (4,),
    "binary": (1,),
    "multilabel": (4,),
    "regression": (1,),
    "segmentation": (5, 8, 8),
    "binary segmentation": (1, 8, 8),
    "pixelwise regression": (1, 8, 8),
    "change": (1, 8, 8),
    "classes of change": (2, 8, 8),
}


def task_of(kind="multiclass", **options):
    name, _, own = KINDS[kind]
    return getattr(torchgeo_dasha, name)(**{"in_channels": 4, **OPTIONS, **own, **options})


class Stream(IterableDataset):
    """A data set that does not say how long it is."""

    def __init__(self, samples):
        self.samples = samples

    def __iter__(self):
        return iter([self.samples[place] for place in range(len(self.samples))])


def streamed(data):
    """A datamodule whose training data is a stream."""
    data.train_dataloader = lambda: DataLoader(Stream(data.train_dataset), batch_size=4)
    return data


def same(first, second):
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
def test_every_task_from_search_to_prediction(kind, data_of, trainer_of, tmp_path):
    task, trainer, data = task_of(kind), trainer_of(), data_of(KINDS[kind][1])
    trainer.fit(task, data)
    assert task.found.plan.architecture
    (result,) = trainer.test(task, data, verbose=False)
    assert "test_loss" in result
    assert len(result) > 2  # TorchGeo's own metrics
    predicted = trainer.predict(task, data)[0]
    predicted = predicted["probabilities"] if isinstance(predicted, dict) else predicted
    assert predicted.shape == (4, *SHAPES[kind])

    # Read without executing code, and the same network without a search.
    path = trainer.checkpoint_callback.best_model_path
    torch.load(path, weights_only=True)
    loaded = type(task).load_from_checkpoint(path, map_location="cpu")
    assert same(loaded.state_dict(), task.state_dict())
    assert loaded.found == task.found


@pytest.mark.parametrize("ending", [KeyboardInterrupt, RuntimeError])
def test_an_evaluation_that_was_ended_leaves_nothing_to_the_next(ending, data_of, trainer_of):
    class End(Callback):
        def on_train_batch_end(self, trainer, task, *args, **kwargs):
            metrics = {"fit": task.train_metrics, "validate": task.val_metrics, "test": task.test_metrics}[stage]
            assert {metric.update_count for metric in metrics.values()} == {1}
            raise ending

        on_validation_batch_end = on_test_batch_end = on_train_batch_end

    task, data = task_of(), data_of()
    trainer_of().fit(task, data)
    for stage in ("fit", "validate", "test"):
        for _ in range(2):
            with pytest.raises((ending, SystemExit)):  # Lightning ends the process where a key interrupted it
                getattr(trainer_of(callbacks=[End()], num_sanity_val_steps=0), stage)(task, datamodule=data)


def test_change_detection_on_a_datamodule_of_torchgeo(trainer_of, tmp_path):
    """With kornia's augmentation of pairs of images, which those of LEVIR-CD have from TorchGeo."""
    image = pytest.importorskip("PIL.Image")
    from torchgeo.datamodules import LEVIRCDDataModule

    rng = np.random.default_rng(0)
    for folder in ("A", "B", "label"):
        (tmp_path / folder).mkdir()
    for number in range(4):
        for part in ("train", "val", "test"):
            before, after = rng.integers(0, 100, (2, 20, 20, 3), dtype=np.uint8)
            changed = rng.random((20, 20)) < 0.3
            after[changed] += 100
            for folder, pixels in {"A": before, "B": after, "label": changed.astype(np.uint8) * 255}.items():
                image.fromarray(pixels).save(tmp_path / folder / f"{part}_{number}.png")
    data = LEVIRCDDataModule(root=str(tmp_path), batch_size=2, patch_size=16)
    task, trainer = task_of("change", in_channels=3, run_dir=str(tmp_path / "run")), trainer_of()
    trainer.fit(task, data)
    (result,) = trainer.test(task, data, verbose=False)
    assert result["test_loss"] > 0
    content = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)
    assert set(content[NORMALIZATION_KEY]) == {"mean", "std"}  # crops of the images do not matter
    assert any("Accuracy" in name for name in result)  # the names of the others are of TorchGeo's versions


def test_a_checkpoint_is_all_a_fresh_task_needs(data_of, trainer_of, no_search_after):
    task, trainer, data = task_of(), trainer_of(), data_of()
    trainer.fit(task, data)
    path = trainer.checkpoint_callback.best_model_path
    no_search_after()
    fresh = task_of()
    with pytest.raises(NotFittedError, match=r"no network before the search; run 'torchgeo fit', pass --ckpt_path"):
        fresh(torch.zeros(1, 4, 8, 8))
    (expected,) = trainer.test(task, data, verbose=False)
    assert trainer_of().test(fresh, data, ckpt_path=path, verbose=False) == [expected]


@pytest.fixture
def no_search_after(request):
    """Make every search from now on an error."""
    return lambda: request.getfixturevalue("no_search")


def test_a_search_is_not_repeated(data_of, trainer_of, tmp_path, monkeypatch, caplog):
    from dasha.search import stages

    task, data = task_of(), data_of()
    trainer = trainer_of()
    trainer.fit(task, data)
    path = trainer.checkpoint_callback.best_model_path

    def refuse(*arguments, **options):
        raise AssertionError("a second search")

    monkeypatch.setattr(stages, "search_kernels", refuse)
    monkeypatch.setattr(stages, "tune", refuse)
    resumed, again = task_of(), trainer_of(max_epochs=2)
    again.fit(resumed, data, ckpt_path=path)
    assert again.current_epoch == 2
    assert resumed.found == task.found
    again.fit(task, data)  # nor where the task has its network already
    with caplog.at_level("INFO"):
        trainer_of(max_steps=0).fit(task_of(), data)
    assert f"dasha: the search in {task.folder} is finished and used again; mean" in caplog.text
    # Nor in another folder, where the checkpoint alone knows it.
    elsewhere, moved = task_of(), trainer_of(max_epochs=2, default_root_dir=tmp_path / "elsewhere")
    moved.fit(elsewhere, data, ckpt_path=path)
    assert elsewhere.found == task.found
    assert moved.current_epoch == 2
    assert not (tmp_path / "elsewhere" / "dasha").exists()


def test_a_checkpoint_elsewhere_is_read_before_a_search(data_of, trainer_of, tmp_path, no_search_after):
    fsspec = pytest.importorskip("fsspec")
    task, trainer, data = task_of(), trainer_of(), data_of()
    trainer.fit(task, data)
    path = "memory://fields/last.ckpt"
    trainer.save_checkpoint(path)
    no_search_after()
    fresh, again = task_of(), trainer_of(max_epochs=2, default_root_dir=tmp_path / "elsewhere")
    again.fit(fresh, data, ckpt_path=path)
    assert fresh.found == task.found
    assert again.current_epoch == 2
    fsspec.filesystem("memory").rm("/fields", recursive=True)
    for broken in (path, tmp_path / "none.ckpt"):
        with pytest.raises(StateFileError, match=r"ckpt, with which .* cannot be read .*FileNotFoundError"):
            trainer_of(default_root_dir=tmp_path / "elsewhere").fit(task_of(), data, ckpt_path=broken)


def test_a_checkpoint_with_code_needs_its_task_first(data_of, trainer_of, tmp_path, no_search_after):
    task, trainer, data = task_of(), trainer_of(), data_of()
    trainer.fit(task, data)
    path = tmp_path / "code.ckpt"
    trainer.save_checkpoint(path)
    torch.save(torch.load(path, weights_only=True) | {"extra": inspect.Parameter}, path)
    no_search_after()
    options = {"max_epochs": 2, "default_root_dir": tmp_path / "elsewhere"}
    with pytest.raises(
        StateFileError, match=r"code.ckpt, .*Unpickling.*load_from_checkpoint\(path, weights_only=False"
    ):
        trainer_of(**options).fit(task_of(), data, ckpt_path=path, weights_only=False)
    loaded = type(task).load_from_checkpoint(path, weights_only=False)
    trainer_of(**options).fit(loaded, data, ckpt_path=path, weights_only=False)
    assert loaded.found == task.found


def test_labels_are_smoothed_in_training_alone(data_of, trainer_of):
    task = task_of()
    trainer_of().fit(task, data_of())
    assert task.found.plan.label_smoothing == 0.1  # of the budget
    outputs, labels = torch.tensor(4 * [[2.0, -1.0, 0.5, 0.0]]), torch.zeros(4).long()
    expected = float(torch.nn.functional.cross_entropy(outputs, labels))
    for _ in range(2):
        assert float(task.eval().criterion(outputs, labels)) == pytest.approx(expected)
        assert float(task.train().criterion(outputs, labels)) > expected + 0.01
        task.configure_losses()


def test_the_search_can_be_named(data_of, trainer_of, tmp_path, no_search_after):
    task = task_of(run_dir=str(tmp_path / "run"))
    trainer_of().fit(task, data_of())
    no_search_after()
    for name in (".", "search.json"):
        named = task_of(architecture=str(tmp_path / "run" / name))
        assert named.found == task.found
        trainer_of(logger=False, enable_checkpointing=False).fit(named, data_of())

    # Other classes keep the kernels and get a head of their own.
    other = torchgeo_dasha.DashaClassificationTask(in_channels=4, num_classes=7, architecture=str(tmp_path / "run"))
    assert other(torch.zeros(2, 4, 8, 8)).shape == (2, 7)
    assert other.found.plan.architecture == task.found.plan.architecture
    with pytest.raises(InvalidArgumentError, match=r"with 4 channels and kind='multiclass', but .* 3 channels"):
        torchgeo_dasha.DashaClassificationTask(in_channels=3, num_classes=4, architecture=str(tmp_path / "run"))
    with pytest.raises(InvalidArgumentError, match=r"kind='multiclass', but this task has .* kind='segmentation'"):
        torchgeo_dasha.DashaSemanticSegmentationTask(
            in_channels=4, num_classes=4, backbone="auto", architecture=str(tmp_path / "run")
        )


@pytest.mark.parametrize("name", ["number", "height"])
def test_a_named_search_takes_the_units_of_other_data(name, data_of, trainer_of, tmp_path, caplog):
    kind = {"number": "regression", "height": "pixelwise regression"}[name]
    trainer_of().fit(task_of(kind, run_dir=str(tmp_path / "run")), data_of(name))
    architecture = str(tmp_path / "run")
    before = task_of(kind, architecture=architecture).found.plan
    # In centimetres, and with mean and spread from the datamodule.
    data = data_of(name, offset=500.0, factor=100.0)
    data.mean, data.std = torch.full((4,), 30.0), torch.full((4,), 50.0)
    task, trainer = task_of(kind, architecture=architecture, lr=1e-9), trainer_of()
    with caplog.at_level("INFO"):
        trainer.fit(task, data)
    plan = task.found.plan
    assert plan.target_scale["mean"] == pytest.approx([500 + 100 * before.target_scale["mean"][0]], rel=1e-3)
    assert plan.target_scale["std"] == pytest.approx([100 * before.target_scale["std"][0]], rel=0.01)
    assert before.normalization
    assert not plan.normalization
    assert "mean and spread of the channels are the datamodule's" in caplog.text
    assert f"targets have mean {plan.target_scale['mean'][0]:.4g}" in caplog.text
    assert float(task.eval()(torch.zeros(1, 4, 8, 8)).mean()) > 400
    assert torch.equal(task.criterion.spread, torch.tensor(plan.target_scale["std"]))

    # A checkpoint keeps its own, whatever it goes on with.
    path = trainer.checkpoint_callback.best_model_path
    loaded = type(task).load_from_checkpoint(path)
    trainer_of(max_epochs=2).fit(loaded, data_of(name))
    again = task_of(kind, architecture=architecture)
    trainer_of(max_epochs=2).fit(again, data_of(name), ckpt_path=path)
    assert loaded.found == again.found == task.found


def test_a_named_search_measures_images_that_nobody_normalises(data_of, trainer_of, tmp_path):
    data = data_of("binary mask")
    data.mean, data.std = torch.full((4,), 30.0), torch.full((4,), 50.0)
    kind = "binary segmentation"
    trainer_of().fit(task_of(kind, run_dir=str(tmp_path / "run")), data)
    task = task_of(kind, architecture=str(tmp_path / "run"))
    assert not task.found.plan.normalization
    plain, given = task.model.network, data_of("binary mask")
    trainer_of(max_steps=0).fit(task, given)
    first, second = task.model.network
    assert second is plain
    images = torch.stack([given.train_dataset[place]["image"] for place in range(8)]) / 255
    assert task.found.plan.normalization["mean"] == pytest.approx(images.mean((0, 2, 3)).tolist(), rel=1e-3)
    assert torch.equal(first.mean.flatten(), torch.tensor(task.found.plan.normalization["mean"]))
    # Loaders alone are nothing that could be measured.
    named, loaders = task_of(kind, architecture=str(tmp_path / "run")), data_of("binary mask")
    loaders.setup("fit")
    trainer_of().fit(named, loaders.train_dataloader(), loaders.val_dataloader())
    assert not named.found.plan.normalization


@pytest.mark.parametrize("loader", ["several", "stream", "sizes"])
def test_data_that_can_be_trained_on_but_not_measured(loader, data_of, trainer_of, tmp_path):
    trainer_of().fit(task_of("regression", run_dir=str(tmp_path / "run")), data_of("number"))
    task, data = task_of("regression", architecture=str(tmp_path / "run")), data_of("number", offset=500.0)
    before, model = task.found.plan, task.model
    if loader == "stream":
        streamed(data)
    elif loader == "several":
        data.train_dataloader = lambda: {name: DataLoader(data.train_dataset) for name in "ab"}
    else:
        samples = [{"image": torch.zeros(1, 4, size, size), "label": torch.zeros(1)} for size in (8, 9)]
        data.train_dataloader = lambda: DataLoader(samples, batch_size=None)
    message = {"several": "gives dict", "stream": "without a length", "sizes": "shape"}[loader]
    trainer = trainer_of(**({} if loader == "stream" else {"max_steps": 0}))
    with pytest.warns(DashaWarning, match=rf"cannot be measured: .*{message}.* normalised and numbers scaled as for"):
        trainer.fit(task, data)
    assert task.found.plan == before
    assert task.model is model
    if loader == "stream":  # with an end that is not known, there is no schedule
        assert trainer.optimizers[0].param_groups[0]["lr"] == task.found.hyperparameters["lr"]


def test_nothing_to_measure_asks_no_other_process(data_of, trainer_of):
    task, data = task_of(), data_of()
    trainer_of().fit(task, data)
    data.mean, data.std = torch.full((4,), 30.0), torch.full((4,), 50.0)
    second = SimpleNamespace(datamodule=data, world_size=2, is_global_zero=False)  # with no way to ask
    assert task.found.plan.normalization
    assert not plan_for_data(task.found.plan, second, target="label", in_channels=4).normalization


def test_initial_weights_are_those_of_the_winning_trial(data_of, trainer_of, tmp_path):
    from dasha.search import initial_weights

    task = task_of(run_dir=str(tmp_path / "run"))
    trainer_of(max_steps=0).fit(task, data_of())
    weights = initial_weights(tmp_path / "run")
    trained = dict(task.model.named_parameters())
    assert all(torch.equal(trained[f"1.{name}"], weights[name]) for name in weights if f"1.{name}" in trained)


def test_found_settings_and_the_schedule_of_the_budget(data_of, trainer_of):
    from lightning.pytorch import Callback

    rates = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, module, batch, number):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    task = task_of(overrides={**OVERRIDES, "retrain.warmup": 0.5})
    trainer = trainer_of(max_epochs=4, callbacks=[Watch()])
    trainer.fit(task, data_of())
    (group,) = trainer.optimizers[0].param_groups
    best = task.found.hyperparameters
    assert (group["nesterov"], group["momentum"]) == (True, best["momentum"])
    assert group["weight_decay"] == best["weight_decay"]
    assert group["initial_lr"] == best["lr"]
    rise, fall = rates[:4], rates[4:]
    assert rise == sorted(rise)
    assert fall == sorted(fall, reverse=True)
    assert max(rates) == pytest.approx(best["lr"], rel=0.2)


def test_arguments_from_numpy_and_paths_are_plain_in_checkpoints(data_of, trainer_of, tmp_path):
    given = {
        "run_dir": tmp_path / "run",
        "class_weights": np.array([1.0, 2.0, 1.0, 1.0]),
        "in_channels": np.int64(4),
        "num_classes": np.int64(4),
        "seed": np.int64(1),
        "overrides": {**OVERRIDES, "width": np.int64(1)},
    }
    task, trainer = task_of(**given), trainer_of()
    trainer.fit(task, data_of())
    path = trainer.checkpoint_callback.best_model_path
    stored = torch.load(path, weights_only=True)["hyper_parameters"]
    assert (stored["run_dir"], stored["class_weights"]) == (str(tmp_path / "run"), [1.0, 2.0, 1.0, 1.0])
    assert (stored["seed"], type(stored["seed"]), type(stored["overrides"]["width"])) == (1, int, int)
    assert type(task).load_from_checkpoint(path).found == task.found
    assert task_of(architecture=tmp_path / "run").found == task.found
    weight = torch.tensor([2.0])
    assert isinstance(task_of(class_weights=weight.repeat(4)).hparams["class_weights"], torch.Tensor)


def test_a_learning_rate_and_patience_of_the_users_own(data_of, trainer_of):
    task, trainer = task_of(lr=0.001, patience=3), trainer_of(gradient_clip_val=0.5)
    with pytest.warns(DashaWarning, match=r"lr=0.001 is used as given, not the 0\.\d+ that was found.*AdamW"):
        trainer.fit(task, data_of())
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0.001
    (config,) = trainer.lr_scheduler_configs
    assert (type(config.scheduler).__name__, config.monitor, config.scheduler.patience) == (
        "ReduceLROnPlateau",
        "val_loss",
        3,
    )


def test_a_learning_rate_that_lightning_finds(data_of, trainer_of):
    from lightning.pytorch.callbacks import LearningRateFinder

    finder = LearningRateFinder(num_training_steps=30, early_stop_threshold=None)
    task, trainer = task_of(), trainer_of(callbacks=[finder])
    trainer.fit(task, data_of(count=160))
    rate, schedule = task.hparams["lr"], trainer.lr_scheduler_configs[0].scheduler
    assert rate not in (None, task.found.hyperparameters["lr"])
    assert schedule.base_lrs == [rate]
    (group,) = task.optimizers().param_groups
    assert group["lr"] == pytest.approx(rate * schedule.lr_lambdas[0](schedule.last_epoch))


@pytest.mark.parametrize("name", ["StochasticWeightAveraging", "EMAWeightAveraging"])
def test_weights_are_averaged_from_a_search_and_from_what_it_found(name, data_of, trainer_of, tmp_path):
    from lightning.pytorch import callbacks

    if not hasattr(callbacks, name):
        pytest.skip(f"this version of Lightning has no {name}")
    options = {"swa_lrs": 0.01, "swa_epoch_start": 1} if name.startswith("Sto") else {}
    for given in ({"run_dir": str(tmp_path / "run")}, {"architecture": str(tmp_path / "run")}):
        task, averaging = task_of(**given), getattr(callbacks, name)(**options)
        trainer_of(max_epochs=3, callbacks=[averaging], enable_checkpointing=False).fit(task, data_of())
        kept = dict(averaging._average_model.named_parameters())
        assert kept
        assert all(
            torch.isfinite(parameter).all() and kept.get(f"module.{name}", kept.get(name)).shape == parameter.shape
            for name, parameter in task.named_parameters()
        )


def test_a_named_search_trains_without_validation(data_of, trainer_of, tmp_path):
    trainer_of().fit(task_of(run_dir=str(tmp_path / "run")), data_of())
    task, trainer = task_of(architecture=str(tmp_path / "run")), trainer_of(limit_val_batches=0)
    trainer.fit(task, data_of())
    assert trainer.global_step == 2


@pytest.mark.parametrize(("precision", "is_fast"), [("bf16-mixed", True), ("32-true", False)])
def test_reduced_precision_is_computed_with_channels_last(precision, is_fast, data_of, trainer_of):
    task, orders = task_of(), []
    trainer_of().fit(task, data_of())
    first = next(module for module in task.model.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_hook(
        lambda module, inputs, output: orders.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    trainer_of(precision=precision).fit(task, data_of())
    assert orders
    assert set(orders) == {is_fast}


def test_a_dev_run_leaves_nothing(data_of, trainer_of, tmp_path):
    trainer = trainer_of(fast_dev_run=True)
    trainer.fit(task_of(run_dir=str(tmp_path / "run")), data_of())
    assert list(tmp_path.iterdir()) == []


def test_a_dev_run_leaves_an_earlier_search_alone(data_of, trainer_of, tmp_path):
    task, data = task_of(run_dir=str(tmp_path / "run")), data_of()
    trainer_of().fit(task, data)
    trainer_of(fast_dev_run=True).fit(task, data)
    assert task.folder == tmp_path / "run"
    assert (task.folder / "plan.json").is_file()


def test_a_search_goes_on_where_nothing_that_matters_is_different(trainer_of, data_of):
    def folder(*, data=None, trainer=None, **options):
        task = task_of(**options)
        return folder_of(trainer_of(**(trainer or {})), data_of(**(data or {})), task.spec, task.settings, None)

    first = folder()
    for same in ({}, {"engine": "ray"}, {"data": {"num_workers": 1}}, {"trainer": {"max_epochs": 9}}):
        assert folder(**same) == first
    others = [
        {"seed": 1},
        {"data": {"batch_size": 2}},
        {"data": {"offset": 1.0}},
        {"trainer": {"accumulate_grad_batches": 2}},
        {"trainer": {"precision": "bf16-mixed"}},
        {"trainer": {"limit_train_batches": 1}},
    ]
    assert len({first, *(folder(**other) for other in others)}) == 1 + len(others)


def test_folders_of_datamodules_by_what_they_say(trainer_of, class_folders):
    def folder(*arguments, **options):
        task = task_of()
        return folder_of(trainer_of(), ImageFolderDataModule(*arguments, **options), task.spec, task.settings, None)

    assert folder(class_folders) == folder(str(class_folders), num_workers=2)
    assert len({folder(class_folders), folder(class_folders, bands=[1, 2]), folder("elsewhere")}) == 3
    data = ImageFolderDataModule(class_folders)
    task, found = task_of(), set()
    for thing in (object(), object()):  # whose texts have addresses
        data.kwargs["transforms"] = thing
        found.add(folder_of(trainer_of(), data, task.spec, task.settings, None))
    assert len(found) == 1


def test_another_folder_where_the_files_are_others(trainer_of, class_folders):
    def folder():
        task, data = task_of(), ImageFolderDataModule(class_folders, 4)
        data.setup("fit")
        return data, folder_of(trainer_of(), data, task.spec, task.settings, None)

    def grow(path):
        path.write_bytes(path.read_bytes() + b"0")

    data, first = folder()
    grow(data.test_dataset.paths[0])  # is not searched on
    assert folder()[1] == first
    grow(data.val_dataset.paths[0])
    assert folder()[1] != first


def test_a_folder_of_data_that_have_changed(trainer_of, data_of, generated_data, monkeypatch):
    trainer_of().fit(task_of(), data_of())
    read = generated_data.GeneratedImages.__getitem__

    def brighter(self, index):
        sample = read(self, index)
        return {**sample, "image": sample["image"] + (self.split == "train")}

    monkeypatch.setattr(generated_data.GeneratedImages, "__getitem__", brighter)
    message = r"images or targets for train have changed since the search in \S+; delete that folder .* or set run_dir"
    with pytest.raises(InvalidArgumentError, match=message):
        trainer_of().fit(task_of(), data_of())


def test_folders_of_datamodules_with_arguments_of_any_kind(trainer_of, data_of):
    def folder(arguments):
        task, data = task_of(), data_of()
        data.kwargs = arguments
        return folder_of(trainer_of(), data, task.spec, task.settings, None)

    loading = {"pin_memory": True, "persistent_workers": True, "prefetch_factor": 4}
    assert folder(None) == folder({}) == folder(loading)
    assert len({folder({"classes": {1: "a", "b": 2, ("c", None): last}}) for last in (3, [3], {4: 3})}) == 3
    assert folder({"classes": {object(): 1}}) == folder({"classes": {object(): 1}})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet_50"}, r"backbone='resnet_50' is unknown.* allowed: 'auto', 'unet_2d', 'wide_resnet_2d'"),
        ({"backbone": "wide_resnet"}, r"backbone='wide_resnet' is unknown; did you mean 'wide_resnet_2d'"),
        ({"backbone": "unet_1d"}, r"backbone='unet_1d' is for 1-D inputs"),
        ({"backbone": "wide_resnet_2d"}, r"backbone_options has 'levels', which backbone='wide_resnet_2d' does not"),
        ({"num_classes": None}, r"num_classes is missing, which task='multiclass' needs"),
        ({"loss": "bce"}, r"loss='bce' does not fit task='multiclass'; use loss='ce'"),
        ({"task": "binary"}, r"loss='ce' does not fit task='binary'; use loss='bce'"),
        ({"task": "ranking"}, r"task='ranking' must be 'binary', 'multiclass' or 'multilabel'"),
        (
            {"num_classes": 1},
            r"num_classes=1 must be at least 2 for task='multiclass'; use task='binary' for yes or no",
        ),
        ({"num_classes": 0}, r"num_classes is 0, but must be an integer of at least 1"),
        ({"class_weights": [1.0]}, r"class_weights has 1 entries, but kind='multiclass' has 4"),
        ({"budget": "huge"}, r"budget='huge' must be one of"),
        ({"overrides": {"tune.trial": 1}}, r"budget has no value 'tune.trial'; did you mean 'trials'"),
        ({"search": "maybe"}, r"search='maybe' must be one of 'auto', 'on', 'off', 'random'"),
        ({"engine": "dask"}, r"engine='dask' must be one of 'local', 'ray'"),
        ({"seed": -1}, r"seed=-1 must be a whole number"),
        ({"loss": "hinge"}, r"loss='hinge' is none that this task has in .* TorchGeo; allowed: 'ce', 'bce', 'jaccard'"),
        ({"lr": -1}, r"lr is -1, but must be a number above 0; delete it"),
        ({"lr": 0.0}, r"lr is 0.0, but must be a number above 0"),
        ({"lr": float("nan")}, r"lr is nan, but"),
        ({"patience": -1}, r"patience is -1, but must be an integer of at least 0"),
    ],
)
def test_arguments_that_have_no_place(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        task_of(**options)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dasha_unet", "'unet_2d'"), ("tu-dasha_wrn", "'wide_resnet_2d'"), ("dasha_x", "'unet_2d' or 'wide_resnet_2d'")],
)
def test_names_in_timm_are_no_backbones(name, hint):
    import torchgeo_dasha.timm_models  # noqa: F401 - registers the names

    with pytest.raises(InvalidArgumentError, match=rf"backbone='{name}' is a name in timm.* it is backbone={hint}, or"):
        task_of(backbone=name)


def test_arguments_of_dense_tasks_that_have_no_place():
    with pytest.raises(InvalidArgumentError, match=r"task='multilabel' has several labels for every position"):
        task_of("segmentation", task="multilabel", loss="bce", num_labels=3)
    with pytest.raises(InvalidArgumentError, match=r"loss='ce' does not fit task='binary'; use loss='bce'"):
        task_of("change", loss="ce")


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("multiclass", {"model": "resnet50", "weights": True}, "model='resnet50', weights=True;"),
        ("multiclass", {"freeze_backbone": True, "weights": False}, "weights: freeze_backbone=True;"),
        (
            "segmentation",
            {"model": "unet", "backbone": "resnet50", "freeze_decoder": True, "num_filters": 8},
            "model='unet', freeze_decoder=True, num_filters=8, backbone='resnet50';",
        ),
        ("change", {"model": "fcsiamdiff", "backbone": "mit_b0"}, "model='fcsiamdiff', backbone='mit_b0';"),
        ("segmentation", {"backbone": "tu-resnet18"}, "weights: backbone='tu-resnet18';"),
    ],
)
def test_arguments_about_networks_of_torchgeo_are_not_used(kind, options, named, recwarn):
    task = task_of(kind, **options)
    (warning,) = [one for one in recwarn if issubclass(one.category, DashaWarning)]
    assert named in str(warning.message)
    expected = "auto" if "backbone" in options else OPTIONS["backbone"]
    assert (task.hparams["model"], task.settings.backbone) == ("dasha", expected)
    recwarn.clear()
    task_of(
        kind, **{name: value for name, value in task.hparams.items() if name in options}
    )  # as a checkpoint has them
    task_of(kind, num_filters=3) if kind == "segmentation" else task_of(kind, model="dasha")
    assert not [one for one in recwarn if issubclass(one.category, DashaWarning)]


def test_a_file_of_torchgeo_with_another_class(data_of, tmp_path, monkeypatch):
    """What TorchGeo's command line makes of a file whose class_path alone was changed."""
    from torchgeo.main import main

    given = {
        "trainer": {"fast_dev_run": True, "accelerator": "cpu", "logger": False, "enable_progress_bar": False},
        "model": {
            "class_path": "torchgeo_dasha.DashaSemanticSegmentationTask",
            "init_args": {
                "model": "unet",
                "backbone": "resnet18",
                "weights": True,
                "in_channels": 4,
                "num_classes": 5,
                "freeze_backbone": True,
                "lr": 0.0001,
                "patience": 6,
                "budget": "smoke",
            },
        },
        "data": {"class_path": "generated_data.GeneratedDataModule", "dict_kwargs": {"target": "mask", "size": 8}},
    }
    (tmp_path / "x.yaml").write_text(json.dumps(given))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["torchgeo"])
    with (
        pytest.warns(DashaWarning, match=r"model='unet', weights=True, freeze_backbone=True, backbone='resnet18'"),
        pytest.warns(
            DashaWarning, match=r"lr=0.0001 is used as given, not the 1e-06 that was found: training is by SGD"
        ),
    ):
        main(["fit", "--config", "x.yaml"])


def test_labels_that_do_not_count_are_for_pixels():
    if "ignore_index" not in inspect.signature(_compat.Classification).parameters:
        pytest.skip("TorchGeo's classification has no ignore_index")
    assert task_of(ignore_index=None).spec.ignore_index is None
    with pytest.raises(InvalidArgumentError, match=r"ignore_index=3 is for pixels .* leave images of that label out"):
        task_of(ignore_index=3)


def test_a_weight_that_the_search_has_not(recwarn):
    if "pos_weight" not in inspect.signature(_compat.Classification).parameters:
        pytest.skip("TorchGeo's classification has no pos_weight")
    with pytest.warns(DashaWarning, match="pos_weight counts in the final training alone"):
        task_of("multilabel", pos_weight=torch.ones(4))
    recwarn.clear()
    assert task_of("binary", pos_weight=torch.tensor(3.0)).spec.class_weights == (1.0, 3.0)
    assert not [one for one in recwarn if issubclass(one.category, DashaWarning)]


def test_architectures_that_are_none(tmp_path):
    with pytest.raises(StateFileError, match=r"there is no finished search in .*: plan.json is missing"):
        task_of(architecture=str(tmp_path))
    with pytest.raises(StateFileError, match=r"architecture is no result of a search \(KeyError"):
        task_of(architecture={"kernels": 3})


def test_checkpoints_of_something_else(data_of, trainer_of):
    task, trainer = task_of(), trainer_of()
    trainer.fit(task, data_of())
    path = trainer.checkpoint_callback.best_model_path
    with pytest.raises(InvalidArgumentError, match=r"the checkpoint is for .*num_outputs=4.*use the arguments it was"):
        trainer_of().test(task_of(num_classes=6, class_weights=None), data_of(), ckpt_path=path, verbose=False)
    with pytest.raises(StateFileError, match=r"holds no searched network; it must come from a DashaClassificationTask"):
        task.on_load_checkpoint({"hyper_parameters": {"lr": 1.0}})


def test_the_run_folder_has_a_report_and_says_what_was_learnt(data_of, trainer_of, tmp_path):
    task = task_of(run_dir=str(tmp_path / "run"))
    trainer_of(accumulate_grad_batches=2).fit(task, data_of())
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["task"]["class_weights"] == [1.0, 2.0, 1.0, 1.0]
    assert (config["budget"]["batch_size"], config["budget"]["accumulate"]) == (4, 2)
    assert config["settings"]["normalize"] is True

    from dasha.report.run import write_report

    assert write_report(tmp_path / "run").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("kind", "loss"),
    [("binary segmentation", "bce"), ("binary segmentation", "focal"), ("change", "bce"), ("change", "jaccard")],
)
def test_pixels_that_do_not_count_leave_no_trace(kind, loss, data_of, trainer_of):
    """Whatever the network says of them, neither loss nor metrics change."""
    task = task_of(kind, loss=loss, ignore_index=255)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, *(() if kind != "change" else (1,)), 8, 8, generator=generator)
    masks = (torch.rand(outputs.shape, generator=generator) > 0.5).long()
    is_counted = torch.rand(outputs.shape, generator=generator) > 0.3
    masks[~is_counted] = 255
    other = torch.where(is_counted, outputs, 9.0)
    given = masks.float() if loss == "bce" else masks
    first, second = (float(task.criterion(one, given)) for one in (outputs, other))
    assert 0 < first == pytest.approx(second)
    if loss == "bce":
        counted = outputs[is_counted], given[is_counted]
        assert first == pytest.approx(float(torch.nn.functional.binary_cross_entropy_with_logits(*counted)))
        nothing = task.criterion(outputs.requires_grad_(), torch.full_like(given, 255))
        nothing.backward()
        assert float(nothing.detach()) == 0 == float(outputs.grad.abs().sum())
    values = []
    for one in (outputs, other):
        values.append(task.train_metrics(one.detach(), given))
        task.train_metrics.reset()
    assert values[0] == values[1]


def test_a_weight_keeps_its_name_where_pixels_do_not_count():
    weight, outputs = torch.tensor(3.0), torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    criterion = counted(torch.nn.BCEWithLogitsLoss(pos_weight=weight), 255)
    assert criterion.state_dict() == {"pos_weight": weight}
    masks = (outputs > 0.5).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(outputs[:1], masks[:1], pos_weight=weight)
    masks[1] = 255
    assert float(criterion(outputs, masks)) == pytest.approx(float(expected))


def test_a_fit_with_pixels_that_do_not_count(data_of, trainer_of, generated_data, monkeypatch):
    read = generated_data.GeneratedImages.__getitem__

    def marked(self, index):
        sample = read(self, index)
        sample["mask"][..., 0] = 255
        return sample

    monkeypatch.setattr(generated_data.GeneratedImages, "__getitem__", marked)
    task, trainer = task_of("binary segmentation", ignore_index=255), trainer_of()
    trainer.fit(task, data_of("binary mask"))
    assert 0 < float(trainer.callback_metrics["val_loss"]) < 5  # with 255 as a target, it is far off


@pytest.mark.parametrize("search", ["off", "random"])
def test_what_a_search_has_to_beat(search, data_of, trainer_of):
    task = task_of(search=search)
    trainer_of().fit(task, data_of())
    assert bool(task.found.plan.architecture) == (search == "random")


def test_tasks_are_offered_by_name():
    from torchgeo_dasha import plugin

    offers = {}
    plugin.register_adapters(offers.__setitem__)
    assert set(offers) == {
        "torchgeo_change_detection",
        "torchgeo_classification",
        "torchgeo_pixelwise_regression",
        "torchgeo_regression",
        "torchgeo_segmentation",
    }
    made = offers["torchgeo_classification"](in_channels=4, num_classes=3)
    assert isinstance(made, torchgeo_dasha.DashaClassificationTask)


def bright(seed, *, is_dense, mean, spread):
    """Images of 8 × 8 pixels; their brightness, or that of every pixel, tells the target."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randn(48, 1, 4, 4, generator=generator) if is_dense else torch.randn(48, 1, 1, 1, generator=generator)
    level = level.expand(48, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    images = level + 0.2 * torch.randn(48, 4, 8, 8, generator=generator)
    targets = mean + spread * (level[:, 0] if is_dense else level[:, 0, 0, 0])
    key = "mask" if is_dense else "label"
    samples = [{"image": image, key: target} for image, target in zip(images, targets, strict=True)]
    return torch.utils.data.Subset(samples, range(48))


@pytest.mark.parametrize(
    ("name", "mean", "spread"),
    [
        ("DashaRegressionTask", 300.0, 5.0),
        ("DashaRegressionTask", 0.0, 1e4),
        ("DashaPixelwiseRegressionTask", 300.0, 5.0),
    ],
)
def test_numbers_of_any_scale_are_learnt(name, mean, spread, trainer_of, tmp_path, caplog):
    from lightning.pytorch import LightningDataModule

    cls = getattr(torchgeo_dasha, name)
    parts = [bright(seed, is_dense="Pixel" in name, mean=mean, spread=spread) for seed in range(3)]
    data = LightningDataModule.from_datasets(*parts, batch_size=8)
    overrides = {**OVERRIDES, "tune.lr": (0.003, 0.01), "tune.dropout": (0.0,)}  # one trial must not diverge
    task, trainer = cls(in_channels=4, **{**OPTIONS, "overrides": overrides}), trainer_of(max_epochs=12)
    with caplog.at_level("INFO"):
        trainer.fit(task, data)
    scale = task.found.plan.target_scale
    assert f"targets have mean {scale['mean'][0]:.4g} and std {scale['std'][0]:.4g}" in caplog.text
    targets = torch.stack([sample[task.target_key] for sample in parts[2]])
    (result,) = trainer.test(task, data, verbose=False)
    assert result["test_MSE"] < 0.5 * targets.var()  # in the units of the data; 1 is the best constant's
    assert result["test_loss"] == pytest.approx(result["test_MSE"] / scale["std"][0] ** 2, rel=0.01)

    # The checkpoint and the run folder are enough, and hold plain values.
    loaded = cls.load_from_checkpoint(
        trainer.checkpoint_callback.best_model_path, map_location="cpu", weights_only=True
    )
    assert loaded.found.plan.target_scale == scale
    (again,) = trainer_of().test(loaded, data, verbose=False)
    assert again["test_loss"] == pytest.approx(result["test_loss"], rel=1e-4)
    named = cls(in_channels=4, architecture=str(next((tmp_path / "dasha").iterdir())))
    assert named.found.plan.target_scale == scale
    assert float(named.eval()(torch.zeros(1, 4, 8, 8)).mean()) == pytest.approx(mean, abs=4 * spread)
