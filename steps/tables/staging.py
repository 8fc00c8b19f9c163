"""One source becomes one typed Parquet table: the fast way first, the exact way when anything is amiss.

The fast way infers types from the first rows, lets polars parse while it reads and looks at the result. Whenever that
fails or finds something odd, the exact way checks the shape of the files, infers from all rows, parses by
``steps.tables.parsing`` and reports what does not parse by file and row. Both give the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from steps.errors import InputError
from steps.journal import Journal
from steps.tables.exact import exact
from steps.tables.examine import Examination
from steps.tables.fast import fast
from steps.tables.opened import Opened
from steps.tables.parsing import Parse
from steps.tables.readers import Source, parts
from steps.tables.schema import Reading


@dataclass(frozen=True)
class Staged:
    """A source as a typed table."""

    path: Path
    parses: Mapping[str, Parse]
    readings: Mapping[str, Reading]
    """Of the columns that arrived as text."""
    examination: Examination
    report: dict[str, Any]


def stage(
    directory: Path, name: str, source: Source, declared: Mapping[str, Parse], scratch: Path, log: Journal
) -> Staged:
    """Read a source.

    Args:
        directory: ``raw/<source>``.
        declared: columns whose type the problem file gives.

    Raises:
        InputError: a file or a value is wrong.
    """
    target = scratch / f"{name}.parquet"
    found = parts(directory, name, source, scratch, whole=False)
    opened = Opened.of(name, source, found, declared)
    staged = fast(opened, target)
    if staged is None:
        found = parts(directory, name, source, scratch)
        opened = Opened.of(name, source, found, declared)
        staged = exact(opened, target)
    parses, examination = staged
    if examination.rows == 0:
        raise InputError(f"{found[0].name}: there are no rows below the header; wanted at least one")
    report = {"files": [part.report for part in found], "rows": examination.rows, "decimal": opened.decimal}
    report["types"] = {
        column: {"type": parse.type, **({"format": parse.format} if parse.format else {})}
        for column, parse in parses.items()
    }
    if examination.last_row > examination.rows:
        report["blank_records"] = examination.last_row - examination.rows
        log.note(f"source {name!r}: {report['blank_records']:,} records without any value were left out")
    for part in found:
        if part.dialect and part.dialect.header is None and source.header is None:
            log.note(
                f"{part.name}: no header was found; columns are named {part.columns[0]}, {part.columns[-1]} ... "
                "(header: true if there is one)"
            )
        if part.report.get("renamed"):
            log.note(f"{part.name}: columns without a name are called {', '.join(part.report['renamed'])}")
        if part.report.get("encoding", "utf-8") not in ("utf-8", "utf-8-sig") and source.encoding is None:
            log.note(f"{part.name}: read as {part.report['encoding']}")
    return Staged(target, parses, _readings(opened, parses), examination, report)


def _readings(opened: Opened, parses: Mapping[str, Parse]) -> dict[str, Reading]:
    missing = tuple(sorted(set(opened.source.missing)))
    decimal: Literal[".", ","] | None = None
    if opened.delimited:
        decimal = "," if opened.decimal == "," else "."
    return {name: Reading(missing=missing, decimal=decimal, format=parses[name].format) for name in opened.textual()}
