"""Commands offered by plugins: named early, imported only when they are run."""

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

from dasha.errors import InvalidArgumentError, PluginError
from dasha.registry import Registry

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Settings of a context in which ``args`` are all that was typed, but for a lone ``--``."""
_COMMAND = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)?")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Command:
    """One command of the ``dasha`` command line.

    Attributes:
        target: A typer-style function, a ``typer.Typer``, or ``"module:attribute"`` naming one of these.
        help: One line for ``dasha --help``.
        passes_on: Whether a function gets every argument as it was typed.
    """

    target: Callable[..., object] | str
    help: str
    passes_on: bool = False

    def __call__(self) -> Callable[..., object]:
        """Return the function or ``typer.Typer``, importing it if it is given by name.

        Raises:
            PluginError: If the module has no such attribute.
        """
        if callable(self.target):
            return self.target
        module, _, attribute = self.target.partition(":")
        found: Callable[..., object] | None = getattr(importlib.import_module(module), attribute, None)
        if found is None:
            raise PluginError(f"command target {self.target!r} does not exist: {module!r} has no {attribute!r}")
        return found


class CommandCollector:
    """The ``cli`` object that :func:`dasha.hookspecs.register_commands` receives.

    Args:
        registry: Where the commands of all plugins are kept.
        owner: Plugin whose commands are collected.
    """

    def __init__(self, registry: Registry[Command], *, owner: str) -> None:
        self._registry = registry
        self._owner = owner

    def add_command(
        self, name: str, target: Callable[..., object] | str, *, help: str | None = None, passes_on: bool = False
    ) -> None:
        """Add one command; see :class:`dasha.hookspecs.CommandTable`."""
        if not isinstance(name, str) or not _COMMAND.fullmatch(name):
            raise InvalidArgumentError(
                f"command name={name!r} must be small letters, digits or '-', starting with a letter; a dot may part "
                "the word of a command from that of its sub-command"
            )
        if not callable(target) and not (isinstance(target, str) and _TARGET.fullmatch(target)):
            raise InvalidArgumentError(
                f"target={target!r} of command {name!r} must be a function, a typer.Typer or 'module:attribute'"
            )
        text = (help or _first_line(target)).strip()
        if not text:
            raise InvalidArgumentError(f"command {name!r} has no help; pass help='one line' or write a docstring")
        self._registry.register(name, Command(target, text, passes_on), owner=self._owner)


def _first_line(target: Callable[..., object] | str) -> str:
    """Return the first line of a function's own docstring, or an empty string."""
    # The docstring of typer.Typer describes typer, not the command.
    doc = inspect.getdoc(target) if inspect.isroutine(target) else None
    return doc.partition("\n")[0] if doc else ""
