import json

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tangermeme")

from dasha.cli import build, main
from genomics_adapter.commands import demo


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "COUNTS", (120, 40, 40))
    monkeypatch.setattr(demo, "SHUFFLES", 2)
    monkeypatch.setattr(demo, "RESAMPLES", 3)


def test_the_demo_writes_report_card_and_scores(small, tmp_path, capsys, page_tags):
    tiny = ["search.epochs=1", "tune.trials=1", "tune.max_resource=1", "retrain.epochs=1", "tune.lr=0.01,0.01"]
    out = tmp_path / "demo"
    assert main(["demo", "genomics", "--out", str(out), "--json", *(w for t in tiny for w in ("--set", t))]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert set(outcome["test"]) >= {"mcc", "auroc"}
    assert 0 <= outcome["recovery"] <= 1
    assert [row["planted"] for row in outcome["motifs"]] == ["TGACTCA", "CCGGAAGT"]
    page = (out / "report.html").read_text()
    evaluated = json.loads((out / "evaluation.json").read_text())["metrics"]
    for name, value in outcome["test"].items():
        assert evaluated[name] == pytest.approx(value, abs=1e-6)
    assert f"{evaluated['mcc']:.4g} on test" in page
    assert "averaged over both strands" in page
    assert "means over both strands" in (out / "model_card.md").read_text()
    assert "What the network looks for" in page
    assert "svg" in page_tags(page)
    assert "share no sequence" in (out / "model_card.md").read_text()


@pytest.mark.slow
def test_the_demo_finds_both_motifs(tmp_path, capsys):
    assert main(["demo", "genomics", "--out", str(tmp_path / "demo"), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["test"]["mcc"] > 0.8
    assert outcome["recovery"] > 0.8
    assert all(row["correlation"] > 0.95 for row in outcome["motifs"])


def test_the_command_is_found_without_darts(monkeypatch, capsys):
    from dasha.manager import PluginManager

    manager = PluginManager(disabled=["darts_autoar"]).load()
    group = build(manager)
    assert "genomics" in group.commands["demo"]._resolve().commands
    assert group.commands["demo"].help == "Commands: genomics."
