"""One look for every figure: colours, axes, and how a figure becomes bytes or theme-aware SVG."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1f2933", "#6b7785", "#e3e7ec", "#ffffff"
ACCENT = "#0b6e99"
# Okabe and Ito's colours, told apart by colour-blind readers as well; the accent is kept for Auto-AR.
OTHERS = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#8c6bb1", "#56b4e9", "#999933", "#882255")
# Colours that a page may redefine, for example in the dark.
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper", ACCENT: "--accent"}


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of its own, in inches, outside pyplot's global list."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def polish(axes: Axes, *, title: str = "", size: float = 9.0) -> None:
    """Give axes the common look: light horizontal grid, no box, small muted labels, title at the left."""
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=size - 1, length=0)
    for offset in (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()):
        offset.set(color=MUTED, fontsize=size - 1)
    if title:
        axes.set_title(escape(title), loc="left", fontsize=size, color=INK, fontweight="bold")


def escape(text: str) -> str:
    """Keep dollar signs in names from being read as mathematics."""
    return text.replace("$", r"\$")


def legend_options(size: float = 9.0) -> dict[str, Any]:
    """Options of a legend without a frame."""
    return {"frameon": False, "fontsize": size, "labelcolor": INK, "handlelength": 1.6, "columnspacing": 1.4}


def save_png(figure: Figure, path: Path, *, dpi: int = 160) -> None:
    """Write a figure as PNG on white, legible in light and dark surroundings."""
    figure.savefig(path, format="png", dpi=dpi, facecolor=PAPER)


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG element to put inside a page.

    Text stays text in the page's font, the background is transparent, and ink, grid and accent follow the CSS
    variables ``--ink``, ``--muted``, ``--grid``, ``--paper`` and ``--accent`` where the page defines them. Nothing
    outside the page is referred to.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sid="[A-Za-z0-9.]+_\d+"', "", svg)  # the same in every figure, and never referred to
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "inherit", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable}, {colour})")
    return svg
