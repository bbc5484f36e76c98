"""Training and evaluation of one network, shared by all stages."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dasha.data.split import Batch, Split
from dasha.errors import DashaError, InvalidArgumentError
from dasha.metrics import Metrics, metric_names
from dasha.randomness import seeded
from dasha.search.layout import fast_layout, right_gradients
from dasha.search.settings import Precision, RetrainSettings
from dasha.search.units import TargetScale
from dasha.tasks import Loss, TaskSpec

Augment = Callable[[Tensor, Tensor], Batch]
# A loss this many times that of the first batch of its pass, or 1 if that is less, has exploded. Nothing is remembered
# from one pass to the next, so that a training that was resumed ends where a whole one does.
_EXPLODED = 1e3
# What torch's batch normalisation says to one value per channel.
_ONE_VALUE = "more than 1 value per channel"
_NO_BATCH = "gave no batch in this pass; a loader must be iterable again and again"

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Diverged(DashaError):  # noqa: N818 - an outcome first, an error only where nothing can follow
    """Training left the range of numbers; the text says where."""


@dataclass(frozen=True)
class Learning:
    """How a network is trained.

    Attributes:
        task: Gives the loss.
        batch_size: Samples per batch.
        device: Where to compute.
        accumulate: Batches per optimiser step.
        precision: Of the forward pass; weights are float32 throughout.
        max_norm: Gradients are clipped to this length; None for no clipping.
        label_smoothing: In training, where the task has classes and no share of its own.
        augment: Changes training batches ``(inputs, targets)``, on the device; draws from torch's global generator.
        normalize: Applied to inputs before the network, after ``augment``; None for nothing.
        target_scale: Of numbers and counts, which the network learns in a unit of its own; None for targets as they
            are.
        gives_units: Whether the network brings its outputs to the units of the targets itself.
    """

    task: TaskSpec
    batch_size: int
    device: torch.device
    accumulate: int = 1
    precision: Precision = "float32"
    max_norm: float | None = None
    label_smoothing: float = 0.0
    augment: Augment | None = None
    normalize: nn.Module | None = None
    target_scale: TargetScale | None = None
    gives_units: bool = False

    def forward(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Outputs of the network for inputs in the units of the data."""
        with self._context():
            outputs: Tensor = network(inputs if self.normalize is None else self.normalize(inputs))
        return outputs

    def training_loss(self) -> Loss:
        """What training makes small: the loss, with smoothed labels where they are wanted."""
        loss_of = self.task.smoothed(self.label_smoothing).loss_function(self.device)
        scale = self.target_scale
        return loss_of if scale is None else scale.training_loss(loss_of, gives_units=self.gives_units)

    def loss_function(self, device: torch.device | str = "cpu") -> Loss:
        """Loss of what the network gives and targets in the units of the data."""
        loss_of = self.task.loss_function(device)
        scale = self.target_scale
        return loss_of if scale is None else scale.loss_function(loss_of, gives_units=self.gives_units)

    def in_units(self, outputs: Tensor) -> Tensor:
        """What the network gives, in the units of the targets."""
        return outputs if self.target_scale is None or self.gives_units else self.target_scale(outputs)

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        """Context of the forward pass: the precision, and on CPUs the way to convolve that is right and fast in it."""
        if self.precision == "float32":
            with right_gradients(self.device):
                yield
            return
        with fast_layout(self.device), torch.autocast(self.device.type, dtype=_DTYPES[self.precision]):
            yield

    def scaler(self) -> torch.amp.GradScaler:
        """Scaler of the gradients, which only float16 needs."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")


def make_sgd(network: nn.Module, *, lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Stochastic gradient descent with Nesterov momentum."""
    return torch.optim.SGD(
        network.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=momentum > 0
    )


def step_factor(progress: float, milestones: Sequence[float], gamma: float) -> float:
    """Share of the learning rate that milestones leave.

    Args:
        progress: Share of the epochs that are done.
        milestones: Shares of the epochs.
        gamma: Factor at each.
    """
    return gamma ** sum(progress >= milestone for milestone in milestones)


def cosine_factor(progress: float, warmup: float) -> float:
    """Share of the learning rate after a linear rise and half a wave down to 0.

    Args:
        progress: Share of the steps that are done.
        warmup: Share of the steps that the rise takes.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warmup) / max(1.0 - warmup, 1e-9))


def rate_factor(settings: RetrainSettings, progress: float) -> float:
    """Share of the learning rate in a final training.

    Args:
        settings: Schedule.
        progress: Share of the training that is done.
    """
    if settings.schedule == "step":
        return step_factor(progress, settings.milestones, settings.gamma)
    return cosine_factor(progress, settings.warmup)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    split: Split,
    learning: Learning,
    *,
    scaler: torch.amp.GradScaler | None = None,
    before_step: Callable[[], None] | None = None,
) -> float:
    """One pass of training.

    A batch of one sample, as at the end of a pass, is left out where there was a larger one or the network cannot take
    it, because batch normalisation needs several values.

    Args:
        network: In training mode afterwards.
        optimizer: Of its parameters.
        split: Training data.
        learning: Settings.
        scaler: Of float16 gradients.
        before_step: Called when the gradients are there, before they are clipped.

    Returns:
        Mean loss of all samples together, whatever the size of the batches.

    Raises:
        Diverged: If the loss or a gradient is not finite, or the loss explodes.
        InvalidArgumentError: If there is no batch, or if every batch has one sample and the network cannot be trained
            on one.
    """
    network.train()
    scaler = scaler or learning.scaler()
    loss_of = learning.training_loss()
    total = counted = waiting = first = 0.0
    pending = number = largest = seen = 0
    full = learning.batch_size * learning.accumulate

    def step() -> None:
        scaler.unscale_(optimizer)
        if learning.accumulate > 1 and waiting not in (full, 0.0):
            # The mean over what counts: fewer samples at the end of a pass, others where classes have weights.
            for parameter in network.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(full / waiting)
        if before_step is not None:
            before_step()
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), learning.max_norm or math.inf))
        # The scaler of float16 skips such a step by itself, and lowers its scale.
        if not math.isfinite(norm) and not scaler.is_enabled():
            raise Diverged(f"gradient is {norm:.3g} in batch {number}")
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    optimizer.zero_grad(set_to_none=True)
    for number, (inputs, targets) in enumerate(_augmented(split, learning), start=1):
        largest = max(largest, len(inputs))
        is_rest = len(inputs) == 1 < largest
        outputs = None if is_rest else _training_outputs(network, inputs, learning)
        if outputs is None:
            continue
        loss = loss_of(outputs.float(), targets)
        value = float(loss.detach())
        first = first or value
        if not math.isfinite(value) or value > _EXPLODED * max(1.0, abs(first)):
            raise Diverged(f"loss is {value:.3g} in batch {number}")
        weight = learning.task.weight_of(targets)
        share = weight / full if learning.accumulate > 1 else 1.0
        scaler.scale(loss * share).backward()  # type: ignore[no-untyped-call]
        pending, waiting = pending + 1, waiting + weight
        if pending == learning.accumulate:
            step()
            pending, waiting = 0, 0.0
        total, counted, seen = total + value * weight, counted + weight, seen + len(inputs)
    if pending:
        step()
    if not number:
        raise InvalidArgumentError(f"train {_NO_BATCH}")
    if not seen:
        raise InvalidArgumentError(
            "every batch of train has one sample, but the network normalises over the values of a batch, of which it "
            "needs several; raise batch_size, or supply a loader with larger batches"
        )
    return total / (counted or 1.0)


def _training_outputs(network: nn.Module, inputs: Tensor, learning: Learning) -> Tensor | None:
    """Outputs in training; None for a sample that batch normalisation cannot take alone."""
    try:
        return learning.forward(network, inputs)
    except ValueError as error:
        if len(inputs) > 1 or _ONE_VALUE not in str(error):
            raise
        return None


def _augmented(split: Split, learning: Learning) -> Iterator[Batch]:
    for inputs, targets in split.batches(learning.batch_size, shuffle=True):
        batch = inputs.to(learning.device), targets.to(learning.device)
        yield batch if learning.augment is None else learning.augment(*batch)


@torch.no_grad()
def predict(
    network: nn.Module,
    split: Split,
    learning: Learning,
    use: Callable[[Tensor, Tensor], None],
    *,
    size: int | None = None,
) -> None:
    """Go over a split in order and hand outputs and targets on.

    The network's mode and the global generators, from which loaders draw, are as before afterwards.

    Args:
        network: Is put into evaluation mode meanwhile.
        split: The data.
        learning: Settings.
        use: Takes outputs and targets of every batch.
        size: Samples per batch; by default as many as in four batches of training.

    Raises:
        InvalidArgumentError: If there is no batch.
    """
    was_training, is_empty = network.training, True
    network.eval()
    try:
        with seeded(0):
            for inputs, targets in split.batches(size or 4 * learning.batch_size, shuffle=False):
                is_empty = False
                outputs = learning.forward(network, inputs.to(learning.device))
                use(outputs.float().cpu(), targets.cpu())
    finally:
        network.train(was_training)
    if is_empty:
        raise InvalidArgumentError(f"the data to predict {_NO_BATCH}")


def evaluate(
    network: nn.Module, split: Split, learning: Learning, *, only_deciding: bool = False, size: int | None = None
) -> dict[str, float]:
    """Metrics of a split in the units of the data, each computed once over all predictions, and the mean ``loss``.

    None depends on the size of the batches. All of them are NaN if any output is not finite: decisions among such
    outputs would look like a score.

    Args:
        network: Is put into evaluation mode meanwhile.
        split: The data.
        learning: Settings.
        only_deciding: Leave out all metrics but the one that decides in tuning.
        size: Samples per batch; see `predict`.
    """
    names = [learning.task.metric] if only_deciding else list(metric_names(learning.task.kind))
    metrics = Metrics(learning.task, names)
    loss_of = learning.loss_function()
    sum_of_losses, counted, is_finite = 0.0, 0.0, True

    def use(outputs: Tensor, targets: Tensor) -> None:
        nonlocal sum_of_losses, counted, is_finite
        is_finite = is_finite and bool(torch.isfinite(outputs).all())
        if is_finite:
            metrics.update(learning.in_units(outputs), targets)
            weight = learning.task.weight_of(targets)
            sum_of_losses += float(loss_of(outputs, targets)) * weight
            counted += weight

    predict(network, split, learning, use, size=size)
    if not is_finite:
        return dict.fromkeys([*names, "loss"], math.nan)
    return {**metrics.compute(), "loss": sum_of_losses / (counted or 1.0)}


@dataclass
class Stopwatch:
    """Seconds of work, over interruptions.

    Attributes:
        seconds: Of earlier sittings.
    """

    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Start."""
        self._start = time.perf_counter()

    @property
    def total(self) -> float:
        """Seconds so far, those of earlier sittings included."""
        return self.seconds + time.perf_counter() - self._start
