"""ingest: files of any common kind become one typed table, streamed so that it may be larger than memory.

Each source is staged as Parquet with typed columns and record numbers; a query joins the staged sources; the result is
examined once, batch by batch, for its digest, its missing values and what must not be in it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field

from steps.core import Config, Input, Output
from steps.errors import InputError, near
from steps.journal import Journal
from steps.tables.examine import Examination, examine
from steps.tables.parsing import Parse
from steps.tables.query import join, sample
from steps.tables.readers import Source
from steps.tables.schema import Available, Column, Reading, Role, TableSchema, Type, write_schema
from steps.tables.sql import made_names
from steps.tables.staging import Staged, stage

__all__ = ["ColumnConfig", "IngestConfig", "Source", "ingest"]

MANY = 10_000
"""More distinct strings than this are free text, not categories."""


class ColumnConfig(Config):
    """What a column is; whatever is left out is inferred from its values."""

    type: Type | None = Field(default=None, description="integer, float, boolean, category, text, date or datetime.")
    role: Role = Field(default="feature", description="feature, key, group, time or ignore.")
    available: Available = Field(
        default="at-prediction", description="'later': not known when the prediction is made, so never a feature."
    )
    timezone: str | None = Field(
        default=None,
        description="Of a datetime, such as Europe/Berlin: where naive values are local, aware ones are kept.",
    )
    format: str | None = Field(default=None, description="How a date is written: %d.%m.%Y, %Y-%m-%dT%H:%M:%S%#z ...")


class IngestConfig(Config):
    """Where the data comes from and what its columns are."""

    sources: dict[str, Source] = Field(min_length=1, description="The files, by a name that the query may use.")
    query: str | None = Field(default=None, description="SQL over the sources; needed where there are several.")
    columns: dict[str, ColumnConfig] = Field(default={}, description="What columns are, by name.")
    sample_rows: int | None = Field(
        default=None, gt=0, description="Keep about so many rows, chosen evenly (smoke runs)."
    )
    target: str | None = Field(default=None, description="What is predicted, which keeps it from being called text.")


def ingest(raw: Input, table: Output, config: IngestConfig, log: Journal) -> None:
    """Read the sources into one table.

    Raises:
        InputError: a file, a value, a column's declaration or the query is wrong.
    """
    if config.query is None and len(config.sources) > 1:
        raise InputError(
            f"data.query is missing: there are {len(config.sources)} sources ({', '.join(config.sources)}); say in "
            "SQL how they are joined"
        )
    scratch = table / ".reading"
    scratch.mkdir()
    try:
        staged = {}
        for done, (name, source) in enumerate(config.sources.items()):
            log.progress(done, len(config.sources) + 1, f"reading {name}")
            staged[name] = stage(raw / name, name, source, _declared(config), scratch, log)
        log.progress(len(config.sources), len(config.sources) + 1, "writing the table")
        examination, parses = _assemble(staged, table, config, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _check_columns(config, staged, examination)
    schema = _schema(examination, parses, _readings(config, staged), config, log)
    write_schema(table, schema)
    report = {
        "sources": {name: each.report for name, each in staged.items()},
        "query": config.query,
        "sample_rows": config.sample_rows,
    }
    (table / "ingest.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _say(log, schema, staged, table)


def _declared(config: IngestConfig) -> dict[str, Parse]:
    return {
        name: Parse(column.type, column.format, column.timezone, declared=True)
        for name, column in config.columns.items()
        if column.type is not None
    } | {
        name: Parse("datetime", column.format, column.timezone, declared=True)
        for name, column in config.columns.items()
        if column.type is None and column.timezone
    }


def _assemble(
    staged: dict[str, Staged], table: Path, config: IngestConfig, scratch: Path
) -> tuple[Examination, dict[str, Parse]]:
    """``data.parquet`` out of the staged sources, and what is in it."""
    target = table / "data.parquet"
    parses = {name: parse for each in staged.values() for name, parse in each.parses.items()}
    if config.query is not None:
        join({name: each.path for name, each in staged.items()}, config.query, _declared(config), scratch, target)
    else:
        next(iter(staged.values())).path.rename(target)
    only = next(iter(staged.values()))
    examination = only.examination if config.query is None else examine(target, MANY)
    if config.sample_rows is not None and examination.rows > config.sample_rows:
        sample(target, config.sample_rows / examination.rows)
        examination = examine(target, MANY)
    if examination.rows == 0:
        raise InputError(
            "the query gives no rows; look at its join and its WHERE"
            if config.query
            else "there are no rows below the header"
        )
    return examination, parses


def _check_columns(config: IngestConfig, staged: dict[str, Staged], examination: Examination) -> None:
    known = list(dict.fromkeys([*examination.columns, *(name for each in staged.values() for name in each.parses)]))
    for name in config.columns:
        if name not in known:
            raise InputError(
                f"data.columns.{name}: there is no such column{near(name, known)}; there are: {', '.join(known)}"
            )


def _readings(config: IngestConfig, staged: dict[str, Staged]) -> dict[str, Reading]:
    """How columns were read, of those that are in the table as they are in a source."""
    made = made_names(config.query, "data.query") if config.query is not None else set()
    found: dict[str, set[Reading | None]] = {}
    for each in staged.values():
        for name in each.parses:
            found.setdefault(name, set()).add(each.readings.get(name))
    return {
        name: reading
        for name, all_readings in found.items()
        if len(all_readings) == 1 and name.lower() not in made and (reading := next(iter(all_readings)))
    }


def _schema(
    examination: Examination,
    parses: dict[str, Parse],
    readings: dict[str, Reading],
    config: IngestConfig,
    log: Journal,
) -> TableSchema:
    columns = []
    for name, found in examination.columns.items():
        given = config.columns.get(name, ColumnConfig())
        kind = found.type or _string_type(name, found.distinct, examination.rows - found.missing, given, config, log)
        if found.missing == examination.rows:
            log.warning(f"column {name!r} has no values at all")  # noqa: G004 - a journal, not logging
        if (parse := parses.get(name)) and parse.note:
            log.warning(f"column {name!r} {parse.note}")  # noqa: G004
        columns.append(
            Column(
                name=name,
                type=kind,
                role=given.role,
                available=given.available,
                timezone=found.timezone,
                missing=found.missing,
                reading=readings.get(name),
            )
        )
    return TableSchema(rows=examination.rows, digest=examination.digest, columns=tuple(columns))


def _string_type(
    name: str, distinct: int | None, values: int, given: ColumnConfig, config: IngestConfig, log: Journal
) -> Type:
    """Whether strings are categories or free text: declared, or by how many different ones there are."""
    if given.type in ("category", "text"):
        return given.type
    if name == config.target:
        return "category"
    if distinct is None or (distinct > 20 and distinct > values / 2):
        if given.role == "feature":
            how_many = f"more than {MANY:,}" if distinct is None else f"{distinct:,}"
            log.note(
                f"column {name!r} has {how_many} different values in {values:,} rows: taken as text, which is not "
                "a feature"
            )
        return "text"
    return "category"


def _say(log: Journal, schema: TableSchema, staged: dict[str, Staged], table: Path) -> None:
    cells = schema.rows * len(schema.columns)
    missing = sum(column.missing for column in schema.columns)
    log.metrics(
        {
            "data/rows": schema.rows,
            "data/columns": len(schema.columns),
            "data/missing_fraction": missing / cells if cells else 0.0,
            "data/bytes": sum(part["bytes"] for each in staged.values() for part in each.report["files"]),
            "data/table_bytes": (table / "data.parquet").stat().st_size,
        }
    )
    log.parameter("data.digest", schema.digest)
    log.parameter("data.sources", ", ".join(staged))
    log.dataset("table", digest=schema.digest, rows=schema.rows, columns=len(schema.columns), context="ingest")
    rows: list[dict[str, Any]] = [
        {"column": c.name, "type": c.type, "role": c.role, "available": c.available, "missing": c.missing}
        for c in schema.columns
    ]
    log.table("columns", rows)
    log.progress(len(staged) + 1, len(staged) + 1, f"{schema.rows:,} rows of {len(schema.columns)} columns")
