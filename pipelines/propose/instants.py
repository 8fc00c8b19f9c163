"""Columns of numbers that may be dates: 20230115, seconds since 1970, the days of spreadsheets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from model_code.tabular.moments import EXCEL
from model_code.tabular.values import Form, converted

_FORMS: tuple[tuple[float, float, str, str, str], ...] = (
    (190_001, 210_012, "date", "%Y%m", "months written as %Y%m"),
    (19_000_101, 21_001_231, "date", "%Y%m%d", "dates written as %Y%m%d"),
    (190_001_010_000, 210_012_312_359, "datetime", "%Y%m%d%H%M", "times written as %Y%m%d%H%M"),
    (19_000_101_000_000, 21_001_231_235_959, "datetime", "%Y%m%d%H%M%S", "times written as %Y%m%d%H%M%S"),
    (631_152_000, 2_114_380_800, "datetime", "%s", "seconds since 1970"),
    (631_152_000_000, 2_114_380_800_000, "datetime", "%Q", "milliseconds since 1970"),
    (631_152e9, 2_114_380_800e6, "datetime", "", "microseconds since 1970: divide by 1000000"),
    (631_152e12, 2_114_380_800e9, "datetime", "", "nanoseconds since 1970: divide by 1000000000"),
)
"""Ranges of numbers that may be dates, from 1990 to 2036 for those since 1970: the type, the format and words for it."""
_DAYS = (25_569, 54_789)
"""The days of spreadsheets from 1970 to 2049; only a name says that they are no other numbers."""
_NAME = re.compile(
    r"(^|[\W_])(date|day|time|dt|dob|birth|datum|fecha|jour|tag|when|at|on|start|end|since|until|created|updated|joined|opened|closed)"
    r"($|[\W_])|date$|(Date|Time|Day|At|On)$",
)


def questions(data: pl.LazyFrame, types: Mapping[str, str], ranges: Mapping[str, float | None]) -> Iterator[str]:
    """Ask about numbers that may be dates or instants.

    Args:
        types: integer or float, by the names of the columns.
        ranges: the least and greatest values, as ``min NAME`` and ``max NAME``.
    """
    for name, type_ in types.items():
        low, high = ranges[f"min {name}"], ranges[f"max {name}"]
        if low is None or high is None or low == high:
            continue
        for first, last, kind, form, what in _forms(name, type_):
            if not first <= low < high <= last:
                continue
            if not form:
                yield f"column {name!r} may be {what} in data.query to use it as a time (format: '%s')"
            elif form in ("%s", "%Q", EXCEL) or _fits(data, name, Form(kind, form)):
                example = f"{low:.15g}"
                yield f"column {name!r} may be {what}, such as {example}: --set data.columns.{name}=\"{{type: {kind}, format: '{form}'}}\""
                break


def _forms(name: str, type_: str) -> Sequence[tuple[float, float, str, str, str]]:
    kind = "date" if type_ == "integer" else "datetime"
    days = [(*_DAYS, kind, EXCEL, "days as spreadsheets count them")] if _NAME.search(name) else []
    return [*days, *(form for form in _FORMS if type_ == "integer" or form[3] in ("%s", "%Q"))]


def _fits(data: pl.LazyFrame, name: str, form: Form) -> bool:
    values = converted(pl.col(name).drop_nulls().cast(pl.String), form)
    fits: bool = data.select(values.is_not_null().all()).collect(engine="streaming").item()
    return fits
