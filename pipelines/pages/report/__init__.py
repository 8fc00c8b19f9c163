"""The report of a run as one self-contained HTML file.

gather.py    reads the run's files into Facts (light: no drawing, no templates)
words.py     the sentences about a run: verdict, limits, what to do next (of an evaluation: steps/evaluation/sentences.py)
decision.py  the first half in numbers: scores, weakest segments, what is read at a glance
evidence.py  the second half in words: labels, division, columns, training, lineage
markup.py    text, values and positions as HTML
figures.py   plots as inline SVG (matplotlib)
page.py      Facts -> HTML (jinja2), written whole or not at all
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.pages.report.gather import Facts, gather

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__: Sequence[str] = ("Facts", "gather", "render", "write_report")


def render(facts: Facts) -> str:
    """Return the page as one string; see :func:`pipelines.pages.report.page.render`."""
    from pipelines.pages.report.page import render

    return render(facts)


def write_report(workspace: Path, run: str) -> Path:
    """Write ``workspace/reports/<run>.html``; see :func:`pipelines.pages.report.page.write_report`."""
    from pipelines.pages.report.page import write_report

    return write_report(workspace, run)
