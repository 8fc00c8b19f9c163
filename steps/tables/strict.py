"""The strict parser: types from all rows, every value checked; what does not parse is named by column, file and row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from model_code.tabular.values import converted
from steps.errors import InputError
from steps.tables.casting import as_type, refuse_unfit
from steps.tables.examine import Examination, examine
from steps.tables.names import ROW
from steps.tables.parquet import numbered, write
from steps.tables.parsing import Odd, Parse, natural_type
from steps.tables.readers import Part, reading
from steps.tables.source_frame import SourceFrame

_ROWS, _EXAMPLES, _LONGEST, _WORDS = 5, 3, 40, 12
"""How many rows and values a message names, and the characters of each value."""


class UnparsedValues(InputError):
    """Values that are not of the type of their column."""

    def __init__(self, message: str, columns: dict[str, Odd]) -> None:
        super().__init__(message)
        self.columns = columns


class RaggedRows(InputError):
    """A few records of the only file of a source have too few cells, as a footer or subtotals have."""

    def __init__(self, message: str, source: str, file: str, rows: Mapping[int, str], *, at_end: bool) -> None:
        super().__init__(message)
        self.source = source
        self.file = file
        self.rows = rows
        """The text of the records by their numbers."""
        self.at_end = at_end
        """True if they stand below all other records."""


def _shape_error(source: SourceFrame, part: Part, message: str) -> InputError:
    faults = part.faults()
    if not faults.short or len(source.parts) > 1:
        return InputError(message)
    numbers = {ragged.line: ragged.record for ragged in faults.short}
    with part.path.open(encoding="utf-8", errors="replace") as lines:
        rows = {numbers[number]: line.strip() for number, line in enumerate(lines, 1) if number in numbers}
    return RaggedRows(message, source.name, part.name, rows, at_end=faults.at_end)


def parse_strict(source: SourceFrame, target: Path) -> tuple[dict[str, Parse], Examination]:
    """Write the table.

    Raises:
        InputError: the shape of a file or a value is wrong; the message says where.
    """
    for part in source.parts:
        if source.delimited and (fault := part.fault(f"data.sources.{source.name}")):
            raise _shape_error(source, part, f"{part.name}, {fault}")
    files = ", ".join(part.name for part in source.parts)
    with reading(files):
        frame = source.text()
        parses = source.choose_parses(frame)
        text = {name: parse for name, parse in parses.items() if parse}
        _refuse_unparsed(source, frame, text)
        typed = {
            name: parse for name, parse in source.declared.items() if name in source.columns and name not in parses
        }
        refuse_unfit(frame, typed, files)
        table = numbered(
            frame.with_columns(
                *(converted(pl.col(name), parse).alias(name) for name, parse in text.items()),
                *(as_type(pl.col(name), source.dtypes[name], parse).alias(name) for name, parse in typed.items()),
            )
        )
        if source.delimited:  # a blank line is a record without any value
            table = table.filter(pl.any_horizontal(pl.col(column).is_not_null() for column in source.columns))
        write(table, target)
    examination = examine(target)
    _refuse_contents(source, examination)
    natural = {name: natural_type(source.dtypes[name]) for name in source.columns}
    return {
        **{name: parse or Parse("category") for name, parse in parses.items()},
        **{name: source.declared.get(name) or Parse(kind) for name, kind in natural.items() if kind},
    }, examination


def _refuse_unparsed(source: SourceFrame, frame: pl.LazyFrame, parses: Mapping[str, Parse]) -> None:
    """Check that every value parses.

    Raises:
        InputError: some do not; they are named by column, file and row.
    """
    wrong = {name: _unparsed(name, parse).sum().alias(name) for name, parse in parses.items() if not parse.textual}
    counts = frame.select(wrong.values()).collect(engine="streaming").row(0, named=True) if wrong else {}
    odd = {name: count for name, count in counts.items() if count}
    if odd:
        lines = [_unparsed_line(source, name, parses[name], count) for name, count in odd.items()]
        raise UnparsedValues(
            "\n".join(lines), {name: _odd(frame, name, parses[name], count) for name, count in odd.items()}
        )


def _odd(frame: pl.LazyFrame, name: str, parse: Parse, count: int) -> Odd:
    rows = frame.select(name).with_row_index(ROW, 1).filter(_unparsed(name, parse))
    first = rows.head(10_000).collect(engine="streaming")
    words = first[name].unique(maintain_order=True).head(_WORDS)
    return Odd(parse.type, tuple(words), tuple(first[ROW].head(_ROWS)), count)


def _unparsed(name: str, parse: Parse) -> pl.Expr:
    if parse.clock_change:  # times that clocks skip or show twice are missing then
        parse = replace(parse, timezone=None)
    return pl.col(name).is_not_null() & converted(pl.col(name), parse).is_null()


def _unparsed_line(source: SourceFrame, name: str, parse: Parse, count: int) -> str:
    """Describe the wrong values of one column by the first file that holds any, with advice."""
    line = f"column {name!r}: {count:,} value{'' if count == 1 else 's'} cannot be read as {parse.expected}"
    for part in source.parts:
        rows = source.part_text(part).with_row_index(ROW, 1)
        wrong = rows.filter(_unparsed(name, parse)).select(ROW, name).head(200)
        values = wrong.collect(engine="streaming")
        if values.height:
            numbers = ", ".join(map(str, values[ROW].head(_ROWS)))
            more = " ..." if count > _ROWS else ""
            examples = values[name].unique(maintain_order=True).head(_EXAMPLES).to_list()
            if parse.timezone and _fits(examples, replace(parse, timezone=None)):
                return (
                    f"column {name!r}: {count:,} local time{' comes' if count == 1 else 's come'} twice or never when clocks change in "
                    f"{parse.timezone} ({part.name}, rows {numbers}{more}): {', '.join(map(repr, examples))}. Set "
                    f"data.columns.{name}.clock_change: earlier, later or missing, or write the times with their offset from UTC"
                )
            quoted = (repr(value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "...") for value in examples)
            advice = _advice(source, name, parse, examples)
            return f"{line} ({part.name}, rows {numbers}{more}): {', '.join(quoted)}. To fix it, {advice}"
    return line


def _fits(examples: Sequence[str], parse: Parse) -> bool:
    values = pl.select(converted(pl.lit(pl.Series(examples)), parse)).to_series()
    return values.null_count() == 0


def _advice(source: SourceFrame, name: str, parse: Parse, examples: Sequence[str]) -> str:
    """Say what would make the values parse."""
    settings = f"data.sources.{source.name}"
    words = ", ".join(json.dumps(example, ensure_ascii=False) for example in examples if len(example) <= _LONGEST)
    marker = f"declare them missing (data.columns.{name}: {{type: {parse.type}, missing: [{words}]}})"
    as_text = f"declare data.columns.{name}.type: category or text"

    def all_match(pattern: str) -> bool:
        return all(re.fullmatch(pattern, example) for example in examples)

    if parse.type in ("integer", "float") and all_match(r"[+-]?\d{1,3}([,.' ]\d{3})+"):
        return f"set {settings}.thousands: {next(c for c in examples[0] if c in ',. ' + chr(39))!r}, {marker}, or {as_text}"
    if parse.type in ("integer", "float") and parse.decimal == "." and all_match(r"[+-]?\d+,\d+"):
        return f"set {settings}.decimal: ','"
    if parse.type in ("integer", "float") and parse.decimal == "," and any("." in example for example in examples):
        return (
            f"write the numbers without points, since the decimal mark is a comma; set {settings}.decimal: '.' if the "
            f"point is the mark; {marker}, or {as_text}"
        )
    if parse.type == "integer" and all_match(r"[+-]?\d*\.\d+([eE][+-]?\d+)?"):
        return f"declare data.columns.{name}.type: float"
    if parse.type == "integer" and all_match(r"[+-]?\d+"):
        return f"{as_text}: the numbers do not fit into 64 bits"
    if parse.type in ("date", "datetime"):
        return f"give data.columns.{name}.format, {marker}, or {as_text}"
    return f"{marker}, or {as_text}"


def _refuse_contents(source: SourceFrame, examination: Examination) -> None:
    """Check for values that other formats may hold and a table may not.

    Raises:
        InputError: a number is huge, or text holds zero bytes.
    """
    for name, content in examination.columns.items():
        if content.huge:
            raise InputError(
                f"source {source.name!r}, column {name!r} holds infinite values, or larger ones than float32 can "
                "hold; use numbers between -3.4e38 and 3.4e38, or missing values"
            )
        if content.zero_bytes:
            raise InputError(f"source {source.name!r}, column {name!r} holds zero bytes; the data is damaged")
