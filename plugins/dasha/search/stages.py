"""The stages of a run in order; each leaves a file behind and is skipped where that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dasha.data.inspection import DataSummary
from dasha.data.split import Split
from dasha.errors import DashaError
from dasha.metrics import score_of
from dasha.randomness import derive_seed, seeded
from dasha.search.budgets import Budget
from dasha.search.config import RunConfig
from dasha.search.kernels import random_architecture, search_kernels
from dasha.search.model import with_kernels
from dasha.search.networks import NetworkSource
from dasha.search.progress import stage
from dasha.search.result import RunResult
from dasha.search.retrain import Curves, retrain
from dasha.search.run_folder import RunFolder
from dasha.search.supernet import Architecture, Rule, Supernet, to_supernet
from dasha.search.training import Diverged, Learning, Stopwatch, evaluate, make_sgd, train_epoch
from dasha.search.tune import Hyperparameters, Space, TuneOutcome, initial_network, tune

_SELECT = "backbone.json"
_SEARCH = "search.json"
_TUNE = "tune.json"
RESULT_FILE = "result.json"
# For the short equal training that chooses a backbone.
_SELECTION_LR = 0.05


@dataclass(frozen=True)
class Run:
    """What all stages need.

    Attributes:
        config: Settings.
        budget: How much is spent.
        learning: Task, device, batches.
        train: Training data.
        validation: Data that everything is chosen on.
        summary: Of the training data.
        folder: Of the run.
        is_searched: Which convolutions take part.
        space: Values that a trial suggests; None for the paper's.
        is_shown: Whether progress is shown.
    """

    config: RunConfig
    budget: Budget
    learning: Learning
    train: Split
    validation: Split
    summary: DataSummary
    folder: RunFolder
    is_searched: Rule
    space: Space | None
    is_shown: bool


@dataclass(frozen=True)
class Finished:
    """Outcome of all stages.

    Attributes:
        source: The backbone that was chosen.
        result: For the record.
        states: Weights after every final training.
    """

    source: NetworkSource
    result: RunResult
    states: list[dict[str, Tensor]]


def run_stages(run: Run, sources: list[NetworkSource]) -> Finished:
    """Run what has not been run yet."""
    watch = Stopwatch()
    source, scores = choose_backbone(run, sources)
    selection_seconds = watch.total
    architecture, search_seconds = find_kernels(run, source)
    tuned = tune_hyperparameters(run, source, architecture)

    def make(hyperparameters: Hyperparameters) -> nn.Module:
        return make_network(run, source, architecture, hyperparameters)

    states, curves = [], []
    for number in range(run.config.n_seeds):
        state, own = _retrain(run, make, tuned, number)
        states.append(state)
        curves.append(own)
    network = initial_network(make, tuned.hyperparameters, seed=run.config.seed)
    seconds = {"search": search_seconds, "tune": tuned.seconds, "retrain": sum(own.seconds for own in curves)}
    result = RunResult(
        backbone=source.name,
        backbone_scores=scores,
        architecture=architecture,
        hyperparameters=tuned.hyperparameters,
        tuning_score=tuned.score,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        flops=_flops(network, run.summary.shape),
        seconds={**({"backbone": selection_seconds} if len(sources) > 1 else {}), **seconds},
        curves=[asdict(own) for own in curves],
    )
    return Finished(source, result, states)


def choose_backbone(run: Run, sources: list[NetworkSource]) -> tuple[NetworkSource, dict[str, float]]:
    """Train every candidate for the same few epochs and take the one with the best validation score."""
    if len(sources) == 1:
        return sources[0], {}
    if run.folder.has(_SELECT):
        stored = run.folder.read_json(_SELECT)
        return next(source for source in sources if source.name == stored["chosen"]), stored["scores"]
    scores: dict[str, float] = {}
    with stage("backbone", len(sources), is_shown=run.is_shown) as shown:
        for source in sources:
            scores[source.name] = _short_score(run, source)
            run.folder.log("backbone", name=source.name, score=scores[source.name])
            shown.advance(len(scores), f"{source.name} {abs(scores[source.name]):.4f}")
    chosen = max(sources, key=lambda source: scores[source.name])
    run.folder.write_json(_SELECT, {"chosen": chosen.name, "scores": scores})
    return chosen, scores


def _short_score(run: Run, source: NetworkSource) -> float:
    """Best validation score in a few epochs; minus infinity if training diverges."""
    seed = run.config.seed
    with seeded(derive_seed(seed, "backbone", source.name)):
        network = source.make(width=run.budget.width).to(run.learning.device)
    optimizer = make_sgd(network, lr=_SELECTION_LR, momentum=0.9, weight_decay=5e-4)
    learning = replace(run.learning, max_norm=1.0)
    scores = []
    try:
        for epoch in range(run.budget.selection_epochs):
            with seeded(derive_seed(seed, "backbone", source.name, epoch)):
                train_epoch(network, optimizer, run.train, learning)
            scores.append(score_of(learning.task, evaluate(network, run.validation, learning, only_deciding=True)))
    except Diverged:
        return float("-inf")
    return max(scores)


def make_supernet(run: Run, source: NetworkSource) -> Supernet:
    """The network whose kernels are searched, always with the same weights."""
    settings = run.budget.search
    with seeded(derive_seed(run.config.seed, "supernet")):
        return to_supernet(
            source.make(width=settings.width),
            settings.kernel_sizes,
            settings.dilations,
            is_searched=run.is_searched,
            is_depthwise=settings.is_depthwise,
            temperature=settings.temperature,
        )


def find_kernels(run: Run, source: NetworkSource) -> tuple[Architecture, float]:
    """Architecture and the seconds it took; empty where the backbone's own kernels stay."""
    if run.config.search == "off":
        return {}, 0.0
    if run.folder.has(_SEARCH):
        stored = run.folder.read_json(_SEARCH)
        return {name: (size, dilation) for name, (size, dilation) in stored["architecture"].items()}, stored["seconds"]
    supernet, settings = make_supernet(run, source), run.budget.search
    kernels = {"kernel_sizes": settings.kernel_sizes, "dilations": settings.dilations}
    if run.config.search == "random":
        architecture, seconds = random_architecture(supernet, seed=run.config.seed), 0.0
        run.folder.write_json(_SEARCH, {"architecture": architecture, "seconds": seconds, **kernels})
        return architecture, seconds
    with stage("search", settings.epochs, is_shown=run.is_shown) as shown:
        outcome = search_kernels(
            supernet, run.train, settings, run.learning, seed=run.config.seed, folder=run.folder, stage=shown
        )
    run.folder.write_json(_SEARCH, {**outcome.as_dict(), **kernels})
    return outcome.architecture, outcome.seconds


def make_network(
    run: Run, source: NetworkSource, architecture: Architecture, hyperparameters: Hyperparameters
) -> nn.Module:
    """The network that is tuned and retrained, with initial weights from torch's global generator."""
    plain = source.make(width=run.budget.width, dropout=hyperparameters.get("dropout", 0.0))
    return with_kernels(plain, architecture)


def tune_hyperparameters(run: Run, source: NetworkSource, architecture: Architecture) -> TuneOutcome:
    """The best of many settings."""
    settings = run.budget.tune

    def make(hyperparameters: Hyperparameters) -> nn.Module:
        return make_network(run, source, architecture, hyperparameters)

    if run.folder.has(_TUNE):
        return TuneOutcome.of_dict(run.folder.read_json(_TUNE))
    with stage("tune", settings.trials, is_shown=run.is_shown) as shown:
        outcome = tune(
            make,
            run.train,
            run.validation,
            settings,
            run.learning,
            seed=run.config.seed,
            folder=run.folder,
            stage=shown,
            space=run.space,
        )
    initial = initial_network(make, outcome.hyperparameters, seed=run.config.seed)
    run.folder.write_tensors("tune/initial.safetensors", initial.state_dict(), metadata={})
    run.folder.write_json(_TUNE, outcome.as_dict())
    return outcome


def _retrain(
    run: Run, make: Callable[[Hyperparameters], nn.Module], tuned: TuneOutcome, number: int
) -> tuple[dict[str, Tensor], Curves]:
    """The final training: the first from the winner's initial weights, the others from fresh ones."""
    seed, settings = run.config.seed, run.budget.retrain
    if number == 0:
        network = initial_network(make, tuned.hyperparameters, seed=seed)
        network.load_state_dict(run.folder.read_tensors("tune/initial.safetensors"))
    else:
        with seeded(derive_seed(seed, "initial", number)):
            network = make(tuned.hyperparameters)
    whole = run.config.include_validation
    train = run.train.joined(run.validation) if whole else run.train
    title = "retrain" if run.config.n_seeds == 1 else f"retrain {number + 1}/{run.config.n_seeds}"
    with stage(title, settings.epochs, is_shown=run.is_shown) as shown:
        return retrain(
            network,
            train,
            None if whole else run.validation,
            settings,
            run.learning,
            tuned.hyperparameters,
            seed=seed,
            number=number,
            folder=run.folder,
            stage=shown,
        )


def _flops(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Floating-point operations of one sample; 0 where they cannot be counted."""
    network.eval()
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            network(torch.zeros(1, *shape))
    except (RuntimeError, NotImplementedError, DashaError):
        return 0
    return int(counter.get_total_flops())
