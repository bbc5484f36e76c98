"""Data sets of other packages, which stand-ins replace where they are absent."""

import sys
from types import ModuleType, SimpleNamespace

import pyarrow as pa
import pytest

from dasha.errors import InvalidArgumentError, OptionalDependencyError
from genomics_adapter.encoding import decode
from genomics_adapter.sequences import read_genomic_benchmark, read_hugging_face


class Table:
    """What a data set of Hugging Face looks like from here."""

    def __init__(self, table, names=None):
        self.table, self.column_names = table, table.column_names
        self.features = {name: SimpleNamespace(names=names) for name in table.column_names}

    def with_format(self, name):
        assert name == "arrow"
        return self

    def __getitem__(self, key):
        return self.table[key]


@pytest.fixture
def hub(monkeypatch):
    asked = []
    table = pa.table({"sequence": ["ACGT", "ac"], "label": [1, 0], "chrom": ["1", "2"]})
    module = ModuleType("datasets")
    module.load_dataset = lambda *a, **k: asked.append((a, k)) or Table(table, ["off", "on"])
    module.load_from_disk = lambda path: asked.append(path) or {"train": Table(table)}
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_a_data_set_of_hugging_face(hub):
    data = read_hugging_face("owner/name", split="test", config="c", chromosome="chrom")
    assert hub == [(("owner/name", "c"), {"split": "test"})]
    assert decode(data.codes) == ["ACGT", "-AC-"]
    assert (data.labels.tolist(), data.class_names) == ([1, 0], ("off", "on"))
    assert data.chromosomes.tolist() == ["1", "2"]
    other = read_hugging_face("owner/name", class_names=("on", "neither", "off"))
    assert (other.labels.tolist(), other.class_names) == ([0, 2], ("on", "neither", "off"))
    assert data.source.place(1) == "owner/name (test), row 1"
    with pytest.raises(InvalidArgumentError, match="owner/name has no column 'seq'; its columns are sequence, label"):
        read_hugging_face("owner/name", sequence="seq")


def test_a_folder_of_hugging_face(hub, tmp_path):
    (tmp_path / "dataset_dict.json").write_text("{}")
    assert read_hugging_face(tmp_path).class_names == ()
    with pytest.raises(InvalidArgumentError, match=r"split is 'dev', but .* has train"):
        read_hugging_face(tmp_path, split="dev")
    assert hub == [str(tmp_path)] * 2


def test_the_real_package(tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    label = datasets.ClassLabel(names=["off", "on"])
    features = datasets.Features({"sequence": datasets.Value("string"), "label": label})
    rows = {"sequence": ["ACGT", "acgn", "TTTT"], "label": [1, 0, 1]}
    made = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": made.select([2, 0]), "test": made}).save_to_disk(str(tmp_path / "saved"))
    data = read_hugging_face(tmp_path / "saved")
    assert (decode(data.codes), data.labels.tolist(), data.class_names) == (["TTTT", "ACGT"], [1, 1], ("off", "on"))
    assert len(read_hugging_face(tmp_path / "saved", split="test")) == 3


def test_a_genomic_benchmark(tmp_path, monkeypatch):
    def download(name, *, version, dest_path):
        if name != "known":
            raise ValueError("no such data set")
        for part in ("train", "test"):
            for kind, text in (("negative", "ACGT"), ("positive", part[:1].replace("r", "G").upper())):
                place = dest_path / name / part / kind
                place.mkdir(parents=True)
                (place / "0.txt").write_text(text)

    loader = ModuleType("genomic_benchmarks.loc2seq")
    loader.download_dataset = download
    paths = ModuleType("genomic_benchmarks.utils.paths")
    paths.CACHE_PATH = tmp_path
    for name in ("genomic_benchmarks", "genomic_benchmarks.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "genomic_benchmarks.loc2seq", loader)
    monkeypatch.setitem(sys.modules, "genomic_benchmarks.utils.paths", paths)
    data = read_genomic_benchmark("known")
    assert decode(data.codes) == ["ACGT", "--T-"]
    assert data.class_names == ("negative", "positive")
    with pytest.raises(InvalidArgumentError, match="data set 'other' cannot be had from genomic-benchmarks: no such"):
        read_genomic_benchmark("other", split="test")
    monkeypatch.setitem(sys.modules, "genomic_benchmarks", None)
    assert len(read_genomic_benchmark("known", split="test", folder=tmp_path)) == 2  # it is there already
    with pytest.raises(InvalidArgumentError, match="split is 'dev', but must be 'train' or 'test'"):
        read_genomic_benchmark("known", split="dev")


def test_packages_that_are_absent(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(OptionalDependencyError, match=r"'datasets' is not installed; run: pip install 'datasets>=4'"):
        read_hugging_face("name")
    monkeypatch.setitem(sys.modules, "genomic_benchmarks", None)
    with pytest.raises(OptionalDependencyError, match=r"pip install 'genomic-benchmarks>=1\.0'"):
        read_genomic_benchmark("name", folder=tmp_path)
