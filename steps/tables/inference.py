"""The narrowest type that all values of a column have, found in two streamed passes over cleaned text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from model_code.tabular.values import CLOCKS, DATES, four_digit_year, with_point
from steps.errors import InputError
from steps.tables.parsing import Parse

DATETIMES = (
    *(f"%Y-%m-%d{gap}{clock}{zone}" for gap in ("T", " ") for clock in CLOCKS for zone in ("", "%#z")),
    *(f"{date} {clock}" for date in DATES[1:] for clock in CLOCKS),
)
_DATE_LIKE = r"^(\+?\d{4}[-/.]\s*\d{1,2}[-/.]\s*\d{1,2}|\d{1,2}[-/.]\s*\d{1,2}[-/.]\s*\+?\d{4})([T\s]|$)"
"""Text that polars may read as a date: it accepts blanks before numbers and a plus before years."""
_POINT_LIKE = r"^[+-]?(\d{1,3}(\.\d{3})+(,\d*)?|\d*\.\d+([eE][+-]?\d+)?)$"
"""A number with points between thousands, or with a decimal point."""
_POINT_NOTE = (
    "holds numbers with points in a source whose decimal mark is a comma; a point may separate thousands or be a decimal "
    "mark, so the column stays text. Write the numbers without points, or give the source's decimal: '.' if that is the mark"
)

Questions = Mapping[str, pl.Expr]


def infer(
    frame: pl.LazyFrame, columns: Sequence[str], decimal: str, declared: Mapping[str, Parse] | None = None
) -> dict[str, Parse | None]:
    """Return the narrowest type that every value of each column has; None for a column without values.

    Args:
        frame: cleaned text.
        declared: columns whose type is declared as a date or datetime, but not the format.

    Raises:
        InputError: the dates of a declared column may be written with the day or the month first.
    """
    declared = declared or {}
    parses: dict[str, Parse | None] = {}
    undecided = []
    for name, counts in _ask(frame, {name: _number_questions(name, decimal) for name in columns}).items():
        if name in declared:
            undecided.append(name)
        elif counts["values"] == 0:
            parses[name] = None
        elif simple := _simple_parse(counts):
            parses[name] = simple
        else:
            undecided.append(name)
    parses.update(_infer_dates(frame, undecided, declared))
    return {name: parses[name] for name in columns}


def _number_questions(name: str, decimal: str) -> Questions:
    text = pl.col(name)
    number = with_point(text, decimal).cast(pl.Float64, strict=False)
    return {
        "values": text.count(),
        "boolean": text.str.to_lowercase().is_in(["true", "false"]).sum(),
        "integer": text.cast(pl.Int64, strict=False).count(),
        "digits": text.str.contains(r"^[+-]?\d+$").sum(),
        "finite": number.is_finite().sum(),
        "infinite": number.is_infinite().sum(),
        **({"pointed": text.str.contains(_POINT_LIKE).sum()} if decimal == "," else {}),
    }


def _ask(frame: pl.LazyFrame, questions: Mapping[str, Questions]) -> dict[str, dict[str, int]]:
    """Answer all questions about all columns in one pass."""
    expressions = [
        expression.alias(f"{column}/{question}")
        for column, (_, about) in enumerate(questions.items())
        for question, expression in about.items()
    ]
    answers = frame.select(expressions).collect(engine="streaming").row(0, named=True) if expressions else {}
    return {
        name: {question: int(answers[f"{column}/{question}"] or 0) for question in about}
        for column, (name, about) in enumerate(questions.items())
    }


def _simple_parse(counts: Mapping[str, int]) -> Parse | None:
    """Return the parse of a column that holds no dates; None if dates or text are left."""
    values, numbers = counts["values"], counts["finite"] + counts["infinite"]
    if counts["boolean"] == values:
        return Parse("boolean")
    if counts["integer"] == values:
        return Parse("integer")
    if counts["digits"] == values:
        return Parse("category", note="holds whole numbers beyond 64 bits; they are kept as text")
    if counts["infinite"] == values:
        return Parse("category", note="holds nothing but infinities; they are kept as text")
    if numbers == values:
        return Parse("float")  # parsing refuses huge and infinite values later, by row
    if counts.get("pointed") and numbers + counts["pointed"] == values:
        return Parse("category", note=_POINT_NOTE)
    return None


def _infer_dates(frame: pl.LazyFrame, columns: Sequence[str], declared: Mapping[str, Parse]) -> dict[str, Parse]:
    """Return dates where one format fits all values, and categories otherwise."""
    # Most columns of text are not dates: one regular expression saves trying every format on them.
    shapes = _ask(
        frame,
        {
            name: {"values": pl.col(name).count(), "date_like": pl.col(name).str.contains(_DATE_LIKE).sum()}
            for name in columns
        },
    )
    dated = [name for name in columns if name in declared or shapes[name]["date_like"] == shapes[name]["values"]]
    answers = _ask(frame, {name: dict(_date_questions(name, declared.get(name))) for name in dated})
    parses: dict[str, Parse] = {name: Parse("category") for name in columns}
    for name, counts in answers.items():
        values = shapes[name]["values"]
        fitting = [form for form, count in counts.items() if count == values]
        if name in declared and values and len(both := _day_and_month_first(fitting)) > 1:
            raise InputError(
                f"column {name!r}: the formats {both[0]} and {both[1]} both fit every date; say which one is right with "
                f"data.columns.{name}.format"
            )
        parses[name] = _date_parse(fitting, counts, declared.get(name))
    return parses


def _date_questions(name: str, declared: Parse | None) -> Iterator[tuple[str, pl.Expr]]:
    text = pl.col(name)
    if declared is None or declared.type == "date":
        for form in DATES:
            yield form, four_digit_year(text.str.to_date(form, strict=False)).count()
    if declared is None or declared.type == "datetime":
        for form in DATETIMES:
            yield form, four_digit_year(text.str.to_datetime(form, strict=False, time_unit="us")).count()


def _date_parse(fitting: Sequence[str], counts: Mapping[str, int], declared: Parse | None) -> Parse:
    if declared:
        best = fitting[0] if fitting else max(counts, key=lambda form: counts[form])
        return Parse(declared.type, best, declared.timezone, declared=True)
    if not fitting:
        return Parse("category")
    if len(both := _day_and_month_first(fitting)) > 1:
        note = f"may be dates, but both {both[0]} and {both[1]} fit; declare type and format to use it as one"
        return Parse("category", note=note)
    return Parse("date" if fitting[0] in DATES else "datetime", fitting[0])


def _day_and_month_first(fitting: Sequence[str]) -> list[str]:
    """Return the first fitting format with the day in front and the first with the month in front."""
    firsts = (next((form for form in fitting if form.startswith(start)), None) for start in ("%d", "%m"))
    return [form for form in firsts if form is not None]
