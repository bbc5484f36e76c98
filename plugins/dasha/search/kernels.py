"""Stage 1: kernel sizes and dilations by gradient descent on their coefficients.

Shen, Khodak and Talwalkar, "Efficient Architecture Search for Diverse Tasks", arXiv 2204.07554.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from dasha.data.part import Part
from dasha.data.split import Split
from dasha.randomness import derive_seed, seeded
from dasha.search.estimated import estimated_methods
from dasha.search.mixed_layers import MixedConv
from dasha.search.progress import Stage
from dasha.search.run_folder import RunFolder
from dasha.search.settings import SearchSettings
from dasha.search.supernet import Architecture, Supernet
from dasha.search.training import Diverged, Learning, Stopwatch, step_factor, train_epoch

CHECKPOINT = "search/checkpoint.pt"
# A search that diverges goes back to the last epoch and on with this share of the learning rate, so many times at most.
_SLOWER = 0.3
_MAX_SLOWDOWNS = 6


@dataclass(frozen=True)
class SearchOutcome:
    """What a kernel search found.

    Attributes:
        architecture: Kernel size and dilation of every searched convolution, by name.
        coefficients: Softmax of the logits after every epoch, by name, each ``(kernel sizes, dilations)``.
        losses: Mean loss of every epoch.
        is_settled: Whether the search ended early because no choice changed any more.
        slowdowns: How often the learning rate was lowered because training diverged.
        seconds: Of work.
    """

    architecture: Architecture
    coefficients: list[dict[str, list[list[float]]]]
    losses: list[float]
    is_settled: bool
    slowdowns: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """All values, for JSON."""
        return asdict(self)


def search_kernels(
    supernet: Supernet,
    train: Split,
    settings: SearchSettings,
    learning: Learning,
    *,
    seed: int,
    folder: RunFolder,
    stage: Stage,
) -> SearchOutcome:
    """Train weights and coefficients together and read off the largest ones.

    Args:
        supernet: Freshly made; is trained.
        train: The training data.
        settings: How.
        learning: Task and device; batch size and clipping are those of the settings.
        seed: Of the run.
        folder: Keeps a checkpoint after every epoch, and continues from it.
        stage: Is told the progress.

    Raises:
        Diverged: If training leaves the range of numbers whatever the learning rate.
    """
    supernet.to(learning.device)
    learning = replace(learning, batch_size=settings.batch_size, max_norm=settings.max_norm, accumulate=1)
    learning = replace(learning, precision="float32")
    mixtures = supernet.mixtures
    optimizer = _optimizer(supernet, settings)
    part = Part(train, settings.batch_fraction)
    history = _History()
    state = folder.load_state(CHECKPOINT)
    if state is not None:
        with folder.reading(CHECKPOINT):
            history = _History.restore(state, supernet, optimizer)
    watch = Stopwatch(history.seconds)

    def prepare_logits() -> None:
        """Gradients of equal length for all layers, and a cost of large receptive fields."""
        for mixture in mixtures.values():
            gradient = mixture.alpha.grad
            if gradient is not None:
                length = settings.grad_scale * (gradient.norm() + 1e-8)
                mixture.alpha.grad = gradient / length + settings.size_penalty * mixture.fields

    while history.epochs < settings.epochs and not history.is_settled(settings):
        before = history.state(supernet, optimizer)
        factor = _SLOWER**history.slowdowns * step_factor(
            history.epochs / settings.epochs, settings.milestones, settings.gamma
        )
        for group, lr in zip(optimizer.param_groups, (settings.lr, settings.alpha_lr), strict=True):
            group["lr"] = factor * lr
        try:
            with seeded(derive_seed(seed, "search", history.epochs, history.slowdowns)), estimated_methods(supernet):
                loss = train_epoch(supernet, optimizer, part, learning, before_step=prepare_logits)
        except Diverged as reason:
            if history.slowdowns == _MAX_SLOWDOWNS:
                raise Diverged(
                    f"the kernel search diverges at every learning rate down to {factor * settings.lr:.2g} ({reason}); "
                    "lower search.lr, or check the scale of inputs and targets"
                ) from reason
            history = _History.restore(before, supernet, optimizer)
            history.slowdowns += 1
            continue
        history.add(loss, mixtures)
        history.seconds = watch.total
        folder.save_state(CHECKPOINT, history.state(supernet, optimizer))
        folder.log("search", epoch=history.epochs, loss=loss, changed=history.unchanged == 0)
        stage.advance(
            history.epochs, f"loss {loss:.3f}, kernels unchanged {history.unchanged}/{settings.settled_epochs}"
        )
    return SearchOutcome(
        architecture=supernet.architecture,
        coefficients=history.coefficients,
        losses=history.losses,
        is_settled=history.epochs < settings.epochs,
        slowdowns=history.slowdowns,
        seconds=watch.total,
    )


def random_architecture(supernet: Supernet, *, seed: int) -> Architecture:
    """A pair for every mixture, drawn at random: what a search has to beat."""
    rng = np.random.default_rng(derive_seed(seed, "random architecture"))
    return {
        name: (int(rng.choice(mixture.kernel_sizes)), int(rng.choice(mixture.dilations)))
        for name, mixture in supernet.mixtures.items()
    }


def _optimizer(supernet: Supernet, settings: SearchSettings) -> torch.optim.SGD:
    groups = [
        {"params": list(supernet.weights()), "lr": settings.lr, "weight_decay": settings.weight_decay},
        {"params": list(supernet.alphas()), "lr": settings.alpha_lr, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, momentum=settings.momentum, nesterov=settings.momentum > 0)


@dataclass
class _History:
    """What has happened so far.

    Attributes:
        losses: Of every epoch.
        coefficients: After every epoch.
        unchanged: Epochs since any choice changed.
        slowdowns: How often the learning rate was lowered.
        seconds: Of work.
    """

    losses: list[float] = field(default_factory=list)
    coefficients: list[dict[str, list[list[float]]]] = field(default_factory=list)
    unchanged: int = 0
    slowdowns: int = 0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        return len(self.losses)

    def is_settled(self, settings: SearchSettings) -> bool:
        return self.unchanged >= settings.settled_epochs

    def add(self, loss: float, mixtures: Mapping[str, MixedConv]) -> None:
        now = {name: mixture.alpha.detach().flatten().softmax(0) for name, mixture in mixtures.items()}
        last = self.coefficients[-1] if self.coefficients else None
        same = last is not None and all(
            int(value.argmax()) == int(torch.tensor(last[name]).argmax()) for name, value in now.items()
        )
        self.unchanged = self.unchanged + 1 if same else 0
        self.losses.append(loss)
        self.coefficients.append({name: value.view_as(mixtures[name].alpha).tolist() for name, value in now.items()})

    def state(self, supernet: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        parts = {"supernet": supernet.state_dict(), "optimizer": optimizer.state_dict()}
        return {**asdict(self), **copy.deepcopy(parts)}

    @classmethod
    def restore(cls, state: Mapping[str, Any], supernet: nn.Module, optimizer: torch.optim.Optimizer) -> _History:
        supernet.load_state_dict(state["supernet"])
        optimizer.load_state_dict(state["optimizer"])
        return cls(**{entry.name: state[entry.name] for entry in fields(cls)})
