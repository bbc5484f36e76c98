"""Fixtures for plugins that exist only during a test, and for the command line in a process of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def install_plugin(tmp_path, monkeypatch):
    """Write a distribution with one plugin module to a folder on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = []

    def install(name, code, *, distribution=None, version="1.0", entry_point=None):
        (tmp_path / f"{name}.py").write_text("import dasha\n" + textwrap.dedent(code))
        modules.append(name)
        distribution = distribution or f"dist-{name.replace('_', '-')}"
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[dasha]\n{entry_point or name} = {name}\n")
        return tmp_path

    yield install
    for name in modules:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def plugin_of():
    """Make a plugin module of the given functions and attributes."""

    def make(**attributes):
        module = ModuleType("handmade")
        vars(module).update(attributes)
        return module

    return make


@pytest.fixture
def dasha_cli():
    """Run ``python -m dasha`` in a process of its own, with further folders on the path."""

    def run(*arguments, path=(), **environment):
        inherited = {name: value for name, value in os.environ.items() if name != "DASHA_DISABLE_PLUGINS"}
        search = os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        return subprocess.run(
            [sys.executable, "-m", "dasha", *arguments],
            env={**inherited, "PYTHONPATH": search, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def example_source():
    return Path(__file__).parent / "example_plugin"
