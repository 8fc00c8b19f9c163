"""Text from data and people set into Markdown so that it stays text: names may hold tags, pipes and new lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from steps.wording import clean, unmarked

_LONGEST = 500
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "@": "&#64;"}
"""Characters of HTML, of formulas, and of mentions and addresses: where no backslash helps, their number does."""


def escape(text: object) -> str:
    """One line of plain text: what CommonMark, GitHub, MLflow's page (Showdown) or HTML would act on is escaped.

    Characters that cannot be seen, or that turn the text around, are shown by their code.

    Underscores inside words and punctuation inside lines do nothing and are left, so that the source stays readable.
    """
    line = " ".join(clean(unmarked(str(text))).split())
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    line = re.sub("[&<>$@]", lambda match: _ENTITIES[match.group()], line)
    line = re.sub(r"([\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", line)
    line = re.sub(r"^([#+=-])(?=[\s#=-]|$)", r"\\\1", line)
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    line = line.replace("://", "&#58;//")  # a bare address is made a link by GitHub and others, and :tada: a picture
    return re.sub(r":(?=[\w+-]+:)", "&#58;", re.sub(r"(?i)(www)\.", r"\1&#46;", line))


def paragraph(label: str, text: object) -> str:
    return f"**{label}:** {escape(text)}\n"


def bullets(lines: Iterable[object]) -> str:
    return "".join(f"- {escape(line)}\n" for line in lines)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a cell is escaped, None is empty."""
    lines = [header, ["---"] * len(header), *([("" if cell is None else escape(cell)) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
