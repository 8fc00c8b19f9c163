"""The columns of the data before it is read: the header of each source, or what a query makes of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipelines.problem.checks import Columns
from steps.ingest import IngestConfig
from steps.tables.names import ROW
from steps.tables.readers import Part, read_parts
from steps.tables.sql import check_query

MOST_BYTES = 256 << 20
"""Larger files are not read to count their rows."""


def first_parts(config: IngestConfig, raw: Path, scratch: Path) -> dict[str, Part]:
    """Return the first file of each source, of which only the columns and the layout are looked at.

    Raises:
        InputError: a file cannot be read.
    """
    return {
        name: read_parts(raw / name, name, source, scratch, whole=False)[0] for name, source in config.sources.items()
    }


def needs_all(raw: Path) -> bool:
    """Return whether looking at the columns of a file means to read all of it."""
    return any(path.suffix.lower() in (".xlsx", ".xls", ".xlsb", ".ods", ".json") for path in raw.glob("*/*"))


def columns_of(config: IngestConfig, raw: Path, scratch: Path) -> Columns | None:
    """Return the columns of the table that ingest would write; None where headers do not tell.

    Raises:
        InputError: a file cannot be read, or the query is refused.
    """
    if needs_all(raw):
        return None
    parts = first_parts(config, raw, scratch)
    sources = [name for part in parts.values() for name in part.columns]
    if config.query is None:
        return Columns(sources, sources) if len(parts) == 1 else None
    check_query(config.query, "data.query")
    frames = {name: pl.LazyFrame(schema=dict.fromkeys((ROW, *part.columns), pl.String)) for name, part in parts.items()}
    try:
        schema = pl.SQLContext(frames=frames, eager=False).execute(config.query).collect_schema()
    except (pl.exceptions.PolarsError, ValueError):
        return None  # it computes with values whose types are not known yet
    return Columns([name for name in schema.names() if not name.startswith(ROW)], sources)


def count_values(config: IngestConfig, raw: Path, scratch: Path, column: str) -> dict[str, int] | str:
    """Return about how many rows have each value of a column, as it is written; in words why they are not counted.

    Raises:
        InputError: a file cannot be read.
    """
    if config.query or len(config.sources) > 1:
        return "rows are counted when data.query has made them"
    if needs_all(raw) or sum(path.stat().st_size for path in raw.glob("*/*")) > MOST_BYTES:
        return "rows are counted when the data is read"
    counts: dict[str, int] = {}
    for name, source in config.sources.items():
        for part in read_parts(raw / name, name, source, scratch, whole=False):
            if column not in part.columns:
                return "rows are counted when the data is read"
            values = part.text().select(pl.col(column).cast(pl.String).str.strip_chars().replace("", None)).drop_nulls()
            for value, rows in values.group_by(column).len().collect().iter_rows():
                if value not in source.missing:
                    counts[value] = counts.get(value, 0) + rows
    return counts
