"""Plots as inline SVG: small, the same bytes for the same numbers, and no text in them that comes from data.

matplotlib draws; what it draws is parsed again, stripped of metadata and of its global style, given ids that cannot
clash with another figure's, and a title and description for those who do not see it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree as ET

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
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_ELEMENTS = {"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "image"}


def figure(title: str, description: str, draw: Callable[[Axes], None], *, height: float = HEIGHT) -> Markup:
    """Draw on one pair of axes and return an ``<svg>`` element.

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
    return _inline(buffer.getvalue(), title, description)


def _inline(document: str, title: str, description: str) -> Markup:
    root = ET.fromstring(document)  # noqa: S314  the document was made here, a moment ago
    prefix = "f" + hashlib.sha256(document.encode()).hexdigest()[:8]
    _prune(root)
    for element in root.iter():
        _tidy(element, prefix)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{prefix}t {prefix}d",
        "class": "figure",
        "preserveAspectRatio": "xMidYMid meet",
    }
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        child = ET.Element(tag, {"id": prefix + tag[0]})
        child.text = text
        root.insert(position, child)
    text = ET.tostring(root, encoding="unicode")
    return Markup(re.sub(r">\s+<", "><", text))  # noqa: S704  serialised by ElementTree, which escapes text and attributes


def _prune(element: ET.Element) -> None:
    for child in list(element):
        if child.tag.removeprefix(f"{{{_SVG}}}") not in _ELEMENTS:
            element.remove(child)
        else:
            _prune(child)


def _tidy(element: ET.Element, prefix: str) -> None:
    """Plain SVG names for HTML, own ids, two decimals, the page's font."""
    element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    attributes = {name.removeprefix(f"{{{_XLINK}}}"): value for name, value in element.attrib.items()}
    if element.tag == "g":
        attributes.pop("id", None)
    if "id" in attributes:
        attributes["id"] = prefix + attributes["id"]
    if attributes.get("href", "").startswith("#"):
        attributes["href"] = f"#{prefix}{attributes['href'][1:]}"
    if "clip-path" in attributes:
        attributes["clip-path"] = attributes["clip-path"].replace("url(#", f"url(#{prefix}")
    if "style" in attributes:
        attributes["style"] = re.sub(
            r"font-family:[^;]*(;|$)|\bfont: ([\d.]+px)[^;]*",
            lambda match: f"font-size: {match[2]}" if match[2] else "",
            attributes["style"],
        )
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    for name in ("d", "x", "y", "transform", "points", "width", "height"):
        if name in attributes:
            attributes[name] = " ".join(_NUMBER.sub(lambda match: f"{float(match[0]):.2f}", attributes[name]).split())
    element.attrib.clear()
    element.attrib.update(attributes)


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
