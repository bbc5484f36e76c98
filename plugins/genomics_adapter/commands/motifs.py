"""``dasha genomics motifs``: what a trained network looks for in sequences."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dasha.cli._output import JsonOption, note, print_json, print_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor

    from dasha.report.page import Page
    from genomics_adapter.patterns import Motif
    from genomics_adapter.trained import TrainedModel

_PAGE, _MEME = "motifs.html", "motifs.meme"
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
    from dasha.runs import atomic_folder
    from genomics_adapter.attribution import attribute, seqlets
    from genomics_adapter.encoding import one_hot
    from genomics_adapter.patterns import motifs as gathered
    from genomics_adapter.sequences import read_file
    from genomics_adapter.trained import open_model

    started = time.perf_counter()
    trained = open_model(model)
    size = trained.length if length is None else length
    data = read_file(sequences, label=None, length=size, crop=trained.crop, genome=genome, sequence=sequence)
    with atomic_folder(out) as folder:
        rows = _surest(trained, data.codes, target=target, count=count, device=device)
        inputs = one_hot(data.codes[rows], ambiguous=trained.ambiguous)
        if not as_json:
            note(f"note: explaining output {target} on {len(rows)} of {len(data)} sequences of {data.length} bases")
        contributions = attribute(
            trained.network,
            inputs,
            target=target,
            method=method,  # type: ignore[arg-type]  # refused there
            n_shuffles=shuffles,
            seed=seed,
            device=device,
        )
        found = seqlets(contributions, caller=caller)  # type: ignore[arg-type]  # refused there
        patterns = gathered(contributions, inputs, found=found, min_members=min_members)
        titles = data.titles
        explained = _Explained([titles[row] for row in rows], contributions, found, patterns)
        explained.write(
            folder,
            {
                "Model": str(model),
                "Sequences": f"{sequences}, {len(rows)} of {len(data)} with the largest output {target}",
                "Method": f"{method}, {shuffles} shuffles, seed {seed}",
                "Seconds": f"{time.perf_counter() - started:.0f}",
            },
        )
    if as_json:
        print_json(
            {
                "explained": len(rows),
                "seqlets": len(found),
                "motifs": explained.table(),
                "page": str((out / _PAGE).absolute()),
                "meme": str((out / _MEME).absolute()),
            }
        )
        return
    if patterns:
        print_table(explained.table(), title=f"patterns in {len(rows)} sequences")
    typer.echo(f"{len(patterns)} patterns of {len(found)} seqlets; page in {(out / _PAGE).absolute()}")


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


@dataclass(frozen=True)
class _Explained:
    """What stands out in sequences.

    Attributes:
        titles: Of the sequences.
        contributions: Of their bases, shape ``(N, 4, L)``.
        seqlets: Stretches that stand out.
        patterns: What they have in common, the most frequent first.
    """

    titles: list[str]
    contributions: Tensor
    seqlets: pd.DataFrame
    patterns: list[Motif]

    def table(self) -> list[dict[str, Any]]:
        """A row for every pattern."""
        return [
            {
                "motif": f"motif_{number}",
                "consensus": pattern.consensus,
                "seqlets": len(pattern),
                "contribution": float((pattern.contributions * pattern.frequencies).sum()),
            }
            for number, pattern in enumerate(self.patterns, start=1)
        ]

    def write(self, folder: Path, facts: dict[str, str]) -> None:
        """Write the tables, the patterns for other programs, and the page with ``facts`` about it."""
        import pandas as pd

        from dasha.report.page import render_page
        from genomics_adapter.patterns import write_meme

        named = self.seqlets.copy()
        named.insert(0, "name", [self.titles[index] for index in named["example_idx"]])
        named.to_csv(folder / "seqlets.csv", index=False)
        columns = ["motif", "consensus", "seqlets", "contribution"]
        pd.DataFrame(self.table(), columns=columns).to_csv(folder / "motifs.csv", index=False)
        write_meme(self.patterns, folder / _MEME)
        (folder / _PAGE).write_text(render_page(self._page(facts)), encoding="utf-8")

    def _page(self, facts: dict[str, str]) -> Page:
        from dasha.report.page import Cell, Page, Section, Table
        from genomics_adapter.logos import draw_motifs

        patterns = Section(
            "Patterns",
            ["No pattern has enough seqlets; lower --min-members, or explain more sequences with --count."],
        )
        if self.patterns:
            cells = [
                [
                    Cell(row["motif"]),
                    Cell(row["consensus"]),
                    Cell(str(row["seqlets"]), numeric=True),
                    Cell(f"{row['contribution']:.3g}", numeric=True),
                ]
                for row in self.table()
            ]
            drawn = (draw_motifs(self.patterns[:_SHOWN]), "The most frequent: contributions, and bits.")
            table = Table(("Motif", "Consensus", "Seqlets", "Contribution"), cells)
            patterns = Section("Patterns", [], [drawn], [table])
        weighed = (self._weighed(), "Contribution of every base to the output; seqlets are shaded.")
        return Page(
            title="What the network looks for",
            lead=f"{len(self.patterns)} patterns in {len(self.titles)} sequences, "
            f"gathered from {len(self.seqlets)} seqlets.",
            sections=[
                patterns,
                Section("Sequences", ["The sequences with the largest output, the largest first."], [weighed]),
            ],
            facts=facts,
        )

    def _weighed(self) -> Figure:
        from genomics_adapter.logos import draw_attributions

        shown = min(_SHOWN, len(self.titles))
        spans = [
            [(int(start), int(end)) for start, end in own[["start", "end"]].to_numpy()]
            for own in (self.seqlets[self.seqlets["example_idx"] == index] for index in range(shown))
        ]
        return draw_attributions(self.contributions[:shown].numpy(), titles=self.titles[:shown], spans=spans)
