"""What is logged, shown to people at a command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dasha.cli._output import note


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        for line in record.getMessage().splitlines():
            note(f"note: {line}")


@contextmanager
def notes_shown(*names: str) -> Iterator[None]:
    """Show what some loggers are told on standard error; afterwards they are as they were."""
    loggers, notes = [logging.getLogger(name) for name in names], _Notes()
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(notes)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(notes)
            logger.setLevel(level)
