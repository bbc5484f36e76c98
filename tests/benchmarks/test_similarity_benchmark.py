"""The benchmark of similar sequences: what it makes, what it compares with, and its figures on small numbers."""

from __future__ import annotations

import importlib
import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from genomics_adapter import decode
from genomics_adapter.encoding import reverse_complement

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = set(sys.modules)
    yield importlib.import_module("similarity")
    for name in {"_common", "similarity"} & (set(sys.modules) - before):
        del sys.modules[name]


def test_all_figures_are_printed_and_written(benchmark, tmp_path, capsys):
    file = tmp_path / "out.json"
    sizes = ["--sequences", "100", "400", "--length", "80", "--pairs", "60", "--lengths", "60", "120"]
    benchmark.main([*sizes, "--rates", "0", "0.02", "0.5", "--compared", "80", "--json", str(file)])
    content, printed = json.loads(file.read_text()), capsys.readouterr().out
    assert [row["sequences"] for row in content["timed"]] == [100, 400]
    assert all(row["seconds"] > 0 and row["peak_mb"] > 0.01 for row in content["timed"])
    assert 360 <= content["timed"][1]["groups"] <= 370
    found = {(row["length"], row["rate"]): row["found"] for row in content["pairs"]}
    assert {rate: found[60, rate] for rate in (0, 0.5)} == {0: 1.0, 0.5: 0.0}
    assert found[120, 0.02] > 0.95
    assert content["compared"]["linked_pairs"] > 20
    assert content["compared"]["found"] > 0.7
    assert "2% replaced" in printed
    assert content["environment"]["versions"]


def test_copies_have_the_bases_replaced_that_they_should(benchmark):
    rng = np.random.default_rng(0)
    codes = benchmark.random_codes(400, 100, rng)
    made = benchmark.copies(codes, 0.1, rng)
    made[1::2] = reverse_complement(made[1::2])
    assert (made != codes).mean() == pytest.approx(0.1, abs=0.01)
    made = benchmark.copies(codes[:2], [0.0, 1.0], rng)
    assert (made[0] == codes[0]).all()
    assert (reverse_complement(made[1:]) != codes[1]).all()


def test_all_pairs_are_those_of_sets_of_kmers(benchmark):
    rng = np.random.default_rng(1)
    codes = benchmark.random_codes(6, 50, rng).repeat(3, axis=0)
    codes = benchmark.copies(codes, rng.uniform(0, 0.1, 18), rng)
    kmers = []
    for row in codes:
        both = [decode(one[None])[0] for one in (row, reverse_complement(row[None])[0])]
        kmers.append({min(both[0][i : i + 8], both[1][42 - i : 50 - i]) for i in range(43)})
    expected = {
        (a, b) for a, b in combinations(range(18), 2) if len(kmers[a] & kmers[b]) >= 0.2 * len(kmers[a] | kmers[b])
    }
    pairs, groups = benchmark.all_pairs(codes, 8)
    assert 5 < len(expected) < 18
    assert {(int(a), int(b)) for a, b in pairs} == expected
    assert all((groups[a] == groups[b]) for a, b in expected)
    assert len(set(groups.tolist())) >= 6
