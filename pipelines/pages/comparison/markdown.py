"""A comparison of runs as Markdown for a pull request; what comes from data or people stays text."""

from __future__ import annotations

from pipelines.pages.comparison.table import Comparison, Line
from steps.cards.markdown import bullets, escape


def markdown(comparison: Comparison) -> str:
    """Return one table for each group; the best values are bold."""
    head = _row(["", *map(escape, comparison.runs)]) + _row(["---"] * (1 + len(comparison.runs)))
    parts = [
        f"### {escape(' and '.join(comparison.runs))}\n" if len(comparison.runs) == 2 else "### Comparison of runs\n"
    ]
    for title, lines in comparison.groups:
        parts.append(f"**{escape(title)}**\n\n{head}{''.join(map(_line, lines))}")
    return "\n".join([*parts, bullets(comparison.notes)])


def _line(line: Line) -> str:
    cells = (f"**{escape(cell)}**" if i in line.best else escape(cell) for i, cell in enumerate(line.cells))
    return _row([escape(line.label), *cells])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
