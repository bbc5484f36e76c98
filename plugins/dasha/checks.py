"""The checks behind ``dasha doctor``; each says what it found and which command mends it."""

import contextlib
import platform
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from packaging.requirements import Requirement as PackageRequirement

import dasha
from dasha._optional import DISTRIBUTION, Requirement
from dasha.errors import OptionalDependencyError
from dasha.manager import PluginManager
from dasha.records import PluginRecord

State = Literal["ok", "optional", "disabled", "broken"]


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes:
        name: What was checked.
        state: ``"ok"``; ``"optional"`` if something that is not needed is absent; ``"disabled"``; or ``"broken"``.
        detail: What was found.
        fix: Command that mends it, if there is something to mend.
    """

    name: str
    state: State
    detail: str
    fix: str = ""


def run_checks(manager: PluginManager) -> list[Check]:
    """Check the environment and every plugin; imports every installed host, so it takes some seconds."""
    checks = [
        Check("Python", "ok", f"{platform.python_version()} at {sys.executable}"),
        Check("platform", "ok", platform.platform()),
        Check(DISTRIBUTION, "ok", dasha.__version__),
        *_packages(),
        *_torch(),
    ]
    for record in manager.plugins:
        checks += _plugin(record)
    return checks


def _packages() -> Iterator[Check]:
    """Compare installed versions with the bounds that the distribution declares."""
    try:
        declared = [PackageRequirement(line) for line in metadata.requires(DISTRIBUTION) or []]
    except metadata.PackageNotFoundError:
        yield Check("packages", "broken", f"{DISTRIBUTION} is used without installation", f"pip install {DISTRIBUTION}")
        return
    extras = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    for extra in ("", *(name for name in extras if name not in ("all", "dev"))):
        yield from _outdated([need for need in declared if _belongs(need, extra)], extra)


def _belongs(need: PackageRequirement, extra: str) -> bool:
    """Tell whether a requirement applies with an extra but not without it; with ``""``, whether it always applies."""
    if need.marker is None:
        return not extra
    always = need.marker.evaluate({"extra": ""})
    return always if not extra else need.marker.evaluate({"extra": extra}) and not always


def _outdated(needs: list[PackageRequirement], extra: str) -> Iterator[Check]:
    """Report packages outside the declared bounds; absent ones only where they are not optional."""
    install = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
    for need in needs:
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            if extra:
                continue
            found = "nothing"
        if found == "nothing" or not need.specifier.contains(found, prereleases=True):
            detail = f"{found} is installed, but {install} needs {need.name}{need.specifier}"
            yield Check(need.name, "broken", detail, f"pip install --upgrade '{install}'")


def _torch() -> Iterator[Check]:
    """Check that torch imports and that a GPU, if there is one, computes in float64."""
    try:
        with quiet():
            import torch
    except Exception as error:
        yield Check("torch", "broken", one_line(error), "pip install --force-reinstall torch")
        return
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    yield Check("torch", "ok", f"{torch.__version__}, built {built}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        reason = "; ".join(" ".join(str(warning.message).split()) for warning in caught)
        yield Check("GPU", "optional", f"none found, everything runs on the CPU{f' ({reason})' if reason else ''}")
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        described = f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB"
        try:
            ones = torch.ones(8, 8, dtype=torch.float64, device=f"cuda:{index}")
            works = bool((ones @ ones == 8).all())
        except Exception as error:
            yield Check(f"GPU {index}", "broken", f"{described}: {one_line(error)}", "pip install --upgrade torch")
        else:
            state: State = "ok" if works else "broken"
            yield Check(f"GPU {index}", state, f"{described}, float64 {'works' if works else 'gives wrong results'}")


def _plugin(record: PluginRecord) -> Iterator[Check]:
    """Check that a plugin loaded, and that the hosts it needs are there."""
    name = f"plugin {record.name}"
    if record.status == "failed":
        yield Check(name, "broken", record.error, record.fix)
        return
    if record.status == "disabled":
        yield Check(name, "disabled", "switched off", record.fix)
        return
    offers = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in record.offers.items())
    source = f"{record.source} {record.version}".strip()
    yield Check(name, "ok", f"{source} ({offers or 'offers nothing yet'})")
    for need in record.requires:
        yield _host(need)


def _host(need: Requirement) -> Check:
    """Check one host: absent is fine, present but failing to import is not."""
    name = f"  needs {need.module}"
    if not need.is_installed():
        return Check(name, "optional", "not installed", need.pip_command)
    try:
        with quiet():
            module = need.load()
    except OptionalDependencyError as error:
        return Check(name, "broken", one_line(error), error.pip_command)
    return Check(name, "ok", str(getattr(module, "__version__", "installed")))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what a foreign import prints away from standard output, and its warnings away altogether."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def one_line(error: BaseException) -> str:
    """Return the text of an error without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())
