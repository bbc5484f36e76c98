"""A run as its folder tells it: every file that a stage leaves behind, where it is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dasha.errors import StateFileError
from dasha.metrics import METRICS
from dasha.search.run_folder import CONFIG_FILE, RunFolder
from dasha.search.settings import KERNELS, OWN, SEARCHED

Content = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """The JSON files of a run folder; None for those of stages that have not ended, or were left out.

    Attributes:
        path: The folder.
        config: Task, settings, budget, data and versions.
        source: Where the command line found the data.
        backbone: The choice among several backbones.
        search: Kernels and how they were found.
        tune: Trials.
        plan: What the stages before the final training decided.
        result: The finished run.
        evaluation: Metrics on test data.
        events: Lines of the log, oldest first.
    """

    path: Path
    config: Content
    source: Content | None
    backbone: Content | None
    search: Content | None
    tune: Content | None
    plan: Content | None
    result: Content | None
    evaluation: Content | None
    events: list[Content]

    @property
    def metric(self) -> str:
        """Name of the metric that decides."""
        return str(self.config["task"]["metric"])

    @property
    def kernels(self) -> str:
        """Which kernels the network has: ``"searched"``, ``"own"`` or ``"random"``."""
        with RunFolder(self.path).reading("tune.json"):
            tuned = {} if self.tune is None else self.tune["hyperparameters"]
        return kernels_of(str(self.config["settings"]["search"]), tuned)

    @property
    def is_higher_better(self) -> bool:
        """Direction of the deciding metric."""
        return METRICS[self.metric].higher_is_better

    @property
    def class_names(self) -> list[str]:
        """Names of classes, labels or targets; numbers where there are none."""
        task = self.config["task"]
        count = 2 if task["kind"] == "binary" else task["num_outputs"]
        return list(task["class_names"]) or [str(number) for number in range(count)]

    @property
    def ndim(self) -> int:
        """1 for sequences, 2 for images."""
        return len(self.config["data"]["train"]["shape"]) - 1

    @property
    def curves(self) -> list[Content]:
        """Course of every final training; of one that has not ended, as far as the log has it."""
        if self.result is not None:
            return list(self.result["curves"])
        seeds: dict[int, dict[int, Content]] = {}
        for event in self.events:
            if event["event"] == "retrain":  # an epoch that was repeated counts as it came out last
                seeds.setdefault(event["seed"], {})[event["epoch"]] = event
        return [
            {
                "losses": [epoch["loss"] for _, epoch in sorted(epochs.items())],
                "validation": [epoch["validation"] for _, epoch in sorted(epochs.items()) if epoch["validation"]],
            }
            for _, epochs in sorted(seeds.items())
        ]

    def unturned(self, score: float | None) -> float | None:
        """The deciding metric from a score, which is turned so that larger is better."""
        return score if score is None or self.is_higher_better else -score


def kernels_of(mode: str, hyperparameters: Mapping[str, Any]) -> str:
    """Which kernels a network has: ``"searched"``, ``"own"`` or ``"random"``.

    Args:
        mode: As `dasha.search.config.RunConfig` has it.
        hyperparameters: Of the winning trial; empty before there is one.
    """
    if mode == "auto":
        return str(hyperparameters.get(KERNELS, SEARCHED))
    return {"on": SEARCHED, "off": OWN}.get(mode, mode)


def read_record(path: str | Path) -> RunRecord:
    """Read a run folder.

    Args:
        path: The folder; nothing in it is changed.

    Raises:
        StateFileError: If there is no run, or a file of it is damaged.
    """
    folder = Path(path)
    if not (folder / CONFIG_FILE).is_file():
        raise StateFileError(f"{folder} holds no run (there is no config.json); give the folder of a run")
    names = ("source", "backbone", "search", "tune", "plan", "result", "evaluation")
    stored = RunFolder(folder)
    config = stored.read_json(CONFIG_FILE)
    files = {name: stored.read_json(f"{name}.json") if stored.has(f"{name}.json") else None for name in names}
    return RunRecord(folder, config, events=_read_log(folder / "log.jsonl"), **files)


def _read_log(path: Path) -> list[Content]:
    """Whole lines of the log; the last one may have been cut by a process that was killed."""
    if not path.is_file():
        return []
    events: list[Content] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events
