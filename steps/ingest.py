"""ingest: files of any common kind become one typed table, streamed so that it may be larger than memory.

Each source is staged as Parquet with typed columns and record numbers; a query joins the staged sources; the result is
examined once, batch by batch, for its digest, its missing values and what must not be in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from steps import documents
from steps.core import Config, Input, Output
from steps.errors import InputError
from steps.journal import Journal
from steps.tables.document import IngestReport
from steps.tables.schema import Available, Column, Monotone, Reading, Role, TableSchema, Type
from steps.tables.source import Source
from steps.tables.sql import names_after_as
from steps.wording import near

if TYPE_CHECKING:
    from steps.tables.examine import Examination
    from steps.tables.parsing import Parse
    from steps.tables.staging import Staged

__all__ = ["ColumnConfig", "IngestConfig", "Source", "ingest"]


class ColumnConfig(Config):
    """The declaration of a column; whatever is left out is inferred from its values."""

    type: Type | None = Field(default=None, description="integer, float, boolean, category, text, date or datetime.")
    role: Role = Field(default="feature", description="feature, key, group, time or ignore.")
    available: Available = Field(
        default="at-prediction", description="'later': not known when the prediction is made, so never a feature."
    )
    timezone: str | None = Field(
        default=None,
        description="The timezone of a datetime, such as Europe/Berlin, in which naive values are local.",
    )
    format: str | None = Field(default=None, description="The format of dates: %d.%m.%Y, %Y-%m-%dT%H:%M:%S%#z ...")
    clock_change: Literal["earlier", "later", "missing"] | None = Field(
        default=None,
        description="What a local time means that comes twice when clocks are set back; skipped ones are missing then.",
    )
    affixes: tuple[str, ...] = Field(
        default=(), description="What stands before or behind the numbers of this column, such as kg, and is left out."
    )
    missing: tuple[str, ...] = Field(
        default=(), description="Further cells that mean 'no value' in this column; the type is needed too."
    )

    monotone: Monotone | None = Field(
        default=None,
        description="increasing or decreasing: the prediction (of two classes, that of the positive one) never goes the other way "
        "while this number rises; only candidate trees can.",
    )
    hash: bool = Field(
        default=False,
        description="Keep a digest of each value in its place, for a column of role key, group or ignore: names, credentials.",
    )

    @field_validator("missing")
    @classmethod
    def _without_blanks(cls, missing: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(marker.strip() for marker in missing)

    @model_validator(mode="after")
    def _missing_of_a_type(self) -> Self:
        if (self.missing or self.affixes) and self.type is None:
            raise ValueError(f"{'missing' if self.missing else 'affixes'} needs the type of the column beside it")
        if self.monotone and (self.role != "feature" or self.available == "later"):
            raise ValueError("monotone needs a column that is a feature and known at prediction time")
        if self.hash and self.role not in ("key", "group", "ignore"):
            raise ValueError(f"hash needs role key, group or ignore; digests have no meaning for role {self.role}")
        return self


class DataSection(Config):
    """The sources of the data and its columns."""

    sources: dict[str, Source] = Field(
        min_length=1,
        description=(
            "The files, by a name that the query may use: letters, digits, _ and -, beginning with a letter or _, at "
            "most 64 characters."
        ),
    )
    query: str | None = Field(default=None, description="SQL over the sources; needed if there are several.")
    columns: dict[str, ColumnConfig] = Field(default={}, description="The declarations of columns, by name.")
    sample_rows: int | None = Field(
        default=None, gt=0, description="Keep about this many rows, chosen evenly (smoke runs)."
    )


class IngestConfig(DataSection):
    """The data, and the column of it that is predicted."""

    target: str | None = Field(default=None, description="The predicted column, which is never taken for free text.")


def ingest(raw: Input, table: Output, config: IngestConfig, log: Journal) -> None:
    """Read the sources into one table.

    Raises:
        InputError: a file, a value, a column's declaration or the query is wrong.
    """
    from steps.tables.staging import stage

    if config.query is None and len(config.sources) > 1:
        raise InputError(
            f"data.query is missing: there are {len(config.sources)} sources ({', '.join(config.sources)}); say in "
            "SQL how they are joined"
        )
    declared = _declared(config)
    scratch = table / ".reading"
    scratch.mkdir()
    try:
        staged = {}
        for position, (name, source) in enumerate(config.sources.items()):
            log.progress(position, len(config.sources) + 1, f"reading {name}")
            staged[name] = stage(raw / name, name, source, declared, scratch, log)
        log.progress(len(config.sources), len(config.sources) + 1, "writing the table")
        examination = _protect(_assemble(staged, table, config, scratch), table, config, log)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    parses = {name: parse for source in staged.values() for name, parse in source.parses.items()}
    columns = list(dict.fromkeys([*examination.columns, *parses]))
    for name in config.columns:
        if name not in columns:
            raise InputError(
                f"data.columns.{name}: no such column{near(name, columns)}; the columns are: {', '.join(columns)}"
            )
    schema = _schema(examination, parses, _readings(config, staged), config, log)
    documents.write(table, schema)
    sources = {name: source.report for name, source in staged.items()}
    documents.write(table, IngestReport(sources=sources, query=config.query, sample_rows=config.sample_rows))
    _log(log, schema, staged, table)


def _declared(config: IngestConfig) -> dict[str, Parse]:
    """Return the parses of columns with a declared type; a timezone alone declares a datetime."""
    from steps.tables.parsing import Parse

    return {
        name: Parse(
            column.type or "datetime",
            column.format,
            column.timezone,
            clock_change=column.clock_change,
            affixes=column.affixes,
            missing=column.missing,
            declared=True,
        )
        for name, column in config.columns.items()
        if column.type or column.timezone
    }


def _assemble(staged: Mapping[str, Staged], table: Path, config: IngestConfig, scratch: Path) -> Examination:
    """Write ``data.parquet`` from the staged sources."""
    from steps.tables.examine import examine
    from steps.tables.parquet import sample
    from steps.tables.query import join

    target = table / "data.parquet"
    if config.query is None:
        (source,) = staged.values()
        source.path.rename(target)
        examination = source.examination
    else:
        paths = {name: source.path for name, source in staged.items()}
        join(paths, config.query, _declared(config), scratch, target)
        examination = examine(target)
    if config.sample_rows is not None and examination.rows > config.sample_rows:
        sample(target, config.sample_rows / examination.rows)
        examination = examine(target)
    if examination.rows == 0:
        raise InputError(
            "the query gives no rows; check its join and its WHERE" if config.query else "the sample is empty"
        )
    return examination


def _protect(examination: Examination, table: Path, config: IngestConfig, log: Journal) -> Examination:
    """Take credentials out of the table, and put digests in place of what is declared so.

    Raises:
        SecretValues: values look like credentials, and their column is neither ignored nor hashed.
    """
    from steps.tables.examine import examine
    from steps.tables.secrets import SecretValues, find_secrets, protect

    data = table / "data.parquet"
    hashed = [name for name, column in config.columns.items() if column.hash and name in examination.columns]
    text = [name for name, content in examination.columns.items() if content.type is None and name not in hashed]
    secrets = list(find_secrets(data, text))
    ignored = {name for name, column in config.columns.items() if column.role == "ignore"}
    if refused := [secret for secret in secrets if secret.column not in ignored]:
        data.unlink()
        raise SecretValues(refused)
    for secret in secrets:
        log.note(str(secret) + "; it is ignored, and the table does not keep them")
    if not (secrets or hashed):
        return examination
    protect(data, [secret.column for secret in secrets], hashed)
    return examine(data)


def _readings(config: IngestConfig, staged: Mapping[str, Staged]) -> dict[str, Reading]:
    """Return how columns were read, for those that the table has as they are in all sources with that name."""
    computed = names_after_as(config.query, "data.query") if config.query is not None else set()
    readings: dict[str, set[Reading | None]] = {}
    for source in staged.values():
        for name in source.parses:
            readings.setdefault(name, set()).add(source.readings.get(name))
    return {
        name: reading
        for name, different in readings.items()
        if len(different) == 1 and name.lower() not in computed and (reading := next(iter(different)))
    }


def _schema(
    examination: Examination,
    parses: Mapping[str, Parse],
    readings: Mapping[str, Reading],
    config: IngestConfig,
    log: Journal,
) -> TableSchema:
    from steps.tables.examine import MANY

    columns = []
    texts = []
    for name, content in examination.columns.items():
        declared = config.columns.get(name, ColumnConfig())
        values = examination.rows - content.missing
        kind = content.type or _string_type(name, content.distinct, values, declared, config)
        if kind == "text" and declared.type is None and declared.role == "feature":
            texts.append(
                f"{name!r} ({content.distinct or MANY:,}{'' if content.distinct else ' or more'} in {values:,} rows)"
            )
        if declared.monotone and kind not in ("integer", "float"):
            raise InputError(f"data.columns.{name}.monotone: {name!r} is of type {kind}; only a number rises")
        if not values:
            log.warning(f"column {name!r} has no values at all")  # noqa: G004 - a journal, not logging
        if (parse := parses.get(name)) and parse.note:
            (log.note if parse.sure else log.warning)(f"column {name!r} {parse.note}")
        columns.append(
            Column(
                name=name,
                type=kind,
                role=declared.role,
                available=declared.available,
                timezone=content.timezone,
                monotone=declared.monotone,
                missing=content.missing,
                reading=readings.get(name),
            )
        )
    if texts:
        those = f"column {texts[0]} has" if len(texts) == 1 else f"columns {', '.join(texts)} have"
        log.note(f"{those} too many different values for categories: taken as text, which is not a feature")
    return TableSchema(
        rows=examination.rows, digest=examination.digest, columns=tuple(columns), layout=_layout(config.sources)
    )


def _layout(sources: Mapping[str, Source]) -> dict[str, Any]:
    """Return how the files of a single source are written, so far as its config says so for all columns."""
    if len(sources) > 1:
        return {}
    [source] = sources.values()
    by_column = {"decimal", "thousands", "missing"}
    return source.model_dump(mode="json", exclude={"path", *by_column}, exclude_defaults=True)


def _string_type(name: str, distinct: int | None, values: int, declared: ColumnConfig, config: IngestConfig) -> Type:
    """Return whether strings are categories or free text: as declared, or by how many distinct ones there are."""
    if declared.type in ("category", "text"):
        return declared.type
    if name == config.target:
        return "category"
    few = distinct is not None and (distinct <= 20 or distinct <= values / 2)
    return "category" if few else "text"


def _log(log: Journal, schema: TableSchema, staged: Mapping[str, Staged], table: Path) -> None:
    cells = schema.rows * len(schema.columns)
    missing = sum(column.missing for column in schema.columns)
    log.metrics(
        {
            "data/rows": schema.rows,
            "data/columns": len(schema.columns),
            "data/missing_fraction": missing / cells if cells else 0.0,
            "data/bytes": sum(file.bytes for source in staged.values() for file in source.report.files),
            "data/table_bytes": (table / "data.parquet").stat().st_size,
        }
    )
    log.parameter("data.digest", schema.digest)
    log.parameter("data.sources", ", ".join(staged))
    log.dataset(
        "table",
        digest=schema.digest,
        rows=schema.rows,
        columns=len(schema.columns),
        context="ingest",
        schema=schema.types(),
    )
    rows: list[dict[str, Any]] = [
        {"column": c.name, "type": c.type, "role": c.role, "available": c.available, "missing": c.missing}
        for c in schema.columns
    ]
    log.table("columns", rows)
    log.progress(len(staged) + 1, len(staged) + 1, f"{schema.rows:,} rows of {len(schema.columns)} columns")
