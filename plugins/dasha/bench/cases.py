"""Cases of a benchmark: each is measured once and kept, and goes on in a folder of its own if it was stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dasha.bench.environment import conditions
from dasha.bench.store import Results, Store
from dasha.errors import DashaError

_RECORD = "record"
_RUNS = "runs"


@dataclass(frozen=True)
class Case:
    """One method on one data set with one seed.

    Attributes:
        dataset: Name of the data.
        method: Name of the method.
        seed: Of everything random.
        settings: What decides the outcome, the data included, for JSON.
        measure: Takes a folder that is the same when it is called again, and returns a record for JSON.
        packages: Packages whose versions the outcome depends on.
        is_ours: Whether our own engine takes part.
    """

    dataset: str
    method: str
    seed: int
    settings: dict[str, Any]
    measure: Callable[[Path], dict[str, Any]] = field(repr=False)
    packages: tuple[str, ...] = ()
    is_ours: bool = True

    def __str__(self) -> str:
        return f"{self.dataset}, {self.method}, seed {self.seed}"


@dataclass(frozen=True)
class Measured:
    """What a case came to.

    Attributes:
        record: Of the case, with its ``dataset``, ``method`` and ``seed``.
        time: When.
        environment: Versions and machine of then.
    """

    record: dict[str, Any]
    time: str
    environment: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Bench:
    """Where cases are kept, and what is to be done with them.

    Attributes:
        store: Keeps what is measured.
        rerun: Methods to measure anew.
        only_report: Measure nothing.
        advance: Called with the name of what begins and 0, and with 1 when it is there.
        remarks: What to say in the end.
    """

    store: Store
    rerun: Collection[str] = ()
    only_report: bool = False
    advance: Callable[[str, float], None] = lambda name, amount: None
    remarks: list[str] = field(default_factory=list)

    def run(self, case: Case) -> Measured | None:
        """Measure a case, or take what is known of it; None, and a remark, if there is nothing.

        A case that fails for a reason that an error of ours names is left out, so that the others go on.

        Raises:
            InvalidArgumentError: If the folder cannot be written.
            StateFileError: If a file cannot be read.
        """
        names = (case.dataset, case.method, f"seed-{case.seed}")
        results = self.store.open(*names, settings=case.settings, packages=case.packages, is_ours=case.is_ours)
        if case.method in self.rerun:
            results.forget()
            shutil.rmtree(self._folder(case), ignore_errors=True)
        if not results.items and not self.only_report:
            self.advance(str(case), 0)
            self._measure(case, results)
        self.advance(str(case), 1)
        if results.items:
            return Measured(
                json.loads(str(results.items[0][_RECORD])), max(results.measured), dict(results.environment)
            )
        if results.outdated:
            self.remarks.append(f"{case} was measured with other versions and is not shown")
        return None

    def _measure(self, case: Case, results: Results) -> None:
        try:
            found = case.measure(self._folder(case))
        except DashaError as error:
            self.remarks.append(f"{case} failed: {error}")
            return
        about = {"dataset": case.dataset, "method": case.method, "seed": case.seed}
        results.add(0, {_RECORD: json.dumps({**about, **found}, allow_nan=False)})
        results.flush()

    def _folder(self, case: Case) -> Path:
        """Folder of the run; another one for other settings and versions, which must not be mixed."""
        depends = conditions(self.store.environment, case.packages, is_ours=case.is_ours)
        text = json.dumps([case.settings, depends], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return self.store.folder / _RUNS / f"{case.dataset}-{case.method}-seed-{case.seed}-{digest}"
