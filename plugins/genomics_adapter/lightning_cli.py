"""Lightning's command line with `DashaSequenceTask` and sequences from files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dasha._optional import require
from dasha.dev_run import is_dev_run
from dasha.errors import InvalidArgumentError
from genomics_adapter._lightning import LightningCLI
from genomics_adapter._notes import notes_shown
from genomics_adapter.card import model_card
from genomics_adapter.datamodules import SequenceDataModule
from genomics_adapter.predictions import check_table, write_predictions
from genomics_adapter.sequence_files import SequenceFiles
from genomics_adapter.sequences import SequenceSplits
from genomics_adapter.tasks import DashaSequenceTask
from genomics_adapter.trained import read_checkpoint

_FAIL_ON_LEAK = ("--fail-on-leak", "--fail_on_leak")
_log = logging.getLogger(__name__)


class SequenceCLI(LightningCLI):
    """Lightning's command line, in which what the task says about targets goes for the data, too."""

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Link what task and data share."""
        for name in ("kind", "num_outputs", "loss", "class_names", "reverse_complement"):
            parser.link_arguments(f"model.{name}", f"data.{name}")
        parser.add_argument(
            "--out", default="predictions.csv", help="Table that predict writes: CSV, TSV or Parquet, by its ending."
        )

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse what `run_cli` was given, of which Lightning would warn; a checkpoint must be one."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LightningCLI's args parameter is intended")
            super().parse_arguments(parser, args)
        checkpoint = self.config[self.config.subcommand].get("ckpt_path")
        if checkpoint and Path(checkpoint).is_file():
            read_checkpoint(Path(checkpoint))

    def before_fit(self) -> None:
        """Leave the model card to this class, which writes one card of fit and test."""
        self.model.writes_card = False

    def after_fit(self) -> None:
        """Write the model card, which says nothing about test data yet."""
        self._write_card(is_tested=False)

    def after_test(self) -> None:
        """Write the model card with what was measured on test data, if the data is that of the training."""
        if self.datamodule.is_of_training:
            self._write_card(is_tested=True)
        else:
            _log.info("no model card is written: the checkpoint does not say that it was trained on this data")

    def before_predict(self) -> None:
        """Refuse a table that cannot be written, and several processes, each of which would have some of the rows."""
        check_table(Path(self.config["predict"]["out"]))
        if self.trainer.world_size > 1:
            raise InvalidArgumentError(
                f"predict writes one table, but the trainer has {self.trainer.world_size} processes; add "
                "--trainer.devices=1"
            )

    def after_predict(self) -> None:
        """Write the predictions."""
        if not is_dev_run(self.trainer):
            out = Path(self.config["predict"]["out"])
            task, names = self.model.task, tuple(self.datamodule.trained.get("class_names", ()))
            if len(names) == task.classes and not task.class_names:
                task = replace(task, class_names=names)
            write_predictions(out, self.datamodule.predicted, self.trainer.predict_loop.predictions, task)
            print(f"{len(self.datamodule.predicted)} predictions in {out}")

    def _write_card(self, *, is_tested: bool) -> None:
        if not self.trainer.is_global_zero or is_dev_run(self.trainer):
            return
        inner = self.datamodule.inner
        train, validation, test = inner.splits
        card = model_card(
            self.model,
            splits=SequenceSplits(train, validation, test if is_tested else None),
            leaks=inner.leaks,
            ambiguous=inner.train_data.ambiguous,
        )
        _log.info("model card in %s", card.write(self.trainer.default_root_dir))


def run_cli(args: Sequence[str]) -> SequenceCLI:
    """Run Lightning's command line.

    Args:
        args: ``fit``, ``validate``, ``test`` or ``predict``, and what follows; ``--fail-on-leak`` stands for
            ``--data.fail_on_leak=true``.
    """
    require("jsonargparse", extra="genomics")
    with notes_shown(__name__, SequenceFiles.__module__, SequenceDataModule.__module__):
        return SequenceCLI(
            DashaSequenceTask,
            SequenceFiles,
            args=["--data.fail_on_leak=true" if word in _FAIL_ON_LEAK else word for word in args],
            seed_everything_default=False,
            auto_configure_optimizers=False,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"prog": "dasha genomics"},
        )
