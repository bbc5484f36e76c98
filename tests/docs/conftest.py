"""A folder to work in, and lines of a page that are run there."""

import runpy
import signal

import pytest

from dasha.cli import main
from tests.docs.pages import words_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder; pictures are drawn into memory, and Lightning stops listening to Ctrl-C afterwards."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr("sys.argv", ["dasha"])
    yield tmp_path
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(folder, monkeypatch):
    """Run a line of a page with further words; in file names, ``…`` stands for what is there."""

    def run(command, *more):
        program, *words = words_of(command)
        words = [str(*folder.rglob(word.replace("…", "*"))) if "…" in word else word for word in words]
        if program == "torchgeo":
            pytest.importorskip("torchgeo.main").main([*words, *more])
        elif program == "python":
            monkeypatch.setattr("sys.argv", [*words, *more])
            runpy.run_path(words[0], run_name="__main__")
        else:
            assert program == "dasha"
            assert main([*words, *more]) == 0

    return run
