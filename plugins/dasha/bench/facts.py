"""What the pages say about versions, machines and times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def facts(
    environments: Sequence[Mapping[str, Any]], measured: Iterable[str], *, command: str, protocol: Mapping[str, str]
) -> dict[str, str]:
    """Return the facts at the end of a page.

    Args:
        environments: Versions and machine of every measurement shown.
        measured: When they were taken.
        command: What makes this page.
        protocol: Further facts, in front.
    """
    times = sorted(measured)
    loads = sorted(known["load_average"] for known in environments if known.get("load_average") is not None)
    return {
        **protocol,
        "Measured": _span(times) or "nothing yet",
        "Machine": _each(environments, _machine),
        **({"Load average then": _span([f"{load:.1f}" for load in loads])} if loads else {}),
        "Versions": _each(environments, _versions),
        "Command": command,
    }


def _span(ordered: Sequence[str]) -> str:
    return " to ".join(dict.fromkeys([*ordered[:1], *ordered[-1:]]))


def _each(environments: Sequence[Mapping[str, Any]], describe: Any) -> str:
    return "; or ".join(dict.fromkeys(describe(known) for known in environments)) or "–"


def _machine(known: Mapping[str, Any]) -> str:
    threads = known.get("torch_threads")
    noun = "thread" if threads == 1 else "threads"
    device = "" if known.get("device") == "cpu" else f", {known.get('device')}"
    return f"{known.get('processor')}, {known.get('cpus')} CPUs, {threads} {noun} of torch{device}"


def _versions(known: Mapping[str, Any]) -> str:
    engine = f" (engine {known['engine']})" if "engine" in known else ""
    others = ", ".join(f"{name} {version}" for name, version in known.get("versions", {}).items())
    return f"dasha-plugins {known.get('dasha-plugins')}{engine}, python {known.get('python')}, {others}"
