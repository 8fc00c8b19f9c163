"""Plots as SVG images: small, the same bytes for the same numbers, with a description for those who do not see them."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from steps.evaluation.document import Bin

BLUE, ORANGE, GREY, INK, PALE = "#1d5b94", "#b8500f", "#7b8794", "#26323f", "#d9e2ec"
"""Distinct in lightness too, so that they survive colour blindness and grey printing."""
WIDTH, HEIGHT = 4.6, 2.9
"""Inches of 72 units: a figure is read one to one on a telephone and side by side on a desk."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.unicode_minus": True,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "path.simplify": True,
}
_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def figure(title: str, description: str, draw: Callable[[Axes], None], *, height: float = HEIGHT) -> Markup:
    """Draw on one pair of axes and return an ``<img>`` element that holds the plot.

    Args:
        title, description: our own words; what a screen reader says.
    """
    with mpl.rc_context(_STYLE | {"svg.hashsalt": title}):
        drawing = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasSVG(drawing)
        draw(drawing.subplots())
        buffer = io.StringIO()
        drawing.savefig(
            buffer, format="svg", dpi=110, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    svg = _NUMBER.sub(lambda match: f"{float(match[0]):.2f}", buffer.getvalue())
    image = base64.b64encode(svg.encode()).decode()
    return Markup('<img class="figure" alt="{}. {}" src="data:image/svg+xml;base64,{}">').format(
        title, description, image
    )


Series = tuple[str, Sequence[float], Sequence[float]]
"""Our own name for it, x, y."""
_LINES = ((BLUE, "-"), (ORANGE, "--"), (GREY, ":"), (INK, "-."))


def curves(title: str, series: Sequence[Series], x: str, y: str, mark: float | None = None) -> Markup:
    """Lines that differ in colour and in dash; ``mark`` is an x to point at (the epoch that was kept)."""

    def draw(axes: Axes) -> None:
        for (name, xs, ys), (colour, dash) in zip(series, _LINES * (1 + len(series) // len(_LINES)), strict=False):
            axes.plot(xs, ys, dash, color=colour, label=name, marker="o" if len(xs) == 1 else None)
        if mark is not None:
            axes.axvline(mark, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if len(series) > 1:
            axes.legend()

    ends = "; ".join(f"{name} goes from {ys[0]:.4g} to {ys[-1]:.4g}" for name, _, ys in series if len(ys))
    return figure(title, f"{y} by {x}. {ends}.", draw)


def calibration(bins: Sequence[Bin]) -> Markup:
    """Draw predicted probability against observed share, one dot per bin, its area by the bin's rows."""
    filled = [part for part in bins if part.rows]
    most = max((part.rows for part in filled), default=1)
    predicted, observed = [part.mean_predicted for part in filled], [part.observed for part in filled]

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
        axes.plot(predicted, observed, color=BLUE, linewidth=1, alpha=0.6)
        axes.scatter(predicted, observed, s=[14 + 76 * part.rows / most for part in filled], color=BLUE, zorder=3)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="predicted probability", ylabel="observed share")

    points = "; ".join(
        f"predicted {part.mean_predicted:.2f}, observed {part.observed:.2f} in {part.rows} rows" for part in filled
    )
    return figure("Calibration", f"Points on the dashed diagonal are perfectly calibrated. {points}.", draw)


def histogram(title: str, edges: Sequence[float], counts: Sequence[float], x: str) -> Markup:
    def draw(axes: Axes) -> None:
        axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.85)
        axes.axvline(0, color=INK, linewidth=0.9, linestyle="--")
        axes.set_xlabel(x)
        axes.set_ylabel("rows")

    return figure(
        title,
        f"{x}: {len(counts)} bins from {edges[0]:.4g} to {edges[-1]:.4g}, the fullest with {max(counts)} rows.",
        draw,
    )


def density(
    title: str, x_edges: Sequence[float], y_edges: Sequence[float], counts: Sequence[Sequence[float]]
) -> Markup:
    """Rows by predicted (x) and actual (y) value; ``counts[i][j]`` is for predicted bin i and actual bin j."""

    def draw(axes: Axes) -> None:
        values = np.asarray(counts, dtype=float).T
        blues = LinearSegmentedColormap.from_list("blues", ["#dbe7f3", "#0d3b66"])
        axes.grid(visible=False)
        axes.pcolormesh(x_edges, y_edges, np.ma.masked_equal(np.sqrt(values), 0), cmap=blues, rasterized=True)
        ends = (max(x_edges[0], y_edges[0]), min(x_edges[-1], y_edges[-1]))
        axes.plot(ends, ends, "--", color=ORANGE, linewidth=1.2)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")

    return figure(
        title,
        "Darker cells hold more rows; a perfect model has them all on the dashed diagonal.",
        draw,
        height=HEIGHT + 0.4,
    )
