"""A source as a frame whose cells are text or values of the format's own types, before they are parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from model_code.tabular.values import cleaned
from steps.errors import InputError
from steps.tables.casting import canonical
from steps.tables.inference import infer
from steps.tables.names import ROW
from steps.tables.numerals import Marks
from steps.tables.parsing import Parse, natural_type
from steps.tables.readers import Part
from steps.tables.source import Source


@dataclass(frozen=True)
class SourceFrame:
    """The files of a source, and the type in which each of their columns arrives."""

    name: str
    source: Source
    parts: list[Part]
    declared: Mapping[str, Parse]
    """The parses of the columns whose type the problem file gives."""
    marks: Marks
    dtypes: Mapping[str, Any]
    """The polars type of each column as the format gives it."""
    strings: frozenset[str] = frozenset()
    """The columns whose format has types and says that they are text."""

    @classmethod
    def of(cls, name: str, source: Source, parts: list[Part], declared: Mapping[str, Parse]) -> SourceFrame:
        dialects = [part.dialect for part in parts if part.dialect]
        decimals = {dialect.decimal for dialect in dialects if dialect.decimal}
        marks = Marks(
            decimal=source.decimal or ("," if "," in decimals else "."),
            exact=source.decimal is not None,
            evident=source.decimal is not None or len(decimals) == 1,
            thousands=source.thousands,
            commas_delimit=any(dialect.delimiter == "," for dialect in dialects),
            source=name,
        )
        schemas = [part.text().collect_schema() for part in parts]
        dtypes = {column: _common([schema[column] for schema in schemas]) for column in parts[0].columns}
        strings = frozenset(
            column
            for column in parts[0].columns
            if not dialects and all(schema[column].base_type() in _STRINGS for schema in schemas)
        )
        return cls(name, source, parts, declared, marks, dtypes, strings)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.parts[0].columns

    @property
    def delimited(self) -> bool:
        return self.parts[0].dialect is not None

    @property
    def text_columns(self) -> list[str]:
        """The columns that arrive as strings, which have to be parsed."""
        return [name for name in self.columns if self.dtypes[name] == pl.String]

    def missing(self, column: str) -> tuple[str, ...]:
        """Return the cells that mean 'no value' in a column."""
        parse = self.declared.get(column)
        return (*self.source.missing, *(parse.missing if parse else ()))

    def repeated_headers(self) -> list[int]:
        """Return the numbers of the records that repeat the header."""
        numbers, start = [], 0
        for part in self.parts:
            if part.dialect is not None:
                rows = part.repeats_header().with_row_index(ROW, 1)
                numbers += [start + row for row in rows.filter("repeats").collect(engine="streaming")[ROW]]
                start += rows.select(pl.len()).collect(engine="streaming").item() if len(self.parts) > 1 else 0
        return numbers

    def text(self) -> pl.LazyFrame:
        """Return all parts as one frame of cleaned text and canonical values."""
        return pl.concat([self.part_text(part) for part in self.parts], how="vertical_relaxed")

    def part_text(self, part: Part) -> pl.LazyFrame:
        """Return one part with its strings cleaned, its other values canonical and its objects as JSON text.

        Raises:
            InputError: a column holds lists or binary values.
        """
        frame = part.text().select(self.columns)
        schema = frame.collect_schema()
        changes = []
        for name in self.columns:
            dtype, column = schema[name], pl.col(name)
            if isinstance(dtype, pl.Struct):
                column = column.struct.json_encode()
            elif dtype.is_nested() and (parse := self.declared.get(name)) and parse.textual:
                column = pl.struct(column).struct.json_encode()
            elif dtype.is_nested() or dtype in (pl.Binary, pl.Object):
                raise InputError(
                    f"{part.name}: column {name!r} holds {_kind(dtype)}, and a table needs one value in each cell; write its parts as "
                    f"columns, or leave it out with --ignore {name} or data.columns.{name}: {{type: text, role: ignore}}"
                )
            elif dtype != pl.String and not (self.dtypes[name] == pl.String and _whole(dtype)):
                canonical_values = canonical(column, dtype)
                column = column if canonical_values is None else canonical_values
            if self.dtypes[name] == pl.String:
                column = cleaned(column.cast(pl.String), self.missing(name))
            elif natural_type(dtype) != natural_type(self.dtypes[name]):
                column = column.cast(self.dtypes[name])
            changes.append(column.alias(name))
        return frame.select(changes)

    def choose_parses(self, frame: pl.LazyFrame) -> dict[str, Parse | None]:
        """Return how each string column is parsed: as declared, or as inferred from ``frame``; None without values."""
        complete = {
            name: replace(parse, decimal=self.marks.decimal)
            for name in self.text_columns
            if (parse := self.declared.get(name)) and (parse.format or parse.textual or parse.type == "boolean")
        }
        open_columns = [name for name in self.text_columns if name not in complete]
        declared = {name: self.declared[name] for name in open_columns if name in self.declared}
        parses = {**complete, **infer(frame, open_columns, self.marks, declared)}
        return {name: self._as_written(frame, name, parses[name]) for name in self.text_columns}

    def _as_written(self, frame: pl.LazyFrame, name: str, parse: Parse | None) -> Parse | None:
        """Return text for a column that its file says to be text, with a question where it holds something else.

        JSON has no dates, so there they are text that is meant as dates.
        """
        if parse is None or name not in self.strings or name in self.declared or parse.textual:
            return parse
        if parse.type in ("date", "datetime") and self.parts[0].format in ("json", "ndjson"):
            return parse
        if parse.type == "boolean" or frame.select(pl.col(name).str.contains(r"^0\d").any()).collect().item():
            return Parse("category")
        form = f", format: {parse.format!r}" if parse.format else ""
        note = (
            f"is text in the file, and all of its values are {'dates' if parse.format else 'numbers'}; to use them as such, "
            f"declare type: {parse.type}{form}"
        )
        return Parse("category", note=note, sure=False)


def _kind(dtype: pl.DataType) -> str:
    return "lists" if isinstance(dtype, pl.List | pl.Array) else "binary values" if dtype == pl.Binary else str(dtype)


_STRINGS = (pl.String, pl.Categorical, pl.Enum)


def _common(dtypes: list[pl.DataType]) -> pl.DataType:
    """The type in which a column arrives; strings where files disagree or a table has no such type."""
    if any(dtype in (pl.UInt64, pl.Int128, pl.UInt128) or _whole_decimal(dtype) for dtype in dtypes):
        return pl.String()  # parsed like the text of a CSV file: integers if all of them fit into 64 bits
    types = {natural_type(dtype) for dtype in dtypes if dtype != pl.Null}
    if types == {"integer", "float"}:
        return pl.Float64()
    first = next((dtype for dtype in dtypes if dtype != pl.Null), pl.Null())
    if len(types) != 1 or (natural_type(first) is None and not isinstance(first, pl.Duration)):
        return pl.String()
    return first


def _whole(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or _whole_decimal(dtype)


def _whole_decimal(dtype: pl.DataType) -> bool:
    """Decimals without a fraction, such as Oracle's NUMBER; as float64, long keys could become equal."""
    return isinstance(dtype, pl.Decimal) and dtype.scale == 0
