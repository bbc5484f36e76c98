"""Examples in Python run in the order of their page; quickstarts are short; links lead somewhere."""

import re

import pytest

from tests.docs.files import write_sequences
from tests.docs.pages import PAGES, ROOT, blocks_of, text_of


@pytest.mark.parametrize(
    ("page", "count", "hosts"),
    [
        ("README.md", 8, ["darts", "gluonts", "lightning", "tangermeme", "sklearn"]),
        ("docs/forecasting.md", 8, ["darts", "gluonts"]),
        ("docs/search.md", 3, []),
        ("docs/torchgeo.md", 2, ["torchgeo"]),
        ("docs/genomics.md", 9, ["lightning", "tangermeme", "sklearn"]),
    ],
)
def test_examples_of_a_page_run_in_order(page, count, hosts, tmp_path, monkeypatch):
    for host in hosts:
        pytest.importorskip(host)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    write_sequences(tmp_path / "data")  # README reads a folder that genomicists have
    examples = blocks_of(page, "python")
    assert len(examples) == count
    namespace = {"__name__": "example"}
    for block in examples:
        exec(compile(block.code, f"{page}, {block.section}", "exec"), namespace)


@pytest.mark.parametrize(
    ("page", "section", "count"),
    [
        ("README.md", "Darts", 1),
        ("README.md", "GluonTS", 1),
        ("README.md", "Arrays", 1),
        ("README.md", "TorchGeo", 1),
        ("README.md", "DNA", 4),
        ("README.md", "Images and sequences as arrays", 1),
        ("README.md", "Plugins", 2),
        ("docs/torchgeo.md", "Quickstart", 1),
        ("docs/genomics.md", "scikit-learn", 1),
        ("docs/genomics.md", "Which bases matter: tangermeme", 1),
        ("docs/genomics.md", "Lightning", 1),
        ("docs/genomics.md", "Command line", 1),
    ],
)
def test_quickstarts_fit_in_ten_lines(page, section, count):
    blocks = [block for block in blocks_of(page) if block.section == section and block.language != "console"]
    assert len(blocks) == count
    assert {block.code: len(block.lines) for block in blocks if len(block.lines) > 10} == {}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_language_that_is_tested(page):
    known = {"python", "py", "yaml", "console", "toml"}
    assert {block.language for block in blocks_of(page)} <= known


@pytest.mark.parametrize("page", PAGES)
def test_local_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text_of(page))
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
