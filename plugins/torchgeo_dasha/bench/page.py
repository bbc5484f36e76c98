"""The page of the satellite benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dasha.bench.beside import NOTE, published_table, source_section, sources_of
from dasha.bench.cases import Measured
from dasha.bench.facts import facts
from dasha.bench.summary import Summary, summarise, summary_table
from dasha.published import PublishedScore, published_scores
from dasha.report.page import Page, Section
from torchgeo_dasha.bench.data import EUROSAT
from torchgeo_dasha.bench.stock import RATES, TUNING_SHARE

# What is shown beside our figures: EuroSAT in any split, and the paper's mean.
_BESIDE = ("m-eurosat", "eurosat-rgb", "eurosat-13-band", "mean of 9")
_OTHER_DATA = (
    "Published on the data named in the second column, none of it the images that were measured here: other images, "
    "bands, sizes of the training data and splits. They tell what is usual, not who is better."
)


def published_beside(name: str) -> list[PublishedScore]:
    """Published figures that are shown with a data set, task by task, best first."""
    if name != EUROSAT:
        return []
    return [one for task in _BESIDE for one in published_scores("satellite", task=task)]


def satellite_page(measured: Sequence[Measured], data: Mapping[str, Mapping[str, Any]], *, command: str) -> Page:
    """Return the page: a section per data set, then the sources.

    Args:
        measured: What was measured.
        data: Facts of every data set.
        command: What makes this page.
    """
    summaries = summarise([one.record for one in measured])
    names = list(dict.fromkeys(one.dataset for one in summaries))
    sources = sources_of([one for name in names for one in published_beside(name)])
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    return Page(
        title="DASHA beside TorchGeo's stock networks",
        lead=_lead(summaries),
        sections=[
            *(_section([one for one in summaries if one.dataset == name], data[name], sources) for name in names),
            *source_section(sources),
        ],
        facts=facts(
            [one.environment for one in measured],
            [one.time for one in measured],
            command=command,
            protocol={
                "Protocol": "All methods have the same images, splits, augmentation and seeds; everything is chosen on "
                "validation data, and test data is looked at once, in the end.",
                "Stock networks": "Random initial weights, AdamW, and the seconds that DASHA took with the same seed, "
                f"unless --seconds says otherwise: {100 * TUNING_SHARE:.0f} % for the learning rates {rates}, the rest "
                "for the training. The weights of the best validation epoch count.",
                "Seconds": "Of everything: search, tuning and training, by the clock on the wall.",
            },
        ),
    )


def _lead(summaries: Sequence[Summary]) -> str:
    parts = []
    for name in dict.fromkeys(one.dataset for one in summaries):
        own = sorted((one for one in summaries if one.dataset == name), key=lambda one: -one.mean)
        parts.append(f"{name}: {', '.join(f'{one.method} {one.mean:.3f}' for one in own)}")
    return f"Test scores, best first. {'; '.join(parts)}."


def _section(summaries: Sequence[Summary], known: Mapping[str, Any], sources: Sequence[str]) -> Section:
    name = summaries[0].dataset
    figures = published_beside(name)
    return Section(
        name,
        text=[f"Split {known['split']}.", *([NOTE] if figures else [])],
        tables=[
            summary_table(summaries),
            *([published_table(figures, sources, caption=_OTHER_DATA)] if figures else []),
        ],
    )
