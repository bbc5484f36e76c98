"""TorchGeo's tasks with a searched network: change one ``class_path``, and ``torchgeo fit`` does the rest.

The search runs in ``setup``, before the trainer makes optimizers and wraps the network. Its result is a hyperparameter
of the task from then on, plain values that every checkpoint holds: whoever loads the checkpoint builds the network from
them and searches nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from dasha._ray import Engine
from dasha.dev_run import clear
from dasha.errors import DashaWarning, InvalidArgumentError, StateFileError, failures_as
from dasha.processes import on_first_process
from dasha.search.budgets import Budget, budget_of
from dasha.search.config import RunConfig, search_mode
from dasha.search.layout import fast_under_autocast
from dasha.search.networks import network_sources
from dasha.search.result import SearchResult
from dasha.search.training import make_sgd, rate_factor
from dasha.tasks import TaskSpec
from torchgeo_dasha import _compat as host
from torchgeo_dasha import batches, logged, matching, normalizing, searching, specs, units
from torchgeo_dasha.inputs import CLASS_KEY, NORMALIZATION_KEY, SIZE_KEY, plain_value, size_of
from torchgeo_dasha.networks import (
    InSpreads,
    NotBuilt,
    OneLogit,
    Weights,
    build,
    counted,
    plain,
    read_architecture,
    smoothed,
)
from torchgeo_dasha.resuming import checkpoint_ahead, optimizer_of_file


class Searched(host.BaseTask):
    """What all tasks add to the TorchGeo task of their kind, whose other arguments they keep.

    Args:
        backbone: Name of a network that dasha knows, or ``"auto"`` to choose by validation score.
        budget: How much is spent on search and tuning: ``"smoke"``, ``"quick"``, ``"standard"`` or ``"paper"``.
        overrides: Values of the budget to replace, such as ``{"tune.trials": 24}``.
        search: Kernels: ``"on"`` for searched ones, ``"off"`` for the backbone's own, ``"random"`` for drawn ones;
            ``"auto"`` searches and lets trials choose between searched and own by validation score. True and False
            are on and off, as YAML reads these words.
        engine: Where settings are tried: ``"local"``, one after the other in the first process, or ``"ray"``, on a Ray
            cluster, to whose machines data and datamodule are sent.
        run_dir: Folder of the search, from which it is continued; by default below the trainer's
            ``default_root_dir``. All processes must see it.
        seed: Of the search.
        architecture: A finished search to use instead: a run folder, or a file in it.
        model: Not used, nor are ``weights``, ``freeze_backbone`` and others about TorchGeo's own networks.
        lr: Learning rate of the final training, above 0; by default the one that was found.
        patience: Epochs without progress after which the learning rate shrinks; by default it follows the schedule of
            the budget instead.
        **kwargs: Arguments of the TorchGeo task.

    Attributes:
        spec: What is learnt, to the core.
        found: Result of the search; None before it.
        folder: Where it was searched, if this object did so.

    Raises:
        InvalidArgumentError: If a value is not allowed.
        StateFileError: If ``architecture`` cannot be read.
    """

    target_key: ClassVar[str]
    spec: TaskSpec
    found: SearchResult | None
    folder: Path | None
    criterion: nn.Module

    def __init__(
        self,
        *,
        backbone: str = "auto",
        budget: str = "quick",
        overrides: dict[str, Any] | None = None,
        search: Literal["auto", "on", "off", "random"] | bool = "auto",
        engine: Engine = "local",
        run_dir: str | Path | None = None,
        seed: int = 0,
        architecture: str | dict[str, Any] | Path | None = None,
        model: str = specs.OWN_NETWORK,
        lr: float | None = None,
        patience: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop(CLASS_KEY, None)  # checkpoints hold it beside the arguments
        self.found = None
        self._is_for_data = False  # whether the network is in the units of the data that it is fitted to
        self.folder = None
        self._is_to_clear = False
        self._image_size: list[int] | None = None
        self._lr: float | None = None  # that the optimizer was made with
        super().__init__(model=model, lr=lr, patience=patience, **kwargs)

    def make_spec(self, given: Mapping[str, Any]) -> TaskSpec:
        """What is learnt, from the arguments of the task."""
        raise NotImplementedError

    def make_model(self, network: nn.Module) -> nn.Module:
        """The network as TorchGeo's steps expect its outputs."""
        return network

    def configure_models(self) -> None:
        """Check the arguments; build the network if there is a finished search."""
        # TorchGeo takes some weights as tensors only, which checkpoints hold well.
        given = {name: value for name, value in self.hparams.items() if not isinstance(value, Tensor)}
        self.hparams.update(plain_value(given))
        self.hparams.update(specs.without_networks(self.hparams, self.weights))
        self.hparams["search"] = search_mode(self.hparams["search"])
        specs.check_training(self.hparams, losses=specs.losses_of(type(self)))
        self.spec = self.make_spec(self.hparams)
        settings = self.settings
        RunConfig(**vars(settings))
        options = self._budget.backbone_options  # the budget's own are for backbones that have them
        own = options if "backbone_options" in settings.overrides else {}
        network_sources(settings.backbone, self.spec, ndim=2, options=own)
        self.model: nn.Module = NotBuilt()
        if self.hparams["architecture"] is not None:
            self._take(*read_architecture(self.hparams["architecture"], self.spec))

    def configure_losses(self) -> None:
        """The loss of TorchGeo's task, as in the search: smoothed labels, numbers in deviations of the targets."""
        loss, task = self.hparams["loss"], self.hparams.get("task")
        with failures_as(
            lambda why: InvalidArgumentError(f"TorchGeo has no loss={loss!r} for task={task!r} ({why}); choose another")
        ):
            super().configure_losses()
        self.criterion = counted(self.criterion, self.hparams.get("ignore_index"))
        self._fit_loss()

    def setup(self, stage: str) -> None:
        """Search, on the first process, before the trainer makes optimizers.

        A network that was found elsewhere is brought to the units of the trainer's data instead; that of a checkpoint
        that the trainer is to restore stays as it is.
        """
        if stage != "fit" or self._is_for_data:
            return
        if (checkpoint := checkpoint_ahead(self.trainer)) is not None:
            self.on_load_checkpoint(checkpoint)
        else:
            self._make_network()
        for callback in self.trainer.callbacks:  # Lightning lets them copy the task before this
            if isinstance(callback, host.AVERAGING):
                callback.setup(self.trainer, self, stage)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Parameters of the network; before the search one that stands for them in the optimizer of a file."""
        return iter(self.model.stand_in) if isinstance(self.model, NotBuilt) else super().parameters(recurse)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Outputs of the network; on CPUs in the order in memory that is fast in the precision of the trainer."""
        with fast_under_autocast(self.device):
            return super().forward(*args, **kwargs)

    def on_fit_start(self) -> None:
        """Clear up, now that all processes have the network."""
        super().on_fit_start()
        if self._is_to_clear and self.folder is not None:
            clear(self.trainer, self.folder)
        self._is_to_clear = False

    def on_train_start(self) -> None:
        """Let the schedule begin with a rate that was set after it was made, as by a LearningRateFinder."""
        super().on_train_start()
        lr = self.hparams["lr"]
        if self._lr is None or lr in (None, self._lr):
            return
        for schedule in (config.scheduler for config in self.trainer.lr_scheduler_configs):
            if isinstance(schedule, LambdaLR):
                schedule.base_lrs = [lr for _ in schedule.base_lrs]
                for group, factor in zip(schedule.optimizer.param_groups, schedule.lr_lambdas, strict=True):
                    group["initial_lr"], group["lr"] = lr, lr * factor(schedule.last_epoch)
        self._lr = lr

    def on_train_epoch_start(self) -> None:
        """Forget what the metrics hold of an epoch that was ended early."""
        self.train_metrics.reset()

    def on_validation_epoch_start(self) -> None:
        """Forget what the metrics hold of an evaluation that was ended early."""
        self.val_metrics.reset()

    def on_test_epoch_start(self) -> None:
        """Forget what the metrics hold of an evaluation that was ended early."""
        self.test_metrics.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the class, and what the datamodule did to the images: whoever has only the checkpoint can ask neither."""
        super().on_save_checkpoint(checkpoint)
        cls = type(self)
        checkpoint["hyper_parameters"].setdefault(CLASS_KEY, f"{cls.__module__}.{cls.__qualname__}")
        if (size := self._image_size) is not None and not self.spec.is_dense:
            checkpoint[SIZE_KEY] = size
        channels = self.hparams["in_channels"]
        bands = (channels,) if self.spec.in_channels == channels else (self.spec.in_channels // channels, channels)
        normalization = normalizing.checked(self.trainer, bands, target=self.target_key, size=size)
        if normalization is not None:
            checkpoint[NORMALIZATION_KEY] = normalization

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the network that the checkpoint has the weights of.

        Raises:
            StateFileError: If it has no searched network.
            InvalidArgumentError: If it is for another task.
        """
        stored = checkpoint.get("hyper_parameters", {}).get("architecture")
        if not isinstance(stored, Mapping):
            raise StateFileError(
                f"the checkpoint holds no searched network; it must come from a {type(self).__name__} that was fitted"
            )
        found = SearchResult.of_dict(stored)
        if found.plan.task != self.spec:
            raise InvalidArgumentError(
                f"the checkpoint is for {found.plan.task}, but this task is {self.spec}; use the arguments it was "
                "fitted with"
            )
        if found != self.found:
            self._take(found, None)
        self._image_size = checkpoint.get(SIZE_KEY)
        self._is_for_data = True

    def configure_optimizers(self) -> Any:
        """Stochastic gradient descent with what was found, and the schedule of the budget."""
        assert self.found is not None
        best = self.found.hyperparameters
        lr = best["lr"] if self.hparams["lr"] is None else self.hparams["lr"]
        if lr != best["lr"]:
            rank_zero_warn(
                f"lr={lr:g} is used as given, not the {best['lr']:.3g} that was found: training is by SGD, for which a "
                "value meant for AdamW may be far too small; delete lr to use what was found",
                category=DashaWarning,
            )
        self._lr = lr
        optimizer = make_sgd(self, lr=lr, momentum=best["momentum"], weight_decay=best["weight_decay"])
        if self.hparams["patience"] is not None:
            plateau = ReduceLROnPlateau(optimizer, patience=self.hparams["patience"])
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": self.monitor}}
        steps, settings = self.trainer.estimated_stepping_batches, self._budget.retrain
        if math.isinf(steps) or steps < 0:  # a training without a known end has no schedule
            return optimizer
        schedule = LambdaLR(optimizer, lambda step: rate_factor(settings, (step + 0.5) / max(steps, 1)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the trainer says, or else as the budget does."""
        limit = self._budget.retrain.max_norm if gradient_clip_val is None else gradient_clip_val
        self.clip_gradients(
            optimizer, gradient_clip_val=limit, gradient_clip_algorithm=gradient_clip_algorithm or "norm"
        )

    def _apply_batch_transfer_handler(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Note the size of training images, before the datamodule crops or resizes them on their device.

        Lightning warns about a hook of a task beside a datamodule; this is not one.
        """
        if self.trainer.training:
            self._image_size = size_of(batch)
        return super()._apply_batch_transfer_handler(batch, *args, **kwargs)

    @property
    def settings(self) -> searching.Settings:
        """What the task says about its search."""
        given = {entry.name: self.hparams[entry.name] for entry in fields(searching.Settings)}
        return searching.Settings(**{**given, "overrides": dict(given["overrides"] or {})})

    @property
    def _budget(self) -> Budget:
        return budget_of(self.settings.budget, 2).replaced(self.settings.overrides)

    def _make_network(self) -> None:
        """Search, or measure the data that a network is for."""
        matching.check_classes(self.hparams, self.spec, self.trainer.datamodule)
        if self.found is None:
            self._search()
        else:
            self._measure()
        assert self.found is not None
        units.say_scale(self.found.plan)
        self._is_for_data = True

    def _search(self) -> None:
        trainer, settings = self.trainer, self.settings
        folder = searching.folder_of(trainer, trainer.datamodule, self.spec, settings, self.hparams["run_dir"])

        def work() -> None:
            splits = batches.splits_of(trainer, self.spec, self.target_key)
            normalize = not batches.has_statistics(trainer.datamodule, self.hparams["in_channels"])
            parts = dict(zip(("train", "validation"), splits, strict=True))
            try:
                matching.check_steps(self, self._zeros(normalizes=normalize), parts)
                searching.search(trainer, self.spec, settings, folder, splits, normalize=normalize)
            except InvalidArgumentError as error:
                # The core would name labels by its own arguments, and other data by digests.
                matching.check_labels(self.hparams, self.spec, parts)
                searching.check_unchanged(folder, self.spec, parts)
                raise matching.in_words_of(self.hparams, error) from error
            logged.log_search(trainer.loggers, folder)

        on_first_process(trainer, folder, work)
        self.folder, self._is_to_clear = folder, True
        self._take(*read_architecture(str(folder), self.spec))

    def _zeros(self, *, normalizes: bool) -> nn.Module:
        """What stands for the network while TorchGeo's step is tried."""
        return self.make_model(
            matching.Zeros(self.spec.num_outputs, is_dense=self.spec.is_dense, normalizes=normalizes)
        )

    def _measure(self) -> None:
        assert self.found is not None
        before, channels = self.found.plan, self.hparams["in_channels"]
        after = units.plan_for_data(before, self.trainer, target=self.target_key, in_channels=channels)
        self._use(replace(self.found, plan=after), units.between_units(self.model, before, after))

    def _take(self, found: SearchResult, weights: Weights | None) -> None:
        self._use(found, self.make_model(build(found, weights, seed=self.hparams["seed"])))

    def _use(self, found: SearchResult, model: nn.Module) -> None:
        self.model = model
        self.found = found
        self.hparams["architecture"] = plain(found)
        self._fit_loss()
        if (optimizer := optimizer_of_file(self)) is not None:
            optimizer.param_groups[0]["params"] = list(self.parameters())

    def _fit_loss(self) -> None:
        """Let the loss be of what the network learns, once both are there."""
        criterion = getattr(self, "criterion", None)
        if self.found is None or criterion is None:
            return
        criterion = criterion.loss if isinstance(criterion, InSpreads) else criterion
        spread = self.found.plan.target_scale.get("std")
        self.criterion = InSpreads(criterion, spread) if spread else smoothed(criterion, self.found.plan)


class DashaClassificationTask(Searched, host.Classification):
    """Image classification with a searched network: binary, multiclass or multilabel."""

    target_key = "label"

    def make_spec(self, given: Mapping[str, Any]) -> TaskSpec:
        """What is learnt, from the arguments of the task."""
        return specs.classification(given)


class DashaRegressionTask(Searched, host.Regression):
    """Numbers from images with a searched network."""

    target_key = "label"

    def make_spec(self, given: Mapping[str, Any]) -> TaskSpec:
        """What is learnt, from the arguments of the task."""
        return specs.numbers(given, is_dense=False)


class DashaPixelwiseRegressionTask(Searched, host.PixelwiseRegression):
    """A number for every pixel with a searched network."""

    target_key = "mask"

    def make_spec(self, given: Mapping[str, Any]) -> TaskSpec:
        """What is learnt, from the arguments of the task."""
        return specs.numbers(given, is_dense=True)


class DashaSemanticSegmentationTask(Searched, host.SemanticSegmentation):
    """A class for every pixel with a searched network: binary or multiclass."""

    target_key = "mask"

    def make_spec(self, given: Mapping[str, Any]) -> TaskSpec:
        """What is learnt, from the arguments of the task."""
        return specs.dense_classes(given)

    def make_model(self, network: nn.Module) -> nn.Module:
        """The network as TorchGeo's steps expect its outputs."""
        return OneLogit(network) if self.hparams["task"] == "binary" else network


class DashaChangeDetectionTask(Searched, host.ChangeDetection):
    """What changed between two images, for every pixel, with a searched network: binary or multiclass."""

    target_key = "mask"

    def make_spec(self, given: Mapping[str, Any]) -> TaskSpec:
        """What is learnt, from the arguments of the task."""
        return specs.dense_classes(given, images=2)

    def make_model(self, network: nn.Module) -> nn.Module:
        """The network as TorchGeo's steps expect its outputs."""
        return OneLogit(network) if self.hparams["task"] == "binary" else network
