"""Satellite images: data in both forms, stock tasks in seconds, the forest, and the benchmark from script to page."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("torchgeo")

from dasha.errors import InvalidArgumentError, InvalidTableError
from torchgeo_dasha.bench import stock
from torchgeo_dasha.bench.data import DUBAI, EUROSAT, load
from torchgeo_dasha.bench.forest import band_features, run_forest


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """One learning rate and five trees will do."""
    monkeypatch.setattr("torchgeo_dasha.bench.stock.RATES", (1e-3,))
    monkeypatch.setattr("torchgeo_dasha.bench.forest._TREES", 5)


def test_images_for_both(write_images, tmp_path):
    write_images()
    images = load(EUROSAT, data_dir=tmp_path, batch_size=4)
    inputs, targets = images.data.train
    assert (inputs.dtype, tuple(inputs.shape), targets.bincount().tolist()) == (torch.uint8, (16, 3, 8, 8), [8, 8])
    sample = images.module.train_dataset[3]
    assert torch.equal(sample["image"], inputs[3].float())
    assert sample["label"] == targets[3]
    sample["image"] = None
    assert images.module.train_dataset[3]["image"] is not None
    assert images.data.facts["split"] == "by the lists train.txt, val.txt, test.txt"


def test_no_scene_is_in_two_parts(write_tiles, tmp_path):
    write_tiles()
    images = load(DUBAI, data_dir=tmp_path, batch_size=4)
    parts = [images.module.train_dataset, images.module.val_dataset, images.module.test_dataset]
    scenes = [{path.name.partition("_")[0] for path in part.paths} for part in parts]
    assert len(set.union(*scenes)) == sum(map(len, scenes)) == 6
    assert (images.data.task.kind, images.data.task.ignore_index, images.data.task.metric) == (
        "segmentation",
        2,
        "jaccard",
    )


def test_data_that_is_not_there(write_images, tmp_path):
    with pytest.raises(InvalidTableError, match="no folder eurosat_rgb_3000 under"):
        load(EUROSAT, data_dir=tmp_path)
    with pytest.raises(InvalidArgumentError, match="there is no data set 'eurosat'; known are eurosat_rgb_3000"):
        load("eurosat", data_dir=tmp_path)
    write_images(parts=("train", "val"))
    with pytest.raises(InvalidArgumentError, match="there are no images for test"):
        load(EUROSAT, data_dir=tmp_path, batch_size=4)


def test_features_of_bands():
    images = torch.randint(0, 255, (2, 3, 8, 8)).to(torch.uint8)
    features = band_features(images)
    assert features.shape == (2, 21)
    pixels = images.float().flatten(2).numpy()[1, 2]
    expected = [pixels.mean(), pixels.std(), *np.quantile(pixels, (0.05, 0.25, 0.5, 0.75, 0.95))]
    assert features[1, 14:].tolist() == pytest.approx(expected, rel=1e-5)


def test_a_forest_learns(write_images, tmp_path):
    pytest.importorskip("sklearn")
    write_images()
    record = run_forest(load(EUROSAT, data_dir=tmp_path, batch_size=4).data, 0)
    assert record["score"] == 1
    assert record["parameters"] is None


def test_the_best_weights_on_validation_data_count(write_images, tmp_path, monkeypatch):
    write_images()
    images = load(EUROSAT, data_dir=tmp_path, batch_size=8)
    made = []
    own = stock.Stock(lambda task, lr: made.append(_small(task, lr)) or made[-1], "val_OverallAccuracy")
    before = torch.random.get_rng_state()
    task, best = stock._fitted(images, own, 1e-3, 1.0, seed=0, device="cpu")
    assert torch.equal(before, torch.random.get_rng_state())
    assert best.epoch >= 1
    assert all(torch.equal(value, best.state[name]) for name, value in task.model.state_dict().items())
    monkeypatch.setitem(stock.CLASSIFICATION, "small", own)
    record = stock.run_stock(images, tmp_path, method="small", seed=0, seconds=0.0, device="cpu")
    assert 0 <= record["validation"] <= 1


def _small(task, lr):
    return stock._classification("resnet10t", task, lr)


def test_the_benchmark(script, write_images, write_tiles, page_tags, capsys):
    pytest.importorskip("sklearn")
    write_images()
    write_tiles()
    options = ("--budget", "smoke", "--seeds", "0", "--batch-size", "4", "--seconds", "0.2")
    methods = ("--methods", "dasha", "resnet18", "forest", "unet-resnet18")
    content, page = script("satellite", *options, *methods)
    found = {(one["dataset"], one["method"]): one for one in content["results"]}
    assert set(found) == {
        *((EUROSAT, method) for method in ("dasha", "resnet18", "forest")),
        *((DUBAI, method) for method in ("dasha", "unet-resnet18")),
    }
    assert {one["metric"] for (name, _), one in found.items() if name == DUBAI} == {"jaccard"}
    network = found[EUROSAT, "resnet18"]
    assert network["parameters"] > 11e6
    assert network["seconds"] == pytest.approx(sum(network["stages"].values()))
    assert network["hyperparameters"] == {"lr": 1e-3}
    assert any(one["task"] == "m-eurosat" and one["origin"] == "published" for one in content["published"])
    assert "none of it the images that were measured here" in page
    assert page_tags(page)
    again, _ = script("satellite", *options, *methods, "--only-report")
    assert again["results"] == content["results"]
    content, _ = script("satellite", "--methods", "resnet18", "--seeds", "0", "--batch-size", "4", results=False)
    assert content["results"] == []
    assert "gets the seconds that DASHA takes" in content["remarks"][0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ((), "no data could be read: no folder eurosat_rgb_3000"),
        (("--datasets", EUROSAT), f"--datasets names '{EUROSAT}', but no folder"),
        (("--datasets", "eurosat"), "invalid choice: 'eurosat'"),
        (("--seconds", "0"), "--seconds is 0, but must be above 0"),
        (("--budget", "huge"), "budget='huge' must be one of"),
    ],
)
def test_bad_input(script, tmp_path, capsys, options, match):
    (tmp_path / "data").mkdir()
    with pytest.raises(SystemExit):
        script("satellite", *options, results=False, tiny=False)
    assert match in " ".join(capsys.readouterr().err.split())
