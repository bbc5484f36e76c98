"""The report page of the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darts_autoar.comparison import AUTO_AR
from darts_autoar.report import comparison_figure, describe_fitting, describe_windows, score_table, versions
from darts_autoar.scores import SCALE_RULE
from dasha.report.page import Cell, Page, Section, Table, number_cells

if TYPE_CHECKING:
    from darts_autoar.commands.demo import Run


def demo_page(runs: list[Run], ranking: list[dict[str, Any]]) -> Page:
    """Return the page: the ranking first, then a section per data set.

    Args:
        runs: Data sets with their outcomes.
        ranking: Rows of the overall table, best first.
    """
    return Page(
        title="Auto-AR beside five Darts models on real series",
        lead=_lead(runs, ranking),
        sections=[
            Section(
                title="All series together",
                text=[
                    "Mean absolute scaled error (MASE) of every model on every series; below 1 is better than "
                    "repeating the last season was on the training part.",
                ],
                tables=[_ranking_table(runs, ranking)],
            ),
            *(_section(run) for run in runs),
        ],
        facts={
            "Windows": "Every window that fits into the last 30 % of a series, without overlap, with the horizons of "
            "the M competitions: 6 years, 8 quarters, 18 months, 48 hours.",
            "Fitting": describe_fitting([runs[0].task]),
            "Auto-AR": "A weighted mean of recursive and direct linear forecasters for every column, with weights by "
            "the error on the last rows before the first window (strategy='auto').",
            "Scores": f"{SCALE_RULE}.",
            "Missing values": "Auto-AR takes them as they are; for the other models they are filled from the history "
            "of each window alone.",
            "Versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        },
    )


def _lead(runs: list[Run], ranking: list[dict[str, Any]]) -> str:
    row = next(row for row in ranking if row["model"] == AUTO_AR)
    place = 1 + sum(other["mean rank"] < row["mean rank"] for other in ranking)
    joint = "joint " if sum(other["mean rank"] == row["mean rank"] for other in ranking) > 1 else ""
    wins = sum(min(run.scores, key=_mase).model == AUTO_AR for run in runs)
    windows = sum(len(run.task.windows.origins) for run in runs)
    return (
        f"{len(runs)} data sets, {windows} test windows, {len(ranking)} models. Auto-AR comes {joint}{_ordinal(place)} "
        f"by mean rank ({row['mean rank']:.1f}), is the most accurate on {wins} of {len(runs)} sets, and takes "
        f"{row['seconds']:.1f} seconds for all of them."
    )


def _mase(score: Any) -> float:
    return float("inf") if score.failed else float(score.mase)


def _ordinal(place: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(place, f"{place}th")


def _ranking_table(runs: list[Run], ranking: list[dict[str, Any]]) -> Table:
    names = [run.data.name for run in runs]
    scored = [*names, "mean MASE", "mean rank"]
    columns = {
        name: number_cells([row[name] for row in ranking], digits=1 if name == "mean rank" else 2) for name in scored
    }
    rows = [
        [Cell(row["model"]), *(columns[name][place] for name in scored), Cell(f"{row['seconds']:.1f}", numeric=True)]
        for place, row in enumerate(ranking)
    ]
    marked = [place for place, row in enumerate(ranking) if row["model"] == AUTO_AR]
    headings = ("Model", *(name[0].upper() + name[1:] for name in names), "Mean MASE", "Mean rank", "Seconds")
    return Table(headings, rows, marked=marked)


def _section(run: Run) -> Section:
    drawn = comparison_figure([run.task], run.outcomes, columns=run.data.columns)
    return Section(
        title=run.data.title,
        text=[f"{describe_windows([run.task]).capitalize()}. Source: {run.data.source}."],
        figures=[drawn] if drawn else [],
        tables=[score_table(run.scores)],
    )
