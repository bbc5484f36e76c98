"""The guide to writing a plugin shows the example plugin as it is, and what it shows runs."""

import sys

import pytest

from dasha import manager
from dasha.cli import main
from dasha.hookcheck import HOOKS
from tests.docs.pages import blocks_of, commands_of, text_of, words_of

GUIDE = "docs/plugins.md"
BLOCKS = blocks_of(GUIDE)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook):
    assert f"`{hook}(" in text_of(GUIDE)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.source], ids=lambda block: block.source)
def test_files_in_the_guide_are_those_of_the_example_plugin(block, example_source):
    assert block.code == (example_source / block.source).read_text(encoding="utf-8")


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
    examples = [block.code for block in BLOCKS if block.language == "python" and not block.source]
    assert len(examples) == 6
    for code in examples:
        exec(compile(code, GUIDE, "exec"), {"__name__": "example"})


@pytest.mark.usefixtures("example_on_path")
def test_commands_in_the_guide_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = ["--budget", "smoke", "--backbone", "wide_resnet_1d", "--set", "tune.trials=1"]
    commands = [words_of(command) for command in commands_of(GUIDE)]
    assert len(commands) == 3
    for program, *words in commands:
        assert program == "dasha"
        assert main([*words, *(short if words[0] == "fit" else [])]) == 0
