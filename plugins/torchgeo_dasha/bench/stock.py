"""TorchGeo's stock tasks, tuned and trained on validation data alone, in a given number of seconds."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torchmetrics.classification import MulticlassJaccardIndex

from dasha.bench.cases import Case
from dasha.bench.search import scored
from dasha.randomness import derive_seed, seeded
from dasha.search.devices import device_of, precision_of
from dasha.search.layout import fast_layout
from dasha.search.units import Normalize
from dasha.tasks import TaskSpec
from torchgeo_dasha import _compat as host
from torchgeo_dasha.bench.data import Images

RATES = (3e-4, 1e-3, 3e-3)
"""Learning rates tried; the best on validation data is taken."""
TUNING_SHARE = 0.3
"""Of the seconds, for all learning rates together."""
_PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}
PACKAGES = ("torch", "torchgeo", "lightning", "timm", "segmentation-models-pytorch")
_MEAN_IOU = "MeanIoU"


@dataclass(frozen=True)
class Stock:
    """A stock task.

    Attributes:
        make: From what is learnt and a learning rate.
        monitor: Validation metric that decides, larger being better: the same that is measured on test data.
    """

    make: Callable[[TaskSpec, float], Any]
    monitor: str


def _classification(model: str, task: TaskSpec, lr: float) -> Any:
    """A network of timm from random weights."""
    return host.Classification(
        model=model, weights=None, in_channels=task.in_channels, num_classes=task.num_outputs, lr=lr, loss="ce"
    )


def _segmentation(task: TaskSpec, lr: float) -> Any:
    """A U-Net with a ResNet-18 from random weights."""
    made = host.SemanticSegmentation(
        model="unet",
        backbone="resnet18",
        weights=None,
        in_channels=task.in_channels,
        num_classes=task.num_outputs,
        ignore_index=task.ignore_index,
        lr=lr,
        loss="ce",
    )
    # Its own Jaccard index counts pixels; what is measured is the mean over the classes.
    made.val_metrics.add_metrics(
        {_MEAN_IOU: MulticlassJaccardIndex(task.num_outputs, average="macro", ignore_index=task.ignore_index)}
    )
    return made


CLASSIFICATION = {
    "resnet18": Stock(partial(_classification, "resnet18"), "val_OverallAccuracy"),
    "resnet50": Stock(partial(_classification, "resnet50"), "val_OverallAccuracy"),
}
SEGMENTATION = {"unet-resnet18": Stock(_segmentation, f"val_{_MEAN_IOU}")}


def stock_case(images: Images, method: str, *, seed: int, seconds: float, device: str) -> Case:
    """A stock task as a case.

    Args:
        images: The data.
        method: Name in `CLASSIFICATION` or `SEGMENTATION`.
        seed: Of initial weights and batches; where time decides what is done, it does not fix the outcome.
        seconds: For tuning and training.
        device: Where to compute.
    """
    settings = {
        "data": images.data.about,
        "batch_size": images.module.batch_size,
        "rates": RATES,
        "tuning_share": TUNING_SHARE,
        "seconds": round(seconds, 1),
        "seed": seed,
        "device": str(device_of(device)),
        "precision": precision_of("auto", device_of(device)),
    }
    measure = partial(run_stock, images, method=method, seed=seed, seconds=seconds, device=device)
    return Case(images.data.name, method, seed, settings, measure, PACKAGES, is_ours=False)


def run_stock(images: Images, folder: Path, *, method: str, seed: int, seconds: float, device: str) -> dict[str, Any]:
    """Choose the learning rate, train with the rest of the time, and measure the weights best on validation data.

    Args:
        images: The data.
        folder: Not used: everything stays in memory.
        method: Name in `CLASSIFICATION` or `SEGMENTATION`.
        seed: Of initial weights and batches.
        seconds: For tuning and training.
        device: Where to compute.
    """
    stock = {**CLASSIFICATION, **SEGMENTATION}[method]
    started = time.perf_counter()
    scores = {}
    for rate in RATES:
        _, best = _fitted(images, stock, rate, seconds * TUNING_SHARE / len(RATES), seed=seed, device=device)
        scores[rate] = best.score
    rate = max(scores, key=lambda one: scores[one])
    tuned = time.perf_counter() - started
    task, best = _fitted(images, stock, rate, max(seconds - tuned, 0.0), seed=seed, device=device)
    spent = time.perf_counter() - started
    spec = images.module.spec
    normalize = Normalize(list(spec.mean), list(spec.std), ndim=2)
    return {
        **scored(images.data, nn.Sequential(normalize, task.model), device),
        "parameters": sum(parameter.numel() for parameter in task.model.parameters()),
        "seconds": spent,
        "stages": {"tune": tuned, "train": spent - tuned},
        "hyperparameters": {"lr": rate},
        "rates": {f"{one:g}": score for one, score in scores.items()},
        "epochs": best.epoch,
    }


class BestWeights(Callback):
    """Keeps the weights with the best validation score.

    Args:
        monitor: Metric; larger is better.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor, self.score, self.epoch = monitor, -float("inf"), 0
        self.state: dict[str, torch.Tensor] | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Compare."""
        score = float(trainer.callback_metrics[self.monitor])
        if self.state is None or score > self.score:
            self.score, self.epoch = score, trainer.current_epoch + 1
            state = pl_module.model.state_dict()
            self.state = {name: value.detach().cpu().clone() for name, value in state.items()}


def _fitted(
    images: Images, stock: Stock, rate: float, seconds: float, *, seed: int, device: str
) -> tuple[Any, BestWeights]:
    """Train for so many seconds, as fast as DASHA computes; the task has the best weights afterwards."""
    best, place = BestWeights(stock.monitor), device_of(device)
    with seeded(derive_seed(seed, "stock")), _quiet(), fast_layout(place):
        task = stock.make(images.data.task, rate)
        trainer = Trainer(
            max_epochs=-1,
            max_time=timedelta(seconds=seconds),
            precision=_PRECISIONS[precision_of("auto", place)],
            accelerator="gpu" if place.type == "cuda" else place.type,
            devices=[place.index or 0] if place.type == "cuda" else 1,
            callbacks=[best],
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(task, datamodule=images.module)
        if best.state is None:  # the time was over within the first epoch
            trainer.validate(task, datamodule=images.module, verbose=False)
    assert best.state is not None
    task.model.load_state_dict(best.state)
    return task.cpu(), best


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the trainer says about devices, workers and logging."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
