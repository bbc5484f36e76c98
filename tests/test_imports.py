"""Which way things depend: the core imports no host, adapters only their own, plugins nothing until it is used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "plugins"
HOSTS_OF = {
    "dasha": set(),
    "darts_autoar": {"darts", "gluonts", "statsforecast"},
    "torchgeo_dasha": {"torchgeo", "lightning", "timm", "segmentation_models_pytorch", "kornia", "rasterio"},
    "genomics_adapter": {"tangermeme", "grelu", "pyfaidx", "lightning"},
}
HOSTS = set().union(*HOSTS_OF.values()) | {"pytorch_lightning"}
HEAVY = HOSTS | {"torch", "torchvision", "torchmetrics", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "jinja2"}
HEAVY |= {"statsmodels", "optuna", "ray", "sklearn"}
FILES = sorted(SOURCE.rglob("*.py"))


def imported(tree):
    """Return the names of all modules imported anywhere in a syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(names):
    return {name.partition(".")[0] for name in names}


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_its_own_hosts_and_no_other_adapter(path):
    package = path.relative_to(SOURCE).parts[0]
    foreign = (HOSTS - HOSTS_OF[package]) | (set(HOSTS_OF) - {"dasha", package})
    assert packages(imported(tree_of(path))) & foreign == set()


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*/plugin.py")), ids=lambda path: path.parent.name)
def test_a_plugin_module_imports_only_dasha_at_the_top(path):
    top = [node for node in tree_of(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert packages(imported(ast.Module(top, []))) - set(sys.stdlib_module_names) == {"dasha"}


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("errors", set()),
        ("_markers", set()),
        ("registry", {"errors"}),
        ("_optional", {"errors"}),
        ("hookspecs", {"_markers", "types"}),
        ("commands", {"errors", "registry"}),
    ],
)
def test_the_lower_layers_of_the_core_import_only_what_lies_below(module, allowed):
    names = imported(tree_of(SOURCE / "dasha" / f"{module}.py"))
    found = {name.split(".")[1] for name in names if name.startswith("dasha.")}
    assert found <= allowed


def test_nothing_but_the_command_line_imports_the_command_line():
    core = [path for path in (SOURCE / "dasha").rglob("*.py") if "cli" not in path.parts and path.stem != "__main__"]
    assert [path.name for path in core if any(name.startswith("dasha.cli") for name in imported(tree_of(path)))] == []


@pytest.mark.parametrize(
    "statement",
    [
        "import dasha",
        "import dasha.cli",
        "import dasha; dasha.hookimpl, dasha.__version__, dasha.PluginManager",
        "import dasha; dasha.get_manager()",
        "from dasha.cli import main; main(['--help'])",
        "from dasha.cli import main; main(['plugins', '--json'])",
        "import darts_autoar.plugin",
        "import torchgeo_dasha.plugin",
        "import genomics_adapter.plugin",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    code = f"{statement}\nimport sys\nprint('\\nmodules', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = result.stdout.splitlines()[-1].split()
    assert loaded[0] == "modules"
    assert packages(loaded[1:]) & HEAVY == set()


@pytest.mark.parametrize("module", ["streaming", "summary_arrays", "ray_engine", "files"])
def test_workers_that_sum_up_rows_do_without_torch(module):
    code = f"import sys, dasha.autoar.{module}; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.split() == ["False"]


def test_import_of_dasha_takes_well_under_a_second():
    code = "import time; start = time.perf_counter(); import dasha; print(time.perf_counter() - start)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert float(result.stdout) < 0.5


@pytest.mark.parametrize("package", ["dasha.autoar", "dasha.backbones"])
def test_public_names_of_a_package(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)
    with pytest.raises(AttributeError, match=rf"^module '{package}' has no attribute 'Nothing'$"):
        module.Nothing  # noqa: B018


def test_public_names():
    import dasha

    for name in dasha.__all__:
        assert getattr(dasha, name) is not None
        assert name in dir(dasha)
    with pytest.raises(AttributeError, match=r"^module 'dasha' has no attribute 'AutoAr'$"):
        dasha.AutoAr  # noqa: B018
