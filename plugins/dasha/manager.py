"""Finds plugins by entry point, keeps a failing one from harming the others, and collects what each offers."""

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import pluggy

from dasha import hookspecs
from dasha._markers import PROJECT
from dasha._optional import DISTRIBUTION
from dasha.commands import Command, CommandCollector
from dasha.errors import DuplicateNameError
from dasha.hookcheck import KINDS, check_hooks, requirements_of
from dasha.records import PluginRecord
from dasha.registry import Registry

Factory = Callable[..., Any]

DISABLE_VARIABLE = "DASHA_DISABLE_PLUGINS"
CORE = EntryPoint(name="dasha", value="dasha.plugin", group=PROJECT)
"""The core's own plugin; loaded first, and also where the distribution is not installed."""


class PluginManager:
    """Loads plugins and holds their offers, one registry for each kind.

    Args:
        found: Entry points to load instead of those of the installed distributions.
        disabled: Names of plugins to leave out; by default the comma-separated list in ``$DASHA_DISABLE_PLUGINS``.

    Attributes:
        backbones: Networks by name.
        forecasters: Forecasters by name.
        tasks: Tasks by name.
        adapters: Host objects by name.
        configurations: Searches that files of a host describe, by name.
        commands: Commands of the command line by name.
    """

    def __init__(self, found: Iterable[EntryPoint] | None = None, *, disabled: Iterable[str] | None = None) -> None:
        self.backbones: Registry[Factory] = Registry("backbones", advice=self.advice)
        self.forecasters: Registry[Factory] = Registry("forecasters", advice=self.advice)
        self.tasks: Registry[Factory] = Registry("tasks", advice=self.advice)
        self.adapters: Registry[Factory] = Registry("adapters", advice=self.advice)
        self.configurations: Registry[Factory] = Registry("configurations", advice=self.advice)
        self.commands: Registry[Command] = Registry("commands", advice=self.advice)
        self._found = found
        self._disabled = frozenset(_disabled_by_environment() if disabled is None else disabled)
        self._records: dict[str, PluginRecord] = {}
        self._loaded = False
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """Every plugin met so far, in the order of loading."""
        return tuple(self._records.values())

    @property
    def failed(self) -> tuple[PluginRecord, ...]:
        """The plugins that could not be loaded."""
        return tuple(record for record in self.plugins if record.status == "failed")

    def load(self) -> "PluginManager":
        """Load the core and every installed plugin, once; failures are recorded, not raised.

        Returns:
            This manager.
        """
        if self._loaded:
            return self
        self._loaded = True
        found = entry_points(group=PROJECT) if self._found is None else self._found
        records = [(PluginRecord.of(entry_point), entry_point) for entry_point in found]
        # The project's own plugins come first, so that a stranger cannot take their names.
        records.sort(key=lambda pair: (pair[0].distribution != DISTRIBUTION, pair[0].name, pair[0].distribution))
        for record, entry_point in [(PluginRecord.of(CORE), CORE), *records]:
            self._load(record, entry_point)
        return self

    def register(self, plugin: object, *, name: str) -> PluginRecord:
        """Add a plugin that is not installed, for example a module at hand or a test's own object.

        Args:
            plugin: Module or object whose functions implement hooks.
            name: Name to list it under.

        Returns:
            Its record, with status ``"ok"``.

        Raises:
            PluginError: If a plugin has this name, or the plugin breaks the rules of the plugin system.
            InvalidArgumentError: If it makes a malformed offer.
        """
        if name in self._records:
            raise DuplicateNameError(f"name={name!r} is taken by plugin {self._records[name].source!r}; pass another")
        self._records[name] = self._adopt(plugin, PluginRecord(name, getattr(plugin, "__name__", repr(plugin))))
        return self._records[name]

    def _load(self, record: PluginRecord, entry_point: EntryPoint) -> None:
        """Load one plugin and record what became of it."""
        name = record.name
        first = self._records.get(name)
        if first is not None:
            error = DuplicateNameError(
                f"plugin name {name!r} is used by {first.source!r} and again by {record.source!r}; uninstall one"
            )
            self._records[f"{name} ({record.source})"] = record.failure(error)
            return
        if name in self._disabled:
            fix = f"take {name!r} out of ${DISABLE_VARIABLE}"
            self._records[name] = replace(record, status="disabled", fix=fix)
            return
        try:
            self._records[name] = self._adopt(entry_point.load(), record)
        # A plugin that calls sys.exit() on import must not end the program of someone who wanted another one.
        except (Exception, SystemExit) as error:
            self._records[name] = record.failure(error)

    def _adopt(self, plugin: object, record: PluginRecord) -> PluginRecord:
        """Register a plugin and call its hooks; on any error leave no trace of it."""
        try:
            check_hooks(plugin)
            requires = requirements_of(plugin)
            self._pluggy.register(plugin, name=record.name)
            for kind in KINDS:
                self._call_hook(plugin, kind, owner=record.name)
        except BaseException:
            if self._pluggy.has_plugin(record.name):
                self._pluggy.unregister(name=record.name)
            for kind in KINDS:
                self._registry(kind).withdraw(record.name)
            raise
        offers = {kind: names for kind in KINDS if (names := self._registry(kind).names_of(record.name))}
        return replace(record, offers=MappingProxyType(offers), requires=requires)

    def _call_hook(self, plugin: object, kind: str, *, owner: str) -> None:
        """Call one hook of one plugin, so that an error belongs to that plugin alone."""
        others = [other for other in self._pluggy.get_plugins() if other is not plugin]
        hook = self._pluggy.subset_hook_caller(f"register_{kind}", others)
        if kind == "commands":
            hook(cli=CommandCollector(self.commands, owner=owner))
            return
        registry = self._registry(kind)

        def register(name: str, factory: Factory) -> None:
            registry.register(name, factory, owner=owner)

        hook(register=register)

    def _registry(self, kind: str) -> Registry[Any]:
        registry: Registry[Any] = getattr(self, kind)
        return registry

    def advice(self) -> str:
        """Return a sentence that names the plugins that failed to load, for messages; empty if there are none."""
        names = ", ".join(repr(record.name) for record in self.failed)
        return f"; failed to load: {names}, run `dasha doctor` to see why" if names else ""


def _disabled_by_environment() -> list[str]:
    return [name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()]


_default: PluginManager | None = None
_default_lock = threading.RLock()


def get_manager() -> PluginManager:
    """Return the manager of this process, with all plugins loaded on the first call."""
    global _default
    with _default_lock:
        if _default is None:
            # Set before loading: a plugin that asks for the manager while it is loaded must not start a second one.
            _default = PluginManager()
            try:
                _default.load()
            except BaseException:
                _default = None
                raise
        return _default
