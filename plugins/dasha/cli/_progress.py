"""Progress on standard error: a bar, gone when the work is done, or lines where there is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def progress_bar(total: int, *, lines: bool = False) -> Iterator[Callable[[str, float], None]]:
    """Show a bar of ``total`` steps.

    Args:
        total: Number of steps.
        lines: Where standard error is no terminal, write a line when something begins, and every minute. Without it,
            nothing is shown there.

    Yields:
        A function that takes the name of what runs and the steps done since its last call, 0 when it begins.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if lines and not console.is_terminal:
        yield _line_by_line(total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda name, amount: bar.update(task, advance=amount, description=name)


def _line_by_line(total: int) -> Callable[[str, float], None]:
    from dasha.cli._output import note

    done, last = 0.0, time.monotonic()

    def advance(name: str, amount: float) -> None:
        nonlocal done, last
        done += amount
        if amount == 0 or time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            note(f"{time.strftime('%H:%M:%S')} {name} ({100 * done / max(total, 1):.0f} % of everything is done)")
            last = time.monotonic()

    return advance
