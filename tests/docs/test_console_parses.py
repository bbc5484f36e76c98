"""Every line behind a prompt is one that its program understands; nothing is run here."""

import argparse
import re
import runpy
import tomllib
from importlib.util import find_spec

import pytest
import typer
from packaging.requirements import Requirement

from dasha.cli import build
from dasha.manager import get_manager
from tests.docs.pages import PAGES, ROOT, commands_of, words_of, write_named_files

GUIDE = "docs/plugins.md"  # its commands are those of the example plugin, see test_plugin_guide.py


def dasha(words, monkeypatch):
    """Parse as the command line does; Lightning's commands parse their words themselves."""
    if words[0] == "genomics":
        pytest.importorskip("lightning")
    context = build(get_manager()).make_context("dasha", words)
    invoke = type(context).invoke

    def invoke_lightning(self, *arguments, **options):
        return invoke(self, *arguments, **options) if self.ignore_unknown_options else None

    monkeypatch.setattr(type(context), "invoke", invoke_lightning)
    context.command.invoke(context)


def torchgeo(words, monkeypatch):
    pytest.importorskip("torchgeo.main").main(words)


def python(words, monkeypatch):
    if re.search("torchgeo|satellite|scene", words[0]):
        pytest.importorskip("torchgeo")
    script = ROOT / words[0]
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.setattr("sys.argv", words)
    runpy.run_path(str(script), run_name="__main__")


def pip(words, monkeypatch):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    wanted = Requirement(words[-1].replace(".[", "dasha-plugins["))
    assert wanted.name == "dasha-plugins"
    assert wanted.extras <= set(extras)


def make(words, monkeypatch):
    assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


PROGRAMS = {"dasha": dasha, "torchgeo": torchgeo, "python": python, "pip": pip, "make": make}
COMMANDS = [
    (page, command)
    for page in PAGES
    if page != GUIDE
    for command in commands_of(page)
    if not command.startswith("export ")
]


@pytest.fixture
def complaint(tmp_path, monkeypatch):
    """What a program has against its words; nothing if it understands them."""

    def done(*arguments, **options):
        raise SystemExit(0)

    def complaint(command):
        program, *words = words_of(command)
        try:
            PROGRAMS[program](words, monkeypatch)
        except SystemExit as ended:
            return ended.code
        except typer.TyperException as error:
            return error.format_message()
        return None

    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    # Lightning and argparse are done when they have parsed.
    parse = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda *given: done(parse(*given)))
    if find_spec("lightning"):
        monkeypatch.setattr("lightning.pytorch.cli.LightningCLI.instantiate_classes", done)
    monkeypatch.setattr("sys.argv", ["dasha"])
    return complaint


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command[:60]}" for page, command in COMMANDS])
def test_the_program_understands(page, command, complaint, tmp_path):
    write_named_files(page, tmp_path)
    assert not complaint(command)


@pytest.mark.parametrize(
    "command",
    [
        "dasha forecats sales.csv",
        "dasha forecast sales.csv --horizon 28 --folder forecast",
        "dasha demo image",
        "dasha genomics motifs best.ckpt",
        "dasha genomics fit --model.kind=binary --data.path=data --data.lable=a",
        "torchgeo fit --config eurosat.yaml --trainer.epochs=3",
        "python benchmarks/genomics.py --bugdets quick",
    ],
)
def test_what_is_not_understood_is_noticed(command, complaint, tmp_path):
    write_named_files("docs/torchgeo.md", tmp_path)
    assert complaint(command)
