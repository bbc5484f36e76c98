"""Lightning's command line with `DashaSequenceTask` and sequences from files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

from dasha._optional import require
from dasha.tasks import Kind, TaskSpec
from genomics_adapter._lightning import LightningCLI, LightningDataModule
from genomics_adapter.datamodules import SequenceDataModule
from genomics_adapter.encoding import Crop
from genomics_adapter.sequences import read_splits
from genomics_adapter.splits import similarity_split
from genomics_adapter.tasks import DashaSequenceTask

_FAIL_ON_LEAK = ("--fail-on-leak", "--fail_on_leak")


class SequenceFiles(LightningDataModule):
    """A `SequenceDataModule` of files, made when they are needed.

    Args:
        path: Folder with the files of the parts, as `genomics_adapter.sequences.read_splits` takes it.
        kind: As of the task.
        num_outputs: As of the task.
        split: ``"files"`` for the parts as the files have them; ``"similarity"`` to pool and split them anew, so that
            similar sequences are in one part.
        length: Bases of every sequence; by default those of the longest.
        crop: What keeps its place where sequences are cropped or padded.
        batch_size: Sequences per batch.
        shift: Training sequences move by up to so many bases.
        reverse_complement: Whether the strand of training sequences is random.
        num_workers: Processes that make batches.
        seed: Of random splits.
        fail_on_leak: Whether a sequence in two parts is an error, before anything is searched or trained. On the
            command line --fail-on-leak says so, too.
    """

    def __init__(
        self,
        path: str,
        kind: Kind = "binary",
        num_outputs: int = 1,
        *,
        split: Literal["files", "similarity"] = "files",
        length: int | None = None,
        crop: Crop = "center",
        batch_size: int = 128,
        shift: int = 0,
        reverse_complement: bool = True,
        num_workers: int = 0,
        seed: int = 0,
        fail_on_leak: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self._inner: Any = None

    def setup(self, stage: str) -> None:
        """Read the files, once."""
        if self._inner is not None:
            return
        options = self.hparams
        splits: Any = read_splits(options["path"], length=options["length"], crop=options["crop"])
        if options["split"] == "similarity":
            splits = similarity_split(splits.train, seed=options["seed"])
        task = TaskSpec(options["kind"], 4, options["num_outputs"])
        names = ("batch_size", "shift", "reverse_complement", "num_workers", "seed", "fail_on_leak")
        self._inner = SequenceDataModule(splits, task, **{name: options[name] for name in names})

    def train_dataloader(self) -> Any:
        """Augmented batches in random order."""
        return self._inner.train_dataloader()

    def val_dataloader(self) -> Any:
        """Batches as they are."""
        return self._inner.val_dataloader()

    def test_dataloader(self) -> Any:
        """Batches as they are."""
        return self._inner.test_dataloader()

    def predict_dataloader(self) -> Any:
        """The test data."""
        return self._inner.test_dataloader()


class SequenceCLI(LightningCLI):
    """Lightning's command line, in which what the task says about targets goes for the data, too."""

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Link kind and outputs."""
        parser.link_arguments("model.kind", "data.kind")
        parser.link_arguments("model.num_outputs", "data.num_outputs")
        parser.link_arguments("model.reverse_complement", "data.reverse_complement")

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse what `run_cli` was given, of which Lightning would warn."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LightningCLI's args parameter is intended")
            super().parse_arguments(parser, args)


def run_cli(args: Sequence[str]) -> SequenceCLI:
    """Run Lightning's command line.

    Args:
        args: ``fit``, ``validate``, ``test`` or ``predict``, and what follows; ``--fail-on-leak`` stands for
            ``--data.fail_on_leak=true``.
    """
    require("jsonargparse", extra="genomics")
    return SequenceCLI(
        DashaSequenceTask,
        SequenceFiles,
        args=["--data.fail_on_leak=true" if word in _FAIL_ON_LEAK else word for word in args],
        seed_everything_default=False,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"prog": "dasha genomics"},
    )
