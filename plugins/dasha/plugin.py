"""What the core itself offers, through the same hooks as anyone else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasha._markers import hookimpl

if TYPE_CHECKING:
    from torch import nn

    from dasha.hookspecs import CommandTable, Register
    from dasha.types import SupervisedTask


@hookimpl
def register_backbones(register: Register[nn.Module]) -> None:
    """Offer the networks that the paper chooses from, and two for sequences with places or short signs."""
    register("wide_resnet_1d", _Network("WideResNet1d", ndim=1, options=("kernel_sizes", "patch_size")))
    aligned = _Network("AlignedResNet1d", ndim=1, options=("kernel_sizes", "patch_size", "places"), outputs=("vector",))
    register("aligned_resnet_1d", aligned)
    peak = _Network("PeakResNet1d", ndim=1, options=("kernel_sizes", "patch_size"), outputs=("vector",))
    register("peak_resnet_1d", peak)
    register("wide_resnet_2d", _Network("WideResNet2d", ndim=2, options=("depth", "patch_size")))
    register("unet_1d", _Network("UNet1d", ndim=1, options=("kernel_size", "levels", "patch_size")))
    register("unet_2d", _Network("UNet2d", ndim=2, options=("kernel_size", "levels", "patch_size")))


@hookimpl
def register_tasks(register: Register[SupervisedTask]) -> None:
    """Offer a task that needs no file."""
    register("digits", _digits)


@hookimpl
def register_commands(cli: CommandTable) -> None:
    """Offer the commands that need no host."""
    cli.add_command(
        "forecast", "dasha.cli.forecast:forecast", help="Forecast the series of a CSV, Parquet or .tsf file."
    )
    cli.add_command("fit", "dasha.cli.fit:fit", help="Search, tune and train a network on arrays or images.")
    cli.add_command("search", "dasha.cli.search:search", help="The search and the tuning of 'dasha fit' alone.")
    cli.add_command("resume", "dasha.cli.resume:resume", help="Continue a run of 'fit' or 'search' where it stopped.")
    cli.add_command("report", "dasha.cli.report:report", help="Write the page about a run, finished or not.")
    cli.add_command("plugins", "dasha.cli.plugins:plugins", help="List the plugins and what they offer.")
    cli.add_command("doctor", "dasha.cli.doctor:doctor", help="Check the environment and every plugin.")


def _digits() -> SupervisedTask:
    """Handwritten digits; scikit-learn is imported when they are asked for."""
    from dasha.data.digits import read_digits

    return read_digits()


@dataclass(frozen=True)
class _Network:
    """Factory of a network of `dasha.backbones`, which is imported when the factory is called."""

    name: str
    ndim: int
    options: tuple[str, ...]
    outputs: tuple[str, ...] = ("vector", "dense")

    def __call__(self, **arguments: Any) -> nn.Module:
        from dasha import backbones

        network: nn.Module = getattr(backbones, self.name)(**arguments)
        return network
