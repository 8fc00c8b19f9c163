"""The evidence of how dates are written in a column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from model_code.tabular.values import CLOCKS, DATES, four_digit_year

_COMPACT = ("%Y%m%dT%H%M%S", "%Y%m%d %H%M%S", "%Y%m%dT%H%M%S%#z")
DATETIMES = (
    *(f"%Y-%m-%d{gap}{clock}{zone}" for gap in ("T", " ") for clock in CLOCKS[:2] for zone in ("", "%#z", " %#z")),
    *(
        f"{date}{gap}{clock}"
        for gap in (" ", ", ")
        for date in DATES
        for clock in CLOCKS
        if (date, gap) != ("%Y-%m-%d", " ") or "%I" in clock
    ),
    *(
        "%a %b %d %H:%M:%S %Y",
        "%a, %d %b %Y %H:%M:%S %#z",
        "%d %b %Y %H:%M:%S %#z",
        "%d/%b/%Y:%H:%M:%S %#z",
        "%Y/%m/%d %H:%M:%S%.f%#z",
    ),
    *_COMPACT,
)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DATE_LIKE = (
    r"(?i)^\+?\d{4}[-/.]\s*\d{1,2}[-/.]\s*\d{1,2}([T\s,]|$)"
    r"|^\d{1,2}[-/.]\s*\d{1,2}[-/.]\s*(\+?\d{4}|\d{2})([T\s,]|$)"
    rf"|^([a-z]{{3,9}},?\s+)?\d{{1,4}}[-/.\s]*({_MONTHS})[a-z]*[-/.,\s]*\d{{1,4}}(\D|$)"
    rf"|^([a-z]{{3,9}},?\s+)?({_MONTHS})[a-z]*[-/.,\s]*\d{{1,2}}[-/.,\s]+(\d{{4}}|\d\d:)"
    r"|^\d{8}[T\s]\d{6}"
)
"""Text that may be a date: polars accepts blanks before numbers and a plus before years."""


def formats_of(examples: pl.Series, kind: str | None) -> list[str]:
    """Return the formats of a declared kind, or of either, that most of a few examples fit.

    They are few enough to be counted in all of the column.
    """
    text = pl.DataFrame({"text": examples})
    formats = list(_questions("text", (*_of("date", kind), *_of("datetime", kind))))
    counts = text.select(expression.alias(form) for form, expression in formats).row(0, named=True)
    return [form for form, count in counts.items() if count >= 0.8 * len(examples)]


def _of(kind: str, declared: str | None) -> Sequence[str]:
    if declared not in (None, kind):
        return ()
    return DATES if kind == "date" else DATETIMES


def questions(name: str, formats: Sequence[str]) -> Mapping[str, pl.Expr]:
    """Return what has to be counted in a column to decide how its dates are written."""
    return dict(_questions(name, formats))


def _questions(name: str, formats: Sequence[str]) -> Iterator[tuple[str, pl.Expr]]:
    for form in formats:
        yield form, parsed(pl.col(name), form).count()


def parsed(text: pl.Expr, form: str) -> pl.Expr:
    """Return the dates of text in one format; other text becomes missing."""
    if is_date(form):
        return four_digit_year(text.str.to_date(form, strict=False))
    return four_digit_year(text.str.to_datetime(form, strict=False, time_unit="us"))


def is_date(form: str) -> bool:
    """Return whether a format has no clock."""
    return form in DATES


def different_orders(formats: Sequence[str]) -> list[str]:
    """Return the first format of each order in which day, month and year stand."""
    orders: dict[str, str] = {}
    for form in formats:
        orders.setdefault("".join(re.findall("%[dmBbyY]", form)).lower().replace("b", "m"), form)
    return list(orders.values())
