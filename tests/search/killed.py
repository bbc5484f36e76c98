"""Runs that are killed at every point where something is written, and resumed; a program for a process of its own.

Every run is a fork of this process, which has imported everything and computed nothing.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from optuna.storages.journal import JournalFileBackend
from torch.utils.data import DataLoader

from dasha.search.run_folder import RunFolder
from tests.search.tiny import TRAIN, VALIDATION, run_of

WRITES = ("save_state", "write_json", "write_tensors", "log", "remove")
OPTIONS = {
    "one network": {"seed": 3},
    "all stages": {"seed": 3, "is_deterministic": True, "n_seeds": 2, "search": "auto", "backbone": "auto"},
}


class Killer:
    """Ends the process by SIGKILL at a point of writing.

    Args:
        at: Number of the point from 0 on; -1 to count only.
        way: ``"before"`` a write, ``"inside"`` one, when the bytes are there and the file has not its name yet, or
            ``"half"`` of a line of the journal.
    """

    def __init__(self, at, way):
        self.at, self.way, self.points = at, way, []

    def point(self, what):
        self.points.append(what)
        if len(self.points) - 1 == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self):
        if self.way == "before":
            for name in WRITES:
                self._before(RunFolder, name)
            self._before(JournalFileBackend, "append_logs")
        elif self.way == "inside":
            fsync = os.fsync

            def killing(number):
                self.point("fsync")
                fsync(number)

            os.fsync = killing
        else:
            self._half()

    def _before(self, owner, name):
        original = getattr(owner, name)

        def killing(this, *arguments, **keywords):
            self.point(f"{name} {arguments[0] if isinstance(arguments[0], str) else ''}".strip())
            return original(this, *arguments, **keywords)

        setattr(owner, name, killing)

    def _half(self):
        original = JournalFileBackend.append_logs

        def torn(this, logs):
            if len(self.points) == self.at:
                line = json.dumps(logs[0]).encode()
                with Path(this._file_path).open("ab") as file:
                    file.write(line[: len(line) // 2])
            self.point("half")
            return original(this, logs)

        JournalFileBackend.append_logs = torn


def forked(work):
    """Exit status of some work in a fork; the negative signal if it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fit(path, options, killer=None):
    if killer is not None:
        killer.install()
    pairs = [(torch.from_numpy(x), int(y)) for x, y in zip(*TRAIN, strict=True)]
    train = DataLoader(pairs, batch_size=8, shuffle=True) if options == "all stages" else TRAIN
    run_of(path, **OPTIONS[options]).fit(train, VALIDATION)
    if killer is not None:
        Path(f"{path}.points").write_text(json.dumps(killer.points))


def outcome(path):
    """What has to be the same, as bytes and values."""
    tuned = json.loads((path / "tune.json").read_text())
    return {
        "model": (path / "model.safetensors").read_bytes().hex(),
        "architecture": json.loads((path / "search.json").read_text())["architecture"],
        "tuned": {name: value for name, value in tuned.items() if name != "seconds"},
        "losses": [curve["losses"] for curve in json.loads((path / "result.json").read_text())["curves"]],
    }


def chosen_points(points, way, chosen):
    """Numbers of all points, or of some in every stage."""
    if chosen == "all":
        return range(len(points))
    if way == "before":
        # The last one of every third kind: by then there is something to lose.
        return sorted({what: number for number, what in enumerate(points)}.values())[::3]
    return range(9, len(points), 24)


def kill_and_resume(folder, chosen, options, way):
    """Kill at points of one way; what came out of an uninterrupted run, and what was different after a kill."""
    whole = folder / f"whole-{way}"
    assert forked(lambda: fit(whole, options, Killer(-1, way))) == 0
    points, expected = json.loads(Path(f"{whole}.points").read_text()), outcome(whole)
    numbers, failed = chosen_points(points, way, chosen), []
    for number in numbers:
        path = folder / f"{way}-{number}"
        killed = forked(lambda path=path, number=number: fit(path, options, Killer(number, way)))
        resumed = forked(lambda path=path: fit(path, options))
        same = resumed == 0 and outcome(path) == expected
        left = [str(file) for file in path.rglob("*dasha-tmp")]
        if killed != -signal.SIGKILL or not same or left:
            failed.append([number, points[number], killed, resumed, same, left])
    stages = sorted({str(what).partition(" ")[2].partition("/")[0] for what in points})
    return {"points": len(points), "tried": len(numbers), "failed": failed, "expected": expected, "stages": stages}


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, chosen, options, *ways = sys.argv[1:]
    print(json.dumps({way: kill_and_resume(Path(folder), chosen, options, way) for way in ways}))
