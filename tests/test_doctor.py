import json
import sys
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement as PackageRequirement

import dasha
from dasha import Requirement, checks, cli, manager
from dasha.checks import Check


@pytest.fixture
def diagnose():
    """Run the checks of the plugins alone."""

    def run(*plugins):
        made = dasha.PluginManager(found=[])
        for number, plugin in enumerate(plugins):
            made.register(plugin, name=f"p{number}")
        return [check for record in made.plugins for check in checks._plugin(record)]

    return run


@pytest.fixture
def host(plugin_of):
    return lambda name: plugin_of(requires=(Requirement(name, install=f"it[{name}]"),))


def test_a_missing_host_is_optional(diagnose, host):
    assert diagnose(host("no_such_host")) == [
        Check("plugin p0", "ok", "handmade (offers nothing yet)"),
        Check("  needs no_such_host", "optional", "not installed", "pip install 'it[no_such_host]'"),
    ]


def test_a_host_that_fails_to_import_is_broken(diagnose, host, tmp_path, monkeypatch):
    (tmp_path / "broken_host2.py").write_text("print('noise')\nraise RuntimeError('ABI')")
    monkeypatch.syspath_prepend(str(tmp_path))
    _, check = diagnose(host("broken_host2"))
    assert (check.state, check.fix) == ("broken", "pip install --upgrade 'it[broken_host2]'")
    assert "'broken_host2' is installed but cannot be imported (RuntimeError: ABI)" in check.detail


def test_importing_a_host_prints_nothing_on_standard_output(diagnose, host, tmp_path, monkeypatch, capsys):
    (tmp_path / "noisy_host.py").write_text("print('noise')\n__version__ = '4.2'")
    monkeypatch.syspath_prepend(str(tmp_path))
    _, check = diagnose(host("noisy_host"))
    assert (check.state, check.detail) == ("ok", "4.2")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("line", "extra", "expected"),
    [
        ("pytest>=1", "", []),
        ("no-such-package>=1", "darts", []),
        ("no-such-package>=1", "", [("nothing is installed, but dasha-plugins needs no-such-package>=1", "")]),
        ("pytest>=999", "darts", [("is installed, but dasha-plugins[darts] needs pytest>=999", "[darts]")]),
    ],
)
def test_versions_outside_the_bounds_are_broken(line, extra, expected):
    found = list(checks._outdated([PackageRequirement(line)], extra))
    assert len(found) == len(expected)
    for check, (detail, suffix) in zip(found, expected, strict=True):
        assert check.state == "broken"
        assert check.detail.endswith(detail)
        assert check.fix == f"pip install --upgrade 'dasha-plugins{suffix}'"


@pytest.mark.parametrize(
    ("line", "extra", "belongs"),
    [
        ("numpy>=2", "", True),
        ("numpy>=2", "darts", False),
        ("darts>=0.48; extra == 'darts'", "darts", True),
        ("darts>=0.48; extra == 'darts'", "ray", False),
        ("darts>=0.48; extra == 'darts'", "", False),
        ("x; python_version < '3'", "", False),
    ],
)
def test_requirements_belong_to_their_extra(line, extra, belongs):
    assert checks._belongs(PackageRequirement(line), extra) is belongs


def test_torch_is_reported_and_no_gpu_is_fine(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    torch_check, gpu = checks._torch()
    assert (torch_check.name, torch_check.state) == ("torch", "ok")
    assert torch.__version__ in torch_check.detail
    assert gpu == Check("GPU", "optional", "none found, everything runs on the CPU")


def test_a_gpu_that_cannot_compute_is_broken(monkeypatch):
    import torch

    properties = SimpleNamespace(name="Pretend", total_memory=2**31)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch, "ones", lambda *shape, **options: 1 / 0)
    _, gpu = checks._torch()
    assert (gpu.name, gpu.state) == ("GPU 0", "broken")
    assert gpu.detail == "Pretend, 2.0 GiB: ZeroDivisionError: division by zero"


@pytest.mark.gpu
def test_a_real_gpu_computes_in_float64():
    _, gpu = checks._torch()
    assert gpu.state == "ok"
    assert gpu.detail.endswith("float64 works")


def test_torch_that_fails_to_import_is_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (check,) = checks._torch()
    assert (check.state, check.fix) == ("broken", "pip install --force-reinstall torch")


def test_exit_status_1_and_the_reason_for_a_plugin_that_fails(install_plugin, monkeypatch, capsys):
    install_plugin("bad_one", "1 / 0")
    monkeypatch.setattr(manager, "_default", None)
    monkeypatch.setenv("DASHA_DISABLE_PLUGINS", "darts_autoar")
    assert cli.main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    found = {check["name"]: check for check in report["checks"]}
    assert report["ok"] is False
    assert found["plugin bad_one"] == {
        "name": "plugin bad_one",
        "state": "broken",
        "detail": "ZeroDivisionError: division by zero",
        "fix": "pip install --upgrade dist-bad-one",
    }
    assert found["plugin darts_autoar"]["state"] == "disabled"
    assert {"Python", "platform", "dasha-plugins", "torch"} <= set(found)


def test_debug_shows_the_traceback_of_a_plugin(install_plugin, monkeypatch, capsys):
    install_plugin("bad_one", "1 / 0")
    monkeypatch.setattr(manager, "_default", None)
    monkeypatch.setattr("dasha.cli.doctor.run_checks", lambda made: [])
    assert cli.main(["doctor", "--debug"]) == 0
    assert "bad_one.py" in capsys.readouterr().err


def test_exit_status_0_when_nothing_is_broken(monkeypatch, capsys):
    monkeypatch.setattr("dasha.cli.doctor.run_checks", lambda made: [Check("x", "optional", "absent", "pip install x")])
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "pip install x" in out
    assert out.endswith("doctor: OK\n")
