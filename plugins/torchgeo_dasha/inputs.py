"""What a network expects of its inputs; a checkpoint carries it along, in plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from kornia.augmentation import Normalize
from torch import Tensor, nn

KEY = "torchgeo_dasha_inputs"
"""Where the state of a datamodule holds it."""
NORMALIZATION_KEY = "torchgeo_dasha_normalization"
"""Where a checkpoint holds what any datamodule did to the bands."""
UNKNOWN = "unknown"
"""Where it says there why there is no more to hold."""
SIZE_KEY = "torchgeo_dasha_image_size"
"""Where a checkpoint holds height and width of the training images, if these have one target each."""
CLASS_KEY = "_class_path"
"""Where the hyperparameters in a checkpoint hold the class of its task; the name is that of Lightning's own."""


@dataclass(frozen=True)
class InputSpec:
    """How pixels of files become inputs.

    Attributes:
        mean: Of every band that is used, in the units of the files.
        std: Likewise.
        bands: Numbers of the bands that are used, from 1.
        file_bands: Number of bands that the files have.
        file_size: Height and width of the files in pixels, where they are alike.
        image_size: Height and width that they are resized to, if they are.
        class_names: Of the outputs; may be empty.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bands: tuple[int, ...]
    file_bands: int
    file_size: tuple[int, int] | None = None
    image_size: tuple[int, int] | None = None
    class_names: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists alone, which a checkpoint may hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> InputSpec:
        """What `as_dict` gave."""
        return cls(**_with_tuples(content))


@dataclass(frozen=True)
class Normalization:
    """What is subtracted from the bands, and what they are divided by.

    Attributes:
        mean: Of every band, or one number for all.
        std: Likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def as_dict(self) -> dict[str, list[float]]:
        """Lists of numbers, which a checkpoint may hold."""
        return {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> Normalization:
        """What `as_dict` gave."""
        return cls(**_with_tuples(content))

    @classmethod
    def of_datamodule(cls, datamodule: object) -> Normalization | None:
        """What a datamodule of TorchGeo does to training images on their device.

        None if that cannot be told: where not exactly one of kornia's steps normalises, or the data set transforms
        images itself.
        """
        transforms = [getattr(datamodule, name, None) for name in ("train_aug", "aug")]
        used = next((transform for transform in transforms if transform is not None), None)
        if not isinstance(used, nn.Module) or (getattr(datamodule, "kwargs", None) or {}).get("transforms") is not None:
            return None
        steps = [step for step in used.modules() if isinstance(step, Normalize)]
        if len(steps) != 1:
            return None
        mean, std = (torch.as_tensor(steps[0].flags[name]).double().flatten().tolist() for name in ("mean", "std"))
        return cls(tuple(mean), tuple(std))


def size_of(batch: Any) -> list[int] | None:
    """Height and width of the images in a batch; None if it has none."""
    image = batch.get("image") if isinstance(batch, Mapping) else None
    return list(image.shape[-2:]) if isinstance(image, Tensor) else None


def plain_value(value: Any) -> Any:
    """A path as text, numbers and arrays as Python has them, also in lists and mappings; anything else as it is."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # arrays, tensors and numbers from them
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain_value(entry) for key, entry in value.items()}
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    return [plain_value(entry) for entry in value] if is_sequence else value


def _with_tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
