"""Tasks of DNA: which there are, how they are read, the k-mers, and the benchmark from the script to the page."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dasha.errors import InvalidArgumentError, InvalidTableError
from genomics_adapter import StrandAverage, encode
from genomics_adapter.bench.data import info_of, load, names_there, nt_names
from genomics_adapter.bench.kmers import kmer_counts, run_kmers


def test_what_is_known_of_a_task():
    gue = info_of("gue_mouse_2")
    assert (gue.benchmark, gue.task, gue.metric, gue.has_strand) == ("gue", "mouse_2", "mcc", False)
    assert [one.model for one in gue.published] == ["DNABERT-2 (third-party rerun)", "DNABERT-2"]
    assert info_of("gue_H3__devtrain").published == []
    assert (info_of("gue_virus_covid").metric, info_of("gue_splice_reconstructed").metric) == ("f1", "mcc")
    nt = info_of("nt_splice_sites_all")
    assert (nt.metric, nt.has_strand, len(nt.published)) == ("accuracy", True, 7)
    assert info_of("nt_promoter_all").metric == "f1"
    assert info_of("nt_H3__mine").benchmark == ""
    assert (info_of("splice_uci").metric, info_of("promoters_uci").metric) == ("accuracy", "mcc")
    assert len(nt_names()) == 18


@pytest.mark.parametrize("name", ["nt_nothing", "H3", "eurosat_rgb_3000"])
def test_unknown_task(name):
    with pytest.raises(InvalidArgumentError, match=f"there is no task '{name}'; tasks are gue_"):
        info_of(name)


def test_every_folder_that_is_there(write_sequences, tmp_path):
    for name in ("gue_tf_0", "splice_uci", "nt_H3"):
        write_sequences(name)
    assert names_there(tmp_path) == ["gue_tf_0", "nt_H3", "splice_uci"]
    assert set(names_there(tmp_path, hub="someone/tasks")) == {"gue_tf_0", "splice_uci", *nt_names()}
    assert names_there(None, hub="someone/tasks") == nt_names()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidTableError, match="has no folder gue_"):
        names_there(tmp_path / "empty")


@pytest.mark.parametrize("place", [".", "data/genomics/GUE"])
def test_folders_of_gue_as_it_is_published(place, write_sequences, tmp_path):
    names = {"mouse/0": "mouse_0", "tf/4": "tf_4", "EMP/H3K14ac": "H3K14ac", "prom/prom_core_tata": "prom_core_tata"}
    names |= {"prom/prom_300_all": "prom_300_all", "splice/reconstructed": "splice_reconstructed"}
    names |= {"virus/covid": "virus_covid"}
    for name in names:
        folder = write_sequences(f"GUE/{name}", classes=3 if "/" in name and name[0] in "sv" else 2)
        (folder / "val.csv").rename(folder / "dev.csv")
    write_sequences("other/mouse/7")
    assert names_there(tmp_path / place) == sorted(f"gue_{name}" for name in names.values())
    assert load("gue_mouse_0", data_dir=tmp_path / place).facts["split"] == "as in its folder"
    covid = load("gue_virus_covid", data_dir=tmp_path / place)
    assert (covid.task.kind, covid.task.metric) == ("multiclass", "f1")


def test_a_task_is_read_with_what_its_parts_share(write_sequences, tmp_path):
    folder = write_sequences("gue_tf_0")
    (folder / "test.csv").write_text((folder / "train.csv").read_text())
    data = load("gue_tf_0", data_dir=tmp_path)
    assert (data.task.kind, data.task.metric, data.normalize, data.predictor) == ("binary", "mcc", False, StrandAverage)
    assert data.facts["leaks"]["train and test"] == {"exact": 24, "reverse_complement": 0}
    assert data.facts["split"] == "as in its folder"


def test_validation_data_is_drawn_where_there_is_none(write_sequences, tmp_path):
    write_sequences("splice_uci", count=60, classes=3, parts=("train", "test"))
    data = load("splice_uci", data_dir=tmp_path)
    assert (data.task.kind, data.task.num_outputs, data.task.metric) == ("multiclass", 3, "accuracy")
    assert (data.augment, data.predictor) == (None, None)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [54, 6, 60]
    assert data.validation.targets.bincount().tolist() == [2, 2, 2]
    assert "a tenth of every class" in data.facts["split"]
    assert torch.equal(load("splice_uci", data_dir=tmp_path).validation.codes, data.validation.codes)


def test_all_tasks_of_the_nucleotide_transformer_are_read_from_folders(write_sequences, tmp_path):
    for name in nt_names():
        classes = 3 if name in ("nt_enhancers_types", "nt_splice_sites_all") else 2
        write_sequences(name, count=60, classes=classes, parts=("train", "test"))
    assert names_there(tmp_path) == nt_names()
    for name in nt_names():
        data = load(name, data_dir=tmp_path)
        assert (data.name, data.task.metric) == (name, info_of(name).metric)
        assert data.task.kind == ("multiclass" if data.task.num_outputs == 3 else "binary")
        assert (data.predictor is None) == ("splice" in name)
        assert [len(part) for part in (data.train, data.validation, data.test)] == [54, 6, 60]
        assert len(info_of(name).published) >= 5


@pytest.mark.parametrize("place", ["nt_H3", "NT/H3", "data/NT/H3"])
def test_tasks_of_the_nucleotide_transformer_may_be_fasta(place, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / place
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        rows = [f">chr{number}:1-30|{number % 2}\n{''.join(rng.choice(list('ACGT'), 30))}\n" for number in range(60)]
        (folder / f"{part}.fna").write_text("".join(rows))
    assert names_there(tmp_path) == ["nt_H3"]
    data = load("nt_H3", data_dir=tmp_path)
    assert data.task.kind == "binary"
    assert [len(part) for part in (data.train, data.validation, data.test)] == [54, 6, 60]
    assert data.validation.targets.bincount().tolist() == [3, 3]
    (folder / "train.fna").write_text((folder / "train.fna").read_text().replace("|", "!"))
    with pytest.raises(InvalidArgumentError, match=r"a FASTA file in its headers, >name\|1 .*label_pattern="):
        load("nt_H3", data_dir=tmp_path)


class Hub:
    """Stands in for ``datasets`` without a network."""

    def __init__(self):
        self.asked = []

    def load_dataset(self, name, config, *, split):
        self.asked.append((name, config, split))
        raise ConnectionError("Couldn't reach the Hub")


def test_tasks_on_hugging_face_are_asked_for_by_their_names(monkeypatch):
    hub = Hub()
    monkeypatch.setattr("genomics_adapter.sequences.hub._DATASETS", SimpleNamespace(load=lambda: hub))
    for name in nt_names():
        with pytest.raises(InvalidArgumentError, match=r"datasets cannot read 'some/tasks'.*ConnectionError: Couldn't"):
            load(name, data_dir=None, hub="some/tasks")
    assert hub.asked == [("some/tasks", name.removeprefix("nt_"), "train") for name in nt_names()]


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_benchmark_without_network_or_package(script, tmp_path, capsys, monkeypatch, is_installed):
    if is_installed:
        monkeypatch.setattr("genomics_adapter.sequences.hub._DATASETS", SimpleNamespace(load=Hub))
        match = "error: --datasets names 'nt_H3', but datasets cannot read 'some/tasks', split 'train' of conf"
    else:
        monkeypatch.setitem(sys.modules, "datasets", None)
        match = "'datasets' is not installed; run: pip install 'datasets>=4'"
    (tmp_path / "data").mkdir()
    with pytest.raises(SystemExit) as stop:
        script("genomics", "--hub", "some/tasks", "--datasets", "nt_H3", results=False, tiny=False)
    assert stop.value.code == 2
    assert match in " ".join(capsys.readouterr().err.split())


def test_data_that_does_not_do(write_sequences, tmp_path):
    write_sequences("gue_a", parts=("train", "val"))
    with pytest.raises(InvalidArgumentError, match="gue_a has no test data"):
        load("gue_a", data_dir=tmp_path)
    write_sequences("gue_b", labels=[0.5] * 24)
    with pytest.raises(InvalidArgumentError, match="must have one class for every sequence"):
        load("gue_b", data_dir=tmp_path)
    with pytest.raises(InvalidTableError, match="no folder gue_c under"):
        load("gue_c", data_dir=tmp_path)


def test_counts_of_kmers():
    texts = ["ACGTAC", "GTACGT", "ACNTAC"]
    counts = kmer_counts(encode(texts), 2, both_strands=False).toarray()
    names = [a + b for a in "ACGT" for b in "ACGT"]
    for row, text in zip(counts, texts, strict=True):
        pairs = [text[place : place + 2] for place in range(5)]
        assert row.tolist() == [pairs.count(name) for name in names]
    both = kmer_counts(encode(texts[:2]), 2, both_strands=True).toarray()
    assert both[0].tolist() == both[1].tolist()  # one is the other strand of the other
    assert both.sum(1).tolist() == [5, 5]


@pytest.mark.parametrize("classes", [2, 3])
def test_kmers_learn(write_sequences, tmp_path, classes, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr("genomics_adapter.bench.kmers.SIZES", (3, 4))
    name = "gue_a" if classes == 2 else "splice_uci"
    write_sequences(name, count=60, classes=classes)
    record = run_kmers(load(name, data_dir=tmp_path))
    assert record["score"] > 0.8
    assert record["hyperparameters"]["k"] in (3, 4)
    assert np.isfinite(record["metrics"]["accuracy"])


def test_the_benchmark(script, write_sequences, capsys, monkeypatch, page_tags):
    pytest.importorskip("sklearn")
    monkeypatch.setattr("genomics_adapter.bench.kmers.SIZES", (3,))
    leaking, _ = (write_sequences(name) for name in ("gue_mouse_2", "splice_uci"))
    (leaking / "test.csv").write_text((leaking / "train.csv").read_text())
    networks = ("--methods", "searched", "kmer", "--backbone", "wide_resnet_1d")
    options = ("--budgets", "smoke", "--seeds", "0", "1", *networks)
    content, page = script("genomics", *options)
    methods = [(one["dataset"], one["method"], one["seed"]) for one in content["results"]]
    runs = [("searched-smoke", 0), ("searched-smoke", 1), ("kmer", 0)]
    assert methods == [(name, *run) for name in ("gue_mouse_2", "splice_uci") for run in runs]
    assert {one["metric"] for one in content["results"]} == {"mcc", "accuracy"}
    assert content["kernels"]["searched-smoke"]["runs"] == 4
    assert {(one["dataset"], one["of"]) for one in content["places"]} == {("gue_mouse_2", 3)}
    assert [one["benchmark"] for one in content["overall"]] == ["gue", "gue", "others", "others"]
    assert {one["origin"] for one in content["published"]} == {"published"}
    assert content["data"]["gue_mouse_2"]["leaks"]["train and test"]["exact"] == 24
    assert page_tags(page).count("svg") == 1
    assert all(text in page for text in ("published\u00a0[1]", "24 sequences in both", "permutation p"))
    assert "gue_mouse_2, kmer: place" in capsys.readouterr().out
    again, _ = script("genomics", *options, "--only-report")
    assert again["results"] == content["results"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ((), "has no folder gue_"),
        (("--datasets", "mouse_2"), "there is no task 'mouse_2'"),
        (("--datasets", "gue_mouse_2"), "--datasets names 'gue_mouse_2', but no folder gue_mouse_2"),
        (("--budgets", "huge"), "invalid choice: 'huge'"),
        (("--backbone", "resnet"), "backbone='resnet' must be one of auto"),
    ],
)
def test_bad_input(script, tmp_path, capsys, options, match):
    (tmp_path / "data").mkdir()
    with pytest.raises(SystemExit):
        script("genomics", *options, results=False, tiny=False)
    assert match in " ".join(capsys.readouterr().err.split())
