"""Every exception and warning that dasha raises on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class DashaError(Exception):
    """Base of every error raised on purpose; the command line shows its text as one line."""


class InvalidArgumentError(DashaError, ValueError):
    """An argument has a value that is not allowed."""


class InvalidSeriesError(InvalidArgumentError):
    """A series holds values or has a shape that the model cannot use."""


class SeriesTooShortError(InvalidSeriesError):
    """A series has fewer steps than the lookback, differencing and horizon need."""


class ValidationTooShortError(SeriesTooShortError):
    """Validation rows are given, but no series has as many as the horizon that they are to score.

    Attributes:
        rows: Most of them that a series has.
    """

    def __init__(self, message: str, *, rows: int = 0) -> None:
        super().__init__(message)
        self.rows = rows


class NotFittedError(DashaError):
    """A fitted model was needed before ``fit`` was called."""


class StateFileError(DashaError):
    """A saved model cannot be read, or was written by an incompatible version."""


class InvalidTableError(DashaError, ValueError):
    """An input file of the command line does not hold the table that the command needs."""


class OptionalDependencyError(DashaError, ImportError):
    """An optional package is missing, or is installed but fails to import.

    Attributes:
        pip_command: The command that mends it.
    """

    def __init__(self, message: str, *, pip_command: str = "") -> None:
        super().__init__(message)
        self.pip_command = pip_command


class PluginError(DashaError):
    """A plugin breaks the rules of the plugin system."""


class DuplicateNameError(PluginError):
    """Two offers of the same kind claim one name."""


class UnknownNameError(DashaError, KeyError):
    """No offer of this kind has the name that was asked for."""

    def __str__(self) -> str:
        """Return the plain message; ``KeyError`` would show its quoted representation."""
        return str(self.args[0]) if self.args else ""


class DashaWarning(UserWarning):
    """Category of every warning that dasha emits."""


@contextmanager
def failures_as(told: Callable[[str], DashaError]) -> Iterator[None]:
    """Turn what goes wrong inside into an error of ours; those that are ours already pass.

    Args:
        told: Makes the error from what happened, in one line.
    """
    try:
        yield
    except DashaError:
        raise
    except Exception as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise told(f"{type(error).__name__}: {why}") from error
