"""TorchGeo's command line as far as the search: all is built as ``torchgeo fit`` builds it, and nothing is trained."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torchgeo.main  # noqa: F401 - imports all classes that a file may name without their modules
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningCLI
from torchgeo.datamodules import BaseDataModule

from dasha.errors import InvalidArgumentError
from torchgeo_dasha import tasks
from torchgeo_dasha._compat import BaseTask
from torchgeo_dasha.tasks import Searched

# TorchGeo's pixelwise regression is a regression, too.
_TASKS = (
    tasks.DashaClassificationTask,
    tasks.DashaPixelwiseRegressionTask,
    tasks.DashaRegressionTask,
    tasks.DashaSemanticSegmentationTask,
    tasks.DashaChangeDetectionTask,
)
# Replaces what the file says about the trainer: no epoch, no file but those of the search.
_NO_TRAINING = {
    "max_epochs": 0,
    "min_epochs": None,
    "num_sanity_val_steps": 0,
    "callbacks": None,
    "logger": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "num_nodes": 1,
    "strategy": "auto",
}


def search_file(path: Path, *, changes: Sequence[tuple[str, str]] = (), run_dir: Path | None = None) -> Path:
    """Search as a file of ``torchgeo fit`` says; what an earlier search left in its folder is not repeated.

    Args:
        path: The file.
        changes: Values that replace those of the file, by dotted name, such as ``data.init_args.root``.
        run_dir: Folder of the run; by default that of the file, or where ``torchgeo fit`` looks for it.

    Returns:
        Folder of the run.

    Raises:
        InvalidArgumentError: If TorchGeo cannot use the file, or it leaves nothing to search.
    """
    arguments = ["fit", "--config", str(path), *(f"--{name}={text}" for name, text in changes)]
    return _SearchCLI(path, run_dir, arguments).folder


class _SearchCLI(LightningCLI):  # type: ignore[misc,unused-ignore]
    """Searches when it is made.

    Attributes:
        folder: Of the run.
    """

    folder: Path

    def __init__(self, path: Path, run_dir: Path | None, arguments: list[str]) -> None:
        self._path, self._run_dir = path, run_dir
        strict = {"exit_on_error": False}
        super().__init__(  # as torchgeo.main does
            model_class=BaseTask,
            datamodule_class=BaseDataModule,
            seed_everything_default=0,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            parser_kwargs={**strict, "fit": strict},
            args=arguments,
        )

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Read the file.

        Raises:
            InvalidArgumentError: With what the parser says, or if a training is to go on.
        """
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            raise InvalidArgumentError(f"{self._path} is refused by torchgeo fit: {error}") from error
        if (checkpoint := self.config.fit.ckpt_path) is not None:
            raise InvalidArgumentError(
                f"{self._path} has ckpt_path={str(checkpoint)!r}, a training to go on with, whose network is found "
                "already; delete that line, or run torchgeo fit"
            )

    def before_instantiate_classes(self) -> None:
        """Check that there is something to search and to keep, and say where."""
        task, trainer = self.config.fit.model, self.config.fit.trainer
        _check_class(self._path, task.class_path)
        if task.init_args.get("architecture") is not None:
            raise InvalidArgumentError(
                f"{self._path} has architecture={task.init_args.architecture!r}, a finished search, so that there is "
                "nothing to search; delete that line, or run torchgeo fit, which trains it"
            )
        if trainer.fast_dev_run:
            raise InvalidArgumentError(
                f"{self._path} has fast_dev_run, which keeps no search; delete that line, or choose budget: smoke"
            )
        if self._run_dir is not None:
            task.init_args.run_dir = str(self._run_dir)

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """A trainer on one device that trains nothing."""
        devices = self.config.fit.trainer.devices
        one = devices[:1] if isinstance(devices, list) else 1
        return super().instantiate_trainer(**{**_NO_TRAINING, "devices": one, **kwargs})

    def fit(self, model: Searched, datamodule: LightningDataModule, **_: Any) -> None:
        """Let the trainer set everything up; the task searches then."""
        try:
            self.trainer.fit(model, datamodule)
        except SystemExit:
            if self.trainer.interrupted:  # Lightning's answer to Ctrl-C, which is dasha's to answer
                raise KeyboardInterrupt from None
            raise
        assert model.folder is not None
        self.folder = model.folder


def _check_class(path: Path, name: str) -> None:
    """Refuse a task whose network is not searched, and name the line that would be."""
    module, _, attribute = name.rpartition(".")
    given = getattr(import_module(module), attribute)
    if issubclass(given, Searched):
        return
    ours = [task.__name__ for task in _TASKS if issubclass(given, task.__bases__[1])]
    way_out = (
        f"change it to torchgeo_dasha.{ours[0]}"
        if ours
        else f"there are {', '.join(task.__name__ for task in _TASKS)} in torchgeo_dasha"
    )
    raise InvalidArgumentError(f"{path} has class_path={name!r} below model, which searches no network; {way_out}")
