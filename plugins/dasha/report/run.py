"""The page about a run: what was chosen, how, what it came to, what it cost, and what repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dasha.errors import InvalidArgumentError
from dasha.metrics import METRICS
from dasha.report.page import Page, Section, render_page
from dasha.report.run_labels import MAX_LABELS, label_figure, label_table, outcomes_of
from dasha.report.run_outcomes import (
    MAX_CLASSES,
    confused_pairs,
    confusion_figure,
    metric_table,
    number_text,
    scatter_figure,
)
from dasha.report.run_plots import MAX_LAYERS, coefficient_figure, curve_figure, kernel_figure, rung_figure
from dasha.report.run_record import Content, RunRecord, read_record
from dasha.report.run_tables import backbone_table, cost_table, facts_of, trial_table
from dasha.runs import write_whole
from dasha.search.run_folder import CONFIG_FILE, PLAN_FILE, RESULT_FILE, RunFolder

REPORT_FILE = "report.html"


def write_report(folder: str | Path, target: str | Path | None = None) -> Path:
    """Write the page about a run as one self-contained HTML file.

    Args:
        folder: Of the run, finished or not.
        target: File to write; by default ``report.html`` in the folder.

    Returns:
        The file.

    Raises:
        StateFileError: If the folder holds no run, or a file of it is damaged.
        InvalidArgumentError: If the file cannot be written.
    """
    path = Path(folder) / REPORT_FILE if target is None else Path(target)
    page = render_page(run_page(folder))
    try:
        write_whole(path, page)
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {path}: {error.strerror}; name another file as target") from error
    return path


def run_page(folder: str | Path) -> Page:
    """The page about a run, from the JSON files of its folder alone; stages that are missing are left out.

    Raises:
        StateFileError: If the folder holds no run, or a file of it is damaged or holds something else.
    """
    record = read_record(folder)
    files = RunFolder(record.path)
    with files.reading(CONFIG_FILE):
        facts = facts_of(record)
    sections: list[Section] = []
    for part, name in _PARTS:
        with files.reading(name):
            sections += part(record)
    with files.reading(PLAN_FILE if record.result is None else RESULT_FILE):
        lead = _lead(record)
    return Page(f"Run {record.path.absolute().name}", lead, sections, facts)


def _lead(record: RunRecord) -> str:
    task = record.config["task"]
    about = f"{_words(task['kind'])}, {record.config['data']['train']['count']:,} training samples"
    chosen = _chosen(record)
    if chosen is None:
        done = [name for name in ("backbone", "search", "tune") if getattr(record, name) is not None]
        return f"Not finished: {about}; {', '.join(done) + ' done' if done else 'no stage has ended'}."
    how = {"searched": "searched kernels", "own": "its own kernels", "random": "random kernels"}[record.kernels]
    backbone, score = chosen
    title, text = METRICS[record.metric].title, number_text(record.unturned(score))
    lead = "" if record.result is not None else "searched, not trained yet: "
    lead += f"{about}: {backbone} with {how}, {title} {text} on validation while it was tuned"
    if record.evaluation is not None:
        lead += f", {number_text(record.evaluation['metrics'].get(record.metric))} on test"
    return lead[0].upper() + lead[1:] + "."


def _chosen(record: RunRecord) -> tuple[str, float] | None:
    """Backbone and tuning score of a run that is finished, or of a search whose training has not begun."""
    if record.result is not None:
        return record.result["backbone"], record.result["tuning_score"]
    if record.plan is not None and not record.curves:
        return record.plan["plan"]["backbone"], record.plan["score"]
    return None


def _test(record: RunRecord) -> Iterator[Section]:
    evaluation = record.evaluation
    if evaluation is None:
        return
    is_ensemble = record.config["settings"]["is_ensemble"]
    tables = [metric_table(evaluation, record.metric, is_ensemble=is_ensemble)]
    shown = _predictions(record, evaluation)
    text = list(shown.text)
    if len(evaluation["per_seed"]) > 1 and not is_ensemble and (shown.figures or shown.tables):
        text.append("Single predictions and their counts are those of the first network; metrics are means over all.")
    yield Section("Test data", text, shown.figures, [*tables, *shown.tables])


def _predictions(record: RunRecord, evaluation: Content) -> Section:
    """What was predicted beside what is true, in the form that the kind of task has."""
    task, names = record.config["task"], record.class_names
    is_dense = task["kind"] in ("segmentation", "dense_regression")
    if evaluation["confusion"]:
        counted = "positions" if is_dense else "samples"
        if len(names) > MAX_CLASSES:
            return Section(tables=[confused_pairs(evaluation["confusion"], names, counted=counted)])
        text = f"Counts of {counted}, true classes by predicted ones; the shade is the share of the true class."
        if task.get("ignore_index") is not None:
            text += f" Positions with the label {task['ignore_index']} do not count."
        figure = confusion_figure(evaluation["confusion"], names)
        return Section(text=[text], figures=[(figure, "Counts of true classes and predicted ones.")])
    if evaluation.get("labels"):  # evaluations of earlier versions have none
        return _labels(evaluation["labels"], names)
    if evaluation["scatter"]:
        drawn = f"{len(evaluation['scatter']):,} of them" + (" from all positions" if is_dense else "")
        together = f", all {task['num_outputs']} targets together" if task["num_outputs"] > 1 else ""
        text = f"Predictions over targets, {drawn}{together}; on the line both are equal."
        return Section(text=[text], figures=[(scatter_figure(evaluation["scatter"]), "Predictions over targets.")])
    return Section()


def _labels(labels: Sequence[Content], names: Sequence[str]) -> Section:
    """What became of every label, or of the worst where there are many."""
    outcomes = outcomes_of(labels, names)
    table = label_table(outcomes)
    if len(outcomes) > MAX_LABELS:
        return Section(tables=[table])
    text = (
        "Of all samples that have a label, or were said to: the share in which it was found, missed, or wrongly said, "
        "with counts. The label with the smallest F1 comes first; average precision does not depend on where the line "
        "between yes and no is drawn, here at a probability of one half."
    )
    figure = label_figure(outcomes)
    return Section(text=[text], figures=[(figure, "Labels: found, missed and wrongly said.")], tables=[table])


def _backbone(record: RunRecord) -> Iterator[Section]:
    if record.backbone is None:
        return
    text = (
        "Scores on validation after a few epochs. Of those too close to the best to be told apart by so few samples, "
        "the one with the least loss was chosen."
    )
    yield Section("Backbone", [text], tables=[backbone_table(record, record.backbone)])


def _kernels(record: RunRecord) -> Iterator[Section]:
    if record.search is None or not record.search["architecture"]:
        return
    architecture = record.search["architecture"]
    sizes, dilations = (_listed(record.search[name]) for name in ("kernel_sizes", "dilations"))
    extent = max(record.config["data"]["train"]["shape"][1:])
    text = [
        f"Chosen among kernel sizes {sizes} and dilations {dilations}. Every mark is a position that a layer reads."
    ]
    if max((size - 1) * dilation / 2 for size, dilation in architecture.values()) > extent:
        text.append(
            f"The shade is as wide as an input ({extent}) in both directions: marks outside read padding alone."
        )
    if record.kernels == "own":
        text.append("Tuning preferred the backbone's own kernels; these are not in the network.")
    figure = kernel_figure(architecture, ndim=record.ndim, extent=extent)
    yield Section("Kernels", text, [(figure, "Positions that every layer reads.")])


def _search(record: RunRecord) -> Iterator[Section]:
    search = record.search
    if search is None or not search.get("coefficients"):
        return
    epochs = search["coefficients"]
    figure = coefficient_figure(
        epochs, search["architecture"], kernel_sizes=search["kernel_sizes"], dilations=search["dilations"]
    )
    ended = "early, when no choice had changed for a while" if search["is_settled"] else "as planned"
    text = [f"Coefficients of all kernels of a layer by epoch, the chosen one in colour. The search ended {ended}."]
    if len(epochs[-1]) > MAX_LAYERS:
        text.append(f"{MAX_LAYERS} of {len(epochs[-1])} layers are shown.")
    if search["slowdowns"]:
        text.append(f"Training diverged {search['slowdowns']} times and went on with a lower learning rate.")
    yield Section("Kernel search", text, [(figure, "Coefficients by epoch.")])


def _tuning(record: RunRecord) -> Iterator[Section]:
    tune, settings = record.tune, record.config["budget"]["tune"]
    if tune is None:
        return
    rungs, rung = [], settings["min_resource"]
    while rung <= settings["max_resource"]:
        rungs.append(rung)
        rung *= settings["reduction_factor"]
    figure = rung_figure(
        tune["trials"],
        winner=tune["number"],
        rungs=rungs,
        metric=METRICS[record.metric].title,
        sign=1.0 if record.is_higher_better else -1.0,
    )
    states = [trial["state"] for trial in tune["trials"]]
    text = [
        f"{len(states)} trials, of which {states.count('complete')} ran to the end, {states.count('pruned')} were "
        f"stopped at a rung and {states.count('diverged')} diverged. Very bad scores may lie outside the frame."
    ]
    yield Section("Hyperparameters", text, [(figure, "Validation score by epoch.")], [trial_table(record, tune)])


def _training(record: RunRecord) -> Iterator[Section]:
    curves = [one for one in record.curves if one["losses"]]
    if not curves:
        return
    figure = curve_figure(curves, metric=record.metric, title=METRICS[record.metric].title)
    text = ["With the winner's hyperparameters and initial weights."]
    if not any(one["validation"] for one in curves):
        text.append("It saw the validation data, too, so that nothing is left to validate on.")
    yield Section("Final training", text, [(figure, "Training loss and validation score by epoch.")])


def _cost(record: RunRecord) -> Iterator[Section]:
    result = record.result
    if result is None:
        return
    operations = f"{result['flops']:,} floating-point operations a sample" if result["flops"] else "operations unknown"
    text = [f"{result['parameters']:,} parameters, {operations}."]
    yield Section("Cost", text, tables=[cost_table(result["seconds"])])


# What makes the sections, in order, and the file that each is about.
_PARTS: tuple[tuple[Callable[[RunRecord], Iterator[Section]], str], ...] = (
    (_test, "evaluation.json"),
    (_backbone, "backbone.json"),
    (_kernels, "search.json"),
    (_search, "search.json"),
    (_tuning, "tune.json"),
    (_training, RESULT_FILE),
    (_cost, RESULT_FILE),
)


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))


def _words(kind: str) -> str:
    return kind.replace("_", " ")
