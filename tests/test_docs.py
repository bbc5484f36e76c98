import re
import sys
from pathlib import Path

import pytest

from dasha import manager
from dasha.hookcheck import HOOKS

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "plugins.md"
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)


def blocks_of(path):
    return [match.groupdict() for match in BLOCK.finditer(path.read_text(encoding="utf-8"))]


def run_examples(path, examples):
    namespace = {"__name__": "example"}
    for code in examples:
        exec(compile(code, str(path), "exec"), namespace)


BLOCKS = blocks_of(GUIDE)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook):
    assert f"`{hook}(" in GUIDE.read_text(encoding="utf-8")


@pytest.mark.parametrize("block", [b for b in BLOCKS if b["file"]], ids=lambda block: block["file"])
def test_files_in_the_guide_are_those_of_the_example_plugin(block, example_source):
    assert block["code"] == (example_source / block["file"]).read_text(encoding="utf-8")


@pytest.fixture
def example_on_path(example_source, monkeypatch, install_plugin):
    """Make the example plugin importable and discoverable without installing it."""
    monkeypatch.syspath_prepend(str(example_source / "src"))
    install_plugin("example_entry", "from dasha_naive.plugin import *", entry_point="dasha_naive")
    monkeypatch.setattr(manager, "_default", None)
    yield
    for name in [name for name in sys.modules if name.startswith("dasha_naive")]:
        del sys.modules[name]


@pytest.mark.usefixtures("example_on_path")
def test_examples_in_the_guide_run():
    examples = [block["code"] for block in BLOCKS if block["language"] == "python" and not block["file"]]
    assert len(examples) == 6
    for code in examples:
        run_examples(GUIDE, [code])


@pytest.mark.parametrize(
    ("name", "count", "hosts"),
    [
        ("README.md", 6, ["sklearn"]),
        ("docs/forecasting.md", 8, []),
        ("docs/search.md", 3, []),
        ("docs/torchgeo.md", 2, ["torchgeo"]),
        ("docs/genomics.md", 9, ["lightning", "tangermeme", "sklearn"]),
    ],
)
def test_examples_of_a_page_run_in_order(name, count, hosts, tmp_path, monkeypatch):
    for host in hosts:
        pytest.importorskip(host)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    examples = [block["code"] for block in blocks_of(ROOT / name) if block["language"] == "python"]
    assert len(examples) == count
    run_examples(ROOT / name, examples)


def test_the_darts_quickstart_fits_in_ten_lines():
    quickstart = next(block["code"] for block in blocks_of(ROOT / "README.md") if "AutoARModel" in block["code"])
    assert len([line for line in quickstart.splitlines() if line]) <= 10


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_local_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
