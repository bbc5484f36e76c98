"""Tiny georeferenced images, tiles and scenes; tasks and trainers with which a fit takes a second or two."""

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

SCALE = 10.0
EXAMPLES = Path(__file__).parents[2] / "examples" / "torchgeo"
OVERRIDES = {
    "search.epochs": 1,
    "search.kernel_sizes": [3, 5],
    "search.dilations": [1],
    "tune.trials": 1,
    "tune.max_resource": 1,
    "width": 1,
    "backbone_options": {"levels": 2},
}
OPTIONS = {"backbone": "unet_2d", "budget": "smoke", "overrides": OVERRIDES, "search": "on"}


@pytest.fixture(scope="session")
def write_tif():
    """Write a GeoTIFF ``(C, H, W)``."""
    rasterio = pytest.importorskip("rasterio")
    from rasterio.transform import from_origin

    def write(path, pixels, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=pixels.shape[0],
            height=pixels.shape[1],
            width=pixels.shape[2],
            dtype=pixels.dtype,
            **{"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, SCALE, SCALE), **options},
        ) as file:
            file.write(pixels)
        return path

    return write


@pytest.fixture(scope="session")
def read_tif():
    rasterio = pytest.importorskip("rasterio")

    def read(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(path) as file:
                return file.read(), file.profile, file.descriptions

    return read


@pytest.fixture
def class_folders(tmp_path, write_tif):
    """Two classes of 14 images of 4 bands; name and first pixel tell the scene, of which there are seven."""
    rng = np.random.default_rng(0)
    for name in ("land", "sea"):
        for number in range(14):
            pixels = rng.integers(10, 500, (4, 8, 8)) + (500 if name == "sea" else 0)
            pixels[0, 0, 0] = number // 2
            write_tif(tmp_path / "images" / name / f"scene{number // 2}_{number}.tif", pixels.astype("uint16"))
    return tmp_path / "images"


@pytest.fixture
def tiles(tmp_path, write_tif):
    """Twelve tiles of six scenes, the class of a pixel being how bright it is."""
    rng = np.random.default_rng(0)
    for number in range(12):
        mask = rng.integers(0, 3, (1, 16, 16)).astype("uint8")
        pixels = (200 * mask.astype(int) + rng.integers(1, 100, (3, 16, 16))).astype("uint16")
        write_tif(tmp_path / "tiles" / "images" / f"s{number // 2}_{number}.tif", pixels)
        write_tif(tmp_path / "tiles" / "masks" / f"s{number // 2}_{number}.tif", mask)
    return tmp_path / "tiles"


@pytest.fixture(autouse=True, scope="session")
def generated_data():
    """Make the datamodule of the examples importable, and matplotlib draw into memory."""
    pytest.importorskip("torchgeo", reason="torchgeo is not installed; pip install 'dasha-plugins[torchgeo]'")
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.path.insert(0, str(EXAMPLES))
    import generated_data

    yield generated_data
    sys.path.remove(str(EXAMPLES))


@pytest.fixture
def data_of(generated_data):
    """A datamodule of small generated images."""

    def make(target="class", **options):
        return generated_data.GeneratedDataModule(**{"target": target, "size": 8, "count": 8, **options})

    return make


@pytest.fixture
def trainer_of(tmp_path):
    """A trainer that shows nothing."""
    from lightning.pytorch import Trainer

    def make(**options):
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Trainer(**{"default_root_dir": tmp_path, "accelerator": "cpu", "max_epochs": 1, **quiet, **options})

    return make


@pytest.fixture
def no_search(monkeypatch):
    """Make every search an error."""
    from dasha.search.workflow import Dasha

    def refuse(self, train, validation):
        raise AssertionError("a second search")

    monkeypatch.setattr(Dasha, "search", refuse)
