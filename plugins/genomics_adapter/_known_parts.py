"""What a run learnt from and chose on, kept beside it so that test data can be compared with it later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import safe_open

from dasha.search.run_folder import RunFolder
from genomics_adapter.encoding import reverse_complement
from genomics_adapter.leaks import LeakReport, PairLeaks, leak_report
from genomics_adapter.row_hashes import row_hashes
from genomics_adapter.sequences.data import SequenceSplits

_FILE = "sequences.safetensors"
_KEY = "parts"


@dataclass(frozen=True)
class KnownParts:
    """Training and validation data without its sequences.

    Attributes:
        about: Of every part, plain values: how many sequences, where from, how read.
        leaks: What the parts share.
        hashes: Of the sequences of every part, see `genomics_adapter.row_hashes.row_hashes`.
    """

    about: Mapping[str, Mapping[str, Any]]
    leaks: LeakReport
    hashes: Mapping[str, np.ndarray] = field(repr=False)

    @classmethod
    def of(cls, splits: SequenceSplits) -> Self:
        """Look at the parts that a run was given; test data is none of them."""
        given = {"train": splits.train, "validation": splits.validation}
        parts = {name: part for name, part in given.items() if part is not None}
        return cls(
            {name: part.about() for name, part in parts.items()},
            leak_report(train=splits.train, validation=splits.validation),
            {name: row_hashes(part.codes) for name, part in parts.items()},
        )

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read what `write` wrote; None where there is nothing.

        Raises:
            StateFileError: If the file is damaged.
        """
        run = RunFolder(folder)
        if not run.has(_FILE):
            return None
        with run.reading(_FILE), safe_open(folder / _FILE, framework="pt") as opened:
            content = json.loads(opened.metadata()[_KEY])
            hashes = {name: opened.get_tensor(name).numpy().view(np.uint64) for name in content["about"]}
            return cls(content["about"], LeakReport.of_dict(content["leaks"]), hashes)

    def write(self, folder: Path) -> None:
        """Write everything into the folder of a run, unless it is there: a folder has one run, on the same data."""
        run = RunFolder(folder)
        if not run.has(_FILE):
            text = json.dumps({"about": self.about, "leaks": self.leaks.as_dict()})
            tensors = {name: torch.from_numpy(values.view(np.int64)) for name, values in self.hashes.items()}
            run.write_tensors(_FILE, tensors, metadata={_KEY: text})

    def shared_with_test(self, codes: np.ndarray) -> tuple[PairLeaks, ...]:
        """How many test sequences ``(N, L)`` every part has, as they are or as the other strand; none is shown."""
        here, turned = row_hashes(codes), row_hashes(reverse_complement(codes))
        pairs = []
        for name, known in self.hashes.items():
            is_exact = np.isin(here, known)
            is_opposite = np.isin(turned, known) & ~is_exact
            pairs.append(PairLeaks(name, "test", int(is_exact.sum()), int(is_opposite.sum()), len(codes)))
        return tuple(pairs)
