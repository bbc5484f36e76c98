import re
import sys
from pathlib import Path

import pytest

from dasha import manager
from dasha.hookcheck import HOOKS

GUIDE = Path(__file__).parents[1] / "docs" / "plugins.md"
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)
BLOCKS = [match.groupdict() for match in BLOCK.finditer(GUIDE.read_text(encoding="utf-8"))]


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
    assert len(examples) == 4
    for code in examples:
        exec(compile(code, str(GUIDE), "exec"), {"__name__": "example"})
