"""Refuses plugins whose functions look like hooks but would never be called."""

import inspect

from dasha import hookspecs
from dasha._markers import PROJECT
from dasha._optional import Requirement
from dasha.errors import PluginError
from dasha.registry import close_matches

KINDS = ("backbones", "forecasters", "tasks", "adapters", "configurations", "commands")
HOOKS = tuple(f"register_{kind}" for kind in KINDS)


def check_hooks(plugin: object) -> None:
    """Check the name and the mark of every function of a plugin.

    Args:
        plugin: Module or object that implements hooks.

    Raises:
        PluginError: If a marked function is no hook, or a function named like a hook is not marked.
    """
    for attribute in dir(plugin):
        function = getattr(plugin, attribute, None)
        if not inspect.isroutine(function):
            continue
        options = getattr(function, f"{PROJECT}_impl", None)
        if isinstance(options, dict):
            _check_marked(attribute, options.get("specname") or attribute, function)
        elif attribute in HOOKS:
            raise PluginError(f"{attribute} is not marked and would never be called; put @dasha.hookimpl above it")


def _check_marked(attribute: str, hook: str, function: object) -> None:
    """Check that a marked function names a hook and takes only what that hook passes."""
    if hook not in HOOKS:
        guess = close_matches(hook, list(HOOKS))
        raise PluginError(
            f"{attribute} is marked @dasha.hookimpl, but {hook!r} is no hook;{guess} hooks: {', '.join(HOOKS)}"
        )
    passed = inspect.signature(getattr(hookspecs, hook)).parameters
    taken = inspect.signature(function).parameters  # type: ignore[arg-type]  # isroutine() says it is callable
    unknown = [name for name in taken if name not in passed]
    if unknown:
        passes = ", ".join(map(repr, passed))
        raise PluginError(f"{attribute} takes {', '.join(map(repr, unknown))}, but the hook passes only {passes}")


def requirements_of(plugin: object) -> tuple[Requirement, ...]:
    """Return the ``requires`` of a plugin.

    Raises:
        PluginError: If ``requires`` is not a tuple or list of :class:`~dasha.Requirement`.
    """
    requires = getattr(plugin, "requires", ())
    if not isinstance(requires, tuple | list) or not all(isinstance(item, Requirement) for item in requires):
        raise PluginError(f"requires={requires!r} must be a tuple of dasha.Requirement")
    return tuple(requires)
