"""The command group: commands are listed from their offers and imported only when they are run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from dasha.commands import PASSED_ON, Command
from dasha.manager import get_manager


class RootGroup(TyperGroup):
    """The ``dasha`` group."""

    def invoke(self, ctx: Any) -> None:
        """Run the command; what it returns is no exit status."""
        super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; where there is none, name the plugins that failed, since one may have offered it."""
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            if advice := get_manager().advice():
                error.message = error.message.rstrip(".") + advice
            raise


class LazyCommand(TyperCommand):
    """A command that is known by name and help line; the real one takes over when a context is made for it.

    Args:
        name: Typed to run it.
        command: What is run.
        further: Sub-commands that others offer, by name.
    """

    def __init__(self, name: str, command: Command, further: Mapping[str, Command] = MappingProxyType({})) -> None:
        super().__init__(name, help=command.help, rich_markup_mode=None)
        self._command, self._further = command, further

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command and parse its arguments."""
        found = self._resolve()
        if args and args[0] in self._further and not hasattr(found, "add_command"):
            return self._below(args[0]).make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return found.make_context(info_name, args, parent, **extra)

    def _below(self, word: str) -> "LazyCommand":
        return LazyCommand(word, self._further[word])

    def _resolve(self) -> Any:
        target = self._command()
        name = self.name or ""
        # A group of its own, because typer turns a lone function into a program without sub-commands.
        app = empty_group()
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name, help=self._command.help)
        else:
            app.command(name, context_settings=PASSED_ON if self._command.passes_on else None)(target)
        group: Any = typer.main.get_command(app)
        found = group.commands[name]
        if not hasattr(found, "add_command"):
            below = "; ".join(f"'{name} {word}': {command.help}" for word, command in self._further.items())
            found.epilog = below or None
            return found
        for word in self._further:
            found.add_command(self._below(word))
        return found


def empty_group() -> typer.Typer:
    """A group of commands without any."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.callback()(_nothing)
    return app


def _nothing() -> None:
    """Stand where typer wants a function for the group itself."""
