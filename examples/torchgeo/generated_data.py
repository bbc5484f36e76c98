"""Generated images for trying a task: every kind of target can be read off the brightness of the bands."""

from __future__ import annotations

from typing import Any, Literal

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datasets import NonGeoDataset

Target = Literal["class", "binary", "labels", "number", "mask", "binary mask", "height", "change"]
_SEEDS = {"train": 1, "val": 2, "test": 3, "predict": 4}


class GeneratedImages(NonGeoDataset):
    """Noise with one bright square; the same images in every run.

    Args:
        split: ``"train"``, ``"val"``, ``"test"`` or ``"predict"``.
        target: ``"class"`` (brightest band), ``"binary"`` (whether it is one of the first half), ``"labels"`` (which
            bands are bright), ``"number"`` (their mean, in hundreds), ``"mask"`` (band of the square plus 1, or 0),
            ``"binary mask"``, ``"height"`` (mean of the bands at every pixel, in hundreds) or ``"change"`` (two images,
            what differs).
        bands: Channels.
        size: Height and width in pixels.
        count: Images of the split.
        offset: Added to numbers and heights.
        factor: Multiplies them before.
    """

    def __init__(
        self,
        split: str = "train",
        target: Target = "class",
        bands: int = 4,
        size: int = 16,
        count: int = 16,
        offset: float = 0.0,
        factor: float = 1.0,
    ) -> None:
        self.split, self.target = split, target
        self.bands, self.size, self.count = bands, size, count
        self.offset, self.factor = offset, factor

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(10_000 * _SEEDS[self.split] + index)
        image = torch.rand(self.bands, self.size, self.size, generator=generator) * 50
        before = image.clone()
        band, half = index % self.bands, self.size // 2
        top, left = torch.randint(self.size - half + 1, (2,), generator=generator).tolist()
        square = torch.zeros(self.size, self.size, dtype=torch.long)
        square[top : top + half, left : left + half] = 1
        image[band] += 200.0 * square
        if self.target == "change":
            return {"image": torch.stack([before, image]), "mask": square[None]}
        masks = {"mask": square * (band + 1), "binary mask": square, "height": self._number(image.mean(0))}
        if self.target in masks:
            return {"image": image, "mask": masks[self.target]}
        bright = image.flatten(1).mean(1)
        labels = {
            "class": torch.tensor(band),
            "binary": torch.tensor(int(band < self.bands // 2)),
            "labels": (bright > 40).long(),
            "number": self._number(bright.mean()),
        }
        return {"image": image, "label": labels[self.target]}

    def _number(self, brightness: Tensor) -> Tensor:
        return self.offset + self.factor * brightness / 100

    def plot(self, sample: dict[str, Any]) -> Figure:
        """The first band, and what was predicted."""
        figure, axes = plt.subplots(figsize=(3, 3))
        axes.imshow(sample["image"].reshape(-1, self.size, self.size)[0])
        axes.set_title(f"{self.target}, predicted" if "prediction" in sample else self.target)
        axes.axis("off")
        return figure


class GeneratedDataModule(NonGeoDataModule):
    """Splits of `GeneratedImages`, whose arguments it takes."""

    def __init__(self, batch_size: int = 4, num_workers: int = 0, **kwargs: Any) -> None:
        super().__init__(GeneratedImages, batch_size, num_workers, **kwargs)
        if kwargs.get("target") == "change":
            self.aug = _scaled  # kornia wants as many masks as images

    def setup(self, stage: str) -> None:
        """Make the datasets of a stage."""
        super().setup(stage)
        if stage == "predict":
            self.predict_dataset = GeneratedImages("predict", **self.kwargs)


def _scaled(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**batch, "image": batch["image"] / 255}
