"""A stranger's plugin, built and installed by pip, found by the command line."""

import json
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def site(tmp_path_factory, example_source):
    """Install the example plugin into a folder of its own, without network and without its dependencies."""
    folder = tmp_path_factory.mktemp("example")
    # A copy, because building leaves files behind.
    source = shutil.copytree(example_source, folder / "source")
    target = folder / "site"
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=300)
    return target


def test_it_is_listed_with_its_version_and_offers(site, dasha_cli):
    result = dasha_cli("plugins", "--json", path=[site])
    assert result.returncode == 0, result.stderr
    (found,) = [plugin for plugin in json.loads(result.stdout) if plugin["name"] == "dasha_naive"]
    assert found["status"] == "ok"
    assert (found["distribution"], found["version"]) == ("dasha-naive", "0.3.0")
    assert found["offers"] == {"forecasters": ["naive"], "tasks": ["direction"], "commands": ["repeat-last"]}
    assert found["file"] == str(site / "dasha_naive" / "plugin.py")


def test_its_command_is_in_the_help_and_runs(site, dasha_cli):
    assert "repeat-last  Forecast that nothing changes." in dasha_cli("--help", path=[site]).stdout
    result = dasha_cli("repeat-last", "1", "2.5", "--horizon", "2", "--json", path=[site])
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [{"step": 1, "value": 2.5}, {"step": 2, "value": 2.5}]


def test_its_errors_are_one_line(site, dasha_cli):
    result = dasha_cli("repeat-last", "1", "--horizon", "0", path=[site])
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "dasha: error: horizon is 0, but must be at least 1\n"


def test_it_is_not_installed_here(dasha_cli):
    assert "dasha_naive" not in dasha_cli("plugins", "--json").stdout
