import sys

import pytest

from dasha import Requirement
from dasha._optional import require
from dasha.errors import OptionalDependencyError


def test_an_installed_module_is_returned():
    assert require("json.decoder", extra="darts") is sys.modules["json.decoder"]


def test_a_missing_package_names_the_pip_command():
    message = r"^'no_such_host' is not installed; run: pip install 'dasha-plugins\[darts\]'$"
    with pytest.raises(OptionalDependencyError, match=message) as caught:
        require("no_such_host", extra="darts")
    assert caught.value.pip_command == "pip install 'dasha-plugins[darts]'"


def test_a_missing_package_behind_a_dotted_name():
    with pytest.raises(ImportError, match=r"^'no_such_host\.models' is not installed"):
        require("no_such_host.models", extra="darts")


def test_a_blocked_package_counts_as_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "darts", None)
    assert not Requirement("darts", install="darts").is_installed()
    with pytest.raises(OptionalDependencyError, match=r"'darts' is not installed"):
        require("darts", extra="darts")


def test_a_package_that_fails_to_import_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_host.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(str(tmp_path))
    message = (
        r"^'broken_host' is installed but cannot be imported \(ModuleNotFoundError: No module named "
        r"'no_such_dependency'\); run: pip install --upgrade 'dasha-plugins\[darts\]'$"
    )
    with pytest.raises(OptionalDependencyError, match=message) as caught:
        require("broken_host", extra="darts")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
