"""The evidence of how dates are written in a column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from model_code.tabular.moments import CLOCKS, DATES, PERIODS, four_digit_year, is_date, parsed
from steps.errors import InputError
from steps.tables.evidence import PARTLY, Counts, Questions, ask, disagreeing, first_values, text_with
from steps.tables.parsing import Parse
from steps.tables.schema import Type

DATETIMES = (
    *(f"%Y-%m-%d{gap}{clock}{zone}" for gap in ("T", " ") for clock in CLOCKS[:2] for zone in ("", "%#z", " %#z")),
    *(
        f"{date}{gap}{clock}"
        for gap in (" ", ", ")
        for date in DATES
        for clock in CLOCKS
        if (date, gap) != ("%Y-%m-%d", " ") or clock not in CLOCKS[:2]
    ),
    *(
        "%a %b %d %H:%M:%S %Y",
        "%a, %d %b %Y %H:%M:%S %#z",
        "%d %b %Y %H:%M:%S %#z",
        "%d/%b/%Y:%H:%M:%S %#z",
        "%Y/%m/%d %H:%M:%S%.f%#z",
        "%d%b%Y:%H:%M:%S",
        "%a %b %d %H:%M:%S UTC %Y",
        "%a %b %d %Y %H:%M:%S GMT%#z",
    ),
    *("%Y%m%dT%H%M%S", "%Y%m%d %H%M%S", "%Y%m%dT%H%M%S%#z"),
)
_DOUBTFUL = ("%B-%y", "%B %y", "%B'%y", "%y-%B")
"""Months with short years, which may as well be months with days."""
DATE_LIKE = (
    r"^\+?\d{4}[-/.]\s*\d{1,2}([-/.]\s*\d{1,2}([T\s,]|$)|$)"
    r"|^\d{1,2}[-/.]\s*(\d{1,2}[-/.]\s*(\+?\d{4}|\d{2})([T\s,]|$)|\d{4}$)"
    r"|^([-\p{L}]{2,13}[.,]{0,2}\s+)?\d{1,4}[^\s\d]{0,3}[-/.\s]*(de\s|of\s)?\p{L}{3,10}[-/.,\s]*(de\s|del\s|of\s)?\d{1,4}(\D|$)"
    r"|^([-\p{L}]{2,13}[.,]{0,2}\s+)?\p{L}{3,10}[-/.,\s']*(de\s|of\s)?(\d{1,2}[^\s\d]{0,2}[-/.,\s]+(\d{4}|\d\d)|\d{4}|\d\d)(\D|$)"
    r"|^\d{2,4}[-/.\s]*\p{L}{3,10}\.?$"
    r"|^\d{8}[T\s]\d{6}|^\d{4}年"
    r"|^\d{4}[-/ ]?([QqTt][1-4]|-?W\d{2})$|^([QqTt][1-4]|[1-4][QqTt])[-/ ]?\d{4}$"
)
"""Text that may be a date: polars accepts blanks before numbers and a plus before years."""


def infer(frame: pl.LazyFrame, columns: Sequence[str], declared: Mapping[str, Parse]) -> dict[str, Parse | None]:
    """Return dates where one format fits all values, and text with a note where it fits many of them.

    Raises:
        InputError: the dates of a declared column may be written with the day or the month first.
    """
    examples = {name: first_values(frame, name) for name in columns}
    kinds = {name: declared[name].type if name in declared else None for name in columns}
    formats = {name: formats_of(examples[name], kinds[name]) for name in columns}
    queries = {name: {"values": pl.col(name).count(), **questions(name, formats[name])} for name in columns}
    parses: dict[str, Parse | None] = {}
    for name, counts in ask(frame, queries).items():
        values = counts.pop("values")
        fitting = [form for form in formats[name] if counts[form] == values]
        first = examples[name][0] if len(examples[name]) else ""
        if name in declared:
            parses[name] = _declared(name, declared[name], fitting, counts, first)
        elif parse := _parse(frame, name, fitting, counts, values, first):
            parses[name] = parse
    return parses


def formats_of(examples: pl.Series, kind: str | None) -> list[str]:
    """Return the formats of a declared kind, or of either, that many of a few examples fit.

    They are few enough to be counted in all of the column.
    """
    shapes = [_shape(value) for value in examples.head(16)]
    formats = [
        form
        for form in (*_of("date", kind), *_of("datetime", kind))
        if sum(_SHAPES[form] <= shape for shape in shapes) >= PARTLY * len(shapes)
    ]
    queries = (expression.alias(form) for form, expression in _questions("text", formats))
    counts = pl.DataFrame({"text": examples}).select(queries).row(0, named=True) if formats else {}
    return [form for form, count in counts.items() if count and count >= PARTLY * len(examples)]


def _shape(text: str) -> frozenset[str]:
    """Return the marks between the parts of a date, and W where there are words."""
    marks = re.findall(r"[-/.:]|, ", text)
    words = ["W"] if re.search(r"[^\W\d_]{3}", text) else []
    return frozenset([*marks, *words, *([":"] if re.search(r"(?i)\d\s*[ap]\.?m", text) else [])])


_SHAPES = {
    form: frozenset() if form in ("%Y-Q%q", "%G-W%V") else _shape(re.sub("%[aAbBh]", "Word", form.replace("%.f", "")))
    for form in (*DATES, *PERIODS, *_DOUBTFUL, *DATETIMES)
}
"""What text of a format holds at least; most formats are ruled out by that."""


def _of(kind: str, declared: str | None) -> Sequence[str]:
    if declared not in (None, kind):
        return ()
    return (*DATES, *PERIODS, *_DOUBTFUL) if kind == "date" else DATETIMES


def questions(name: str, formats: Sequence[str]) -> Questions:
    """Return what has to be counted in a column to decide how its dates are written."""
    return dict(_questions(name, formats))


def _questions(name: str, formats: Sequence[str]) -> Iterator[tuple[str, pl.Expr]]:
    for form in formats:
        yield form, _moments(name, form).count()


def _moments(name: str, form: str) -> pl.Expr:
    return four_digit_year(parsed(pl.col(name), _kind(form), form))


def _kind(form: str) -> Type:
    return "date" if is_date(form) or form in _DOUBTFUL else "datetime"


def different_orders(formats: Sequence[str]) -> list[str]:
    """Return the first format of each order in which day, month and year stand."""
    orders: dict[str, str] = {}
    for form in formats:
        orders.setdefault("".join(re.findall("%[dmBbyY]", form)).lower().replace("b", "m"), form)
    return list(orders.values())


def _declared(name: str, declared: Parse, fitting: Sequence[str], counts: Counts, first: str) -> Parse:
    if first and len(different := different_orders(fitting)) > 1:
        raise InputError(
            f"column {name!r}: the formats {different[0]} and {different[1]} both fit every date, such as "
            f"{first!r}; say which one is right with data.columns.{name}.format"
        )
    best = fitting[0] if fitting else max(counts, key=lambda form: counts[form], default=None)
    return replace(declared, format=best)


def _parse(
    frame: pl.LazyFrame, name: str, fitting: Sequence[str], counts: Counts, values: int, first: str
) -> Parse | None:
    if len(different := different_orders(fitting)) > 1:
        return text_with(
            f"may be dates, but both {different[0]} and {different[1]} fit, as in {first!r}; declare type and format to use it "
            "as one"
        )
    if fitting and fitting[0] in _DOUBTFUL:
        return text_with(
            f"may be months with years, such as {first!r}, or with days; to use them as the first day of a month, declare "
            f'type: date and format: "{fitting[0]}"'
        )
    if fitting:
        return Parse(_kind(fitting[0]), fitting[0], note=_note(fitting[0], first))
    best = max(counts, key=lambda form: counts[form], default=None)
    if best is None or best in _DOUBTFUL:
        return None
    for form, count in counts.items():
        if is_date(best) and form.startswith(best) and form != best and count + counts[best] == values:
            return text_with(
                f"holds {counts[best]:,} dates without a time and {count:,} with one ({best} and {form}); it is taken as text: write "
                "them alike"
            )
    odd = _moments(name, best).is_null() & pl.col(name).is_not_null()
    return disagreeing(frame, name, odd, values, counts[best], _kind(best), best)


def _note(form: str, first: str) -> str | None:
    """Return how dates are read, unless they are written as in ISO 8601."""
    if re.match("%Y.?%m.?%d", form):
        return None
    note = f"holds dates written as {form}, such as {first!r}"
    if form in PERIODS:
        note += ", read as the first day of each"
    return f"{note}, with years from 1970 to 2069" if "%y" in form else note
