"""Sequences for Lightning."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from dasha._optional import require
from dasha.arguments import whole_number
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.tasks import TaskSpec
from genomics_adapter.augment import Augmentation
from genomics_adapter.dataset import SequenceDataset
from genomics_adapter.encoding import Ambiguous
from genomics_adapter.leaks import leak_report
from genomics_adapter.sequences.data import SequenceData, SequenceSplits
from genomics_adapter.splits import random_split

_Base: Any = require("lightning", extra="genomics").LightningDataModule
_log = logging.getLogger(__name__)
_VALIDATION = 0.1  # of the training data, where none is given


class SequenceDataModule(_Base):
    """DNA sequences in parts, checked for leaks, as batches of one-hot inputs ``(n, 4, L)`` and targets.

    Args:
        data: The parts, from `genomics_adapter.sequences.read_splits` or a function of `genomics_adapter.splits`; or
            all data together, which is split at random. Without validation data, a tenth of the training data becomes
            it.
        task: What is to be learnt; the labels must fit.
        batch_size: Sequences per batch.
        reverse_complement: Whether the strand of training sequences is random; by default as the LightningModule says
            by its hyperparameter of this name (`genomics_adapter.tasks.DashaSequenceTask` has it), and otherwise true.
        shift: Training sequences move by up to so many bases; fewer than they have.
        ambiguous: How bases that are not certain are shown; see `genomics_adapter.one_hot`.
        num_workers: Processes that make batches; making them takes so little time that 0 is right nearly always.
        seed: Of random splits.
        fail_on_leak: Whether a sequence in two parts, on either strand, is an error instead of a warning.

    Attributes:
        task: As given.
        splits: The parts.
        leaks: What they share.
        train_data: A `genomics_adapter.dataset.SequenceDataset`, not augmented, for ``Dasha.fit``.
        validation_data: Likewise.
        test_data: Likewise; None without test data.
        augment: What training batches go through where no LightningModule says otherwise, for ``Dasha(augment=…)``.

    Raises:
        InvalidArgumentError: If an argument is not allowed, labels do not fit the task, the parts differ in length, or
            leaks are an error and there are some.
        OptionalDependencyError: If Lightning is not installed.
    """

    def __init__(
        self,
        data: SequenceSplits | SequenceData,
        task: TaskSpec,
        *,
        batch_size: int = 128,
        reverse_complement: bool | None = None,
        shift: int = 0,
        ambiguous: Ambiguous = "zeros",
        num_workers: int = 0,
        seed: int = 0,
        fail_on_leak: bool = False,
    ) -> None:
        super().__init__()
        self.task = task
        self.batch_size = whole_number("batch_size", batch_size, minimum=1)
        self.num_workers = whole_number("num_workers", num_workers, minimum=0)
        self.reverse_complement = reverse_complement
        self.augment = Augmentation(reverse_complement is not False, shift, is_dense=task.is_dense)
        self.splits = _parts(data, seed)
        train, validation, test = self.splits
        self.augment.check_length(train.length)
        self.leaks = leak_report(train=train, validation=validation, test=test)
        if fail_on_leak:
            self.leaks.check()
        elif self.leaks.count:
            warnings.warn(f"parts of the data are not apart:\n{self.leaks}", DashaWarning, stacklevel=2)
        self.train_data = SequenceDataset(train, task, ambiguous=ambiguous)
        assert validation is not None
        self.validation_data = SequenceDataset(validation, task, ambiguous=ambiguous)
        self.test_data = None if test is None else SequenceDataset(test, task, ambiguous=ambiguous)
        _log.info(self.describe())

    def describe(self) -> str:
        """Lines on the parts, how unequal lengths were dealt with, and what the parts share."""
        parts = [part.describe() for part in self.splits if part is not None]
        return "\n".join([*parts, str(self.leaks)])

    def train_dataloader(self) -> DataLoader[Any]:
        """Augmented batches in random order.

        Raises:
            InvalidArgumentError: If the LightningModule says otherwise of the strand than this module.
        """
        return self._loader(self.train_data, _Collate(self._augment()), shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Batches as they are."""
        return self._loader(self.validation_data, default_collate, shuffle=False)

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches as they are.

        Raises:
            InvalidArgumentError: If there is no test data.
        """
        if self.test_data is None:
            raise InvalidArgumentError("there is no test data; give splits that have some")
        return self._loader(self.test_data, default_collate, shuffle=False)

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test data.

        Raises:
            InvalidArgumentError: If there is none.
        """
        return self.test_dataloader()

    def _augment(self) -> Augmentation:
        """What training batches go through in the hands of a trainer."""
        module = getattr(self.trainer, "lightning_module", None)
        wanted, own = getattr(module, "hparams", {}).get("reverse_complement"), self.reverse_complement
        if wanted is None or wanted == own:
            return self.augment
        if own is not None:
            raise InvalidArgumentError(
                f"the data module has reverse_complement={own}, but the task reverse_complement={wanted}; leave it out "
                "of the data module, which then does as the task says"
            )
        return replace(self.augment, reverse_complement=wanted)

    def _loader(self, data: SequenceDataset, collate: Any, *, shuffle: bool) -> DataLoader[Any]:
        return DataLoader(
            data,
            batch_size=self.batch_size,
            shuffle=shuffle,
            collate_fn=collate,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )


class _Collate:
    """Stacks samples and augments the batch; a class, so that worker processes can be sent it."""

    def __init__(self, augment: Augmentation) -> None:
        self.augment = augment

    def __call__(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        inputs, targets = default_collate(samples)
        return self.augment(inputs, targets)


def _parts(data: SequenceSplits | SequenceData, seed: int) -> SequenceSplits:
    splits = random_split(data, seed=seed) if isinstance(data, SequenceData) else SequenceSplits(*data)
    if splits.validation is None:
        drawn = random_split(splits.train, fractions=(1 - _VALIDATION, _VALIDATION, 0.0), seed=seed)
        splits = SequenceSplits(drawn.train, drawn.validation, splits.test)
    lengths = {part.length for part in splits if part is not None}
    if len(lengths) > 1:
        raise InvalidArgumentError(
            f"the parts have sequences of {', '.join(map(str, sorted(lengths)))} bases; make them equal with "
            ".with_length(…)"
        )
    return splits
