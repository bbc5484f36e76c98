"""The stages of a run in order; each leaves a file behind and is skipped where that is there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from dasha._optional import require
from dasha.randomness import derive_seed, seeded
from dasha.search import kernels as searching
from dasha.search import tune as tuning
from dasha.search.cost import affordable, operations_of
from dasha.search.course import MakeNetwork, TrialWork, initial_network
from dasha.search.kernels import random_architecture, search_kernels
from dasha.search.networks import NetworkSource
from dasha.search.plan import NetworkPlan, architecture_of, with_kernels
from dasha.search.progress import stage
from dasha.search.result import RunResult, SearchResult
from dasha.search.retrain import Curves, retrain
from dasha.search.run import Run
from dasha.search.run_folder import PLAN_FILE
from dasha.search.selection import choose_backbone
from dasha.search.settings import KERNELS, OWN
from dasha.search.supernet import Architecture, Supernet, to_supernet
from dasha.search.trials import Hyperparameters, TuneOutcome
from dasha.search.tune import tune

_SEARCH = "search.json"
_TUNE = "tune.json"
INITIAL_FILE = "tune/initial.safetensors"


@dataclass(frozen=True)
class Found:
    """What the stages before the final training decided.

    Attributes:
        source: The backbone that was chosen.
        scores: Validation score of every candidate, where there were several; larger is better.
        architecture: Kernel size and dilation of every searched layer; empty where the backbone keeps its own.
        searched: What the kernel search chose, also where the backbone keeps its own; empty without a search.
        tuned: Hyperparameters, and how they were found.
        seconds: Of every stage.
    """

    source: NetworkSource
    scores: dict[str, float]
    architecture: Architecture
    searched: Architecture
    tuned: TuneOutcome
    seconds: dict[str, float]


@dataclass(frozen=True)
class Finished:
    """Outcome of all stages.

    Attributes:
        result: For the record.
        states: Weights after every final training.
    """

    result: RunResult
    states: list[dict[str, Tensor]]


def find_network(run: Run, sources: list[NetworkSource]) -> Found:
    """Backbone, kernels and hyperparameters; what was found before is read."""
    if run.config.engine == "ray" and not run.folder.has(_TUNE):
        require_ray(run, sources)
    source, scores, selection_seconds = choose_backbone(run, sources)
    searched, search_seconds = find_kernels(run, source)
    tuned = tune_hyperparameters(run, source, searched)
    selection = {"backbone": selection_seconds} if len(sources) > 1 else {}
    seconds = {**selection, "search": search_seconds, "tune": tuned.seconds}
    return Found(source, scores, kept_kernels(searched, tuned.hyperparameters), searched, tuned, seconds)


def require_ray(run: Run, sources: list[NetworkSource]) -> None:
    """Say what keeps trials from running on Ray before hours are spent on other stages.

    Raises:
        InvalidArgumentError: If something cannot be sent to workers.
        OptionalDependencyError: If Ray is not installed.
    """
    require("ray.tune", extra="ray")
    from dasha.search.portable import check_portable

    data: dict[str, Any] = {"train": run.train, "validation": run.validation}
    check_portable({**data, "augment": run.learning.augment, "backbone": [source.factory for source in sources]})


def plan_of(run: Run, found: Found) -> NetworkPlan:
    """The network that was found, as plain values."""
    return NetworkPlan(
        task=run.learning.task,
        ndim=run.ndim,
        backbone=found.source.name,
        is_registered=found.source.is_registered,
        width=run.budget.width,
        dropout=found.tuned.hyperparameters.get("dropout", 0.0),
        options=dict(found.source.options),
        architecture=found.architecture,
        normalization=run.normalization,
        target_scale=run.target_scale,
        label_smoothing=run.learning.label_smoothing,
    )


def search_result(run: Run, found: Found) -> SearchResult:
    """What was found, also as a file, for those who train the network themselves."""
    result = SearchResult(
        plan=plan_of(run, found),
        hyperparameters=found.tuned.hyperparameters,
        score=found.tuned.score,
        backbone_scores=found.scores,
        seconds=found.seconds,
    )
    if not run.folder.has(PLAN_FILE):
        run.folder.write_json(PLAN_FILE, result.as_dict())
    return result


def train_network(run: Run, found: Found) -> Finished:
    """The final trainings of what was found."""
    make = network_maker(found.source, found.architecture, width=run.budget.width)
    states, curves = [], []
    for number in range(run.config.n_seeds):
        state, own = _retrain(run, make, found.tuned, number)
        states.append(state)
        curves.append(own)
    network = initial_network(make, found.tuned.hyperparameters, seed=run.config.seed)
    result = RunResult(
        backbone=found.source.name,
        backbone_scores=found.scores,
        architecture=found.architecture,
        hyperparameters=found.tuned.hyperparameters,
        tuning_score=found.tuned.score,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        flops=operations_of(network, run.summary.shape),
        seconds={**found.seconds, "retrain": sum(own.seconds for own in curves)},
        curves=[asdict(own) for own in curves],
        searched=found.searched,
    )
    return Finished(result, states)


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
        with run.folder.reading(_SEARCH):
            stored = run.folder.read_json(_SEARCH)
            return architecture_of(stored["architecture"]), float(stored["seconds"])
    supernet, settings = make_supernet(run, source), run.budget.search
    kernels = {"kernel_sizes": settings.kernel_sizes, "dilations": settings.dilations}
    if run.config.search == "random":
        architecture, seconds = random_architecture(supernet, seed=run.config.seed), 0.0
        run.folder.write_json(_SEARCH, {"architecture": architecture, "seconds": seconds, **kernels})
        return architecture, seconds
    with seeded(0):
        plain = source.make(width=settings.width)
    operations, passes = operations_of(plain, run.summary.shape), settings.epochs * settings.batch_fraction
    train = affordable(run.train, settings.max_cost, passes=passes, operations=operations)
    with stage("search", settings.epochs, is_shown=run.is_shown) as shown:
        outcome = search_kernels(
            supernet, train, settings, run.learning, seed=run.config.seed, folder=run.folder, stage=shown
        )
    run.folder.write_json(_SEARCH, {**outcome.as_dict(), **kernels})
    run.folder.remove(searching.CHECKPOINT)
    return outcome.architecture, outcome.seconds


def network_maker(source: NetworkSource, architecture: Architecture, *, width: int) -> MakeNetwork:
    """What makes the network that is tuned and retrained, with initial weights from torch's global generator."""

    def make(hyperparameters: Hyperparameters) -> nn.Module:
        network = source.make(width=width, dropout=hyperparameters.get("dropout", 0.0))
        return with_kernels(network, kept_kernels(architecture, hyperparameters))

    return make


def kept_kernels(architecture: Architecture, hyperparameters: Hyperparameters) -> Architecture:
    """The searched kernels, or none where a trial takes the backbone's own."""
    return {} if hyperparameters.get(KERNELS) == OWN else architecture


def tune_hyperparameters(run: Run, source: NetworkSource, architecture: Architecture) -> TuneOutcome:
    """The best of many settings."""
    settings = run.budget.tune
    make = network_maker(source, architecture, width=run.budget.width)
    if run.folder.has(_TUNE):
        with run.folder.reading(_TUNE):
            outcome = TuneOutcome.of_dict(run.folder.read_json(_TUNE))
        if not run.folder.has(INITIAL_FILE):
            _keep_initial(run, make, outcome)
        return outcome
    is_open = run.config.search == "auto"
    work = TrialWork(
        make, run.train, run.validation, run.summary.shape, settings, run.learning, run.config.seed, run.folder
    )
    space = tuning.without_dropout(run.space or tuning.paper_space(settings)) if source.is_copied else run.space
    with stage("tune", settings.trials, is_shown=run.is_shown) as shown:
        outcome = tune(work, stage=shown, space=space, chooses_kernels=is_open, engine=run.config.engine)
    _keep_initial(run, make, outcome)
    run.folder.write_json(_TUNE, outcome.as_dict())
    run.folder.remove(tuning.CHECKPOINT)
    return outcome


def _keep_initial(run: Run, make: MakeNetwork, tuned: TuneOutcome) -> None:
    """Write the weights that the winner began with; they follow from the seed."""
    initial = initial_network(make, tuned.hyperparameters, seed=run.config.seed)
    run.folder.write_tensors(INITIAL_FILE, initial.state_dict(), metadata={})


def _retrain(run: Run, make: MakeNetwork, tuned: TuneOutcome, number: int) -> tuple[dict[str, Tensor], Curves]:
    """The final training: the first from the winner's initial weights, the others from fresh ones."""
    seed, settings = run.config.seed, run.budget.retrain
    if number == 0:
        network = initial_network(make, tuned.hyperparameters, seed=seed)
        with run.folder.reading(INITIAL_FILE):
            network.load_state_dict(run.folder.read_tensors(INITIAL_FILE))
    else:
        with seeded(derive_seed(seed, "initial", number)):
            network = make(tuned.hyperparameters)
    whole = run.config.include_validation
    train = run.train.joined(run.validation) if whole else run.train
    operations = operations_of(network, run.summary.shape)
    train = affordable(train, settings.max_cost, passes=settings.epochs, operations=operations)
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
