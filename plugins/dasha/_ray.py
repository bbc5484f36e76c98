"""Ray, for programs with an output of their own: started or joined, and left as it was found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import ModuleType
from typing import Literal

from dasha._optional import require
from dasha.errors import InvalidArgumentError

Engine = Literal["local", "ray"]


def start() -> ModuleType:
    """Connect to Ray for a program that neither log lines nor progress bars may disturb.

    Takes the cluster that the environment variable ``RAY_ADDRESS`` names, else one that runs on this machine, else
    starts one; where Ray is connected already, that stays.

    Returns:
        The module ``ray``.

    Raises:
        OptionalDependencyError: If Ray is not installed.
        InvalidArgumentError: If there is no cluster at that address.
    """
    ray = require("ray", extra="ray")
    try:
        ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InvalidArgumentError(
            f"Ray cannot be reached at RAY_ADDRESS={os.environ.get('RAY_ADDRESS', '')!r}: {error}; check the address, "
            "or unset RAY_ADDRESS to use this machine alone"
        ) from error
    return ray


@contextmanager
def connected() -> Iterator[ModuleType]:
    """As `start`; a connection that was not there before ends with the block.

    Standard output is standard error meanwhile, because Ray prints warnings of the whole cluster there in any case.
    """
    was_connected = require("ray", extra="ray").is_initialized()
    with redirect_stdout(sys.stderr):
        ray = start()
        try:
            yield ray
        finally:
            if not was_connected:
                ray.shutdown()
