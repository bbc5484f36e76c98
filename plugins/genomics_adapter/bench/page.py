"""The page of the genomics benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dasha.bench.beside import NOTE, published_table, source_section, sources_of
from dasha.bench.cases import Measured
from dasha.bench.facts import facts
from dasha.bench.kernels import cluster, comparable
from dasha.bench.summary import Summary, summarise, summary_table
from dasha.published import PublishedScore
from dasha.report.page import Cell, Page, Section, Table
from dasha.report.task_kernels import task_kernel_figure
from genomics_adapter.bench.data import benchmarks_of, info_of, means_of
from genomics_adapter.bench.run import overall, places_of, searched

_DISTANCE = (
    "Do the same data lead to the same kernels? The distance of two runs is the mean over the layers of how many times "
    "kernel size and dilation differ, in powers of two. Runs with the same seed begin from the same "
    "draws and are not compared; runs whose network has other layers than most are left out."
)


def genomics_page(measured: Sequence[Measured], data: Mapping[str, Mapping[str, Any]], *, command: str) -> Page:
    """Return the page: all tasks together, the kernels, a section per task, then the sources.

    Args:
        measured: What was measured.
        data: Facts of every task.
        command: What makes this page.
    """
    records = [one.record for one in measured]
    summaries = summarise(records)
    names = list(dict.fromkeys(one.dataset for one in summaries))
    means = [one for benchmark in benchmarks_of(names) for one in means_of(benchmark)]
    sources = sources_of([*means, *(one for name in names for one in info_of(name).published)])
    return Page(
        title="DASHA on tasks of DNA sequences",
        lead=_lead(summaries),
        sections=[
            Section(
                "All tasks together", text=[NOTE], tables=[_overall_table(summaries), *_mean_tables(means, sources)]
            ),
            *_kernel_sections(records),
            *(_task_section([one for one in summaries if one.dataset == name], data[name], sources) for name in names),
            *source_section(sources),
        ],
        facts=facts(
            [one.environment for one in measured],
            [one.time for one in measured],
            command=command,
            protocol={
                "Protocol": "Everything is chosen on validation data; test data is looked at once, in the end. Every "
                "metric is computed once over all predictions.",
                "Strands": "The strand of training sequences is random and predictions are the mean over both strands, "
                "except for splice sites.",
                "Seconds": "Of choice of the network, search, tuning and training, by the clock on the wall, for one "
                "seed.",
            },
        ),
    )


def _lead(summaries: Sequence[Summary]) -> str:
    parts = [
        f"{row['method']} is in place {row['mean_place']:.1f} of {row['mean_of']:.1f} on average over {row['tasks']} "
        f"task{'' if row['tasks'] == 1 else 's'} of {row['benchmark']}"
        for row in overall(summaries)
        if row["mean_place"] is not None
    ]
    return f"{'; '.join(parts)}." if parts else "Nothing comparable is published for these tasks."


def _overall_table(summaries: Sequence[Summary]) -> Table:
    rows = [
        [
            Cell(row["benchmark"]),
            Cell(row["method"]),
            Cell(str(row["tasks"]), numeric=True),
            Cell(f"{row['mean']:.4f}", numeric=True),
            Cell(_place(row), numeric=True),
            Cell(f"{row['seconds']:.0f}", numeric=True),
        ]
        for row in overall(summaries)
    ]
    return Table(
        ("Benchmark", "Method", "Tasks", "Mean score", "Mean place", "Seconds"),
        rows,
        caption="The mean score is over the tasks run, each by its own metric, and comparable with a published mean "
        "only if all tasks were run. A place is the rank of our mean over the seeds among the published figures of the "
        "same task and metric.",
    )


def _place(row: Mapping[str, Any]) -> str:
    return "–" if row["mean_place"] is None else f"{row['mean_place']:.1f} of {row['mean_of']:.1f}"


def _mean_tables(means: Sequence[PublishedScore], sources: Sequence[str]) -> list[Table]:
    return [published_table(means, sources)] if means else []


def _kernel_sections(records: Sequence[Mapping[str, Any]]) -> list[Section]:
    sections = []
    for method in searched(records):
        runs = comparable([record for record in records if record["method"] == method])
        tasks: dict[str, list[Any]] = {}
        for run in runs:
            tasks.setdefault(run.dataset, []).append(run.architecture)
        found = cluster(runs)
        verdict = f"{method}: {found}." if found else f"{method}: too few runs to compare."
        figure = task_kernel_figure(tasks)
        described = f"Kernels that {method} chose on {len(tasks)} tasks, one line per run in every layer."
        sections.append(Section(f"Kernels of {method}", text=[_DISTANCE, verdict], figures=[(figure, described)]))
    return sections


def _task_section(summaries: Sequence[Summary], known: Mapping[str, Any], sources: Sequence[str]) -> Section:
    info, places = info_of(summaries[0].dataset), places_of(summaries)
    ranks = [f"{one.method} {found}" for one in summaries if (found := places[one.dataset, one.method])]
    figures = info.published
    return Section(
        info.name,
        text=[
            f"{known['length']} bases; split {known['split']}. {_leaks(known['leaks'])}",
            *([f"Places: {', '.join(ranks)}."] if ranks else ["No figure of the same task is published here."]),
        ],
        tables=[summary_table(summaries), *([published_table(figures, sources)] if figures else [])],
    )


def _leaks(leaks: Mapping[str, Mapping[str, int]]) -> str:
    found = [
        f"{pair}: {count['exact']} sequences in both, {count['reverse_complement']} more as reverse complements"
        for pair, count in leaks.items()
        if any(count.values())
    ]
    return f"Shared sequences: {'; '.join(found)}." if found else "No sequence is in two parts."
