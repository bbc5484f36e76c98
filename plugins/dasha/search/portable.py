"""Whether objects can be sent to the workers of Ray, found out before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dasha._optional import require
from dasha.search.own_functions import failures

_WAY_OUT = (
    "let it open files, connections and locks when they are first used rather than hold them, or use engine='local'"
)


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, data: bytes) -> int:
        return len(data)


def check_portable(parts: Mapping[str, Any]) -> None:
    """Pickle objects as Ray does, without keeping what comes out; the memory of arrays is not read.

    Args:
        parts: Objects by the name of the argument they came as.

    Raises:
        InvalidArgumentError: If one of them cannot be pickled.
        OptionalDependencyError: If Ray is not installed.
    """
    cloudpickle = require("ray.cloudpickle", extra="ray")
    for name, part in parts.items():
        with failures(f"{name} cannot be sent to the workers of Ray", _WAY_OUT):
            cloudpickle.CloudPickler(_Nowhere(), protocol=5, buffer_callback=lambda _: None).dump(part)
