"""Sequences as a data set of torch: one byte per base until a batch is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset

from dasha.data.split import Batch, Joined, Split
from dasha.errors import InvalidArgumentError
from dasha.tasks import TaskSpec
from genomics_adapter.encoding import ALPHABET, Ambiguous, one_hot
from genomics_adapter.sequences.data import SequenceData
from genomics_adapter.targets import targets_of


class SequenceDataset(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of one-hot inputs ``(4, L)`` and targets.

    A DataLoader takes it as any data set, and gets the samples of a batch together. `dasha.Dasha` takes it as it is,
    and asks it for whole batches (`dasha.data.split.Split`). One-hot columns are not normalised: use
    ``Dasha(task, normalize=False)``.

    Args:
        data: Sequences with labels.
        task: What is to be learnt; the labels must fit.
        ambiguous: How bases that are not certain are shown; see `genomics_adapter.one_hot`.

    Attributes:
        codes: uint8, shape ``(N, L)``; not a copy.
        columns: One-hot column of every code, shape ``(16, 4)``, so that data is inspected without unfolding it
            (`dasha.data.codes.CodedSplit`).
        targets: int64 for classes and labels, float32 for numbers.

    Raises:
        InvalidArgumentError: If the labels do not fit the task; the message names file, line and value.
    """

    is_partial = False

    def __init__(self, data: SequenceData, task: TaskSpec, *, ambiguous: Ambiguous = "zeros") -> None:
        if task.in_channels != 4:
            raise InvalidArgumentError(f"in_channels={task.in_channels}, but DNA has 4: A, C, G, T")
        targets = targets_of(data, task)
        self.codes = torch.from_numpy(np.require(data.codes, requirements=["C", "W"]))
        self.targets = torch.from_numpy(np.require(targets, requirements=["C", "W"]))
        self.ambiguous: Ambiguous = ambiguous
        self.columns = one_hot(torch.arange(len(ALPHABET), dtype=torch.uint8), ambiguous=ambiguous).T

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return one_hot(self.codes[index], ambiguous=self.ambiguous), self.targets[index]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        inputs, targets = self.batch(indices)
        return list(zip(inputs.unbind(), targets.unbind(), strict=True))

    def batch(self, indices: ArrayLike | Tensor) -> Batch:
        """Inputs ``(n, 4, L)`` and targets of some samples."""
        chosen = torch.as_tensor(indices, dtype=torch.long)
        return one_hot(self.codes[chosen], ambiguous=self.ambiguous), self.targets[chosen]

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.codes)

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One pass over all samples; see `dasha.data.split.Split`."""
        order = torch.randperm(self.size) if shuffle else torch.arange(self.size)
        for start in range(0, self.size, size):
            yield self.batch(order[start : start + size])

    def joined(self, other: Split) -> Split:
        """The samples of both."""
        return Joined([self, other])


class Inputs(Dataset[Tensor]):
    """One-hot inputs ``(4, L)`` alone, to be predicted.

    Args:
        data: Sequences, with labels or without.
        ambiguous: How bases that are not certain are shown; see `genomics_adapter.one_hot`.
    """

    def __init__(self, data: SequenceData, *, ambiguous: Ambiguous = "zeros") -> None:
        self._codes = torch.from_numpy(np.require(data.codes, requirements=["C", "W"]))
        self._ambiguous: Ambiguous = ambiguous

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, index: int) -> Tensor:
        return one_hot(self._codes[index], ambiguous=self._ambiguous)

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        return list(one_hot(self._codes[torch.as_tensor(indices)], ambiguous=self._ambiguous).unbind())
