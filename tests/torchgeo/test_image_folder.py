"""Images in folders of classes, as TorchGeo's trainers get them."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchgeo")

from dasha.errors import InvalidArgumentError
from tests.torchgeo.conftest import OPTIONS
from torchgeo_dasha import DashaClassificationTask, ImageFolderDataModule
from torchgeo_dasha.data.rasters import read_image, read_mask


def prepared(root, stage="fit", **options):
    data = ImageFolderDataModule(root, **{"batch_size": 4, **options})
    data.setup(stage)
    return data


def names(data, part):
    return {path.name for path in getattr(data, f"{part}_dataset").paths}


def test_batches_and_statistics_of_train_alone(class_folders):
    data = prepared(class_folders)
    batch = next(iter(data.train_dataloader()))
    assert (batch["image"].shape, batch["image"].dtype) == ((4, 4, 8, 8), torch.float32)
    assert (batch["label"].dtype, data.class_names, data.in_channels) == (torch.int64, ("land", "sea"), 4)
    assert data.class_counts().tolist() == [10, 10]
    images = torch.stack([data.train_dataset[place]["image"] for place in range(20)]).double()
    torch.testing.assert_close(data.mean.double(), images.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(data.std.double(), images.std((0, 2, 3), correction=0), rtol=1e-6, atol=0)


def test_the_log_says_where_the_statistics_come_from(class_folders, caplog):
    with caplog.at_level("INFO"):
        prepared(class_folders)
    assert "20 for train, 4 for val, 4 for test" in caplog.text
    assert "4 bands, 8 × 8, uint16; 2 classes; mean and std of every band measured on train alone" in caplog.text


def test_scenes_do_not_straddle_parts(class_folders, tmp_path):
    table = tmp_path / "scenes.csv"
    table.write_text("".join(f"{path.stem},{path.stem[:6]}\n" for path in sorted((class_folders / "sea").iterdir())))
    for groups in (r"scene\d+", r"(scene\d+)_", str(table)):
        data = prepared(class_folders, groups=groups, val_fraction=0.2, test_fraction=0.2)
        scenes = [{name[:6] for name in names(data, part)} for part in ("train", "val", "test")]
        assert all(scenes)
        assert len(set.union(*scenes)) == sum(map(len, scenes)) == 7
        assert "by group at random, 60 %" in data.rule
    assert prepared(class_folders, groups=r"scene\d", split_seed=1).rule.endswith("(draw 1)")


def test_lists_that_tear_a_scene_apart_are_refused(class_folders):
    for part, numbers in {"train": (0, 1, 2), "val": (3, 4)}.items():
        lines = [f"{name}/scene{n // 2}_{n}.tif\n" for name in ("land", "sea") for n in numbers]
        (class_folders / f"{part}.txt").write_text("".join(lines))
    assert prepared(class_folders).rule == "by the lists train.txt, val.txt (18 images are in none of them)"
    with pytest.raises(InvalidArgumentError, match=r"groups are in train and in val, but must be .* \(scene1\); mend"):
        prepared(class_folders, groups=r"scene\d")
    with pytest.raises(InvalidArgumentError, match="no images for test; the data is split by the lists"):
        prepared(class_folders, "test")


def test_bands_are_chosen_in_order(class_folders):
    every, some = prepared(class_folders), prepared(class_folders, bands=[3, 1])
    assert torch.equal(some.val_dataset[0]["image"], every.val_dataset[0]["image"][[2, 0]])
    assert torch.equal(some.mean, every.mean[[2, 0]])
    assert torch.equal(prepared(class_folders, bands=np.array([3, 1])).mean, some.mean)
    with pytest.raises(InvalidArgumentError, match=r"bands=\[5\] asks for \[5\], but the images have bands 1 to 4"):
        prepared(class_folders, bands=[5])


def test_pixels_without_data_do_not_count_and_become_the_mean(tmp_path, write_tif):
    for number in range(6):
        pixels = np.full((2, 4, 4), 10.0 + number, np.float32)
        pixels[1] = 7.0
        pixels[0, 0, 0], pixels[0, 0, 1], pixels[1, 0, 0] = -9999, np.nan, np.inf
        write_tif(tmp_path / "x" / f"{number}.tif", pixels, nodata=-9999)
    data = prepared(tmp_path)
    values = [data.train_dataset[place]["image"][0, 1, 1].item() for place in range(4)]
    assert data.mean.tolist() == pytest.approx([np.mean(values), 7.0])
    assert data.std.tolist() == pytest.approx([np.std(values), 1.0])  # the second band is constant
    image = data.train_dataset[0]["image"]
    assert image[:, 0, 0].tolist() == data.mean.tolist()
    assert image[0, 0, 1] == data.mean[0]


@pytest.mark.parametrize(
    ("mode", "bands", "suffix"), [("L", 1, "png"), ("RGB", 3, "jpg"), ("RGBA", 3, "png"), ("I;16", 1, "png")]
)
def test_pictures_without_coordinates(tmp_path, mode, bands, suffix):
    (tmp_path / "x").mkdir()
    for number in range(4):
        Image.new(mode, (6, 5), 200 if bands == 1 else (200,) * len(mode)).save(tmp_path / "x" / f"{number}.{suffix}")
    data = prepared(tmp_path, batch_size=2)
    assert data.in_channels == bands
    assert data.val_dataset[0]["image"].shape == (bands, 5, 6)
    assert data.val_dataset[0]["image"].mean() == pytest.approx(200, abs=1)


def test_a_fourth_band_that_gdal_takes_for_transparency(tmp_path, write_tif):
    for number in range(4):
        pixels = np.full((4, 4, 4), 50, "uint8")
        pixels[3, 0, 0] = 0
        write_tif(tmp_path / "x" / f"{number}.tif", pixels)
    assert prepared(tmp_path, batch_size=2).in_channels == 3
    image = prepared(tmp_path, batch_size=2, bands=[1, 4]).val_dataset[0]["image"]
    assert image[:, 0, 0].tolist() == [50, 0]


def test_sizes_that_differ_need_image_size(class_folders, write_tif):
    write_tif(class_folders / "sea" / "large.tif", np.ones((4, 16, 12), "uint16"))
    with pytest.raises(InvalidArgumentError, match=r"most 8 × 8, but \S+large.tif with 16 × 12; crop them, or pass"):
        prepared(class_folders)
    data = prepared(class_folders, image_size=(6, 5))
    assert next(iter(data.train_dataloader()))["image"].shape == (4, 4, 6, 5)
    assert data.spec.file_size is None


def test_files_that_do_not_fit_are_named(class_folders, write_tif):
    odd = class_folders / "sea" / "odd.tif"
    write_tif(odd, np.ones((3, 8, 8), "uint16"))
    with pytest.raises(InvalidArgumentError, match=r"unequal numbers of bands: most 4, but \S+odd.tif with 3"):
        prepared(class_folders)
    write_tif(odd, np.ones((4, 8, 8), "uint8"), alpha="no")
    with pytest.raises(InvalidArgumentError, match=r"unequal types of numbers: most uint16, but \S+odd.tif with uint8"):
        prepared(class_folders)
    write_tif(odd, np.ones((4, 8, 8), "complex64"))
    with pytest.raises(InvalidArgumentError, match=r"1 images hold complex numbers \(\S+odd.tif\); convert them to"):
        prepared(class_folders)
    odd.write_text("<VRTDataset/>")
    with pytest.raises(InvalidArgumentError, match=r"1 images cannot be read \(\S+odd.tif\)"):
        prepared(class_folders)
    (class_folders / "sea" / "link.tif").symlink_to(class_folders / "nowhere.tif")
    with pytest.raises(InvalidArgumentError, match=r"2 images cannot be read \(.*link.tif.*\)"):
        prepared(class_folders)
    (class_folders / "sea" / "link.tif").unlink()
    Image.new("P", (8, 8)).save(odd.with_suffix(".png"))
    odd.unlink()
    with pytest.raises(
        InvalidArgumentError, match=r"1 images hold numbers of colours in a palette \(\S+odd.png\); con"
    ):
        prepared(class_folders)


def test_damage_behind_the_header_is_named(class_folders):
    path = class_folders / "sea" / "scene0_0.tif"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InvalidArgumentError, match=r"scene0_0\.tif"):
        prepared(class_folders)
    data = prepared(class_folders, mean=[0.0] * 4, std=[1.0] * 4)  # nothing is read
    parts = [data.train_dataset, data.val_dataset, data.test_dataset]
    part, place = next((part, part.paths.index(path)) for part in parts if path in part.paths)
    with pytest.raises(InvalidArgumentError, match=r"scene0_0\.tif cannot be read"):
        part[place]


def test_damage_is_found_in_every_part(class_folders):
    data = prepared(class_folders)
    broken = [data.val_dataset.paths[0], data.test_dataset.paths[1]]
    for path in broken:
        path.write_bytes(path.read_bytes()[:-300])
    names = ", ".join(map(re.escape, map(str, broken)))
    with pytest.raises(InvalidArgumentError, match=rf"2 images cannot be read \({names}\); mend or delete them"):
        prepared(class_folders)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGB", "png"), ("RGBA", "png"), ("RGB", "jpg"), ("L", "tif"), ("RGB", "tif")]
)
def test_a_file_that_was_cut_off_is_not_read(mode, suffix, tmp_path):
    shape = (64, 64, len(mode)) if len(mode) > 1 else (64, 64)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(pixels).save(path)
    assert read_image(path).shape == (min(len(mode), 3), 64, 64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for read in (read_image, read_mask) if mode == "L" else (read_image,):
        with pytest.raises(InvalidArgumentError, match=rf"image\.{suffix} cannot be read \(.*\); mend or delete it"):
            read(path)


def test_arguments_that_are_not_allowed(class_folders):
    for options, message in [
        ({"root": "nowhere"}, "root='nowhere' is no folder"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 99}, "batch_size=99 is more than the 20 images for training"),
        ({"image_size": 0}, "image_size is 0"),
        ({"image_size": (1, 2, 3)}, "must be a number or height and width"),
        ({"mean": [1.0]}, "must come together"),
        (
            {"mean": [0.0] * 4, "std": [1.0, 1.0, 1.0, 0.0]},
            r"std=\[1.0, 1.0, 1.0, 0.0\] must be above 0 for every band",
        ),
        ({"bands": []}, "bands is empty; name at least one band, or leave bands out"),
        ({"bands": [1.5]}, r"bands=\[1.5\] must be a list of whole numbers from 1, such as"),
        ({"bands": "321"}, "bands='321' must be a list of whole numbers"),
        ({"rgb_bands": 1}, "rgb_bands=1 must be a list"),
        ({"split_seed": "a"}, "split_seed is 'a', but must be an integer of at least 0"),
        ({"mean": [1.0], "std": [1.0]}, "mean has 1 numbers, but 4 bands are used"),
        ({"rgb_bands": [9]}, r"rgb_bands=\[9\] must be among the bands used"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "must be above 0 and together below 1"),
        ({"groups": "("}, "no regular expression"),
        ({"groups": "tile"}, "groups='tile' does not match land/scene0_0.tif"),
        ({"groups": "none.csv"}, "none.csv' cannot be read"),
        ({"groups": r"scene"}, "there are 1 groups"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            prepared(**{"root": class_folders, **options})


def test_augmentation_turns_whole_pixels_and_normalises(class_folders):
    data = prepared(class_folders)
    batch = next(iter(data.train_dataloader()))
    plain = data.aug({key: value.clone() for key, value in batch.items()})
    torch.testing.assert_close(plain["image"][:, 2], (batch["image"][:, 2] - data.mean[2]) / data.std[2])
    turned = data.train_aug({key: value.clone() for key, value in batch.items()})
    assert torch.equal(turned["label"], batch["label"])
    assert not torch.equal(turned["image"], plain["image"])
    # the same pixels in another order
    values, expected = (x["image"].flatten(2).sort().values for x in (turned, plain))
    torch.testing.assert_close(values, expected, rtol=1e-3, atol=1e-3)
    assert prepared(class_folders, augment=False).train_aug is None


def test_a_checkpoint_brings_its_statistics(class_folders):
    data = prepared(class_folders)
    state = data.state_dict()
    other = prepared(class_folders, mean=[0.0] * 4, std=[1.0] * 4)
    other.load_state_dict(state)
    assert torch.equal(other.mean, data.mean)
    assert torch.equal(other.train_dataset.fill, data.mean)
    assert ImageFolderDataModule(class_folders).state_dict() == {}
    with pytest.raises(InvalidArgumentError, match=r"trained with bands \(1, 2, 3, 4\), but the data has \(2, 1\)"):
        prepared(class_folders, bands=[2, 1]).load_state_dict(state)


def test_predictions_are_of_the_images_for_test(class_folders, trainer_of):
    data, task = prepared(class_folders), DashaClassificationTask(in_channels=4, num_classes=2, **OPTIONS)
    trainer = trainer_of()
    trainer.fit(task, datamodule=data)
    fresh = ImageFolderDataModule(class_folders, batch_size=3)  # without setup
    (first, last) = trainer.predict(task, datamodule=fresh)
    found = torch.cat([batch["probabilities"] if isinstance(batch, dict) else batch for batch in (first, last)])
    images = torch.stack([sample["image"] for sample in fresh.test_dataset])
    with torch.inference_mode():
        expected = task.eval()(fresh.aug({"image": images})["image"]).softmax(1)
    torch.testing.assert_close(found, expected)


def test_pictures_of_samples(class_folders):
    data = prepared(class_folders, rgb_bands=[3, 2, 1])
    sample = data.val_dataset[0] | {"prediction": torch.tensor(1)}
    figure = data.plot(sample)
    assert figure.axes[0].get_title() == "label: land\nprediction: sea"
    assert figure.axes[0].images[0].get_array().shape == (8, 8, 3)
    assert data.plot(sample, show_titles=False, suptitle="x").axes[0].get_title() == ""


@pytest.mark.slow
@pytest.mark.skipif("DASHA_DATA" not in os.environ, reason="DASHA_DATA is not set")
def test_eurosat():
    root = Path(os.environ["DASHA_DATA"]) / "satellite" / "eurosat_rgb_3000"
    data = prepared(root)
    assert [len(part) for part in (data.train_dataset, data.val_dataset, data.test_dataset)] == [2000, 500, 500]
    assert data.class_counts().tolist() == [200] * 10
    assert data.mean.tolist() == pytest.approx([86.8, 96.8, 103.8], abs=0.1)
