"""A progress bar on standard error, gone when the work is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str, float], None]]:
    """Show a bar of ``total`` steps; where standard error is no terminal, nothing is shown.

    Yields:
        A function that takes the name of what runs and the steps done since its last call.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda name, amount: bar.update(task, advance=amount, description=name)
