"""Patches of georeferenced scenes, as TorchGeo's GeoDataModule samples them."""

import numpy as np
import pytest

pytest.importorskip("torchgeo")

from torchgeo.datamodules import GeoDataModule
from torchgeo.datasets import RasterDataset
from torchgeo.samplers import GridGeoSampler, RandomBatchGeoSampler

from torchgeo_dasha import DashaSemanticSegmentationTask

from .conftest import OPTIONS

PATCH, BATCH = 16, 4
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of affine, in rasterio, at every patch


class Masks(RasterDataset):
    is_image = False


class SceneDataModule(GeoDataModule):
    """Scenes with masks, a folder for every part."""

    def __init__(self, root):
        super().__init__(RasterDataset, BATCH, PATCH, length=16)
        self.root = root

    def setup(self, stage):
        for part in {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}[stage]:
            folder = self.root / part
            dataset = RasterDataset(folder / "images") & Masks(folder / "masks")
            setattr(self, f"{part}_dataset", dataset)
            if part == "train":
                self.train_batch_sampler = RandomBatchGeoSampler(dataset, PATCH, BATCH, self.length)
            else:
                setattr(self, f"{part}_sampler", GridGeoSampler(dataset, PATCH, PATCH))


@pytest.fixture
def scenes(tmp_path, write_tif):
    rng = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        mask = np.kron(rng.integers(0, 2, (12, 12)), np.ones((4, 4))).astype("uint8")[None]
        pixels = (100 * mask + rng.integers(0, 60, (3, 48, 48))).astype("uint8")
        write_tif(tmp_path / "scenes" / part / "images" / "scene.tif", pixels)
        write_tif(tmp_path / "scenes" / part / "masks" / "scene.tif", mask)
    return tmp_path / "scenes"


def test_random_patches_of_scenes_from_search_to_test(scenes, trainer_of, tmp_path, monkeypatch):
    from dasha.search import stages

    options = {**OPTIONS, "overrides": {**OPTIONS["overrides"], "tune.lr": (0.03, 0.03)}, "run_dir": tmp_path / "run"}

    def make():
        return DashaSemanticSegmentationTask(in_channels=3, num_classes=2, task="multiclass", **options)

    task, data = make(), SceneDataModule(scenes)
    trainer = trainer_of(max_epochs=6)
    trainer.fit(task, data)
    assert task.found.plan.architecture
    (result,) = trainer.test(task, data, verbose=False)
    accuracy = next(value for name, value in result.items() if name.lower().endswith("accuracy"))
    assert accuracy > 0.8, result

    # Every pass draws other patches: a folder does not know its data by their pixels.
    monkeypatch.setattr(stages, "tune", None)
    again = make()
    trainer_of(max_epochs=1).fit(again, data)
    assert again.found == task.found
