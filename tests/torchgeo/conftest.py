"""Tiny georeferenced images, tiles and scenes."""

import warnings

import numpy as np
import pytest

SCALE = 10.0


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
