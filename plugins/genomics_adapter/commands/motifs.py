"""``dasha genomics motifs``: what a trained network looks for in sequences."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dasha.cli._output import JsonOption, note, print_json, print_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from genomics_adapter.motifs import Motif
    from genomics_adapter.trained import TrainedModel

_SHOWN = 8


def motifs(
    model: Annotated[Path, typer.Argument(help="Checkpoint (.ckpt), saved estimator or run folder.")],
    sequences: Annotated[Path, typer.Argument(help="Table, FASTA or BED file.")],
    out: Annotated[Path, typer.Option(help="Folder for tables and page.")] = Path("motifs"),
    target: Annotated[int, typer.Option(help="Number of the output that is explained.", min=0)] = 0,
    count: Annotated[int, typer.Option(help="Sequences explained: those with the largest output.", min=1)] = 200,
    genome: Annotated[Path | None, typer.Option(help="FASTA file of the genome of a BED file.")] = None,
    sequence: Annotated[str | None, typer.Option(help="Column of the sequences of a table.")] = None,
    length: Annotated[int | None, typer.Option(help="Bases of a sequence (default: as in training).", min=1)] = None,
    method: Annotated[str, typer.Option(help="deep_lift_shap or saturation_mutagenesis.")] = "deep_lift_shap",
    shuffles: Annotated[int, typer.Option(help="Shuffles of every sequence, for deep_lift_shap.", min=1)] = 20,
    caller: Annotated[str, typer.Option(help="Of seqlets: recursive or tfmodisco.")] = "recursive",
    min_members: Annotated[int, typer.Option(help="Seqlets of a pattern, at least.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of the shuffles.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Weigh every base of the sequences a network is surest of, and gather what stands out into patterns.

    Writes motifs.html with logos, motifs.csv, seqlets.csv, and motifs.meme for Tomtom and the like.
    """
    outcome = run_motifs(
        model,
        sequences,
        out,
        target=target,
        count=count,
        genome=genome,
        sequence=sequence,
        length=length,
        method=method,
        shuffles=shuffles,
        caller=caller,
        min_members=min_members,
        seed=seed,
        device=device,
        is_shown=not as_json,
    )
    if as_json:
        print_json(outcome)
        return
    if outcome["motifs"]:
        print_table(outcome["motifs"], title=f"patterns in {outcome['explained']} sequences")
    typer.echo(f"{len(outcome['motifs'])} patterns of {outcome['seqlets']} seqlets; page in {outcome['page']}")


def run_motifs(
    model: Path,
    sequences: Path,
    out: Path,
    *,
    target: int,
    count: int,
    genome: Path | None,
    sequence: str | None,
    length: int | None,
    method: Any,
    shuffles: int,
    caller: Any,
    min_members: int,
    seed: int,
    device: str,
    is_shown: bool,
) -> dict[str, Any]:
    """Do it, and write all files.

    Returns:
        What came out, for JSON.
    """
    from genomics_adapter.attribution import attribute, seqlets
    from genomics_adapter.encoding import one_hot
    from genomics_adapter.motifs import motifs as gathered
    from genomics_adapter.motifs import write_meme
    from genomics_adapter.sequences import read_file
    from genomics_adapter.trained import open_model

    started = time.perf_counter()
    trained = open_model(model)
    size = trained.length if length is None else length
    data = read_file(sequences, label=None, length=size, crop=trained.crop, genome=genome, sequence=sequence)
    rows = _surest(trained, data.codes, target=target, count=count, device=device)
    inputs = one_hot(data.codes[rows], ambiguous=trained.ambiguous)
    if is_shown:
        note(f"note: explaining output {target} on {len(rows)} of {len(data)} sequences of {data.length} bases")
    contributions = attribute(
        trained.network, inputs, target=target, method=method, n_shuffles=shuffles, seed=seed, device=device
    )
    found = seqlets(contributions, caller=caller)
    patterns = gathered(contributions, inputs, found=found, min_members=min_members)
    out.mkdir(parents=True, exist_ok=True)
    names = data.titles
    found.insert(0, "name", [names[rows[index]] for index in found["example_idx"]])
    found.to_csv(out / "seqlets.csv", index=False)
    table = [
        {
            "motif": f"motif_{number}",
            "consensus": pattern.consensus,
            "seqlets": len(pattern),
            "contribution": float((pattern.contributions * pattern.frequencies).sum()),
        }
        for number, pattern in enumerate(patterns, start=1)
    ]
    _write_table(out / "motifs.csv", table)
    write_meme(patterns, out / "motifs.meme")
    facts = {
        "Model": str(model),
        "Sequences": f"{sequences}, {len(rows)} of {len(data)} with the largest output {target}",
        "Method": f"{method}, {shuffles} shuffles, seed {seed}",
        "Seconds": f"{time.perf_counter() - started:.0f}",
    }
    page = _write_page(out / "motifs.html", contributions, rows, names, patterns, table, found, facts)
    return {
        "explained": len(rows),
        "seqlets": len(found),
        "motifs": table,
        "page": str(page.absolute()),
        "meme": str((out / "motifs.meme").absolute()),
    }


def _surest(trained: TrainedModel, codes: np.ndarray, *, target: int, count: int, device: str) -> np.ndarray:
    """Rows of the sequences with the largest output, the largest first."""
    import torch

    from genomics_adapter._fitted import on_device
    from genomics_adapter._inputs import batches_of
    from genomics_adapter.attribution import check_target

    batches = batches_of(codes, 256, ambiguous=trained.ambiguous)
    with on_device(trained.network, device) as (own, where), torch.no_grad():
        check_target(own, next(batches_of(codes, 1)).to(where), target)
        outputs = torch.cat([own(part.to(where))[:, target].float().cpu() for part in batches])
    rows: np.ndarray = outputs.argsort(descending=True, stable=True)[:count].numpy()
    return rows


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pandas as pd

    pd.DataFrame(rows, columns=["motif", "consensus", "seqlets", "contribution"]).to_csv(path, index=False)


def _write_page(
    path: Path,
    contributions: Tensor,
    rows: np.ndarray,
    names: Any,
    patterns: list[Motif],
    table: list[dict[str, Any]],
    found: pd.DataFrame,
    facts: dict[str, str],
) -> Path:
    from dasha.report.page import Cell, Page, Section, Table, render_page
    from genomics_adapter.logos import draw_attributions, draw_motifs

    shown = min(_SHOWN, len(rows))
    spans = [
        [(int(start), int(end)) for start, end in own[["start", "end"]].to_numpy()]
        for own in (found[found["example_idx"] == index] for index in range(shown))
    ]
    titles = [str(names[row]) for row in rows[:shown]]
    figure = draw_attributions(contributions[:shown].numpy(), titles=titles, spans=spans)
    weighed = [(figure, "Contribution of every base to the output; seqlets are shaded.")]
    cells = [
        [
            Cell(row["motif"]),
            Cell(row["consensus"]),
            Cell(str(row["seqlets"]), numeric=True),
            Cell(f"{row['contribution']:.3g}", numeric=True),
        ]
        for row in table
    ]
    drawn = []
    if patterns:
        drawn.append((draw_motifs(patterns[:_SHOWN]), "The most frequent: contributions, and bits."))
    none = "No pattern has enough seqlets; lower --min-members, or explain more sequences with --count."
    page = Page(
        title="What the network looks for",
        lead=f"{len(patterns)} patterns in {len(rows)} sequences, gathered from {len(found)} seqlets.",
        sections=[
            Section(
                "Patterns",
                [] if patterns else [none],
                drawn,
                [Table(("Motif", "Consensus", "Seqlets", "Contribution"), cells)] if patterns else [],
            ),
            Section("Sequences", ["The sequences with the largest output, the largest first."], weighed),
        ],
        facts=facts,
    )
    path.write_text(render_page(page), encoding="utf-8")
    return path
