"""From text to typed values: how each column is parsed, what type a column has, and which values do not parse.

Each type has one definition, an expression over text from which surrounding blanks and missing markers are gone. The
fast path of ``ingest`` lets the CSV reader parse numbers instead; it accepts less than these expressions, never more
and never with another value, and whatever it refuses is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.errors import InputError
from steps.tables.schema import Type

if TYPE_CHECKING:
    import polars as pl

TRUE = ("true", "t", "yes", "y", "1", "on")
FALSE = ("false", "f", "no", "n", "0", "off")
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
_DATED = r"^(\+?\d{4}[-/.]\s*\d{1,2}[-/.]\s*\d{1,2}|\d{1,2}[-/.]\s*\d{1,2}[-/.]\s*\+?\d{4})([T\s]|$)"
"""Whatever polars reads as a date: it lets numbers have blanks in front, and years a plus."""
_CLOCKS = ("%H:%M:%S%.f", "%H:%M")
DATETIMES = (
    *(f"%Y-%m-%d{gap}{clock}{zone}" for gap in ("T", " ") for clock in _CLOCKS for zone in ("", "%#z")),
    *(f"{date} {clock}" for date in DATES[1:] for clock in _CLOCKS),
)
_POINTED = r"^[+-]?(\d{1,3}(\.\d{3})+(,\d*)?|\d*\.\d+([eE][+-]?\d+)?)$"
"""A number with points between thousands, or with a decimal point."""
_POINTS_NOTE = (
    "holds numbers with points in a source whose decimal mark is a comma; a point may part thousands or be a decimal "
    "mark, so they are kept as text. Write them without points, or give the source's decimal: '.' if that is what it is"
)
LARGEST = 3.4e38
"""Beyond it a number is no measurement but a mark or an accident, and float32, in which models compute, soon ends."""
_WANTED = {
    "integer": "a whole number between -2^63 and 2^63-1",
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
    """Of dates: strftime codes as chrono has them."""
    timezone: str | None = None
    """Of datetimes: where naive values are local, and in which aware ones are kept."""
    declared: bool = False
    """By the problem file; otherwise inferred from the values."""
    note: str | None = None
    """What a person should know about the inference."""

    @property
    def aware(self) -> bool:
        return bool(self.format and self.format.endswith("z"))

    @property
    def wanted(self) -> str:
        """In words, for messages."""
        return _WANTED[self.type] + (f" written as {self.format}" if self.format else "")


def cleaned(column: pl.Expr, missing: Iterable[str]) -> pl.Expr:
    """Text without surrounding blanks; missing markers become missing."""
    import polars as pl

    text = column.str.strip_chars()
    return pl.when(text.is_in(sorted({*missing, ""})).not_()).then(text)


def converted(text: pl.Expr, parse: Parse, decimal: str = ".") -> pl.Expr:
    """The values of cleaned text; what does not parse becomes missing."""
    import polars as pl

    match parse.type:
        case "integer":
            return text.str.replace(rf"^([+-]?\d+){re.escape(decimal)}0*$", "$1").cast(pl.Int64, strict=False)
        case "float":
            value = _number(text, decimal)
            return pl.when(value.abs() <= LARGEST).then(value)
        case "boolean":
            words = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}
            return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
        case "date":
            return _full_year(text.str.to_date(parse.format or DATES[0], strict=False))
        case "datetime":
            instant = text.str.to_datetime(parse.format or DATETIMES[0], strict=False, time_unit="us")
            return zoned(_full_year(instant), parse, aware=parse.aware)
        case _:
            return text


def _number(text: pl.Expr, decimal: str) -> pl.Expr:
    import polars as pl

    return pointed(text, decimal).cast(pl.Float64, strict=False)


def pointed(text: pl.Expr, decimal: str) -> pl.Expr:
    """Numbers with a decimal point; where the mark is a comma, what has a point becomes no number: it may part thousands."""
    if decimal != ",":
        return text
    return text.str.replace(".", "_", literal=True).str.replace(",", ".", literal=True)


def _full_year(value: pl.Expr) -> pl.Expr:
    """%Y takes 21 for the year 21; a year of fewer than four digits is a date in another form."""
    import polars as pl

    return pl.when(value.dt.year() >= 1000).then(value)


def zoned(value: pl.Expr, parse: Parse, *, aware: bool) -> pl.Expr:
    """Instants in the column's timezone. A local time that is skipped or comes twice when clocks change is missing."""
    if aware:
        return value.dt.convert_time_zone(parse.timezone or "UTC")
    if parse.timezone:
        return value.dt.replace_time_zone(parse.timezone, ambiguous="null", non_existent="null")
    return value


def natural(kind: pl.DataType) -> Type | None:
    """The type of a column that is no text; None for text, and for what a table cannot hold."""
    import polars as pl

    if kind.is_integer():
        return "integer"
    if kind.is_float() or kind.is_decimal():
        return "float"
    named: dict[Any, Type] = {pl.Boolean: "boolean", pl.Date: "date", pl.Datetime: "datetime"}
    return named.get(type(kind))


def infer(
    frame: pl.LazyFrame, columns: Sequence[str], decimal: str, wanted: Mapping[str, Parse] | None = None
) -> dict[str, Parse | None]:
    """The narrowest type that every value of each column has; None for a column without values.

    Args:
        frame: cleaned text; looked at whole, in two passes that stream.
        wanted: columns whose type is declared but not how their dates are written.
    """
    found: dict[str, Parse | None] = {}
    open_columns = []
    for name, counts in _counts(frame, columns, decimal).items():
        declared = (wanted or {}).get(name)
        if declared is None and counts["values"] == 0:
            found[name] = None
        elif declared is None and (simple := _simple(counts)):
            found[name] = simple
        else:
            open_columns.append(name)
    found.update(_infer_dates(frame, open_columns, wanted or {}))
    return {name: found[name] for name in columns}


def _counts(frame: pl.LazyFrame, columns: Sequence[str], decimal: str) -> dict[str, dict[str, int]]:
    import polars as pl

    def questions(name: str) -> Iterable[tuple[str, pl.Expr]]:
        text = pl.col(name)
        yield "values", text.count()
        yield "boolean", text.str.to_lowercase().is_in(["true", "false"]).sum()
        yield "integer", text.cast(pl.Int64, strict=False).count()
        yield "digits", text.str.contains(r"^[+-]?\d+$").sum()
        yield "finite", _number(text, decimal).is_finite().sum()
        yield "infinite", _number(text, decimal).is_infinite().sum()
        if decimal == ",":
            yield "pointed", text.str.contains(_POINTED).sum()

    return _ask(frame, {name: dict(questions(name)) for name in columns})


def _ask(frame: pl.LazyFrame, questions: Mapping[str, Mapping[str, pl.Expr]]) -> dict[str, dict[str, int]]:
    """One pass that answers all questions about all columns."""
    flat = {(name, what): expression for name, asked in questions.items() for what, expression in asked.items()}
    if not flat:
        return {name: {} for name in questions}
    answers = (
        frame.select(expression.alias(str(number)) for number, expression in enumerate(flat.values()))
        .collect(engine="streaming")
        .row(0)
    )
    result: dict[str, dict[str, int]] = {name: {} for name in questions}
    for (name, what), answer in zip(flat, answers, strict=True):
        result[name][what] = int(answer or 0)
    return result


def _simple(counts: Mapping[str, int]) -> Parse | None:
    values = counts["values"]
    if counts["boolean"] == values:
        return Parse("boolean")
    if counts["integer"] == values:
        return Parse("integer")
    if counts["digits"] == values:
        return Parse("category", note="holds whole numbers beyond 64 bits; they are kept as text")
    if counts["infinite"] == values:
        return Parse("category", note="holds nothing but infinities; they are kept as text")
    if counts["finite"] + counts["infinite"] == values:
        return Parse("float")  # huge and infinite values are refused later, by row
    if counts.get("pointed") and counts["finite"] + counts["infinite"] + counts["pointed"] == values:
        return Parse("category", note=_POINTS_NOTE)
    return None


def _infer_dates(frame: pl.LazyFrame, columns: Sequence[str], wanted: Mapping[str, Parse]) -> dict[str, Parse]:
    """Dates, if one way of writing them holds for all values; category otherwise."""
    import polars as pl

    def questions(name: str) -> Iterable[tuple[str, pl.Expr]]:
        text = pl.col(name)
        only = wanted[name].type if name in wanted else None
        yield "values", text.count()
        if only != "datetime":
            for written in DATES:
                yield written, _full_year(text.str.to_date(written, strict=False)).count()
        if only != "date":
            for written in DATETIMES:
                yield written, _full_year(text.str.to_datetime(written, strict=False, time_unit="us")).count()

    shape = {
        name: {"values": pl.col(name).count(), "dated": pl.col(name).str.contains(_DATED).sum()} for name in columns
    }
    shapes = _ask(frame, shape)
    dated = [name for name in columns if name in wanted or shapes[name]["dated"] == shapes[name]["values"]]
    answers = _ask(frame, {name: dict(questions(name)) for name in dated})
    found: dict[str, Parse] = {name: Parse("category") for name in columns}
    for name in dated:
        values = answers[name].pop("values")
        fitting = [written for written, count in answers[name].items() if count == values]
        found[name] = _dated(fitting, answers[name], wanted.get(name))
        if name in wanted and values and len(both := _day_or_month(fitting)) > 1:
            raise InputError(
                f"column {name!r}: its dates may be written as {both[0]} or as {both[1]}, both fit every value; "
                f"say which with data.columns.{name}.format"
            )
    return found


def _dated(fitting: Sequence[str], counts: Mapping[str, int], declared: Parse | None) -> Parse:
    if declared:
        best = fitting[0] if fitting else max(counts, key=lambda written: counts[written])
        return Parse(declared.type, best, declared.timezone, declared=True)
    if not fitting:
        return Parse("category")
    if len(both := _day_or_month(fitting)) > 1:
        note = f"may be dates, but both {both[0]} and {both[1]} fit; declare type and format to use it as one"
        return Parse("category", note=note)
    return Parse("date" if fitting[0] in DATES else "datetime", fitting[0])


def _day_or_month(fitting: Sequence[str]) -> list[str]:
    """The first way with the day in front and the first with the month, of those that fit."""
    return [written for start in ("%d", "%m") for written in [w for w in fitting if w.startswith(start)][:1]]


def failures(frame: pl.LazyFrame, parses: Mapping[str, Parse], decimal: str) -> dict[str, int]:
    """How many values of each column do not parse, for the columns where any do not."""
    import polars as pl

    asked = {
        name: {"wrong": (pl.col(name).is_not_null() & converted(pl.col(name), parse, decimal).is_null()).sum()}
        for name, parse in parses.items()
        if parse.type not in ("category", "text")
    }
    return {name: counts["wrong"] for name, counts in _ask(frame, asked).items() if counts["wrong"]}


@dataclass(frozen=True)
class Wrong:
    """The first values of a column that do not parse."""

    rows: tuple[int, ...]
    examples: tuple[str, ...]


def first_wrong(frame: pl.LazyFrame, name: str, parse: Parse, decimal: str, row: str, most: int = 5) -> Wrong:
    """Rows (1-based, by column ``row``) and distinct values that do not parse."""
    import polars as pl

    wrong = (
        frame.filter(pl.col(name).is_not_null() & converted(pl.col(name), parse, decimal).is_null())
        .select(row, name)
        .head(200)
        .collect(engine="streaming")
    )
    examples = wrong[name].unique(maintain_order=True).to_list()[:3]
    return Wrong(tuple(wrong[row].to_list()[:most]), tuple(examples))


def advice(parse: Parse, examples: Sequence[str], decimal: str, source: str, name: str) -> str:
    """What would work instead."""
    marker = f"declare them missing (data.sources.{source}.missing)"
    text = f"declare data.columns.{name}.type: category or text"
    if (
        parse.type in ("integer", "float")
        and decimal == "."
        and all(re.fullmatch(r"[+-]?\d+,\d+", each) for each in examples)
    ):
        return f"set data.sources.{source}.decimal: ','"
    if parse.type in ("integer", "float") and decimal == "," and any("." in each for each in examples):
        return (
            f"the decimal mark is a comma: write numbers without points between thousands, set data.sources.{source}"
            f".decimal: '.' if the point is the mark, {marker}, or {text}"
        )
    if parse.type == "integer" and all(re.fullmatch(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", each) for each in examples):
        return f"declare data.columns.{name}.type: float"
    if parse.type == "integer" and all(re.fullmatch(r"[+-]?\d+", each) for each in examples):
        return f"they do not fit into 64 bits: {text}"
    if parse.type in ("date", "datetime"):
        return f"give data.columns.{name}.format, {marker}, or {text}"
    return f"{marker}, or {text}"
