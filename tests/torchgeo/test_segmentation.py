"""Images with masks, as TorchGeo's trainers get them."""

import inspect
import os
import runpy
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchgeo")

from dasha.errors import DashaWarning, InvalidArgumentError
from tests.torchgeo.conftest import EXAMPLES, OPTIONS
from torchgeo_dasha import DashaSemanticSegmentationTask, TileSegmentationDataModule
from torchgeo_dasha.data.rasters import read_mask
from torchgeo_dasha.data.segmentation import read_class_names


def prepared(root, stage="fit", **options):
    data = TileSegmentationDataModule(root, **{"batch_size": 4, "groups": r"^s\d", **options})
    data.setup(stage)
    return data


def test_batches_counts_and_scenes(tiles):
    data = prepared(tiles)
    batch = next(iter(data.train_dataloader()))
    assert (batch["image"].shape, batch["image"].dtype) == ((4, 3, 16, 16), torch.float32)
    assert (batch["mask"].shape, batch["mask"].dtype) == ((4, 16, 16), torch.int64)
    assert torch.equal(batch["image"][:, 0] // 200, batch["mask"].float())  # each mask is its image's
    parts = [getattr(data, f"{part}_dataset") for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [8, 2, 2]
    scenes = [{path.name[:2] for path in part.paths} for part in parts]
    assert len(set.union(*scenes)) == sum(map(len, scenes)) == 6
    masks = torch.stack([parts[0][place]["mask"] for place in range(8)])
    assert data.class_counts().tolist() == torch.bincount(masks.flatten()).tolist()
    assert data.class_names == ("0", "1", "2")


class Mixed(TileSegmentationDataModule):
    """A datamodule with arguments of its own, which no checkpoint could hold."""

    def __init__(self, root, transform, kind=dict, **options):
        super().__init__(root, image_size=(16, np.int64(16)), mean=np.ones(3), std=torch.ones(3), **options)


def test_checkpoints_hold_the_arguments_that_are_ours(tiles, tmp_path, trainer_of):
    data, trainer = Mixed(tiles, lambda image: image, batch_size=4, groups=r"^s\d"), trainer_of()
    trainer.fit(DashaSemanticSegmentationTask(in_channels=3, num_classes=3, **OPTIONS), datamodule=data)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    stored = torch.load(tmp_path / "last.ckpt", weights_only=True)["datamodule_hyper_parameters"]
    assert set(stored) == set(inspect.signature(TileSegmentationDataModule).parameters)
    assert (stored["root"], stored["image_size"], stored["mean"], stored["std"]) == (
        str(tiles),
        [16, 16],
        [1.0, 1.0, 1.0],
        [1.0, 1.0, 1.0],
    )
    loaded = TileSegmentationDataModule.load_from_checkpoint
    assert dict(loaded(tmp_path / "last.ckpt", weights_only=True).hparams) == stored


def test_image_and_mask_turn_together(tiles):
    data = prepared(tiles)
    batch = next(iter(data.train_dataloader()))
    turned = data.train_aug({key: value.clone() for key, value in batch.items()})
    restored = turned["image"] * data.std[:, None, None] + data.mean[:, None, None]
    # half a step off a border of classes, against rounding
    assert torch.equal((restored[:, 0] + 0.5) // 200, turned["mask"].float())
    assert turned["mask"].dtype == torch.int64
    assert not torch.equal(turned["mask"], batch["mask"])
    assert torch.equal(turned["mask"].flatten(1).sort().values, batch["mask"].flatten(1).sort().values)


def test_large_class_numbers_survive_turning(tmp_path, write_tif):
    rng = np.random.default_rng(0)
    for number in range(6):
        write_tif(tmp_path / "images" / f"s{number}.tif", np.ones((1, 12, 12), "uint8"))
        write_tif(tmp_path / "masks" / f"s{number}.tif", rng.integers(0, 1000, (1, 12, 12)).astype("uint16"))
    data = prepared(tmp_path, class_names=list(map(str, range(1000))))
    batch = next(iter(data.train_dataloader()))
    turned = data.train_aug({key: value.clone() for key, value in batch.items()})
    assert torch.equal(turned["mask"].flatten(1).sort().values, batch["mask"].flatten(1).sort().values)


@pytest.mark.parametrize("layout", ["outside", "inside", "lists"])
def test_splits_that_exist(tiles, tmp_path, layout):
    parts = {"train": range(6), "valid": range(6, 10), "test": range(10, 12)}
    root = tmp_path / "split"
    for part, numbers in parts.items():
        for number in numbers:
            name = f"s{number // 2}_{number}.tif"
            for kind in ("images", "masks"):
                place = (
                    root / part / kind
                    if layout == "outside"
                    else root / kind / part
                    if layout == "inside"
                    else root / kind
                )
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(tiles / kind / name, place)
        if layout == "lists":
            lines = [f"s{number // 2}_{number}{'.tif' if number % 2 else ''}\n" for number in numbers if number != 11]
            (root / f"{part.replace('valid', 'val')}.txt").write_text("".join(lines))
    data = prepared(root, groups=None, batch_size=2)
    count = 1 if layout == "lists" else 2
    assert [len(part) for part in (data.train_dataset, data.val_dataset, data.test_dataset)] == [6, 4, count]
    left = "(2 images or masks are in no part: images/s5_11.tif, masks/s5_11.tif)"
    assert (left in data.rule) == (layout == "lists")


def in_parts(tiles, root, *, inside):
    """Twelve tiles in folders of the parts, below those of images and masks or above them."""
    for number in range(12):
        part = ("Training", "val", "Test")[(number > 5) + (number > 9)]
        for kind in ("images", "masks"):
            place = root / kind / part if inside else root / part / kind
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(tiles / kind / f"s{number // 2}_{number}.tif", place)


@pytest.mark.parametrize("inside", [True, False])
def test_tiles_that_no_part_has_are_named(tiles, tmp_path, inside):
    root = tmp_path / "split"
    in_parts(tiles, root, inside=inside)
    assert prepared(root, groups=None).rule == "by the folders Training, val, Test"
    places = ["images/extra/a.tif", "images/b.tif"] if inside else ["extra/images/a.tif", "c.tif"]
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiles / "images" / "s0_0.tif", root / place)
    told = f"(2 images or masks are in no part: {', '.join(sorted(places))})"
    assert prepared(root, groups=None).rule.endswith(told)
    (root / "old.jp2").touch()
    told += " (1 files are not read: .jp2)"
    data = prepared(root, groups=None, image_suffix=".tif", mask_suffix=".tif")
    assert data.rule.endswith(told)


def test_names_in_lists(tiles):
    for kind in ("images", "masks"):
        for number, scene in ((6, "sceneA"), (7, "sceneB"), (8, "sceneA"), (9, "sceneB")):
            (tiles / kind / scene).mkdir(exist_ok=True)
            (tiles / kind / f"s{number // 2}_{number}.tif").rename(tiles / kind / scene / f"000{number // 8}.tif")
        shutil.copy(tiles / kind / "s0_0.tif", tiles / kind / "0001.tif")
    (tiles / "val.txt").write_text("s5_11\ns5_10\n")
    read = {"groups": None, "batch_size": 1}
    for line in ("0001", "0001.tif", "sceneB/0001", "sceneB/0001.tif"):
        (tiles / "train.txt").write_text(f"{line}\n")
        (path,) = prepared(tiles, **read).train_dataset.paths
        assert path == tiles / "images" / f"{line.removesuffix('.tif')}.tif"
    for line in ("0000", "0000.tif"):
        (tiles / "train.txt").write_text(f"s0_0\n{line}\n")
        with pytest.raises(InvalidArgumentError, match=rf"several images \({line} for sceneA/0000 and sceneB/0000\);"):
            prepared(tiles, **read)
    (tiles / "train.txt").write_text("s0_0\ns0_1\ns0_0.tif\n")
    with pytest.raises(InvalidArgumentError, match=r"train.txt lists s0_0.tif under another name before; keep one"):
        prepared(tiles, **read)
    (tiles / "train.txt").write_text("s0_0\ns0_1\ns0_0\n")
    with pytest.raises(InvalidArgumentError, match=r"train.txt lists s0_0 more than once; every image needs one line"):
        prepared(tiles, **read)


def test_a_table_of_scenes_names_tiles_as_lists_do(tiles):
    for kind in ("images", "masks"):
        (tiles / kind / "north").mkdir()
        (tiles / kind / "s0_0.tif").rename(tiles / kind / "north" / "s0_0.tif")
    names = sorted(path.name for path in (tiles / "images").glob("*.tif"))
    lines = [f"{name if name[1] in '135' else Path(name).stem},{name[:2]}\n" for name in names]
    table = tiles / "g.csv"
    for line in ("north/s0_0.tif", "north/s0_0", "s0_0.tif", "s0_0"):
        table.write_text("".join([*lines, f"{line},s0\n"]))
        for groups in ("g.csv", table):
            data = prepared(tiles, groups=groups)
            scenes = [{path.name[:2] for path in part.paths} for part in (data.train_dataset, data.val_dataset)]
            assert not scenes[0] & scenes[1]
    table.write_text("".join(lines))
    with pytest.raises(InvalidArgumentError, match=r"has no line for north/s0_0; add one"):
        prepared(tiles, groups=table)


def test_files_that_are_not_read_are_counted(tiles):
    for kind in ("images", "masks"):
        (tiles / kind / "s9_9.jp2").touch()
    assert prepared(tiles).rule.endswith("(2 files are not read: .jp2)")


def test_suffixes(tmp_path, write_tif):
    for number in range(6):
        write_tif(tmp_path / "all" / f"s{number}_sat.tif", np.ones((3, 4, 4), "uint8"))
        write_tif(tmp_path / "all" / f"s{number}_mask.tif", np.zeros((1, 4, 4), "uint8"))
    data = prepared(
        tmp_path, image_dir="all", mask_dir="all", image_suffix="_sat.tif", mask_suffix="_mask.tif", batch_size=2
    )
    assert len(data.train_dataset) == 4


def test_ignored_pixels(tiles, write_tif):
    path = tiles / "masks" / "s0_0.tif"
    mask = np.full((1, 16, 16), 9, "uint8")
    write_tif(path, mask)
    with pytest.raises(InvalidArgumentError, match=r"masks for \w+ hold 9 in \S+s0_0.tif, but the classes are 0 to 2"):
        prepared(tiles, class_names=["a", "b", "c"])
    data = prepared(tiles, class_names=["a", "b", "c"], ignore_index=9)
    assert sum(data.class_counts(part).sum() for part in ("train", "val", "test")) == 11 * 256
    write_tif(path, mask, nodata=9)
    data = prepared(tiles, ignore_index=-1)
    found = [
        part[place]["mask"]
        for part in (data.train_dataset, data.val_dataset, data.test_dataset)
        for place in range(len(part))
    ]
    assert sum(int((one == -1).sum()) for one in found) == 256
    with pytest.raises(
        InvalidArgumentError, match=r"s0_0\.tif has 256 pixels without data, .*; pass ignore_index.*-unsetnod"
    ):
        prepared(tiles)


def test_yes_written_as_255_is_not_taken_for_a_class_of_256(tiles, write_tif):
    rng = np.random.default_rng(0)
    for path in (tiles / "masks").iterdir():
        write_tif(path, rng.choice([0, 255], (1, 16, 16)).astype("uint8"))
    with pytest.raises(
        InvalidArgumentError,
        match=r"train hold 255 in \S+\.tif, but 1 in none.* convert 255 to 1 .*; pass ignore_index=255, .* lacks 1",
    ):
        prepared(tiles)
    with pytest.raises(InvalidArgumentError, match=r"hold 255 in \S+, but the classes are 0 to 1; convert what"):
        prepared(tiles, class_names=["no", "yes"])
    with pytest.warns(DashaWarning, match=r"train hold one class only \(0\), with ignore_index=255"):
        assert prepared(tiles, ignore_index=255).num_classes == 1


def test_a_class_that_is_drawn_transparent_counts(tmp_path):
    classes = np.arange(64, dtype="uint8").reshape(8, 8) % 3
    image = Image.fromarray(classes, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "mask.png", transparency=0)
    mask, is_valid = read_mask(tmp_path / "mask.png")
    assert is_valid.all()
    assert np.array_equal(mask, classes)


def test_numbers_of_classes_that_train_lacks(tiles, write_tif):
    for path in (tiles / "masks").iterdir():
        write_tif(path, np.arange(256, dtype="uint8").reshape(1, 16, 16) % 3 + 1)
    with pytest.raises(InvalidArgumentError, match=r"hold 1 in \S+, but 0 in none, .* convert 1 to 0 if it is a class"):
        prepared(tiles)
    assert prepared(tiles, ignore_index=0).class_names == ("0", "1", "2", "3")
    assert prepared(tiles, class_names=list("abcd")).class_counts()[0] == 0


def test_resizing_takes_the_nearest_class(tiles):
    sample = prepared(tiles, image_size=32).val_dataset[0]
    plain = prepared(tiles).val_dataset[0]
    assert sample["image"].shape == (3, 32, 32)
    assert torch.equal(sample["mask"], plain["mask"].repeat_interleave(2, 0).repeat_interleave(2, 1))


def test_class_names_from_a_file(tiles, tmp_path):
    (tiles / "classes.txt").write_text("0 Water\n1 Bare land\n2 Road\n")
    assert prepared(tiles).class_names == ("Water", "Bare land", "Road")
    path = tmp_path / "names.txt"
    path.write_text("Water\nBare land\n")
    assert read_class_names(path) == ("Water", "Bare land")
    path.write_text("1 Water\n2 Land\n")
    with pytest.raises(InvalidArgumentError, match=r"numbers the classes \[1, 2\], but they must be 0, 1"):
        read_class_names(path)


def test_files_that_do_not_fit_are_named(tiles, write_tif):
    with pytest.raises(InvalidArgumentError, match="nothing says how to split"):
        prepared(tiles, groups=None)
    with pytest.raises(InvalidArgumentError, match="root='nowhere' is no folder"):
        prepared("nowhere")
    with pytest.raises(InvalidArgumentError, match="labels is no folder"):
        prepared(tiles, mask_dir="labels")
    with pytest.raises(InvalidArgumentError, match=r"has no files that end in _x\.tif"):
        prepared(tiles, image_suffix="_x.tif")
    extra = tiles / "images" / "s9_0.tif"
    write_tif(extra, np.ones((3, 16, 16), "uint16"))
    with pytest.raises(InvalidArgumentError, match=r"1 images have no mask in \S+masks \(\S+s9_0.tif\)"):
        prepared(tiles)
    mask = tiles / "masks" / "s9_0.png"
    Image.new("RGB", (16, 16)).save(mask)
    with pytest.raises(InvalidArgumentError, match=r"s9_0.png has 3 bands, but a mask has one"):
        prepared(tiles)
    Image.new("L", (8, 16)).save(mask)
    with pytest.raises(InvalidArgumentError, match=r"s9_0.png has 16 × 8 pixels, but its image 16 × 16"):
        prepared(tiles)
    extra.unlink()
    extra.symlink_to(tiles / "nowhere.tif")
    with pytest.raises(InvalidArgumentError, match=r"s9_0.tif cannot be read \(.*No such file.*\); mend or delete it"):
        prepared(tiles)
    extra.unlink()
    with pytest.raises(InvalidArgumentError, match=r"1 masks have no image in \S+images \(\S+s9_0.png\)"):
        prepared(tiles)
    write_tif(tiles / "masks" / "s0_0.tiff", np.ones((1, 16, 16), "uint8"))
    with pytest.raises(InvalidArgumentError, match=r"s0_0.tif and \S+s0_0.tiff have the same name"):
        prepared(tiles)


def test_masks_of_numbers_between_classes(tiles, write_tif):
    write_tif(tiles / "masks" / "s0_0.tif", np.full((1, 16, 16), 0.5, "float32"))
    with pytest.raises(InvalidArgumentError, match=r"s0_0\.tif has values that are no whole numbers"):
        prepared(tiles)


def test_pictures_of_samples(tiles):
    data = prepared(tiles)
    sample = data.val_dataset[0]
    figure = data.plot(sample | {"prediction": sample["mask"]})
    assert [axis.get_title() for axis in figure.axes] == ["image", "mask", "prediction"]
    (legend,) = figure.legends
    classes = sample["mask"].unique().tolist()
    assert [text.get_text() for text in legend.get_texts()] == [data.class_names[number] for number in classes]
    shown = figure.axes[1].images[0]
    colours = [shown.cmap(shown.norm(number)) for number in classes]
    np.testing.assert_allclose([patch.get_facecolor() for patch in legend.get_patches()], colours)
    nothing = data.plot({"image": sample["image"], "mask": torch.full((16, 16), 9)})
    assert nothing.legends == []


def test_pictures_of_predictions(tiles, tmp_path, trainer_of, monkeypatch, capsys, write_tif):
    task = DashaSemanticSegmentationTask(in_channels=3, num_classes=3, **OPTIONS)
    trainer, data = trainer_of(), prepared(tiles)
    trainer.fit(task, datamodule=data)
    mean = data.mean.clone()
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    (predicted,) = trainer.predict(task, datamodule=prepared(tiles, "predict"))
    predicted = predicted["probabilities"] if isinstance(predicted, dict) else predicted
    assert predicted.shape == (2, 3, 16, 16)
    torch.testing.assert_close(predicted.sum(1), torch.ones(2, 16, 16))
    seen, plot = [], TileSegmentationDataModule.plot
    monkeypatch.setattr(
        TileSegmentationDataModule, "plot", lambda self, sample: seen.append(self.mean) or plot(self, sample)
    )
    for path in data.train_dataset.paths:  # the network was trained with other statistics
        write_tif(path, np.ones((3, 16, 16), "uint16"))
    options = ["--checkpoint", "last.ckpt", "--root", str(tiles), "--groups", r"^s\d", "--count", "2"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["draw_predictions.py", *options])
    runpy.run_path(str(EXAMPLES / "draw_predictions.py"), run_name="__main__")
    pictures = capsys.readouterr().out.split()
    assert len(pictures) == 2
    torch.testing.assert_close(seen[0], mean)
    for picture in pictures:
        with Image.open(picture) as opened:
            assert opened.width > 500


def test_pictures_of_yes_and_no_with_the_arguments_of_the_training(
    tiles, tmp_path, trainer_of, monkeypatch, write_tif, capsys
):
    for path in (tiles / "masks").iterdir():
        write_tif(path, np.ones((1, 16, 16), "uint8"))
    write_tif(tiles / "masks" / "s0_0.tif", np.zeros((1, 16, 16), "uint8"))
    options = {"bands": [3, 1], "image_size": 24, "split_seed": 3, "mean": np.ones(2), "std": np.ones(2)}
    data = prepared(tiles, class_names=["no", "yes"], **options)
    task = DashaSemanticSegmentationTask(in_channels=2, task="binary", loss="bce", **OPTIONS)
    trainer = trainer_of()
    trainer.fit(task, datamodule=data)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    seen = []
    monkeypatch.setattr(
        TileSegmentationDataModule, "plot", lambda self, sample: seen.append((self, sample)) or plt.figure()
    )
    monkeypatch.setattr(DashaSemanticSegmentationTask, "forward", lambda self, x: torch.ones(1, 1, *x.shape[2:]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["draw_predictions.py", "--checkpoint", "last.ckpt", "--root", str(tiles)])
    runpy.run_path(str(EXAMPLES / "draw_predictions.py"), run_name="__main__")
    drawn, sample = seen[0]
    assert sample["prediction"].unique().tolist() == [1]
    assert sample["image"].shape == (2, 24, 24)
    assert drawn.test_dataset.paths == data.test_dataset.paths
    assert drawn.class_names == ("no", "yes")


@pytest.mark.slow
@pytest.mark.skipif("DASHA_DATA" not in os.environ, reason="DASHA_DATA is not set")
def test_dubai():
    root = Path(os.environ["DASHA_DATA"]) / "satellite" / "mbrsc_dubai_256"
    data = prepared(root, groups=r"^tile\d+")
    scenes = [{path.name[:5] for path in getattr(data, f"{part}_dataset").paths} for part in ("train", "val", "test")]
    assert sum(map(len, scenes)) == len(set.union(*scenes))
    assert data.class_names == ("Water", "Land", "Road", "Building", "Vegetation", "Unlabeled")
    assert sum(data.class_counts(part).sum() for part in ("train", "val", "test")) == 513 * 256**2
