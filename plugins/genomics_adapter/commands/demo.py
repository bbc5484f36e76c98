"""``dasha demo genomics``: a network finds two motifs that were put into made-up sequences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dasha.cli._fit_options import SetOption
from dasha.cli._output import JsonOption, note, print_json, print_table

if TYPE_CHECKING:
    from genomics_adapter.estimator import DashaSequenceClassifier
    from genomics_adapter.patterns import Motif
    from genomics_adapter.planted import Planted

COUNTS = (2400, 400, 400)
SHUFFLES, RESAMPLES = 8, 200
EXPLAINED = 120
"""Sequences of label 1 whose bases are weighed."""
# Of the quick budget: two motifs of eight bases need no more.
SMALLER = {
    "search.epochs": 2,
    "search.width": 1,
    "search.dilations": (1, 3),
    "search.kernel_sizes": (3, 5, 7, 9, 11),
    "tune.trials": 3,
    "tune.max_resource": 2,
    "retrain.epochs": 10,
    "width": 1,
}


def genomics(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier demo in it is continued.")] = Path(
        "dasha-demo-genomics"
    ),
    changes: SetOption = None,
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train on made-up sequences with two motifs at a spacing, and show that attributions find both.

    No data is needed. It takes a minute or two on two cores, and goes on where it was stopped.
    """
    from dasha.cli._fit_options import parse_changes

    outcome = run_demo(out, parse_changes(changes or []), is_shown=not as_json)
    if as_json:
        print_json(outcome)
    else:
        print_table(outcome["motifs"], title="motifs that were planted, and the pattern that comes closest")
        typer.echo(
            f"demo: MCC {outcome['test']['mcc']:.3f} on test, predicted by both strands; planted bases are found with "
            f"an area under precision and recall of {outcome['recovery']:.3f} (chance: {outcome['chance']:.3f}); "
            f"report in {outcome['report']}"
        )
    if open_report:
        typer.launch(Path(outcome["report"]).as_uri())


def run_demo(out: Path, changes: dict[str, Any], *, is_shown: bool) -> dict[str, Any]:
    """Make the data, train, attribute, score against the truth, and write report and model card.

    Returns:
        What came out, for JSON.
    """
    from genomics_adapter.attribution import attribute, seqlets
    from genomics_adapter.card import model_card
    from genomics_adapter.dataset import SequenceDataset
    from genomics_adapter.estimator import DashaSequenceClassifier
    from genomics_adapter.leaks import leak_report
    from genomics_adapter.patterns import motifs
    from genomics_adapter.planted import MOTIFS, plant, recovery, similarity
    from genomics_adapter.reverse_complement import StrandAverage
    from genomics_adapter.sequences.data import SequenceSplits

    parts = [plant(count, seed=seed) for seed, count in enumerate(COUNTS)]
    splits = SequenceSplits(*(part.data for part in parts))
    train, validation, test = (part.data for part in parts)
    note(f"note: {', '.join(str(len(part.data)) for part in parts)} sequences of {train.length} bases; MCC decides")
    estimator = DashaSequenceClassifier(
        budget="quick", overrides=SMALLER | changes, backbone="wide_resnet_1d", run_dir=out, verbose=int(is_shown)
    ).fit(train, train.labels, validation, validation.labels)
    estimator.run_.evaluate(SequenceDataset(test, estimator.task_), predictor=StrandAverage)
    rows = _explained(parts[2])
    contributions = attribute(estimator, test.codes[rows], n_shuffles=SHUFFLES)
    found = seqlets(contributions, caller="tfmodisco", window_size=9)
    patterns = motifs(contributions, test.codes[rows], found=found)
    area, chance = recovery(contributions, parts[2].mask[rows])
    matches = []
    for text, frequencies in zip(MOTIFS, parts[2].frequencies, strict=True):
        scores = [similarity(pattern, frequencies) for pattern in patterns] or [0.0]
        best = max(range(len(scores)), key=scores.__getitem__)
        closest = patterns[best].consensus if patterns else "none"
        matches.append({"planted": text, "found": closest, "correlation": scores[best]})
    card = model_card(
        estimator, splits=splits, leaks=leak_report(train=train, validation=validation, test=test), resamples=RESAMPLES
    )
    outcome: dict[str, Any] = {
        "run": str(out.absolute()),
        "test": {name: row["value"] for name, row in card.content["test"]["metrics"].items()},
        "recovery": area,
        "chance": chance,
        "motifs": matches,
        "card": str(card.write(out).absolute()),
    }
    report = _write_report(out, estimator, parts[2], rows, contributions, patterns, outcome)
    return {**outcome, "report": str(report.absolute())}


def _explained(test: Planted) -> Any:
    import numpy as np

    return np.flatnonzero(test.mask.any(1))[:EXPLAINED]


def _write_report(
    out: Path,
    estimator: DashaSequenceClassifier,
    test: Planted,
    rows: Any,
    contributions: Any,
    patterns: list[Motif],
    outcome: dict[str, Any],
) -> Path:
    """The page of the run, with what the network looks for in front."""
    from dataclasses import replace

    from dasha.report.page import Cell, Section, Table, render_page
    from dasha.report.run import REPORT_FILE, run_page
    from genomics_adapter.logos import draw_attributions, draw_motifs

    shown = rows[:6]
    spans = [_spans(test.mask[row]) for row in shown]
    figures = [
        (
            draw_attributions(contributions[:6].numpy(), spans=spans),
            "Contribution of every base; planted motifs shaded.",
        )
    ]
    if patterns:
        figures.append((draw_motifs(patterns[:6]), "Patterns among the contributions."))
    table = Table(
        ["planted", "closest pattern", "correlation"],
        [
            [Cell(row["planted"]), Cell(row["found"]), Cell(f"{row['correlation']:.3f}", numeric=True)]
            for row in outcome["motifs"]
        ],
    )
    text = [
        "Sequences of class 1 hold both motifs at a fixed spacing, on either strand; the others hold one of them, both "
        "at another spacing, or none.",
        f"Ranked by the size of their contribution, planted bases have an area under precision and recall of "
        f"{outcome['recovery']:.3f}; chance would give {outcome['chance']:.3f}.",
        "Contributions, and everything on test data, are of predictions averaged over both strands; what was measured "
        "on validation data, in search, tuning and training, is of one strand.",
    ]
    page = run_page(out)
    section = Section("What the network looks for", text, figures, [table])
    path = out / REPORT_FILE
    path.write_text(render_page(replace(page, sections=[section, *page.sections])), encoding="utf-8")
    return path


def _spans(mask: Any) -> list[tuple[int, int]]:
    import numpy as np

    edges = np.flatnonzero(np.diff(np.pad(mask.astype(int), 1)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
