"""DASHA for sequences as a LightningModule: the search in ``setup``, the final training by the trainer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from dasha import Dasha
from dasha.data.split import pair_of
from dasha.dev_run import LEAST, clear, dev_folder, is_dev_run
from dasha.errors import InvalidArgumentError, NotFittedError
from dasha.metrics import Metrics, prediction_of
from dasha.processes import on_first_process
from dasha.randomness import seeded
from dasha.search.config import search_mode
from dasha.search.found import initial_weights, load_search
from dasha.search.layout import fast_under_autocast
from dasha.search.result import SearchResult
from dasha.search.training import cosine_factor, make_sgd
from dasha.tasks import Kind, TaskSpec
from genomics_adapter._kept_cards import card_of_task, keep_card, parts_of
from genomics_adapter._known_parts import KnownParts
from genomics_adapter._lightning import LightningModule
from genomics_adapter.augment import Augmentation
from genomics_adapter.reverse_complement import StrandAverage

_WARMUP = 0.05  # share of the steps, as in the budgets


class DashaSequenceTask(LightningModule):
    """Finds a network for DNA sequences, then trains it as any LightningModule is trained.

    The search runs in ``setup("fit")`` on the loaders of the datamodule, before any checkpoint is restored, and is kept
    in a folder, so that it is not repeated. What it found is part of the hyperparameters, as JSON: checkpoints hold it,
    ``load_from_checkpoint`` and the command line rebuild the network from it, and nothing is searched again. The final
    training is the trainer's, with the learning rate, momentum and weight decay that were found and a cosine schedule
    over the trainer's own number of steps; set ``gradient_clip_val=1`` on the trainer to train as `dasha.Dasha` does.

    Args:
        kind: ``"binary"``, ``"multiclass"``, ``"multilabel"`` or ``"regression"``.
        num_outputs: Classes, labels or targets; 1 for ``"binary"``.
        loss: See `dasha.TaskSpec`.
        metric: Decides in the search; by default MCC of classes, average precision of labels, mean squared error.
        class_weights: Weight of every class or label in the loss.
        class_names: Names of classes, labels or targets.
        backbone: Name of a registered backbone; ``"auto"`` chooses by validation score.
        budget: ``"smoke"``, ``"quick"``, ``"standard"`` or ``"paper"``.
        overrides: Values of the budget that are replaced.
        search: Kernels: ``"on"`` for searched ones, ``"off"`` for the backbone's own, ``"random"`` for drawn ones;
            ``"auto"`` searches and lets trials choose between searched and own by validation score. True and False
            are on and off, as YAML reads these words.
        seed: Of the search.
        reverse_complement: Whether training shows either strand at random, and predictions are the mean of both. Shifts
            and the like are the datamodule's.
        run_dir: Folder of the search; by default ``dasha`` in the trainer's ``default_root_dir``. A dev run
            (``fast_dev_run``) searches a batch or two in a folder that does not stay.
        is_shown: Whether the progress of the search is shown.
        found: What a search found, as JSON; set by the search itself.

    Attributes:
        writes_card: Whether a fit leaves a model card beside its search, in the same folder, from the first process;
            never in a dev run, nor where the network is from a checkpoint and its search elsewhere.
        parts: What a fit learnt from and chose on, where its datamodule is one of sequences; for model cards.

    Raises:
        InvalidArgumentError: If a value is not allowed.
    """

    writes_card = True

    def __init__(
        self,
        kind: Kind = "binary",
        num_outputs: int = 1,
        *,
        loss: str = "",
        metric: str = "",
        class_weights: Sequence[float] = (),
        class_names: Sequence[str] = (),
        backbone: str = "auto",
        budget: str = "quick",
        overrides: Mapping[str, Any] | None = None,
        search: Literal["auto", "on", "off", "random"] | bool = "auto",
        seed: int = 0,
        reverse_complement: bool = True,
        run_dir: str | None = None,
        is_shown: bool = True,
        found: str | None = None,
    ) -> None:
        super().__init__()
        decides = metric or {"multilabel": "", "regression": ""}.get(kind, "mcc")
        self.task = TaskSpec(
            kind,
            4,
            num_outputs,
            loss=loss,
            metric=decides,
            class_weights=tuple(class_weights),
            class_names=tuple(class_names),
        )
        if self.task.is_dense:
            raise InvalidArgumentError(f"kind={kind!r} has an output for every base; supply one for every sequence")
        self.augment = Augmentation(reverse_complement=reverse_complement)
        self.save_hyperparameters()
        lists = {"class_weights": list(class_weights), "class_names": list(class_names)}
        self.hparams.update({**lists, "search": search_mode(search)})
        self.network: nn.Module | None = None
        self.result: SearchResult | None = None
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._searched: Path | None = None
        self.parts: KnownParts | None = None
        if found is not None:
            self._build(found)

    @property
    def model(self) -> nn.Module:
        """The network as it predicts: a plain module from one-hot ``(N, 4, L)`` to ``(N, num_outputs)``.

        Raises:
            NotFittedError: If no search was run and no checkpoint read.
        """
        if self.network is None:
            raise NotFittedError("there is no network yet; call Trainer.fit, or load_from_checkpoint")
        return StrandAverage(self.network) if self.hparams["reverse_complement"] else self.network

    def setup(self, stage: str) -> None:
        """Search before the first training; nothing happens where a network is there."""
        if stage != "fit" or self.network is not None:
            return
        folder = self._folder()
        on_first_process(self.trainer, folder, lambda: self._search(folder))
        self._build(json.dumps(load_search(folder).as_dict()), initial_weights(folder))
        self._searched = folder

    def on_fit_start(self) -> None:
        """Clear up after the search of a dev run, now that all processes have the network."""
        if self._searched is not None:
            clear(self.trainer, self._searched)
            self._searched = None

    def on_fit_end(self) -> None:
        """Remember the parts of the data, and write the model card, which says nothing about test data."""
        if not self.trainer.is_global_zero or is_dev_run(self.trainer):
            return
        self.parts = parts_of(self.trainer)
        if self.writes_card:
            folder = self._folder()
            keep_card(folder, lambda: card_of_task(self, folder))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the network that the checkpoint has the weights of."""
        found = checkpoint["hyper_parameters"].get("found")
        if found is not None and found != self.hparams["found"]:
            self._build(found)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs ``(N, num_outputs)`` for one-hot inputs ``(N, 4, L)``; classes as logits."""
        return self._computed(self.model, inputs)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """Loss of a batch, on a strand drawn at random."""
        inputs, targets = self.augment(*self._pair(batch))
        assert self.network is not None
        assert self.result is not None
        loss = self.result.plan.training_loss(self.device)(self._computed(self.network, inputs), targets)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(inputs))
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Keep outputs and targets."""
        self._keep(batch)

    def test_step(self, batch: Any, batch_index: int) -> None:
        """Keep outputs and targets."""
        self._keep(batch)

    def predict_step(self, batch: Any, batch_index: int = 0) -> Tensor:
        """Probabilities, or expected numbers, ``(N, num_outputs)``; a batch may come without targets."""
        inputs = batch.to(self.dtype) if isinstance(batch, Tensor) else self._pair(batch)[0]
        return prediction_of(self.task, self(inputs))

    def on_validation_epoch_start(self) -> None:
        """Forget what is left of an evaluation that was ended early."""
        self._seen.clear()

    def on_test_epoch_start(self) -> None:
        """Forget what is left of an evaluation that was ended early."""
        self._seen.clear()

    def on_validation_epoch_end(self) -> None:
        """Metrics, each computed once over all predictions."""
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        """Metrics, each computed once over all predictions."""
        self._log_metrics("test")

    def configure_optimizers(self) -> Any:
        """SGD with the settings found, and a cosine schedule over the steps of the trainer."""
        assert self.network is not None
        assert self.result is not None
        settings = {name: self.result.hyperparameters[name] for name in ("lr", "momentum", "weight_decay")}
        optimizer = make_sgd(self.network, **settings)
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):  # a training without end has no schedule
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: cosine_factor(min(1.0, (step + 0.5) / max(1, steps)), _WARMUP)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _folder(self) -> Path:
        own, home = self.hparams["run_dir"], Path(self.trainer.default_root_dir) / "dasha"
        if is_dev_run(self.trainer):
            return dev_folder(self.trainer, home)
        return home if own is None else Path(own)

    def _search(self, folder: Path) -> None:
        """Search on the data of the trainer; what an earlier search left in the folder is read."""
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is None:
            raise InvalidArgumentError(
                "the search needs a datamodule: Trainer.fit(task, datamodule=…); "
                "LightningDataModule.from_datasets makes one of datasets"
            )
        options = self.hparams
        run = Dasha(
            self.task,
            folder,
            backbone=options["backbone"],
            budget=options["budget"],
            overrides={**(options["overrides"] or {}), **(LEAST if is_dev_run(self.trainer) else {})},
            search=options["search"],
            seed=options["seed"],
            normalize=False,
            augment=self.augment,
            device=str(self.trainer.strategy.root_device),
            is_shown=options["is_shown"],
        )
        run.search(datamodule.train_dataloader(), datamodule.val_dataloader())

    def _build(self, found: str, weights: Mapping[str, Tensor] | None = None) -> None:
        """Make the network that a search found, with weights, and keep what was found among the hyperparameters."""
        self.result = SearchResult.of_dict(json.loads(found))
        if asdict(self.result.plan.task) != asdict(self.task):
            raise InvalidArgumentError("found= belongs to another task; leave it out to search again")
        with seeded(self.hparams["seed"]):  # replaced by the weights found, or of the checkpoint
            plain = self.result.plan.build_plain()
        if weights is not None:
            plain.load_state_dict(weights)
        self.network = self.result.plan.normalized(plain).to(self.device, cast("torch.dtype", self.dtype))
        self.hparams["found"] = found

    def _computed(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Outputs, on CPUs in the order in memory that is fast in the precision of the trainer."""
        with fast_under_autocast(self.device):
            outputs: Tensor = network(inputs)
        return outputs

    def _pair(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Inputs in the precision of the network, and targets."""
        inputs, targets = pair_of(batch)
        return inputs.to(self.dtype), targets

    def _keep(self, batch: Any) -> None:
        inputs, targets = self._pair(batch)
        self._seen.append((self(inputs).detach().float(), targets))

    def _log_metrics(self, name: str) -> None:
        outputs, targets = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        if self.trainer.world_size > 1:
            outputs, targets = (cast("Tensor", self.all_gather(part)).flatten(0, 1) for part in (outputs, targets))
        metrics = Metrics(self.task)
        metrics.update(outputs, targets)
        assert self.result is not None
        loss = self.result.plan.loss_function(outputs.device)(outputs, targets)
        values = {**metrics.compute(), "loss": float(loss)}
        self.log_dict({f"{name}_{key}": value for key, value in values.items()}, prog_bar=False)
