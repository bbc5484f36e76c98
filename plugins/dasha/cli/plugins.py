"""``dasha plugins``: what is installed, from where, which version, and what it offers."""

import sys

from dasha.cli._output import JsonOption, print_json, print_table
from dasha.manager import get_manager
from dasha.records import PluginRecord


def plugins(as_json: JsonOption = False) -> None:
    """List the plugins and what they offer."""
    records = get_manager().plugins
    if as_json:
        print_json([as_data(record) for record in records])
    else:
        print_table([_row(record) for record in records])


def as_data(record: PluginRecord) -> dict[str, object]:
    """Return a record as plain data."""
    return {
        "name": record.name,
        "status": record.status,
        "distribution": record.distribution,
        "version": record.version,
        "module": record.module,
        "file": _file(record),
        "offers": record.offers,
        "requires": [
            {"module": need.module, "installed": need.is_installed(), "fix": need.pip_command}
            for need in record.requires
        ],
        "error": record.error,
        "fix": record.fix,
    }


def _row(record: PluginRecord) -> dict[str, object]:
    missing = ", ".join(need.module for need in record.missing)
    offers = "\n".join(f"{kind}: {', '.join(names)}" for kind, names in record.offers.items())
    return {
        "plugin": record.name,
        "from": f"{record.distribution} {record.version}".strip(),
        "module": record.module,
        "status": f"{record.status}, without {missing}" if missing else record.status,
        "offers": record.error or offers or "-",
    }


def _file(record: PluginRecord) -> str | None:
    """Return the file that the plugin's module was loaded from, if it was loaded."""
    module = sys.modules.get(record.module.partition(":")[0])
    return getattr(module, "__file__", None)
