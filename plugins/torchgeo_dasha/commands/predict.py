"""``dasha predict``: the classes of a whole scene, or numbers, as a GeoTIFF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from dasha.cli._output import JsonOption, print_json

Number = TypeVar("Number", int, float)


def predict(
    scene: Annotated[
        str,
        typer.Argument(
            help="GeoTIFF, or any other raster that GDAL reads, such as https://… or /vsizip/….", show_default=False
        ),
    ],
    checkpoint: Annotated[
        Path,
        typer.Option(help="Lightning .ckpt of a TorchGeo task, or run folder of dasha.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option(help="GeoTIFF to write, .tif or .tiff; an earlier one is replaced.", show_default=False)
    ],
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Height and width of a tile, no more than cover the scene. [default: as trained, or 256]",
            show_default=False,
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Pixels that tiles share. [default: a quarter for segmentation, none for classification]",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Tiles that the network gets at once.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write a band of probabilities for every class.")
    ] = False,
    bands: Annotated[
        str | None,
        typer.Option(help="Bands for the network, from 1, such as 4,3,2. [default: as trained]", show_default=False),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Of every band, if the checkpoint does not say; one number for all.", show_default=False),
    ] = None,
    std: Annotated[str | None, typer.Option(help="Likewise.", show_default=False)] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Class of the checkpoint, such as mypackage.MyTask, if it is neither TorchGeo's nor ours; "
            "it is imported.",
            show_default=False,
        ),
    ] = None,
    architecture: Annotated[
        list[str] | None,
        typer.Option(
            help="Run folder of a searched network that the checkpoint has by name, as NAME=FOLDER; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the class or the number of every pixel of a scene, or of every patch, by a trained network.

    Segmentation and pixelwise regression give a file of the scene's size, classification and regression one pixel for
    every patch. Coordinates are kept; where the scene has no data, the file has none. Memory does not grow with the
    height of the scene.
    """
    from dasha._optional import require

    for module in ("torchgeo", "rasterio"):
        require(module, extra="torchgeo")
    from torchgeo_dasha.prediction.run import predict_file

    done = predict_file(
        scene,
        out,
        checkpoint,
        task=task,
        architectures=folders("--architecture", architecture or []),
        bands=numbers("--bands", bands, int),
        mean=numbers("--mean", mean, float),
        std=numbers("--std", std, float),
        tile=tile,
        overlap=overlap,
        batch_size=batch_size,
        device=device,
        is_probability=probabilities,
        is_shown=not as_json,
    )
    if as_json:
        print_json(done.as_dict())
        return
    what = "numbers" if done.is_number else "classes"
    unit = f"{what} of pixels" if done.kind == "segmentation" else f"{what} of patches of {done.tile} pixels"
    names = ", ".join(f"{place} {name}" for place, name in enumerate(done.class_names))
    typer.echo(f"{unit}, {done.height} × {done.width}, in {done.path}" + (f"; {names}" if names else ""))


def numbers(name: str, text: str | None, kind: type[Number]) -> list[Number] | None:
    """Read numbers separated by commas.

    Raises:
        InvalidArgumentError: If one is none.
    """
    from dasha.errors import InvalidArgumentError

    if text is None:
        return None
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError as error:
        raise InvalidArgumentError(f"{name} is {text!r}, but must be numbers separated by commas") from error


def folders(name: str, given: Sequence[str]) -> dict[str, str]:
    """Take ``NAME=FOLDER`` apart.

    Raises:
        InvalidArgumentError: If one half is missing.
    """
    from dasha.errors import InvalidArgumentError

    found = {}
    for pair in given:
        key, _, folder = pair.partition("=")
        if not key or not folder:
            raise InvalidArgumentError(f"{name} is {pair!r}, but must be like my_network=runs/eurosat")
        found[key] = folder
    return found
