"""The command about several finished runs: compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.commands.options import as_json, print_json, workspace_of_runs

if TYPE_CHECKING:
    from pipelines.pages.comparison.table import Comparison


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write an HTML page, too."
)
@workspace_of_runs
@as_json
def compare(runs: tuple[str, ...], as_markdown: bool, html: Path | None, workspace: Path, as_json: bool) -> None:
    """Show two or more runs side by side: verdicts, metrics with intervals, cost, and what their problems say differently."""
    from pipelines.pages.comparison.table import compare as compare_runs

    if as_markdown and as_json:
        raise click.UsageError("give --markdown or --json, not both")
    comparison = compare_runs(workspace, runs)
    if html:
        from pipelines.pages.comparison.page import write_page

        write_page(comparison, html)
    if as_json:
        groups = {
            title: {line.label: dict(zip(comparison.runs, line.cells, strict=True)) for line in lines}
            for title, lines in comparison.groups
        }
        page = str(html) if html else None
        print_json({"runs": list(comparison.runs), "groups": groups, "notes": list(comparison.notes), "html": page})
    elif as_markdown:
        from pipelines.pages.comparison.markdown import markdown

        click.echo(markdown(comparison))
    else:
        click.echo(_text(comparison))
        if html:
            click.echo(f"\n{html}")


def _text(comparison: Comparison) -> str:
    """Return the comparison for a terminal; a star marks the best values."""
    from pipelines.terminal import plain, table

    rows = [("", *comparison.runs)]
    for title, lines in comparison.groups:
        rows += [("",) * len(rows[0]), (title, *("" for _ in comparison.runs))]
        rows += [
            (f"  {line.label}", *(f"{cell} *" if i in line.best else cell for i, cell in enumerate(line.cells)))
            for line in lines
        ]
    notes = [f"  {note}" for note in comparison.notes]
    if any(line.best for _, lines in comparison.groups for line in lines):
        notes.insert(0, "  * the best value, on the same test rows")
    return plain("\n".join([table(rows, indent=""), "", *notes]))
