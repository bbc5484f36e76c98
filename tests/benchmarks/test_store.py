"""The store: nothing is lost, nothing is mixed, and what cannot be read is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dasha.bench.environment import conditions, environment
from dasha.bench.store import Results, Store
from dasha.errors import InvalidArgumentError, StateFileError

KNOWN: dict[str, Any] = {"versions": {"numpy": "2.0", "torch": "2.5"}, "torch_threads": 1, "engine": "a"}


@pytest.fixture
def open_results(tmp_path):
    def open_results(settings=None, *, is_ours=True, **changed) -> Results:
        store = Store(tmp_path / "kept", {**KNOWN, **changed})
        return store.open("data", "method", settings=settings or {"h": 1}, packages=("numpy",), is_ours=is_ours)

    return open_results


def test_items_come_back_as_they_were(open_results):
    results = open_results()
    results.add(3, {"mean": np.arange(3.0), "error": "", "seconds": 0.5})
    results.add(1, {"mean": np.ones(3), "error": "too long", "seconds": 1.5, "quantiles": np.ones(9)})
    results.flush()
    again = open_results()
    assert sorted(again.items) == [1, 3]
    assert again.items[3]["mean"].tolist() == [0, 1, 2]
    assert (str(again.items[1]["error"]), float(again.items[1]["seconds"])) == ("too long", 1.5)
    assert "quantiles" not in again.items[1]  # not every item of the part had them
    assert again.environment == KNOWN
    assert again.measured == results.measured


def test_only_what_fits_is_used(open_results):
    results = open_results()
    results.add(0, {"x": 1.0})
    results.flush()
    assert open_results(versions={"numpy": "2.0", "torch": "2.6"}).items  # torch plays no part
    for changed in ({"versions": {"numpy": "2.1"}}, {"torch_threads": 2}, {"engine": "b"}):
        other = open_results(**changed)
        assert (other.items, other.outdated) == ({}, 1)
    assert open_results(engine="b", is_ours=False).items
    other = open_results({"h": 2})
    assert not other.items
    other.add(0, {"x": 2.0})
    other.flush()
    assert [float(open_results({"h": h}).items[0]["x"]) for h in (1, 2)] == [1.0, 2.0]
    open_results({"h": 2}).forget()
    assert [len(open_results({"h": h}).items) for h in (1, 2)] == [1, 0]


def test_a_broken_file_is_named(open_results, tmp_path):
    results = open_results()
    results.add(0, {"x": 1.0})
    results.flush()
    (part,) = tmp_path.rglob("part-*.npz")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(StateFileError, match=r"part-000000-000000.npz cannot be read .* delete it"):
        open_results()


def test_a_folder_that_cannot_be_written(open_results, tmp_path):
    (tmp_path / "kept").write_text("a file")
    results = open_results()
    results.add(0, {"x": 1.0})
    with pytest.raises(InvalidArgumentError, match="choose another folder for results"):
        results.flush()


def test_an_environment_names_what_figures_depend_on():
    known = environment("cpu", "no-such-package")
    assert known["versions"]["no-such-package"] == "not installed"
    assert len(known["engine"]) == 12
    assert set(conditions(known, ("torch",), is_ours=False)) == {"torch", "torch_threads"}
