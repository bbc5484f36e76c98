"""Names and the factories behind them; unknown and duplicate names fail helpfully."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from dasha.errors import DuplicateNameError, InvalidArgumentError, UnknownNameError

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def close_matches(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return ``" did you mean 'x' or 'y'?"`` for the known names close to ``name``, else an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" did you mean {' or '.join(map(repr, matches))}?" if matches else ""


class Registry(Mapping[str, F]):
    """A read-only mapping from name to factory, filled through :meth:`register`.

    Args:
        kind: What is registered, in the plural, for example ``"forecasters"``.
        advice: Called when a name is unknown; returns a further sentence for the message, or an empty string.
    """

    def __init__(self, kind: str, *, advice: Callable[[], str] = str) -> None:
        self.kind = kind
        self._advice = advice
        self._factories: dict[str, F] = {}
        self._owners: dict[str, str] = {}

    def register(self, name: str, factory: F, *, owner: str) -> None:
        """Record one offer.

        Args:
            name: Letters, digits, ``_``, ``-`` and ``.``, starting with a letter.
            factory: Makes the thing when called.
            owner: Plugin that offers it.

        Raises:
            InvalidArgumentError: If the name is malformed or the factory is not callable.
            DuplicateNameError: If the name is taken.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidArgumentError(
                f"name={name!r} in {self.kind} must be letters, digits, '_', '-' or '.', starting with a letter"
            )
        if not callable(factory):
            raise InvalidArgumentError(
                f"factory of {name!r} in {self.kind} is {factory!r}, but must be callable; "
                f"wrap the object in a function that returns it"
            )
        if name in self._owners:
            raise DuplicateNameError(
                f"{name!r} in {self.kind} is offered by plugin {self._owners[name]!r} and again by plugin {owner!r}; "
                f"rename one of them, or uninstall one plugin"
            )
        self._factories[name] = factory
        self._owners[name] = owner

    def withdraw(self, owner: str) -> None:
        """Forget everything that one plugin registered."""
        for name in self.names_of(owner):
            del self._factories[name], self._owners[name]

    def owner(self, name: str) -> str:
        """Return the plugin that offers ``name``.

        Raises:
            UnknownNameError: If there is no such name.
        """
        self[name]
        return self._owners[name]

    def names_of(self, owner: str) -> tuple[str, ...]:
        """Return the names that one plugin offers, sorted."""
        return tuple(sorted(name for name, who in self._owners.items() if who == owner))

    def __getitem__(self, name: str) -> F:
        """Return the factory called ``name``, or raise :class:`~dasha.errors.UnknownNameError`."""
        if name in self._factories:
            return self._factories[name]
        known = ", ".join(map(repr, self)) or "none"
        guess = close_matches(str(name), self._factories)
        raise UnknownNameError(f"{name!r} is not among the {self.kind};{guess} known: {known}{self._advice()}")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, sorted."""
        return iter(sorted(self._factories))

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._factories)

    def __repr__(self) -> str:
        """Show the kind and the names."""
        return f"Registry({self.kind}: {', '.join(self) or 'empty'})"
