"""What this package adds to dasha: a command that maps scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasha import Requirement, hookimpl

if TYPE_CHECKING:
    from dasha.hookspecs import CommandTable

requires = (Requirement("torchgeo", install="dasha-plugins[torchgeo]"),)


@hookimpl
def register_commands(cli: CommandTable) -> None:
    """Offer the command that uses what was trained."""
    cli.add_command(
        "predict",
        "torchgeo_dasha.commands.predict:predict",
        help="Predict the classes of a whole satellite scene, as a GeoTIFF.",
    )
