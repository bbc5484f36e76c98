"""Which backbone, where the user leaves that open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from dasha.data.split import Split
from dasha.errors import DashaError
from dasha.metrics import METRICS, score_of, value_of
from dasha.randomness import derive_seed, seeded
from dasha.search.cost import affordable, operations_of
from dasha.search.networks import NetworkSource
from dasha.search.progress import stage
from dasha.search.run import Run
from dasha.search.settings import ORDINARY
from dasha.search.training import Diverged, Stopwatch, cosine_factor, evaluate, make_sgd, set_rate, train_epoch
from dasha.tasks import TaskSpec

_SELECT = "backbone.json"


def choose_backbone(run: Run, sources: list[NetworkSource]) -> tuple[NetworkSource, dict[str, float], float]:
    """Train every candidate for as many operations and take the one with the best validation score.

    The costliest gets the few epochs of the budget, the others so many more as they are cheaper: networks that learn
    slowly by the epoch are not left behind by those that pay for every one. Where scores are too close to the best for
    so few samples to tell them apart, the least loss decides, which changes less by chance. In an epoch all see the
    same share of the training data: what the costliest can afford of the budget of the kernel search.

    Args:
        run: What all stages share.
        sources: The candidates; if there is one only, nothing is trained.

    Returns:
        The chosen one, the scores by name, larger being better, and the seconds it took.

    Raises:
        DashaError: If training diverges with every candidate.
    """
    if len(sources) == 1:
        return sources[0], {}, 0.0
    by_name = {source.name: source for source in sources}
    if run.folder.has(_SELECT):
        with run.folder.reading(_SELECT):
            stored = run.folder.read_json(_SELECT)
            known = {name: -math.inf if score is None else float(score) for name, score in stored["scores"].items()}
            return by_name[stored["chosen"]], known, float(stored.get("seconds", 0.0))
    watch = Stopwatch()
    with seeded(0):
        networks = [source.make(width=run.budget.width) for source in sources]
    passes, most = run.budget.selection_epochs, run.budget.search.max_cost
    operations = [operations_of(network, run.summary.shape) for network in networks]
    train = affordable(run.train, most, passes=passes, operations=max(operations))
    epochs = _equal_epochs(operations, passes)
    scores: dict[str, float] = {}
    losses: dict[str, float] = {}
    noise = _noise(run.learning.task, run.validation)
    with stage("backbone", len(sources), is_shown=run.is_shown) as shown:
        for source, own in zip(sources, epochs, strict=True):
            score, loss = _after_few_epochs(run, source, train, own)
            scores[source.name], losses[source.name] = score, loss
            run.folder.log("backbone", name=source.name, epochs=own, score=score, loss=loss)
            best = _best(scores, losses, noise)
            value = value_of(run.learning.task, scores[best])
            shown.advance(len(scores), f"best {best} {value:.4f}" if math.isfinite(value) else "")
    if max(scores.values()) == -math.inf:
        raise DashaError(
            f"training diverged with every backbone ({', '.join(scores)}); check the scale of inputs and targets, or "
            "name one by backbone="
        )
    chosen = _best(scores, losses, noise)
    seconds = watch.total
    run.folder.write_json(_SELECT, {"chosen": chosen, "scores": scores, "seconds": seconds})
    return by_name[chosen], scores, seconds


def _noise(task: TaskSpec, validation: Split) -> float:
    """How far apart scores must be to count: the largest standard error that a share of so many samples has.

    Errors in units of the data are losses themselves: they count as they are.
    """
    if not METRICS[task.metric].higher_is_better or not validation.size:
        return 0.0
    return 0.5 / math.sqrt(validation.size)


def _best(scores: Mapping[str, float], losses: Mapping[str, float], noise: float) -> str:
    """The least loss among the scores that may be the best."""
    least = max(scores.values()) - noise
    return min((name for name in scores if scores[name] >= least), key=lambda name: (losses[name], -scores[name]))


def _equal_epochs(operations: list[int], passes: int) -> list[int]:
    """Epochs of every network that take as many operations as those of the costliest."""
    if min(operations) == 0:  # nobody can count them
        return [passes] * len(operations)
    return [round(passes * max(operations) / own) for own in operations]


def _after_few_epochs(run: Run, source: NetworkSource, train: Split, epochs: int) -> tuple[float, float]:
    """Validation score and loss after a few epochs, at falling rates; both infinitely bad if training diverges."""
    seed = run.config.seed
    with seeded(derive_seed(seed, "backbone", source.name)):
        network = source.make(width=run.budget.width).to(run.learning.device)
    optimizer = make_sgd(network, **ORDINARY)
    learning = replace(run.learning, max_norm=1.0)
    try:
        for epoch in range(epochs):
            set_rate(optimizer, ORDINARY["lr"] * cosine_factor((epoch + 0.5) / epochs, warmup=0.0))
            with seeded(derive_seed(seed, "backbone", source.name, epoch)):
                train_epoch(network, optimizer, train, learning)
    except Diverged:
        return -math.inf, math.inf
    values = evaluate(network, run.validation, learning, only_deciding=True)
    return score_of(learning.task, values), values["loss"]
