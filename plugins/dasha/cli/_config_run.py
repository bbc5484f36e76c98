"""A search that a host's configuration file describes, by the plugin that reads such files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dasha.cli._fit_options import SearchOptions, change_pairs
from dasha.errors import InvalidArgumentError
from dasha.manager import get_manager

if TYPE_CHECKING:
    from dasha.types import ConfigurationSearch


def run_configuration(options: SearchOptions) -> None:
    """Search as a file says, and print what came out.

    Raises:
        InvalidArgumentError: If the file is not one that a plugin reads, or other options say what it says.
    """
    assert options.config is not None
    options.check_config_alone()
    host = host_of(options.config, read_configuration(options.config))
    changes = change_pairs(options.changes or [])
    folder = host.search(options.config, changes=changes, run_dir=options.out)

    from dasha.cli._fit_run import found
    from dasha.cli._fit_show import show

    command = host.fit_command(options.config, changes=changes, run_dir=folder)
    show({**found(folder), "fit": shlex.join(command)}, as_json=options.as_json)


def read_configuration(path: Path) -> Mapping[str, Any]:
    """Read names and values from YAML or JSON; nothing in the file is executed.

    Raises:
        InvalidArgumentError: If there is no such file, or it holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgumentError(f"--config {str(path)!r} cannot be read: {error.strerror}; name a file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"--config {str(path)!r} is not YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise InvalidArgumentError(
            f"--config {str(path)!r} holds {type(content).__name__}, but must hold names and values; {_forms()}"
        )
    return content


def host_of(path: Path, content: Mapping[str, Any]) -> ConfigurationSearch:
    """The first plugin that reads such a file.

    Raises:
        InvalidArgumentError: If none does.
    """
    offers = get_manager().configurations
    for name in offers:
        host: ConfigurationSearch = offers[name]()
        if host.reads(content):
            return host
    names = ", ".join(map(str, content)) or "nothing"
    raise InvalidArgumentError(
        f"--config {str(path)!r} has {names}, but is no file that a plugin searches with; {_forms()}"
        f"{get_manager().advice()}"
    )


def _forms() -> str:
    forms = [factory().form for factory in get_manager().configurations.values()]
    return f"such files: {'; '.join(forms) or 'none, no plugin offers any'}"
