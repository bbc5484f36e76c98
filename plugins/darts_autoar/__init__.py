"""Auto-AR inside Darts and GluonTS.

``from darts_autoar import AutoARModel`` gives the Darts model, ``from darts_autoar import AutoAREstimator`` the GluonTS
estimator; neither needs the other host. After ``import darts_autoar``, ``from darts.models import AutoARModel`` gives
the same class as the first.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt

_LAZY = {
    "AutoAREstimator": "darts_autoar.gluonts_model",
    "AutoARModel": "darts_autoar.darts_model",
    "AutoARPredictor": "darts_autoar.gluonts_model",
}

__all__ = ["AutoAREstimator", "AutoARModel", "AutoARPredictor"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Runs when darts.models is imported, at once if it already is: this package itself must not import Darts.
@wrapt.when_imported("darts.models")
def _add_to_lazy_table(models: ModuleType) -> None:
    """Add our class to the table from which Darts itself resolves its model names."""
    table = getattr(models, "_LAZY_IMPORTS", None)
    if isinstance(table, dict):
        table.setdefault("AutoARModel", ("darts_autoar.darts_model", None))
