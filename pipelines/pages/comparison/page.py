"""A comparison of runs as one self-contained HTML file: no script, nothing that is loaded."""

from __future__ import annotations

from pathlib import Path

from infra.files import write_atomically
from pipelines.pages.comparison.table import Comparison
from pipelines.pages.report.page import environment


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(path, render(comparison))


def render(comparison: Comparison) -> str:
    """Return the page."""
    page = environment(Path(__file__).parent).get_template("comparison.html").render(comparison=comparison)
    return page.encode("utf-8", "replace").decode("utf-8")
