"""How cleaned text becomes typed values: one expression for each type.

``steps.tables.optimistic`` lets the CSV reader parse numbers instead. The reader accepts less than these expressions, never
more and never with another value; these decide about everything that it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from steps.tables.schema import Type

TRUE = ("true", "t", "yes", "y", "1", "on")
FALSE = ("false", "f", "no", "n", "0", "off")
LARGEST = 3.4e38
"""The largest number of a table: models compute in float32, which ends here; larger values are marks or accidents."""
DATE, DATETIME = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.f"
"""The formats of columns whose problem file declares no format and that inference never saw."""
_EXPECTED = {
    "integer": "an integer between -2^63 and 2^63-1",
    "float": "a number between -3.4e38 and 3.4e38",
    "boolean": f"one of {'/'.join(TRUE)} or {'/'.join(FALSE)}",
    "date": "a date",
    "datetime": "a date with a time",
    "category": "text",
    "text": "text",
}


@dataclass(frozen=True)
class Parse:
    """How the text of one column becomes values."""

    type: Type
    format: str | None = None
    """The strftime codes of dates, as chrono defines them."""
    timezone: str | None = None
    """The timezone in which naive datetimes are local and aware ones are kept."""
    declared: bool = False
    """True if the problem file gives the type, False if it was inferred from the values."""
    note: str | None = None
    """A remark about the inference for the reader of the journal."""

    @property
    def aware(self) -> bool:
        return bool(self.format and self.format.endswith("z"))

    @property
    def textual(self) -> bool:
        return self.type in ("category", "text")

    @property
    def expected(self) -> str:
        """The values that parse, in words, for messages."""
        return _EXPECTED[self.type] + (f" written as {self.format}" if self.format else "")


def cleaned(column: pl.Expr, missing: Iterable[str]) -> pl.Expr:
    """Return text without surrounding blanks; missing markers become missing."""
    text = column.str.strip_chars()
    return pl.when(text.is_in(sorted({*missing, ""})).not_()).then(text)


def converted(text: pl.Expr, parse: Parse, decimal: str = ".") -> pl.Expr:
    """Return the values of cleaned text; text that does not parse becomes missing."""
    match parse.type:
        case "integer":
            return text.str.replace(rf"^([+-]?\d+){re.escape(decimal)}0*$", "$1").cast(pl.Int64, strict=False)
        case "float":
            value = with_point(text, decimal).cast(pl.Float64, strict=False)
            return pl.when(value.abs() <= LARGEST).then(value)
        case "boolean":
            words = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}
            return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
        case "date":
            return four_digit_year(text.str.to_date(parse.format or DATE, strict=False))
        case "datetime":
            instant = text.str.to_datetime(parse.format or DATETIME, strict=False, time_unit="us")
            return zoned(four_digit_year(instant), parse, aware=parse.aware)
        case _:
            return text


def with_point(text: pl.Expr, decimal: str) -> pl.Expr:
    """Return numbers with a decimal point instead of the decimal mark.

    Where the mark is a comma, a point may separate thousands or be a decimal mark, so a number with one must not parse.
    """
    if decimal != ",":
        return text
    return text.str.replace(".", "_", literal=True).str.replace(",", ".", literal=True)


def four_digit_year(value: pl.Expr) -> pl.Expr:
    """Return dates; those with a shorter year become missing, since %Y takes 21 for the year 21."""
    return pl.when(value.dt.year() >= 1000).then(value)


def zoned(value: pl.Expr, parse: Parse, *, aware: bool) -> pl.Expr:
    """Return instants in the column's timezone.

    A local time that clocks skip or show twice becomes missing.
    """
    if aware:
        return value.dt.convert_time_zone(parse.timezone or "UTC")
    if parse.timezone:
        return value.dt.replace_time_zone(parse.timezone, ambiguous="null", non_existent="null")
    return value


def natural_type(dtype: pl.DataType) -> Type | None:
    """Return the type of values that are not text; None for text and for values that a table cannot hold."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype.is_decimal():
        return "float"
    types: dict[Any, Type] = {pl.Boolean: "boolean", pl.Date: "date", pl.Datetime: "datetime"}
    return types.get(type(dtype))
