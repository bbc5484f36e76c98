"""Fixtures for plugins that exist only during a test, for the command line in a process of its own, and for Ray."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Threads that wait for the next of thousands of small operations let others compute meanwhile: beside one other process
# on two cores, tests of networks took twice as long. Read when PyTorch is imported, in the tests' own processes, too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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

    def run(*arguments, path=(), timeout=120, **environment):
        inherited = {name: value for name, value in os.environ.items() if name != "DASHA_DISABLE_PLUGINS"}
        search = os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        return subprocess.run(
            [sys.executable, "-m", "dasha", *arguments],
            env={**inherited, "PYTHONPATH": search, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def page_tags():
    """Check that a page loads nothing from elsewhere, and return its tags."""

    def page_tags(page):
        tags, external = [], []

        class Parser(HTMLParser):
            def handle_starttag(self, tag, attrs):
                tags.append(tag)
                external.extend(
                    value for name, value in attrs if name in ("src", "href") and not value.startswith("data:")
                )

        Parser().feed(page)
        assert external == []
        assert not re.search(r"https?://|@import|url\((?!#)", page)
        assert "script" not in tags
        return tags

    return page_tags


@pytest.fixture(scope="session")
def example_source():
    return Path(__file__).parent / "example_plugin"


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """A Ray of this process alone, for all slow tests; starting one takes ten seconds."""
    ray = pytest.importorskip("ray", reason="ray is not installed; pip install 'dasha-plugins[ray]'")
    pytest.importorskip("ray.data", reason="ray.data is not installed; pip install 'dasha-plugins[ray]'")
    # address: another Ray of this machine is not ours. Workers are kept, because starting them takes longer than work.
    # Ray answers SIGTERM by SystemExit: a run that is ended from outside shows the test at hand as failed, unexplained.
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _system_config={"idle_worker_killing_time_threshold_ms": 600_000},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()
