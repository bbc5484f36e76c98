"""Cases are measured once, go on where they were stopped, and never mix with those of other settings or versions."""

from __future__ import annotations

from typing import Any

import pytest

from dasha.bench.cases import Bench, Case
from dasha.bench.store import Store
from dasha.errors import InvalidArgumentError

OURS = {"engine": "a", "dasha-plugins": "0", "device": "cpu"}
KNOWN: dict[str, Any] = {"versions": {"torch": "2"}, "torch_threads": 1, **OURS}


@pytest.fixture
def work(tmp_path):
    """A bench and a case whose folders are noted."""

    class Work:
        def __init__(self):
            self.folders = []

        def bench(self, **options):
            changed = {key: options.pop(key) for key in ("engine",) if key in options}
            return Bench(Store(tmp_path / "kept", {**KNOWN, **changed}), **options)

        def case(self, seed=0, error=None, **settings):
            def measure(folder):
                self.folders.append(folder)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "progress").write_text("half")
                if error:
                    raise error
                return {"score": 0.5, "seconds": 1.0}

            return Case("data", "method", seed, {"x": 1, **settings}, measure, ("torch",))

    return Work()


def test_a_case_is_measured_once(work):
    calls = []
    first = work.bench(advance=lambda *call: calls.append(call)).run(work.case())
    assert first.record == {"dataset": "data", "method": "method", "seed": 0, "score": 0.5, "seconds": 1.0}
    assert first.environment == KNOWN
    assert calls == [("data, method, seed 0", 0), ("data, method, seed 0", 1)]
    again = work.bench(only_report=True).run(work.case())
    assert (again.record, again.time) == (first.record, first.time)
    assert len(work.folders) == 1


def test_a_case_that_was_stopped_finds_its_folder_again(work):
    with pytest.raises(KeyboardInterrupt):
        work.bench().run(work.case(error=KeyboardInterrupt()))
    work.bench().run(work.case())
    assert work.folders[0] == work.folders[1]


def test_other_settings_seeds_and_versions_have_other_folders(work):
    work.bench().run(work.case())
    work.bench().run(work.case(seed=1))
    work.bench().run(work.case(y=2))
    work.bench(engine="b").run(work.case())
    assert len(set(work.folders)) == 4


def test_what_other_versions_gave_is_not_shown(work):
    work.bench().run(work.case())
    bench = work.bench(engine="b", only_report=True)
    assert bench.run(work.case()) is None
    assert bench.remarks == ["data, method, seed 0 was measured with other versions and is not shown"]


def test_rerun_begins_anew(work):
    work.bench().run(work.case())
    folder = work.folders[0]
    (folder / "trace").write_text("")
    assert work.bench(rerun=["method"]).run(work.case()) is not None
    assert work.folders == [folder, folder]
    assert not (folder / "trace").exists()


def test_a_case_that_fails_leaves_the_others_alone(work):
    bench = work.bench()
    assert bench.run(work.case(error=InvalidArgumentError("the loss exploded"))) is None
    assert bench.remarks == ["data, method, seed 0 failed: the loss exploded"]
    assert work.bench().run(work.case()) is not None
