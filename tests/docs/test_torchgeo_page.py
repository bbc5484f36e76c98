"""The files of ``torchgeo fit`` that README and docs/torchgeo.md show, and the lines that use them.

Not run are ``dasha predict`` with a run folder of ``dasha fit``, which has a test of its own, and the benchmarks.
"""

import json
import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

from torchgeo.main import main as torchgeo

from tests.docs import files
from tests.docs.pages import ROOT, blocks_of, commands_of, text_of, write_named_files

PAGE = "docs/torchgeo.md"
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
ONE_EPOCH = [*QUIET, "--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
DEV = [*QUIET, "--trainer.fast_dev_run=true"]
TASK = "torchgeo_dasha.DashaClassificationTask"
MASKED_TASK = "torchgeo_dasha.DashaSemanticSegmentationTask"


def small(backbone):
    """Arguments of a task that is searched in seconds."""
    stages = {"search.epochs": 1, "search.kernel_sizes": [3, 5], "tune.trials": 1, "tune.max_resource": 1}
    given = {"backbone": backbone, "budget": "smoke", "overrides": json.dumps({**stages, "width": 1}), "search": "on"}
    return [f"model.init_args.{name}={value}" for name, value in given.items()]


FIT = [f"--{setting}" for setting in small("wide_resnet_2d")]
SEARCH = [f"--set={setting}" for setting in (*small("wide_resnet_2d"), "trainer.accelerator=cpu")]


def lines(*beginnings, page=PAGE):
    return [command for command in commands_of(page) if command.startswith(beginnings)]


def fit(content):
    """Run ``torchgeo fit`` on a file of such content, through everything once."""
    Path("shown.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    torchgeo(["fit", "--config", "shown.yaml", *DEV])


def test_the_file_of_the_readme(run, folder):
    files.write_images(folder / "images")
    write_named_files("README.md", folder)
    (command,) = lines("torchgeo", page="README.md")
    run(command, *DEV, "--data.init_args.num_workers=0")
    assert not (folder / "dasha").exists()


@pytest.fixture
def eurosat(folder):
    """The file of the quickstart, and data where it says."""
    files.write_eurosat(folder / "data")
    write_named_files(PAGE, folder)
    return folder


def test_the_quickstart(run, eurosat):
    fit, test = lines("torchgeo fit --config eurosat.yaml", "torchgeo test")
    run(fit, *ONE_EPOCH, *FIT)
    run(test, *QUIET)


def test_a_search_and_the_files_that_use_it(run, eurosat):
    run(lines("dasha search")[0], *SEARCH)
    (eurosat / "runs" / "fields").symlink_to("eurosat")
    files.write_tiles(eurosat / "tiles", bands=13, classes=5)
    quickstart, ours, stock, encoder, *_ = [yaml.safe_load(block.code) for block in blocks_of(PAGE, "yaml")]
    tiles = {"root": "tiles", "groups": r"^tile\d+", "batch_size": 4}
    masks = {"class_path": "torchgeo_dasha.TileSegmentationDataModule", "init_args": tiles}
    for shown in (ours, stock, {**encoder, "data": masks}):
        fit({**quickstart, **shown})


def test_the_quickstart_is_explained_line_by_line():
    explained = text_of(PAGE).partition("Line by line:")[2].partition("\n\n`model:`")[0]
    (quickstart,) = [block for block in blocks_of(PAGE, "yaml") if block.section == "Quickstart"]
    assert [name for name in re.findall(r"(\w+):", quickstart.code) if f"`{name}`" not in explained] == []


@pytest.mark.slow
def test_a_search_with_other_values(run, eurosat):
    (_, command) = lines("dasha search")
    run(command, *SEARCH)
    assert json.loads((eurosat / "runs/eurosat64/config.json").read_text())["budget"]["batch_size"] == 64


def test_files_for_folders(folder):
    files.write_images(folder / "eurosat")
    files.write_tiles(folder / "dubai")
    *_, images, tiles = [yaml.safe_load(block.code) for block in blocks_of(PAGE, "yaml")]
    classes, masks = {"in_channels": 3, "num_classes": 10}, {"in_channels": 3, "num_classes": 6, "ignore_index": 5}
    fit({"model": {"class_path": TASK, "init_args": classes}, **images})
    fit({"model": {"class_path": MASKED_TASK, "init_args": masks}, **tiles})


def test_pictures_and_maps(run, folder):
    (folder / "examples").symlink_to(ROOT / "examples")
    files.write_tiles(folder / "dubai")
    fit, draw, predict, *_ = lines("torchgeo fit --config examples", "python examples", "dasha predict")
    run(fit, *ONE_EPOCH, "--data.init_args.num_workers=0", *(f"--{setting}" for setting in small("unet_2d")))
    run(draw)
    assert list((folder / "pictures").iterdir())
    (folder / "dubai" / "images" / "tile0_0.tif").rename("scene.tif")
    run(predict)
    assert (folder / "classes.tif").is_file()
