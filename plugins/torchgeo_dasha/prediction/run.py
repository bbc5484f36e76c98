"""From a scene and a trained network to a file of classes or numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dasha.errors import InvalidArgumentError
from dasha.search.devices import device_of
from dasha.search.progress import stage
from torchgeo_dasha.data.rasters import band_numbers
from torchgeo_dasha.prediction.checkpoint import Trained, load_trained
from torchgeo_dasha.prediction.decision import decision_of
from torchgeo_dasha.prediction.network import PredictTile, TileNetwork
from torchgeo_dasha.prediction.output import check_target, write_raster
from torchgeo_dasha.prediction.scene import Scene, open_scene
from torchgeo_dasha.prediction.stitching import Tiling, classify, segment

_TILE = 256


@dataclass(frozen=True)
class Mapped:
    """What was written.

    Attributes:
        path: The file.
        kind: ``"segmentation"`` or ``"patches"``.
        height: Of the file, in pixels.
        width: Likewise.
        tile: Of the tiles, in pixels of the scene.
        overlap: Likewise.
        class_names: In the order of their numbers; may be empty.
        nodata: Number that stands for no data.
        is_number: Whether the values are numbers in the units of the targets, instead of classes.
    """

    path: str
    kind: str
    height: int
    width: int
    tile: int
    overlap: int
    class_names: tuple[str, ...]
    nodata: float
    is_number: bool = False

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)


def map_scene(
    scene: Scene,
    predict_tile: PredictTile,
    out: Path,
    *,
    tile: int,
    overlap: int | None = None,
    batch_size: int = 8,
    is_sigmoid: bool = False,
    is_probability: bool = False,
    is_number: bool = False,
    class_names: tuple[str, ...] = (),
    is_shown: bool = False,
) -> Mapped:
    """Write classes or numbers of a scene, of every pixel or of every patch, by what the network gives.

    Args:
        scene: What is read.
        predict_tile: The network.
        out: GeoTIFF that is written.
        tile: Height and width of a tile in pixels.
        overlap: Of tiles, in pixels; by default a quarter of the tile for pixels, none for patches.
        batch_size: Tiles at once.
        is_sigmoid: Whether every output stands for itself.
        is_probability: Whether a band of probabilities is written for every class, instead of classes.
        is_number: Whether outputs are numbers, which are written as they are.
        class_names: Of the outputs.
        is_shown: Whether there is a progress bar.

    Raises:
        InvalidArgumentError: If a value is not allowed, or the file cannot be written.
    """
    probe = predict_tile(torch.zeros(1, len(scene.bands), tile, tile))
    decision = decision_of(
        probe, is_sigmoid=is_sigmoid, names=class_names, is_probability=is_probability, is_number=is_number
    )
    is_dense = probe.ndim == 4
    tiling = Tiling(tile, (tile // 4 if is_dense else 0) if overlap is None else overlap, batch_size)
    stride = 1 if is_dense else tiling.stride
    file = write_raster(
        out,
        scene,
        bands=decision.bands,
        dtype=decision.dtype,
        nodata=decision.nodata,
        stride=stride,
        names=decision.band_names,
    )
    total = tiling.count(scene, is_dense=is_dense)
    with file as writer, stage("predict", total, is_shown=is_shown) as progress:
        work = segment if is_dense else classify
        work(scene, predict_tile, writer, tiling=tiling, decision=decision, stage=progress)
    return Mapped(
        path=str(out),
        kind="segmentation" if is_dense else "patches",
        height=math.ceil(scene.height / stride),
        width=math.ceil(scene.width / stride),
        tile=tile,
        overlap=tiling.overlap,
        class_names=decision.names,
        nodata=decision.nodata,
        is_number=is_number,
    )


def predict_file(
    source: str | Path,
    out: Path,
    checkpoint: Path,
    *,
    task: str | None = None,
    architectures: Mapping[str, str | Path] | None = None,
    bands: Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    tile: int | None = None,
    device: str = "auto",
    **options: Any,
) -> Mapped:
    """Write classes or numbers of a scene in a file, by a checkpoint.

    Args:
        source: Any raster that rasterio reads; see `open_scene`.
        out: GeoTIFF that is written.
        checkpoint: See `load_trained`.
        task: See there.
        architectures: See there.
        bands: Numbers of bands for the network, from 1; by default those it was trained with. For what changed, those
            of the earlier image and then those of the later one.
        mean: Of every band, where the checkpoint does not say how inputs were normalised.
        std: Likewise.
        tile: Height and width of tiles; by default those of the images trained on, or 256. Larger ones than the scene
            are cut to as many of these as cover it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        **options: Of `map_scene`.

    Raises:
        InvalidArgumentError: If the checkpoint, the scene and the arguments do not fit together.
    """
    check_target(out, checkpoint=checkpoint)
    bands = band_numbers("bands", bands)
    trained = load_trained(checkpoint, task=task, architectures=architectures)
    with open_scene(source, bands or _trained_bands(trained, source)) as scene:
        if trained.in_channels is not None and len(scene.bands) != trained.in_channels:
            raise InvalidArgumentError(
                f"{source} gives {len(scene.bands)} bands, but the network takes {trained.in_channels}; choose them "
                "with bands"
            )
        network = _network(trained, checkpoint, mean, std, device)
        return map_scene(
            scene,
            network,
            out,
            tile=_tile(trained, scene, tile, overlap=options.get("overlap") or 0),
            is_sigmoid=trained.is_sigmoid,
            is_number=trained.is_number,
            class_names=trained.class_names,
            **options,
        )


def _trained_bands(trained: Trained, source: str | Path) -> tuple[int, ...] | None:
    """Bands that the network was trained with, which are those of the scene only if it has as many in all."""
    if trained.inputs is None:
        return None
    with open_scene(source, None) as scene:
        count = len(scene.bands)
    if count != trained.inputs.file_bands:
        raise InvalidArgumentError(
            f"{source} has {count} bands, but the network was trained on files with {trained.inputs.file_bands}; "
            f"choose {len(trained.inputs.bands)} of them with bands"
        )
    return trained.inputs.bands


def _tile(trained: Trained, scene: Scene, tile: int | None, *, overlap: int) -> int:
    """Height and width of tiles: those trained on; or as asked for, but not beyond all that covers the scene."""
    inputs = trained.inputs
    size = ((inputs.file_size or inputs.image_size) if inputs else trained.image_size) or (_TILE, _TILE)
    if tile is not None:
        unit = math.lcm(*size)  # what suits the network, so do its multiples
        return min(tile, unit * math.ceil(max(scene.height, scene.width, overlap + 1) / unit))
    if size[0] != size[1]:
        raise InvalidArgumentError(
            f"the network was trained on {size[0]} × {size[1]} pixels; choose a square with tile"
        )
    return size[0]


def _network(
    trained: Trained, path: Path, mean: Sequence[float] | None, std: Sequence[float] | None, device: str
) -> TileNetwork:
    inputs = trained.inputs
    place = device_of(device)
    network = trained.network.to(place)
    if trained.normalizes:
        if mean is not None or std is not None:
            raise InvalidArgumentError(f"the network of {path} normalises its inputs itself; leave out mean and std")
        return TileNetwork(network, place, (0.0,), (1.0,), trained.fill)
    mean, std = _normalization(trained, path, mean, std)
    scale = (1.0, 1.0)
    if inputs and inputs.file_size and inputs.image_size:
        scale = inputs.image_size[0] / inputs.file_size[0], inputs.image_size[1] / inputs.file_size[1]
    return TileNetwork(network, place, mean, std, mean, scale)


def _normalization(
    trained: Trained, path: Path, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of every band, or of all; those that are given come first."""
    if mean is None and std is None and trained.normalization is not None:
        mean, std = trained.normalization.mean, trained.normalization.std
    if mean is None and std is None:
        if trained.why_unknown:
            raise InvalidArgumentError(
                f"{path} does not say how inputs were normalised, since {trained.why_unknown}: pass mean and std "
                "that do the same to pixels, and a scene of the resolution that the network knows"
            )
        raise InvalidArgumentError(
            f"{path} does not say how inputs were normalised: pass mean and std of the datamodule it was trained with, "
            "which are 0 and 255 for one of TorchGeo without its own; 0 and 1 leave pixels as they are"
        )
    if mean is None or std is None:
        raise InvalidArgumentError(f"mean={mean} and std={std} must come together")
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, trained.in_channels or len(values)):
            raise InvalidArgumentError(
                f"{name} has {len(values)} numbers, but the network takes {trained.in_channels} bands"
            )
    if not all(value > 0 for value in std):
        raise InvalidArgumentError(f"std={list(std)} must be above 0")
    return mean, std
