"""The command group: commands are listed from their offers and imported only when they are run."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from dasha.commands import Command
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
    """A command that is known by name and help line; the real one takes over when a context is made for it."""

    def __init__(self, name: str, command: Command) -> None:
        super().__init__(name, help=command.help, rich_markup_mode=None)
        self._command = command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command and parse its arguments."""
        return self._resolve().make_context(info_name, args, parent, **extra)

    def _resolve(self) -> Any:
        target = self._command()
        name = self.name or ""
        # A group of its own, because typer turns a lone function into a program without sub-commands.
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.callback()(_nothing)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name, help=self._command.help)
        else:
            app.command(name)(target)
        group: Any = typer.main.get_command(app)
        return group.commands[name]


def _nothing() -> None:
    """Stand where typer wants a function for the group itself."""
