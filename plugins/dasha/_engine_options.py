"""Arguments of `dasha.autoar.AutoAR` from those of hosts and commands, which differ in defaults."""

from __future__ import annotations

from typing import Any

from dasha.autoar.config import whole_number
from dasha.errors import InvalidArgumentError

# The paper's, and the default of every host and command; the engine's own is another.
DEFAULT_CRITERION = "horizon_bic"


def engine_options(*, horizon: int, criterion: str, mode: str, **others: Any) -> dict[str, Any]:
    """Return what to pass on to the engine.

    Hosts and commands always know a horizon and a criterion. With ``mode="zero-shot"`` neither plays a part, and the
    engine, which refuses them, is told of neither.

    Args:
        horizon: Steps ahead, at least 1.
        criterion: `DEFAULT_CRITERION` unless it was asked for.
        mode: As the engine's.
        **others: Passed on as they are; the engine says which of them the mode allows.

    Raises:
        InvalidArgumentError: If ``horizon`` is not allowed, or a criterion was asked for that has nothing to choose.
    """
    if mode != "zero-shot":
        return {"horizon": horizon, "criterion": criterion, "mode": mode, **others}
    whole_number("horizon", horizon, minimum=1)
    if criterion != DEFAULT_CRITERION:
        raise InvalidArgumentError(
            f"criterion is {criterion!r}, but mode='zero-shot' learns nothing from training data; leave criterion out, "
            "or use mode='trained'"
        )
    return {"mode": mode, **others}
