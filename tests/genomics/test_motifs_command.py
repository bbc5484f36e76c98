"""``dasha genomics motifs`` on a network that looks for one word."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("sklearn")
pytest.importorskip("tangermeme")
pytest.importorskip("lightning")

from torch import nn

from dasha.cli import main
from genomics_adapter.encoding import decode, encode
from genomics_adapter.trained import TrainedModel, open_model

WORD = "GATTACAG"


class Finder(nn.Module):
    """Looks for the word anywhere, and a little for the single bases; the second output says the opposite."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(4, 1, len(WORD))
        with torch.no_grad():
            self.conv.weight.copy_(torch.nn.functional.one_hot(torch.tensor(encode([WORD])).long(), 4).mT.float())
            self.conv.bias.fill_(1.5 - len(WORD))
        self.act = nn.ReLU()
        self.noise = nn.Conv1d(4, 1, 3)

    def forward(self, x):
        found = self.act(self.conv(x)).sum(-1) + 0.02 * self.noise(x).sum(-1)
        return torch.cat([found, -found], 1)


@pytest.fixture
def files(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (60, 50), dtype=np.uint8)
    places = rng.integers(5, 35, 40)
    for row, place in enumerate(places):
        codes[row, place : place + len(WORD)] = encode([WORD])[0]
    rows = "".join(f">s{number}\n{text}\n" for number, text in enumerate(decode(codes)))
    (tmp_path / "a.fa").write_text(rows)
    (tmp_path / "model").mkdir()
    monkeypatch.setattr("genomics_adapter.trained.open_model", lambda path: TrainedModel(Finder().eval(), 50))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stretches(contributions, *, caller):
    """Seqlets without tangermeme's, which compile for half a minute."""
    assert caller == "recursive"
    rows = []
    for index, sums in enumerate(contributions.sum(1)):
        places = torch.nonzero(sums > 0.1)[:, 0].tolist()
        if places:
            rows.append((index, places[0], places[-1] + 1, float(sums[places].sum())))
    return pd.DataFrame(rows, columns=["example_idx", "start", "end", "attribution"])


@pytest.mark.parametrize("is_stub", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_word_is_found_and_written_in_all_forms(is_stub, files, capsys, page_tags, monkeypatch):
    if is_stub:
        monkeypatch.setattr("genomics_adapter.attribution.seqlets", stretches)
    words = ["genomics", "motifs", "model", "a.fa", "--out", "out", "--count", "40", "--shuffles", "4"]
    assert main([*words, "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    best = outcome["motifs"][0]
    assert WORD in best["consensus"].upper() or WORD in reverse(best["consensus"].upper())
    assert best["contribution"] > 0
    assert best["seqlets"] >= 30
    assert outcome["explained"] == 40
    written = {file.name for file in (files / "out").iterdir() if not file.name.startswith(".")}
    assert written == {"motifs.csv", "motifs.html", "motifs.meme", "seqlets.csv"}
    meme = (files / "out" / "motifs.meme").read_text().splitlines()
    assert meme[0] == "MEME version 4"
    assert any(line.startswith("MOTIF motif_1 ") for line in meme)
    matrix = [line.split() for line in meme if line.startswith(("0.", "1."))]
    assert all(sum(map(float, row)) == pytest.approx(1, abs=1e-4) for row in matrix)
    seqlets = (files / "out" / "seqlets.csv").read_text().splitlines()
    assert seqlets[1].startswith("s")
    assert page_tags((files / "out" / "motifs.html").read_text())


def reverse(text):
    return text.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def test_sequences_may_have_bases_that_are_not_known_and_other_lengths(files, capsys, monkeypatch):
    monkeypatch.setattr("genomics_adapter.attribution.seqlets", stretches)
    first, *others = (files / "a.fa").read_text().split("\n>")
    header, text = first.split("\n")
    (files / "b.fa").write_text("\n>".join([f"{header}\nN{text[1:]}", *others]) + f">short\n{text[3:-8]}\n")
    assert main(["genomics", "motifs", "model", "b.fa", "--shuffles", "2", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["explained"] == 61
    assert outcome["motifs"]


def test_what_cannot_be_explained_is_refused(files, capsys):
    words = ["genomics", "motifs", "model", "a.fa"]
    assert main([*words, "--target", "2"]) == 2
    assert "target is 2, but the model has outputs 0 to 1" in capsys.readouterr().err
    assert main([*words[:3], "b.fa"]) == 2
    assert "b.fa does not exist" in capsys.readouterr().err
    assert main([*words, "--method", "guess"]) == 2
    assert "method is 'guess', but must be one of" in capsys.readouterr().err
    assert not (files / "motifs").exists()
    (files / "motifs").mkdir()
    (files / "motifs" / "notes.txt").write_text("mine")
    assert main(words) == 2
    assert "holds other files (notes.txt)" in capsys.readouterr().err


def test_nothing_but_trained_networks_is_opened(tmp_path):
    from dasha.errors import StateFileError

    (tmp_path / "a.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(StateFileError, match=r"a\.ckpt is no checkpoint of a DashaSequenceTask"):
        open_model(tmp_path / "a.ckpt")
    with pytest.raises(StateFileError):
        open_model(tmp_path / "nothing")
