"""What a network expects of its inputs; a checkpoint carries it along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

KEY = "torchgeo_dasha_inputs"
"""Where the state of a datamodule holds it."""


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
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        return cls(**values)
