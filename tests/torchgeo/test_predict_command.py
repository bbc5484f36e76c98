"""``dasha predict`` from a checkpoint to a file."""

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch

pytest.importorskip("torchgeo")

from lightning.pytorch import Trainer
from torchgeo.trainers import ClassificationTask, SemanticSegmentationTask

from dasha.cli import main
from dasha.errors import InvalidArgumentError
from tests.torchgeo.conftest import OPTIONS
from torchgeo_dasha import ImageFolderDataModule, TileSegmentationDataModule
from torchgeo_dasha.inputs import KEY, NORMALIZATION_KEY, InputSpec, Normalization
from torchgeo_dasha.prediction.checkpoint import load_trained
from torchgeo_dasha.prediction.run import predict_file
from torchgeo_dasha.tasks import Searched


def trained(task, data, path):
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_train_batches=1, limit_val_batches=1,
    )  # fmt: skip
    trainer.fit(task, data)
    trainer.save_checkpoint(path)
    return path if isinstance(task, Searched) else marked(path, f"{type(task).__module__}.{type(task).__name__}")


def marked(path, class_path):
    """A checkpoint of TorchGeo's own task as torchgeo fit stores it."""
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["_class_path"] = class_path
    content["hyper_parameters"]["_instantiator"] = "lightning.pytorch.cli.instantiate_module"
    torch.save(content, path)
    return path


@pytest.fixture
def changed(tmp_path):
    """Change the content of a checkpoint."""

    def change(path, **changes):
        content = torch.load(path, weights_only=True) | changes
        torch.save({key: value for key, value in content.items() if value is not None}, tmp_path / "changed.ckpt")
        return tmp_path / "changed.ckpt"

    return change


@pytest.fixture
def patches(class_folders, tmp_path):
    task = ClassificationTask(model="resnet18", in_channels=4, num_classes=2)
    return trained(task, ImageFolderDataModule(class_folders, 8), tmp_path / "patches.ckpt")


@pytest.fixture
def scene(tmp_path, write_tif):
    pixels = np.random.default_rng(0).integers(1, 900, (4, 45, 52)).astype("uint16")
    return write_tif(tmp_path / "scene.tif", pixels)


def test_patches_of_a_scene(patches, scene, tmp_path, read_tif, capsys):
    out = tmp_path / "classes.tif"
    assert main(["predict", str(scene), "--checkpoint", str(patches), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for given, overlap, used in [(100_000, 0, 56), (100_000, 60, 64), (24, 0, 24)]:  # the scene has 45 × 52 pixels
        assert predict_file(scene, tmp_path / "o.tif", patches, tile=given, overlap=overlap).tile == used
    assert (told["kind"], told["tile"], told["class_names"]) == ("patches", 8, ["land", "sea"])
    classes, profile, _ = read_tif(out)
    assert (classes.shape, profile["transform"].a) == ((1, 6, 7), 80)
    # the class of the first patch, by hand
    network = ClassificationTask.load_from_checkpoint(patches, weights_only=True, _instantiator=None).eval()
    spec = load_trained(patches).inputs
    pixels = torch.from_numpy(read_tif(scene)[0].astype("float32"))[:, :8, :8]
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    with torch.inference_mode():
        assert classes[0, 0, 0] == network(((pixels - mean) / std)[None]).argmax()


def test_a_scene_in_an_archive(patches, scene, tmp_path, read_tif, capsys):
    with ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.write(scene, "scene.tif")
    out = tmp_path / "classes.tif"
    predict_file(scene, out, patches)
    expected = read_tif(out)[0]
    for name in (f"/vsizip/{tmp_path}/s.zip/scene.tif", f"zip://{tmp_path}/s.zip!scene.tif"):
        out.unlink()
        assert main(["predict", name, "--checkpoint", str(patches), "--out", str(out)]) == 0, capsys.readouterr().err
        np.testing.assert_array_equal(read_tif(out)[0], expected)


def test_pixels_of_a_scene(tiles, tmp_path, write_tif, read_tif, capsys):
    task = SemanticSegmentationTask(model="fcn", in_channels=3, num_classes=3, num_filters=4, task="multiclass")
    data = TileSegmentationDataModule(tiles, groups=r"^s\d", batch_size=4)
    path = trained(task, data, tmp_path / "pixels.ckpt")
    scene = write_tif(tmp_path / "scene.tif", np.random.default_rng(0).integers(1, 900, (3, 45, 52)).astype("uint16"))
    arguments = ["predict", str(scene), "--checkpoint", str(path), "--out", str(tmp_path / "p.tif")]
    assert main([*arguments, "--tile", "32", "--overlap", "16", "--probabilities", "--device", "cpu"]) == 0
    assert "classes of pixels, 45 × 52, in" in capsys.readouterr().out
    values, _, names = read_tif(tmp_path / "p.tif")
    np.testing.assert_allclose(values.sum(0), 1, atol=1e-5)
    assert names == ("0", "1", "2")


def test_classes_without_a_name_have_their_number(tiles, tmp_path, write_tif, read_tif):
    """As the last class, of which the datamodule knows nothing if it does not count."""
    task = SemanticSegmentationTask(model="fcn", in_channels=3, num_classes=6, num_filters=4, ignore_index=5)
    data = TileSegmentationDataModule(tiles, groups=r"^s\d", batch_size=4, ignore_index=5)
    path = trained(task, data, tmp_path / "pixels.ckpt")
    assert load_trained(path).inputs.class_names == ("0", "1", "2")
    scene = write_tif(tmp_path / "scene.tif", np.ones((3, 40, 40), "uint16"))
    done = predict_file(scene, tmp_path / "p.tif", path, tile=16, is_probability=True)
    assert done.class_names == read_tif(tmp_path / "p.tif")[2] == tuple("012345")


def test_a_folder_that_was_only_searched(tmp_path, scene, capsys):
    for name in ("config.json", "plan.json"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text("{}")
    arguments = ["predict", str(scene), "--checkpoint", str(tmp_path / "run"), "--out", str(tmp_path / "c.tif")]
    assert main(arguments) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "holds a search, but no trained network; train it first, with dasha fit, or with torchgeo fit and" in told


def test_bands_that_do_not_match_are_named(patches, tmp_path, write_tif, capsys):
    narrow = write_tif(tmp_path / "narrow.tif", np.ones((3, 20, 20), "uint16"))
    arguments = ["predict", str(narrow), "--checkpoint", str(patches), "--out", str(tmp_path / "c.tif")]
    assert main(arguments) == 2
    assert "narrow.tif has 3 bands, but the network was trained on files with 4; choose 4" in capsys.readouterr().err
    assert main([*arguments, "--bands", "1,2"]) == 2
    assert "narrow.tif gives 2 bands, but the network takes 4" in capsys.readouterr().err
    assert main([*arguments, "--bands", "1,x"]) == 2
    assert "--bands is '1,x', but must be numbers" in capsys.readouterr().err
    assert main([*arguments, "--bands", "1,2,3,3"]) == 0


def test_normalisation_that_is_not_known(patches, scene, tmp_path, changed):
    path = changed(patches, ImageFolderDataModule=None)
    with pytest.raises(InvalidArgumentError, match=r"does not say how .* normalised: .* 0 and 255 for one"):
        predict_file(scene, tmp_path / "c.tif", path, tile=8)
    with pytest.raises(InvalidArgumentError, match=r"mean=\[0\] and std=None must come together"):
        predict_file(scene, tmp_path / "c.tif", path, tile=8, mean=[0])
    with pytest.raises(InvalidArgumentError, match="mean has 2 numbers, but the network takes 4 bands"):
        predict_file(scene, tmp_path / "c.tif", path, tile=8, mean=[0, 0], std=[1])
    with pytest.raises(InvalidArgumentError, match=r"std=\[0\] must be above 0"):
        predict_file(scene, tmp_path / "c.tif", path, tile=8, mean=[0], std=[0])
    with pytest.raises(InvalidArgumentError, match="device='tpu9' cannot be used"):
        predict_file(scene, tmp_path / "c.tif", path, tile=8, device="tpu9")
    assert predict_file(scene, tmp_path / "c.tif", path, tile=8, mean=[0], std=[1]).class_names == ()


def test_a_run_folder_of_dasha(tmp_path, write_tif, read_tif):
    from dasha import Dasha, TaskSpec

    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    x = (rng.normal(size=(24, 2, 8, 8)) + 4 * y[:, None, None, None]).astype("float32")
    tiny = {"tune.trials": 1, "tune.max_resource": 1, "retrain.epochs": 1}
    spec = TaskSpec("multiclass", 2, 2, class_names=("low", "high"))
    run = Dasha(spec, tmp_path / "run", backbone="wide_resnet_2d", search="off", budget="smoke", overrides=tiny)
    run.fit((x[:16], y[:16]), (x[16:], y[16:]))
    scene = write_tif(tmp_path / "scene.tif", x[0].repeat(2, 1).repeat(2, 2))
    done = predict_file(scene, tmp_path / "c.tif", tmp_path / "run", tile=8, is_probability=True)
    assert (done.kind, done.class_names, done.height) == ("patches", ("low", "high"), 2)
    assert read_tif(tmp_path / "c.tif")[2] == ("low", "high")
    with pytest.raises(InvalidArgumentError, match="normalises its inputs itself; leave out mean and std"):
        predict_file(scene, tmp_path / "c.tif", tmp_path / "run", tile=8, mean=[0], std=[1])


@pytest.mark.slow
def test_a_network_of_ours_in_a_task_of_torchgeo(class_folders, scene, tmp_path, dasha_cli):
    import torchgeo_dasha.timm_models  # noqa: F401 - here, but not in the process that predicts

    task = ClassificationTask(model="dasha_wrn", in_channels=4, num_classes=2)
    path = trained(task, ImageFolderDataModule(class_folders, 8), tmp_path / "patches.ckpt")
    done = dasha_cli("predict", str(scene), "--checkpoint", str(path), "--out", str(tmp_path / "c.tif"))
    assert "classes of patches" in done.stdout, done.stderr


def test_a_searched_network_in_a_task_of_torchgeo(class_folders, scene, tmp_path, read_tif, changed, capsys):
    from dasha import Dasha, TaskSpec
    from torchgeo_dasha.timm_models import register_network

    x, y = np.random.default_rng(0).normal(size=(16, 4, 8, 8)).astype("float32"), np.arange(16) % 2
    run = Dasha(TaskSpec("multiclass", 4, 2), tmp_path / "run", **OPTIONS)
    run.search((x[:8], y[:8]), (x[8:], y[8:]))
    register_network("dasha_test_here", tmp_path / "run")
    task = ClassificationTask(model="dasha_test_here", in_channels=4, num_classes=2)
    path = trained(task, ImageFolderDataModule(class_folders, 8), tmp_path / "patches.ckpt")
    hyperparameters = torch.load(path, weights_only=True)["hyper_parameters"] | {"model": "dasha_test_there"}
    path = changed(path, hyper_parameters=hyperparameters)
    arguments = ["predict", str(scene), "--checkpoint", str(path), "--out", str(tmp_path / "c.tif")]
    assert main(arguments) == 2
    assert "Unknown model (dasha_test_there)" in (told := capsys.readouterr().err)
    assert "the run folder of a searched network that it has by name with architecture" in told
    assert main([*arguments, "--architecture", "dasha_test_there"]) == 2
    assert "--architecture is 'dasha_test_there', but must be like my_network=runs" in capsys.readouterr().err
    assert main([*arguments, "--architecture", f"dasha_test_there={tmp_path / 'run'}"]) == 0
    assert read_tif(tmp_path / "c.tif")[0].shape == (1, 6, 7)


def test_numbers_of_a_scene_are_in_the_units_of_the_masks(data_of, trainer_of, tmp_path, write_tif, read_tif, capsys):
    from torchgeo_dasha import DashaPixelwiseRegressionTask

    data = data_of("height", offset=300, factor=500)
    trainer, task = trainer_of(), DashaPixelwiseRegressionTask(in_channels=4, **OPTIONS)
    trainer.fit(task, data)
    path, out = trainer.checkpoint_callback.best_model_path, tmp_path / "heights.tif"
    data.setup("test")
    pixels = data.test_dataset[0]["image"].numpy()
    scene = write_tif(tmp_path / "scene.tif", pixels)
    arguments = ["predict", str(scene), "--checkpoint", path, "--out", str(out), "--tile", "8", "--device", "cpu"]
    assert main(arguments) == 0  # the checkpoint has the 0 and 255 of a datamodule without its own mean and std
    assert "numbers of pixels, 8 × 8, in" in capsys.readouterr().out
    values, profile, _ = read_tif(out)
    with torch.inference_mode():
        expected = task.eval()(torch.from_numpy(pixels)[None] / 255)[0].numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert profile["dtype"] == "float32"
    assert 300 < values.mean() < 600
    assert main([*arguments, "--probabilities"]) == 2
    assert "the network gives numbers, which have no probabilities" in capsys.readouterr().err


def test_the_normalisation_of_any_datamodule(data_of, trainer_of):
    from kornia.augmentation import AugmentationSequential, Normalize, VideoSequential

    from torchgeo_dasha import DashaChangeDetectionTask

    data = data_of("change")
    assert Normalization.of_datamodule(data) is None  # a function does it
    data.aug = AugmentationSequential(Normalize([1.0, 2, 3, 4], [5.0]), data_keys=None)
    given = Normalization((1.0, 2.0, 3.0, 4.0), (5.0,))
    assert Normalization.of_datamodule(data) == given
    data.kwargs["transforms"] = dict
    assert Normalization.of_datamodule(data) is None
    del data.kwargs["transforms"]
    data.train_aug = AugmentationSequential(Normalize(0.0, 1.0), Normalize(0.0, 1.0), data_keys=None)
    assert Normalization.of_datamodule(data) is None
    assert Normalization.of_datamodule(None) is None

    data, trainer, task = data_of("change"), trainer_of(), DashaChangeDetectionTask(in_channels=4, **OPTIONS)
    trainer.fit(task, data)
    path = trainer.checkpoint_callback.best_model_path
    assert NORMALIZATION_KEY not in torch.load(path, weights_only=True)
    data.aug = AugmentationSequential(VideoSequential(Normalize([1.0, 2, 3, 4], [5.0])), data_keys=None)
    trainer.save_checkpoint(path)
    assert load_trained(Path(path)).normalization == Normalization(given.mean * 2, given.std)  # of both images


def scaled_in_a_hook(data):
    data.on_after_batch_transfer = lambda batch, place: {**batch, "image": batch["image"] / 10_000}


def scaled_before(data):
    class Divide(torch.nn.Module):
        def forward(self, batch):
            return {**batch, "image": batch["image"] / 10_000}

    data.aug = torch.nn.Sequential(Divide(), data.aug)


def resized(data):
    from kornia.augmentation import AugmentationSequential, Normalize, Resize

    data.aug = AugmentationSequential(Normalize(0.0, 255.0), Resize((16, 16)), data_keys=None, keepdim=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (scaled_in_a_hook, "since GeneratedDataModule does not just subtract 0 from images and divide them by 255:"),
        (scaled_before, "does not just subtract 0 from images and divide them by 255"),
        (resized, "resizes images of 8 × 8 pixels, or changes what is in them: pass mean and std"),
    ],
)
def test_a_datamodule_that_does_more_than_normalise(change, told, data_of, tmp_path, write_tif):
    from torchgeo_dasha import DashaClassificationTask

    data, path = data_of(), tmp_path / "patches.ckpt"
    change(data)
    task = DashaClassificationTask(in_channels=4, num_classes=4, run_dir=str(tmp_path / "run"), **OPTIONS)
    trained(task, data, path)
    scene = write_tif(tmp_path / "scene.tif", np.ones((4, 8, 16), "float32"))
    with pytest.raises(InvalidArgumentError, match=told):
        predict_file(scene, tmp_path / "c.tif", path)
    # By default, patches are as large as the images were.
    done = predict_file(scene, tmp_path / "c.tif", path, mean=[0], std=[10_000])
    assert (done.height, done.width, done.tile) == (1, 2, 8)


@pytest.mark.parametrize("model", ["fcn", "fcsiamdiff", "dasha"])
def test_what_changed_between_two_images_in_one_file(model, data_of, tmp_path, write_tif, read_tif, capsys):
    from torchgeo_dasha import DashaChangeDetectionTask
    from torchgeo_dasha._compat import ChangeDetection

    if model == "dasha":
        task = DashaChangeDetectionTask(in_channels=4, run_dir=str(tmp_path / "run"), **OPTIONS)
    else:
        task = ChangeDetection(model=model, backbone="resnet18", in_channels=4)
    data = data_of("change", size=32)
    path = trained(task, data, tmp_path / "change.ckpt")
    data.setup("test")
    pixels = data.test_dataset[0]["image"]
    scene = write_tif(tmp_path / "both.tif", pixels.flatten(0, 1).numpy())
    arguments = ["predict", str(scene), "--checkpoint", str(path), "--out", str(tmp_path / "c.tif"), "--tile", "32"]
    assert main([*arguments, "--mean", "0", "--std", "255", "--probabilities"]) == 0
    inputs = pixels[None] / 255
    with torch.inference_mode():
        expected = task.eval()(inputs if model.startswith("fcsiam") else inputs.flatten(1, 2)).sigmoid()
    np.testing.assert_allclose(read_tif(tmp_path / "c.tif")[0], expected[0], rtol=1e-4)
    assert main([*arguments, "--mean", "0", "--std", "255", "--bands", "1,2,3,4"]) == 2
    assert "gives 4 bands, but the network takes 8; choose them with bands" in capsys.readouterr().err


@pytest.mark.parametrize(("loss", "offset"), [("mse", 300), ("poisson", 0)])
def test_a_run_folder_that_gives_numbers(loss, offset, tmp_path, write_tif, read_tif):
    from dasha import Dasha, TaskSpec

    x = np.random.default_rng(0).normal(size=(24, 2, 8, 8)).astype("float32")
    y = (offset + 5 * np.abs(x.mean((1, 2, 3)))).astype("float32")
    tiny = {"tune.trials": 1, "tune.max_resource": 1, "retrain.epochs": 1}
    task = TaskSpec("regression", 2, 1, loss=loss)
    run = Dasha(task, tmp_path / "run", backbone="wide_resnet_2d", search="off", budget="smoke", overrides=tiny)
    run.fit((x[:16], y[:16]), (x[16:], y[16:]))
    done = predict_file(write_tif(tmp_path / "s.tif", x[0]), tmp_path / "n.tif", tmp_path / "run", tile=8)
    assert (done.kind, done.is_number) == ("patches", True)
    np.testing.assert_allclose(read_tif(tmp_path / "n.tif")[0][:, 0, 0], run.predict(x[:1])[0], rtol=1e-5)


def test_files_that_are_no_checkpoints(patches, tmp_path, changed):
    hyperparameters = torch.load(patches, weights_only=True)["hyper_parameters"]

    def refused(message, **changes):
        with pytest.raises(InvalidArgumentError, match=message):
            load_trained(changed(patches, **changes))

    refused("is of class os.system, .* pass task='os.system'", hyper_parameters={"_class_path": "os.system"})
    refused("does not say what class.* such as torchgeo.trainers.Class", hyper_parameters={"in_channels": 4})
    refused("does not say what class.* such as torchgeo_dasha.DashaClass", hyper_parameters={"model": "dasha"})
    refused("class torchgeo.Nothing cannot be imported", hyper_parameters={"_class_path": "torchgeo.Nothing"})
    refused("is no task", hyper_parameters={"_class_path": "torchgeo.datasets.EuroSAT"})
    refused("neither classes nor numbers", hyper_parameters={"_class_path": "torchgeo.trainers.SimCLRTask"})
    refused("does not fit ClassificationTask", hyper_parameters=hyperparameters | {"model": "resnet34"})
    refused("no checkpoint of a TorchGeo task", hyper_parameters=None)
    torch.save({"x": InputSpec}, tmp_path / "code.ckpt")
    with pytest.raises(InvalidArgumentError, match="no checkpoint that can be read without executing code"):
        load_trained(tmp_path / "code.ckpt")
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        load_trained(tmp_path / "none.ckpt")
    plain = changed(patches, hyper_parameters={k: v for k, v in hyperparameters.items() if not k.startswith("_")})
    assert load_trained(plain, task="torchgeo.trainers.ClassificationTask").in_channels == 4


def test_inputs_survive_a_checkpoint(patches):
    content = torch.load(patches, weights_only=True)["ImageFolderDataModule"][KEY]
    assert InputSpec.of_dict(json.loads(json.dumps(content))) == load_trained(patches).inputs
