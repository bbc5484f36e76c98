"""Versions and machine that a figure was measured with, and which of them it depends on."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch

import dasha
from dasha.autoar.device import resolve_device
from dasha.bench.versions import installed_versions

_ALWAYS = ("numpy", "scipy", "torch")


def environment(device: str, *packages: str, engine: Sequence[str] = ("dasha.autoar",)) -> dict[str, Any]:
    """Versions and machine, to be kept beside every figure.

    Args:
        device: Where our engine computes.
        *packages: Further packages whose versions are wanted.
        engine: Our own packages that figures depend on.
    """
    resolved = resolve_device(device)
    return {
        "time": now(),
        "dasha-plugins": dasha.__version__,
        "engine": engine_digest(*engine),
        "python": platform.python_version(),
        "versions": installed_versions((*_ALWAYS, *packages)),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(resolved) if resolved.type == "cuda" else "cpu",
    }


def now() -> str:
    """Time of day, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def engine_digest(*packages: str) -> str:
    """Short hash of the source of some packages, which tells apart two states of one version."""
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".py"):
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def conditions(environment: Mapping[str, Any], packages: Sequence[str], *, is_ours: bool) -> dict[str, Any]:
    """Return the part of an environment that a measurement depends on.

    Args:
        environment: What `environment` returned, now or when something was measured.
        packages: Those that take part in the measurement.
        is_ours: Whether our own engine takes part.
    """
    versions = environment.get("versions", {})
    threads = {"torch_threads": environment.get("torch_threads")}
    ours = {name: environment.get(name) for name in ("dasha-plugins", "engine", "device")} if is_ours else {}
    return {name: versions.get(name) for name in packages} | threads | ours


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads within the block; None leaves it alone."""
    before = torch.get_num_threads()
    try:
        if count:
            torch.set_num_threads(count)
        yield
    finally:
        torch.set_num_threads(before)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
