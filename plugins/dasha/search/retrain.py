"""Stage 3: the final training, with a schedule that is fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from dasha.data.split import Split
from dasha.metrics import score_of, value_of
from dasha.randomness import derive_seed, seeded
from dasha.search.progress import Stage
from dasha.search.run_folder import RunFolder
from dasha.search.settings import RetrainSettings
from dasha.search.training import (
    Diverged,
    Learning,
    Stopwatch,
    evaluate,
    make_sgd,
    rate_factor,
    set_rate,
    train_epoch,
)

# As in the kernel search: back to the last epoch, and on with a lower learning rate.
_SLOWER = 0.3
_MAX_SLOWDOWNS = 6


@dataclass
class Curves:
    """Course of one final training.

    Attributes:
        losses: Mean training loss of every epoch.
        validation: Metrics on the validation data after every epoch; empty if that is trained on.
        slowdowns: How often the learning rate was lowered because training diverged.
        seconds: Of work.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    slowdowns: int = 0
    seconds: float = 0.0


def retrain(
    network: nn.Module,
    train: Split,
    validation: Split | None,
    settings: RetrainSettings,
    learning: Learning,
    hyperparameters: Mapping[str, Any],
    *,
    seed: int,
    number: int,
    folder: RunFolder,
    stage: Stage,
) -> tuple[dict[str, Tensor], Curves]:
    """Train a network for all its epochs; the weights of the last epoch are the result.

    Args:
        network: With its initial weights; is trained.
        train: Training data.
        validation: For the learning curves alone; None where it is part of ``train``.
        settings: Epochs and schedule.
        learning: Task, device, batches.
        hyperparameters: Learning rate, momentum and weight decay.
        seed: Of the run.
        number: Of this training among those with other seeds.
        folder: Keeps a checkpoint after every epoch, and continues from it.
        stage: Is told the progress.

    Returns:
        State of the network, on the CPU, and the learning curves.

    Raises:
        Diverged: If training leaves the range of numbers whatever the learning rate.
    """
    learning = replace(learning, max_norm=settings.max_norm)
    network = network.to(learning.device)
    optimizer = make_sgd(network, **{name: hyperparameters[name] for name in ("lr", "momentum", "weight_decay")})
    scaler = learning.scaler()
    name = f"retrain/seed-{number}.pt"
    parts: dict[str, Any] = {"network": network, "optimizer": optimizer, "scaler": scaler}

    def restore(state: Mapping[str, Any]) -> Curves:
        with folder.reading(name):
            for key, part in parts.items():
                part.load_state_dict(state[key])
            return Curves(**state["curves"])

    def snapshot() -> dict[str, Any]:
        return {"curves": asdict(curves), **{key: part.state_dict() for key, part in parts.items()}}

    stored = folder.load_state(name)
    curves = Curves() if stored is None else restore(stored)
    if stored is None:
        folder.save_state(name, snapshot())
    watch = Stopwatch(curves.seconds)
    while len(curves.losses) < settings.epochs:
        epoch = len(curves.losses)
        share = rate_factor(settings, _progress(settings, epoch))
        set_rate(optimizer, hyperparameters["lr"] * _SLOWER**curves.slowdowns * share)
        try:
            with seeded(derive_seed(seed, "retrain", number, epoch, curves.slowdowns)):
                loss = train_epoch(network, optimizer, train, learning, scaler=scaler)
        except Diverged as reason:
            slowdowns = curves.slowdowns + 1
            last = folder.load_state(name)
            if slowdowns > _MAX_SLOWDOWNS or last is None:
                raise Diverged(
                    f"the final training diverges at every learning rate ({reason}); narrow tune.lr, set "
                    "retrain.max_norm, or check the scale of inputs and targets"
                ) from reason
            curves = replace(restore(last), slowdowns=slowdowns)
            continue
        curves.losses.append(loss)
        if validation is not None:
            curves.validation.append(evaluate(network, validation, learning))
        curves.seconds = watch.total
        folder.save_state(name, snapshot())
        folder.log("retrain", seed=number, epoch=epoch + 1, loss=loss, validation=(curves.validation or [{}])[-1])
        stage.advance(epoch + 1, _note(learning, curves))
    state = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    return state, curves


def _progress(settings: RetrainSettings, epoch: int) -> float:
    """Share of the training at which an epoch's learning rate is read."""
    # In the middle of a wave's epoch; milestones are met at the beginning of one.
    return (epoch + (0.5 if settings.schedule == "cosine" else 0.0)) / settings.epochs


def _note(learning: Learning, curves: Curves) -> str:
    if curves.validation:
        metric = learning.task.metric
        best = max(score_of(learning.task, epoch) for epoch in curves.validation)
        text = f"{metric} {curves.validation[-1][metric]:.4f}"
        return f"{text}, best {value_of(learning.task, best):.4f}" if math.isfinite(best) else text
    return f"loss {curves.losses[-1]:.3f}"
