"""Where the engine computes."""

from __future__ import annotations

import torch

from dasha.errors import InvalidArgumentError


def resolve_device(name: str) -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` into a device.

    ``"auto"`` is the GPU where CUDA works, else the CPU; Apple's ``mps`` has no float64 and is never chosen.

    Raises:
        InvalidArgumentError: If the name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise InvalidArgumentError(
            f"device is {name!r}, but must be 'auto', 'cpu', 'cuda' or 'cuda:N' (float64 is needed)"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidArgumentError(
            f"device is {name!r}, but {torch.cuda.device_count()} CUDA devices are visible; use 'auto' or 'cpu'"
        )
    return device
