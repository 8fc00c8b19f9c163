"""Dates and instants of foreign values: typed, in training's form, in ISO 8601, or in a form that is beyond doubt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from model_code.tabular import MISSING
from model_code.tabular.columns import PANDAS_MISSING, Column, clean_text, evaluate, first_present
from model_code.tabular.moments import CLOCKS, DATES, four_digit_year
from model_code.tabular.values import Form, converted, zoned

_ISO = r"^(\d{4}-\d{1,2}-\d{1,2})(?:[Tt ]\s*(\d{1,2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$"
"""The variants of ISO 8601 that say the same: T or a blank, seconds and their fractions or none, Z or an offset, date only."""


def read_instants(values: pl.Series, entry: Mapping[str, Any], _: bool) -> Column:
    """Read dates and instants: typed, in training's form, in a variant of ISO 8601, or in a form that is beyond doubt."""
    form = Form.of(entry)
    dtype = values.dtype
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        instant = four_digit_year(pl.lit(values))
        if form.type == "date":
            instant = instant.cast(pl.Date)
        else:
            instant = zoned(
                instant.cast(pl.Datetime("us", getattr(dtype, "time_zone", None))), form, aware=_aware(dtype)
            )
        instants, original = _plain(evaluate(instant), form), values
    else:
        original = clean_text(values, entry, (*MISSING, *PANDAS_MISSING))
        instants = instants_of_text(original, form)
    wrong = original.is_not_null() & instants.is_null()
    why = ""
    if form.clock_change == "missing" and wrong.any():
        earlier = read_instants(values, {**entry, "reading": {**entry["reading"], "clock_change": "earlier"}}, False)
        wrong &= earlier.values.is_null()
    if form.timezone and wrong.any() and _is_local_time(original.filter(wrong), form):
        why = f"clocks in {form.timezone} show this time twice or never; write it with its offset"
    return Column(entry, instants.alias(entry["name"]), original, wrong, why)


def _aware(dtype: pl.DataType) -> bool:
    return getattr(dtype, "time_zone", None) is not None


def _is_local_time(original: pl.Series, form: Form) -> bool:
    """Return whether values are dates and times but for the time zone."""
    if isinstance(original.dtype, pl.Datetime):
        return True
    return original.dtype == pl.String and not instants_of_text(original, replace(form, timezone=None)).has_nulls()


def instants_of_text(text: pl.Series, form: Form) -> pl.Series:
    """Return dates or instants in one type: training's form first, then ISO 8601, then the text's own form."""
    usual = _plain(evaluate(converted(pl.lit(text), form)), form)
    if not re.match(r"%Y\W?%d", form.format or ""):
        usual = first_present(usual, _iso(text, form))
    rest = text.filter(usual.is_null() & text.is_not_null())
    if rest.is_empty() or (own := _own_form(rest, form)) is None:
        return usual
    return first_present(usual, _plain(evaluate(converted(pl.lit(text), own)), form))


def _plain(values: pl.Series, form: Form) -> pl.Series:
    """Return values as the column's one type; instants of a column without a time zone become those of UTC."""
    if form.type == "date":
        return values.cast(pl.Date)
    if values.dtype == pl.Date:
        return evaluate(zoned(pl.lit(values).cast(pl.Datetime("us")), form, aware=False))
    if _aware(values.dtype) and form.timezone is None:
        return values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values


def _iso(text: pl.Series, form: Form) -> pl.Series:
    """Return what is written in a variant of ISO 8601."""
    day, clock, second, fraction, offset = (pl.lit(text).str.extract(_ISO, group) for group in range(1, 6))
    if form.type == "date":
        return evaluate(four_digit_year(day.str.to_date("%Y-%m-%d", strict=False)))
    original = pl.format(
        "{}T{}:{}.{}", day, clock.fill_null("00:00"), second.fill_null("00"), fraction.fill_null("0")
    ).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us")
    original = four_digit_year(original)
    digits = offset.str.replace(":", "").str.replace("(?i)z", "+0000").str.pad_end(5, "0")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    minutes = pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes)
    universal = (original - pl.duration(minutes=minutes)).dt.replace_time_zone("UTC")
    local = zoned(original, form, aware=False)
    if form.timezone is None:
        instants = pl.when(offset.is_null()).then(local).otherwise(universal.dt.replace_time_zone(None))
    else:
        instants = pl.when(offset.is_null()).then(local).otherwise(universal.dt.convert_time_zone(form.timezone))
    return evaluate(instants)


def _own_form(text: pl.Series, form: Form) -> Form | None:
    """Return the one form that all of these dates fit, unless it puts day and month in another order than training did."""
    clocks = ("", *(f" {clock}" for clock in CLOCKS)) if form.type == "datetime" else ("",)
    fitting = []
    for date in DATES:
        for clock in clocks:
            candidate = replace(form, type="datetime" if clock else "date", format=date + clock)
            if all(not evaluate(converted(pl.lit(part), candidate)).has_nulls() for part in (text.head(100), text)):
                fitting.append(candidate)
    usual = form.format or ""
    if same := [candidate for candidate in fitting if str(candidate.format)[:8] == usual[:8]]:
        return same[0]  # a date without its time
    orders = {_order(candidate) for candidate in fitting}
    reverse = {"%d": "%m", "%m": "%d"}.get(_order(form))
    return fitting[0] if len(orders) == 1 and reverse not in orders else None


def _order(form: Form) -> str:
    """Return what comes first in dates of this form; where the month has a name, no order can be mistaken."""
    return "name" if "%B" in (form.format or "") else (form.format or "")[:2]
