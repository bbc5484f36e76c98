"""Killed at any moment and resumed, a run comes out as if nothing had happened."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forks of one process")


def killed(folder, chosen, *ways, options="one network"):
    search = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    finished = subprocess.run(
        [sys.executable, "-m", "tests.search.killed", str(folder), chosen, options, *ways],
        env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path):
    for told in killed(tmp_path, "some", "before", "inside", "half").values():
        assert told["tried"] > 1
        assert told["failed"] == []


def test_a_run_of_all_stages_with_a_loader_goes_on_to_the_same_bits(tmp_path):
    (told,) = killed(tmp_path, "some", "before", options="all stages").values()
    assert {"backbone.json", "search", "tune", "retrain"} <= set(told["stages"])
    assert told["tried"] > 5
    assert told["failed"] == []


@pytest.mark.slow
def test_a_run_that_is_killed_anywhere_goes_on_to_the_same_bits(tmp_path):
    # Three processes, with hash seeds of their own.
    told = [killed(tmp_path, "all", way)[way] for way in ("before", "inside", "half")]
    for one in told:
        assert one["tried"] == one["points"] > 20
        assert one["failed"] == []
        assert one["expected"] == told[0]["expected"]
