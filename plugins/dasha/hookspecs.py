"""The hooks that a plugin may implement, one sentence each.

Every hook receives a callable that takes one offer, so that a bad offer fails on the plugin's own line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from dasha._markers import hookspec

if TYPE_CHECKING:
    from torch import nn

    from dasha.types import ConfigurationSearch, Forecaster, SupervisedTask

Made = TypeVar("Made", contravariant=True)


class Register(Protocol[Made]):
    """Takes one offer: a name, and a factory that makes the thing when it is asked for."""

    def __call__(self, name: str, factory: Callable[..., Made]) -> None:
        """Record one offer.

        Args:
            name: Letters, digits, ``_``, ``-`` and ``.``, starting with a letter.
            factory: Called with keyword arguments by whoever uses the offer; imports its host only then.

        Raises:
            InvalidArgumentError: If the name is malformed or the factory is not callable.
            DuplicateNameError: If another offer of this kind has the name.
        """


class CommandTable(Protocol):
    """Takes commands for the ``dasha`` command line."""

    def add_command(
        self, name: str, target: Callable[..., object] | str, *, help: str | None = None, passes_on: bool = False
    ) -> None:
        """Add one command.

        Args:
            name: The word typed after ``dasha``: small letters, digits and ``-``, starting with a letter; or two of
                them with a dot between, such as ``demo.birds`` for ``dasha demo birds``, whoever offers ``demo``. If
                that is a function, the word is taken for the sub-command where it is the first argument.
            target: A typer-style function, a ``typer.Typer`` with sub-commands, or ``"module:attribute"`` naming
                one of these, which is imported only when the command is run.
            help: One line for ``dasha --help``; by default the first line of the target's docstring.
            passes_on: For a function that hands its arguments to another program's command line: it takes a
                ``typer.Context``, whose ``args`` are all that was typed, ``--help`` included, but for a lone ``--``.

        Raises:
            InvalidArgumentError: If the name or target is malformed, or no help line can be found.
            DuplicateNameError: If another command has the name.
        """


@hookspec
def register_backbones(register: Register[nn.Module]) -> None:
    """Offer networks: a :class:`~dasha.types.BackboneFactory` makes a torch module, and says for how many axes."""


@hookspec
def register_forecasters(register: Register[Forecaster]) -> None:
    """Offer forecasters: a factory makes an unfitted :class:`~dasha.types.Forecaster` from its own options."""


@hookspec
def register_tasks(register: Register[SupervisedTask]) -> None:
    """Offer tasks: a factory without arguments makes a :class:`~dasha.types.SupervisedTask`, data and description."""


@hookspec
def register_adapters(register: Register[object]) -> None:
    """Offer adapters: a factory makes the object that a host library's users expect, for example a Darts model."""


@hookspec
def register_configurations(register: Register[ConfigurationSearch]) -> None:
    """Offer searches that files of a host describe: a factory makes a :class:`~dasha.types.ConfigurationSearch`."""


@hookspec
def register_commands(cli: CommandTable) -> None:
    """Offer commands: ``cli.add_command(name, target, help=...)`` adds one to the ``dasha`` command line."""
