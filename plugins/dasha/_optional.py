"""The one door to optional packages: import them here, or say which pip command installs them."""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from types import ModuleType

from dasha.errors import OptionalDependencyError

DISTRIBUTION = "dasha-plugins"


@dataclass(frozen=True)
class Requirement:
    """A package that a plugin needs when its offers are called, not when it is loaded.

    Attributes:
        module: Name that is imported, for example ``"darts"``.
        install: What pip installs to get it, for example ``"dasha-plugins[darts]"``.
    """

    module: str
    install: str

    @property
    def pip_command(self) -> str:
        """The command that installs the package."""
        return f"pip install '{self.install}'"

    def is_installed(self) -> bool:
        """Tell whether the package is present, without importing it."""
        top_level = self.module.partition(".")[0]
        if top_level in sys.modules:
            return sys.modules[top_level] is not None
        return importlib.util.find_spec(top_level) is not None

    def load(self) -> ModuleType:
        """Import the module.

        Raises:
            OptionalDependencyError: If the package is missing, or its import fails.
        """
        if not self.is_installed():
            raise OptionalDependencyError(
                f"{self.module!r} is not installed; run: {self.pip_command}", pip_command=self.pip_command
            )
        try:
            return importlib.import_module(self.module)
        except Exception as error:
            mend = f"pip install --upgrade '{self.install}'"
            raise OptionalDependencyError(
                f"{self.module!r} is installed but cannot be imported ({type(error).__name__}: {error}); run: {mend}",
                pip_command=mend,
            ) from error


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package of this distribution.

    Args:
        module: Name that is imported, dotted names allowed.
        extra: Extra of ``dasha-plugins`` that installs it.

    Returns:
        The imported module.

    Raises:
        OptionalDependencyError: If the package is missing, or its import fails; the message names the pip command.
    """
    return Requirement(module, install=f"{DISTRIBUTION}[{extra}]").load()
