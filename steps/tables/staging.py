"""One source becomes one typed Parquet table: the fast way first, the exact way when anything is amiss.

The fast way infers types from the first rows, lets polars parse while it reads and looks at the result. Whenever that
fails or finds something odd, the exact way checks the shape of the files, infers from all rows, parses by
``steps.tables.parsing`` and reports what does not parse by file and row. Both give the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from steps.errors import InputError, refuse_full_disk
from steps.journal import Journal
from steps.schema import ROW, Reading
from steps.tables.examine import Examination, examine
from steps.tables.parsing import Parse, advice, cleaned, converted, failures, first_wrong, infer, natural
from steps.tables.query import as_type, canonical, write
from steps.tables.readers import Part, Source, parts

if TYPE_CHECKING:
    import polars as pl

SAMPLE = 10_000
"""Rows from which the fast way infers."""
MANY = 10_000
Parses = dict[str, Parse]


@dataclass(frozen=True)
class Staged:
    """A source as a typed table."""

    path: Path
    parses: Mapping[str, Parse]
    readings: Mapping[str, Reading]
    """Of the columns that arrived as text."""
    examination: Examination
    report: dict[str, Any]


@dataclass(frozen=True)
class _Reading:
    name: str
    source: Source
    parts: list[Part]
    declared: Mapping[str, Parse]
    decimal: str
    kinds: Mapping[str, Any]
    """Name -> polars type as the format gives it."""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.parts[0].columns

    @property
    def delimited(self) -> bool:
        return self.parts[0].dialect is not None

    def textual(self) -> list[str]:
        """Columns that arrive as strings, which have to be parsed."""
        import polars as pl

        return [name for name in self.columns if self.kinds[name] == pl.String]


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
    reading = _reading(name, source, found, declared)
    staged = _fast(reading, target)
    if staged is None:
        found = parts(directory, name, source, scratch)
        reading = _reading(name, source, found, declared)
        staged = _exact(reading, target)
    parses, examination = staged
    if examination.rows == 0:
        raise InputError(f"{found[0].name}: there are no rows below the header; wanted at least one")
    report = {"files": [part.report for part in found], "rows": examination.rows, "decimal": reading.decimal}
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
    return Staged(target, parses, _readings(reading, parses), examination, report)


def _readings(reading: _Reading, parses: Mapping[str, Parse]) -> dict[str, Reading]:
    missing = tuple(sorted(set(reading.source.missing)))
    decimal: Literal[".", ","] | None = None
    if reading.delimited:
        decimal = "," if reading.decimal == "," else "."
    return {name: Reading(missing=missing, decimal=decimal, format=parses[name].format) for name in reading.textual()}


def _reading(name: str, source: Source, found: list[Part], declared: Mapping[str, Parse]) -> _Reading:
    decimal = next((part.dialect.decimal for part in found if part.dialect and part.dialect.decimal == ","), ".")
    schemas = [part.text().collect_schema() for part in found]
    kinds = {column: _common([schema[column] for schema in schemas]) for column in found[0].columns}
    return _Reading(name, source, found, declared, decimal, kinds)


def _common(kinds: list[pl.DataType]) -> pl.DataType:
    """The type in which a column arrives; strings where files disagree or a table has no such type."""
    import polars as pl

    naturals = {natural(kind) for kind in kinds if kind != pl.Null}
    if naturals == {"integer", "float"}:
        return pl.Float64()
    first = next((kind for kind in kinds if kind != pl.Null), pl.Null())
    if len(naturals) != 1 or (natural(first) is None and not isinstance(first, pl.Duration)):
        return pl.String()
    return first


def _numbered(frame: pl.LazyFrame, columns: tuple[str, ...], *, drop_blank: bool) -> pl.LazyFrame:
    """``_row`` first; records without any value left out."""
    import polars as pl

    numbered = frame.with_row_index(ROW, 1).with_columns(pl.col(ROW).cast(pl.Int64))
    return (
        numbered.filter(pl.any_horizontal(pl.col(column).is_not_null() for column in columns))
        if drop_blank
        else numbered
    )


def _text(reading: _Reading, part: Part) -> pl.LazyFrame:
    """A part with its string columns cleaned and the others canonical; nested values as JSON text."""
    import polars as pl

    frame = part.text().select(reading.columns)
    schema = frame.collect_schema()
    changes = []
    for name in reading.columns:
        kind, column = schema[name], pl.col(name)
        if isinstance(kind, pl.Struct):
            column = column.struct.json_encode()
        elif kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise InputError(
                f"{part.name}: column {name!r} holds {kind}; wanted one value in each row. Flatten it, or leave it "
                "out of the file"
            )
        elif kind != pl.String:
            plain = canonical(column, kind)
            column = column if plain is None else plain
        if reading.kinds[name] == pl.String:
            column = cleaned(column.cast(pl.String), reading.source.missing)
        elif natural(kind) != natural(reading.kinds[name]):
            column = column.cast(reading.kinds[name])
        changes.append(column.alias(name))
    return frame.select(changes)


def _whole_text(reading: _Reading) -> pl.LazyFrame:
    import polars as pl

    frames = [_text(reading, part) for part in reading.parts]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")


def _wanted(reading: _Reading, frame: pl.LazyFrame) -> dict[str, Parse | None]:
    """How each string column is parsed: as declared, or as inferred from ``frame``."""
    undecided: dict[str, Parse] = {}
    found: dict[str, Parse | None] = {}
    ask = []
    for name in reading.textual():
        declared = reading.declared.get(name)
        if declared and (declared.format or declared.type not in ("date", "datetime")):
            found[name] = declared
            continue
        ask.append(name)
        if declared:
            undecided[name] = declared
    found.update(infer(frame, ask, reading.decimal, undecided))
    return {name: found[name] for name in reading.textual()}


def _typed_expressions(reading: _Reading, parses: Mapping[str, Parse | None]) -> list[pl.Expr]:
    """Everything that turns cleaned text and canonical values into the wanted types."""
    import polars as pl

    changes = []
    for name in reading.columns:
        parse = parses.get(name)
        if parse:
            changes.append(converted(pl.col(name), parse, reading.decimal).alias(name))
        elif name not in parses and (declared := reading.declared.get(name)):
            changes.append(as_type(pl.col(name), reading.kinds[name], declared).alias(name))
    return changes


def _fast(reading: _Reading, target: Path) -> tuple[Parses, Examination] | None:
    """The table, or None when the exact way has to decide."""
    import polars as pl

    if not reading.delimited:
        return None
    try:
        parses = _wanted(reading, _text(reading, reading.parts[0]).head(SAMPLE).collect(engine="streaming").lazy())
        if any(parse and parse.note for parse in parses.values()):
            return None
        frames = [_fast_part(reading, part, parses) for part in reading.parts]
        write(_numbered(pl.concat(frames), reading.columns, drop_blank=False), target)
    except (pl.exceptions.PolarsError, InputError):
        return None
    examination = examine(target, MANY, {*reading.source.missing, ""})
    last = examination.columns[reading.columns[-1]]
    if any(found.infinite or found.zero_bytes or found.unclean for found in examination.columns.values()):
        return None
    if any(parse is None and examination.columns[name].missing < examination.rows for name, parse in parses.items()):
        return None
    if last.missing and any(part.faults().describe(len(part.columns)) for part in reading.parts):
        return None
    if all(found.missing for found in examination.columns.values()):
        examination = _without_blank(target, examination)
    return {name: parse or Parse("category") for name, parse in parses.items()}, examination


def _without_blank(target: Path, examination: Examination) -> Examination:
    """Leave out records without any value, such as blank lines; looked for only where every column misses something."""
    import polars as pl

    table = pl.scan_parquet(target, glob=False)
    some_value = pl.any_horizontal(pl.col(column).is_not_null() for column in examination.columns)
    if table.select(some_value.all()).collect(engine="streaming").item():
        return examination
    kept = target.with_suffix(".kept")
    write(table.filter(some_value), kept)
    kept.replace(target)
    return examine(target, MANY)


def _fast_part(reading: _Reading, part: Part, parses: Mapping[str, Parse | None]) -> pl.LazyFrame:
    import polars as pl

    direct = {"integer": pl.Int64, "float": pl.Float64, "boolean": pl.Boolean}
    kinds = {name: direct[parse.type] for name, parse in parses.items() if parse and parse.type in direct}
    frame = part.typed(kinds, reading.source.missing).select(reading.columns)
    changes = []
    for name, parse in parses.items():
        if name in kinds:
            continue
        changes.append(_strict(pl.col(name), parse) if parse else pl.col(name).str.strip_chars())
    return frame.with_columns(changes)


def _strict(text: pl.Expr, parse: Parse) -> pl.Expr:
    """As ``converted``, but a value that does not parse is an error."""
    if parse.type == "date":
        return text.str.to_date(parse.format, strict=True)
    if parse.type == "datetime":
        value = text.str.to_datetime(parse.format, strict=True, time_unit="us")
        if parse.aware:
            return value.dt.convert_time_zone(parse.timezone or "UTC")
        return value.dt.replace_time_zone(parse.timezone) if parse.timezone else value
    return text.str.strip_chars()


def _exact(reading: _Reading, target: Path) -> tuple[Parses, Examination]:
    """The table, or a message that says what is wrong where."""
    import polars as pl

    for part in reading.parts:
        if reading.delimited and (fault := part.faults().describe(len(part.columns))):
            raise InputError(f"{part.name}, {fault}")
    try:
        frame = _whole_text(reading)
        parses = _wanted(reading, frame)
        known = {name: parse for name, parse in parses.items() if parse}
        _refuse(reading, known, failures(frame, known, reading.decimal))
        changed = frame.with_columns(_typed_expressions(reading, parses))
        write(_numbered(changed, reading.columns, drop_blank=reading.delimited), target)
    except pl.exceptions.PolarsError as error:
        refuse_full_disk(error)
        names = ", ".join(part.name for part in reading.parts)
        raise InputError(f"{names}: cannot be read: {str(error).splitlines()[0]}") from None
    examination = examine(target, MANY)
    _refuse_misfits(reading, examination)
    all_parses = {name: parse or Parse("category") for name, parse in parses.items()}
    return {**all_parses, **_natural_parses(reading)}, examination


def _natural_parses(reading: _Reading) -> Parses:
    found = {}
    for name in reading.columns:
        kind = natural(reading.kinds[name])
        if kind:
            found[name] = reading.declared.get(name) or Parse(kind)
    return found


def _refuse(reading: _Reading, parses: Mapping[str, Parse], wrong: Mapping[str, int]) -> None:
    """Say which values of which columns do not parse, by file and row."""
    if not wrong:
        return
    lines = []
    for name, count in wrong.items():
        lines.append(
            f"column {name!r}: {count:,} {'value is' if count == 1 else 'values are'} not {parses[name].wanted}"
        )
        examples: list[str] = []
        for part in reading.parts:
            numbered = _text(reading, part).with_row_index(ROW, 1)
            found = first_wrong(numbered, name, parses[name], reading.decimal, ROW)
            if found.rows:
                lines[-1] += (
                    f"; {part.name}, rows {', '.join(map(str, found.rows))}{' ...' if count > len(found.rows) else ''}"
                )
                examples = list(found.examples)
                break
        shown = ", ".join(repr(each if len(each) <= 40 else each[:37] + "...") for each in examples)
        lines[-1] += (
            f", such as {shown}. What would work: {advice(parses[name], examples, reading.decimal, reading.name, name)}"
        )
    raise InputError("\n".join(lines))


def _refuse_misfits(reading: _Reading, examination: Examination) -> None:
    """What typed formats may hold and a table may not."""
    for name, found in examination.columns.items():
        if found.infinite:
            raise InputError(
                f"source {reading.name!r}, column {name!r} holds infinite values; wanted finite numbers or missing "
                "values"
            )
        if found.zero_bytes:
            raise InputError(f"source {reading.name!r}, column {name!r} holds zero bytes; the data is damaged")
