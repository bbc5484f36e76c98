"""What this package adds to dasha: Auto-AR by name, as an engine, in Darts and in GluonTS, and three commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasha import Requirement, hookimpl

if TYPE_CHECKING:
    from dasha.hookspecs import CommandTable, Register
    from dasha.types import Forecaster

requires = (
    Requirement("darts", install="dasha-plugins[darts]"),
    Requirement("gluonts", install="dasha-plugins[gluonts]"),
)


@hookimpl
def register_forecasters(register: Register[Forecaster]) -> None:
    """Offer the engine, which works on arrays."""
    register("autoar", _engine)


@hookimpl
def register_adapters(register: Register[object]) -> None:
    """Offer what users of Darts and of GluonTS meet."""
    register("darts", _darts_model)
    register("gluonts", _gluonts_estimator)


@hookimpl
def register_commands(cli: CommandTable) -> None:
    """Offer the commands that compare forecasts."""
    cli.add_command(
        "backtest",
        "darts_autoar.commands.backtest:backtest",
        help="Compare Auto-AR with Darts models by rolling backtest.",
    )
    cli.add_command(
        "demo",
        "darts_autoar.commands.demo:app",
        help="Backtest Auto-AR on real series, or train on images, and write a report.",
    )
    cli.add_command(
        "bench",
        "darts_autoar.commands.bench:app",
        help="Run the benchmarks of Auto-AR and write a report.",
    )


def _engine(**options: Any) -> Forecaster:
    from dasha.autoar import AutoAR

    return AutoAR(**options)


def _darts_model(**options: Any) -> object:
    from darts_autoar.darts_model import AutoARModel

    return AutoARModel(**options)


def _gluonts_estimator(**options: Any) -> object:
    from darts_autoar.gluonts_model import AutoAREstimator

    return AutoAREstimator(**options)
