"""What is known about a plugin: where it comes from, what it offers, why it failed and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Literal

import dasha
from dasha._optional import DISTRIBUTION, Requirement
from dasha.errors import DuplicateNameError, OptionalDependencyError

Status = Literal["ok", "failed", "disabled"]


@dataclass(frozen=True)
class PluginRecord:
    """What became of one plugin.

    Attributes:
        name: Name of the entry point.
        module: What the entry point refers to.
        distribution: Distribution that declares it; empty if registered by hand.
        version: Version of that distribution.
        status: ``"ok"``, ``"failed"`` or ``"disabled"``.
        offers: Names offered, by kind; kinds without a name are absent.
        requires: Packages that the offers need when they are called.
        error: Why it failed, one line.
        fix: Command that mends it.
        exception: What was raised, for a traceback.
    """

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    status: Status = "ok"
    offers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    requires: tuple[Requirement, ...] = ()
    error: str = ""
    fix: str = ""
    exception: BaseException | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, entry_point: EntryPoint) -> "PluginRecord":
        """Return the record of a plugin that is found but not loaded yet."""
        dist = entry_point.dist
        if dist is None:
            return cls(entry_point.name, entry_point.value, DISTRIBUTION, dasha.__version__)
        return cls(entry_point.name, entry_point.value, dist.name, dist.version)

    @property
    def source(self) -> str:
        """Where the plugin comes from, for messages."""
        return self.distribution or self.module

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """The required packages that are not installed."""
        return tuple(requirement for requirement in self.requires if not requirement.is_installed())

    def failure(self, error: BaseException) -> "PluginRecord":
        """Return the record with the reason of a failure, and the command that mends it."""
        text = " ".join(str(error).split()) or "no message"
        return replace(
            self, status="failed", error=f"{type(error).__name__}: {text}", fix=self._fix(error), exception=error
        )

    def _fix(self, error: BaseException) -> str:
        if isinstance(error, OptionalDependencyError) and error.pip_command:
            return error.pip_command
        if isinstance(error, DuplicateNameError):
            return f"pip uninstall {self.distribution}"
        # Brings in what its metadata requires, and a release in which the fault may be mended.
        return f"pip install --upgrade {self.distribution}"
