"""One self-contained HTML page: text, tables and figures, nothing loaded from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from dasha.report.style import to_svg


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What is shown.
        numeric: Aligned to the right.
        best: Set off as the best of its row or column.
        bar: Length of a bar behind the text, 0 to 1; None for none.
    """

    text: str
    numeric: bool = False
    best: bool = False
    bar: float | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: Headings.
        rows: Cells, one per column.
        caption: Line below the table.
        marked: Numbers of the rows that are set off.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    marked: Collection[int] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: Heading; empty for none.
        text: Paragraphs.
        figures: Drawn below the text, each with a description for readers who cannot see it.
        tables: Shown below the figures.
    """

    title: str = ""
    text: Sequence[str] = ()
    figures: Sequence[tuple[Figure, str]] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: Heading.
        lead: What the reader should take away, one or two sentences.
        sections: Parts in order.
        facts: Name and value of what the page was made from and with.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    facts: Mapping[str, str] = field(default_factory=dict)


def render_page(page: Page) -> str:
    """Return the page as HTML; every text is escaped."""
    environment = Environment(
        loader=PackageLoader("dasha.report", package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Safe as markup: Matplotlib escapes the text it puts into its SVG.
    environment.filters["svg"] = lambda figure: Markup(to_svg(figure))
    return environment.get_template("page.html").render(page=page)


def number_cells(values: Sequence[float], *, digits: int = 3, lower_is_better: bool = True) -> list[Cell]:
    """Return cells of numbers that are compared, the best set off and each with a bar; NaN shows as a dash.

    Args:
        values: The numbers.
        digits: Digits after the point.
        lower_is_better: Which end is the best.
    """
    finite = [value for value in values if math.isfinite(value)]
    best = (min(finite) if lower_is_better else max(finite)) if finite else math.nan
    top = max((abs(value) for value in finite), default=1.0) or 1.0
    return [
        Cell(
            f"{value:.{digits}f}" if math.isfinite(value) else "–",
            numeric=True,
            best=value == best,
            bar=abs(value) / top if math.isfinite(value) else None,
        )
        for value in values
    ]
