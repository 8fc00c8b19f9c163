"""Expectations about each row: what fails, by the type of the expectation."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from itertools import combinations
from operator import and_, or_
from typing import Any

import polars as pl

from steps.expectations.checks import Check, duplicates_check, present_check, rows_check
from steps.expectations.questions import Question, Values
from steps.tables.names import ROW

_MOST_PAIRS = 100
_SEQUENTIAL = 7
"""NumPy adds up to this many floats one after the other, as Polars does."""


def not_null(question: Question) -> Check:
    values = question.values()
    return rows_check(question, [values], values.expr.is_null())


def null(question: Question) -> Check:
    values = question.values()
    return rows_check(question, [values], values.expr.is_not_null())


def between(question: Question) -> Check:
    values = question.values("number", "instant")
    low, high = question.limits_of(values)
    question.require((low is not None or high is not None) and (low is None or high is None or low <= high))
    limits = (None if limit is None else values.limit(limit) for limit in (low, high))
    return present_check(question, values, ~_within(question, values.expr, *limits))


def in_set(question: Question) -> Check:
    values = question.values()
    return present_check(question, values, ~values.is_in(question.value_set(values, ignores_null=True)))


def not_in_set(question: Question) -> Check:
    values = question.values()
    return present_check(question, values, values.is_in(question.value_set(values, ignores_null=True)))


def unique(question: Question) -> Check:
    values = question.values()
    return duplicates_check(question, [values], values.expr.is_not_null())


def increasing(question: Question) -> Check:
    return _ordered(question, 1)


def decreasing(question: Question) -> Check:
    return _ordered(question, -1)


def match_regex(question: Question) -> Check:
    return _regex(question, [question.argument("regex", "(?s).*")], any, matches=True)


def not_match_regex(question: Question) -> Check:
    return _regex(question, [question.argument("regex")], any, matches=False)


def match_regex_list(question: Question) -> Check:
    combine = any if question.choice("match_on", "any", "all") == "any" else all
    return _regex(question, question.words("regex_list"), combine, matches=True)


def not_match_regex_list(question: Question) -> Check:
    return _regex(question, question.words("regex_list"), any, matches=False)


def lengths_between(question: Question) -> Check:
    values, (low, high) = question.values("text"), question.limits(whole=True)
    question.require(low is not None or high is not None)
    return present_check(question, values, ~_within(question, values.expr.str.len_chars(), low, high))


def lengths_equal(question: Question) -> Check:
    values, length = question.values("text"), question.number("value")
    return present_check(question, values, values.expr.str.len_chars() != length)


def z_scores(question: Question) -> Check:
    """Return the check of distances from the mean in deviations; where all values are equal or one is infinite, none is too large."""
    values, threshold = question.values("number"), question.number("threshold")
    question.require("double_sided" in question.kwargs)
    x = values.expr.cast(pl.Float64)
    score = (x - x.mean()) / x.std()
    too_large = score.abs() >= abs(threshold) if question.flag("double_sided") else score >= threshold
    is_defined = score.is_finite() & (x.min() < x.max())
    return present_check(question, values, (too_large & is_defined).fill_null(False))


def pair_equal(question: Question) -> Check:
    first, second = _pair(question)
    return _pairs(question, first, second, first.expr != second.expr)


def pair_greater(question: Question) -> Check:
    """Return the check that one column is greater than another; a missing text cannot be compared."""
    first, second = _pair(question)
    question.require(first.family in ("number", "instant"))
    fails = first.expr < second.expr if question.flag("or_equal", None) else first.expr <= second.expr
    return _pairs(question, first, second, fails)


def pair_in_set(question: Question) -> Check:
    first, second = (question.values("number", "text", name=name) for name in ("column_A", "column_B"))
    pairs = question.argument("value_pairs_set")
    question.require(first.name != second.name)
    question.require(
        isinstance(pairs, list) and 0 < len(pairs) <= _MOST_PAIRS and not question.kwargs.get("row_condition")
    )
    question.require(all(isinstance(pair, list) and len(pair) == 2 for pair in pairs))
    equal = [_equals(first, pair[0]) & _equals(second, pair[1]) for pair in pairs]
    return _pairs(question, first, second, ~reduce(or_, equal))


def compound_unique(question: Question) -> Check:
    columns = _columns(question)
    return duplicates_check(question, columns, _considered(question, columns, _MULTIPLE))


def unique_within_record(question: Question) -> Check:
    columns = _alike(question, _columns(question))
    repeats = [a.expr.eq_missing(b.expr) for a, b in combinations(columns, 2)]
    return rows_check(question, columns, reduce(or_, repeats), _considered(question, columns, _MULTIPLE))


def multicolumn_sum(question: Question) -> Check:
    columns, total = _columns(question), question.number("sum_total")
    question.require(all(values.family == "number" for values in columns) and len(columns) <= _SEQUENTIAL)
    fails = reduce(lambda a, b: a + b, (values.expr for values in columns)) != total
    return rows_check(question, columns, fails, _considered(question, columns, _MULTIPLE))


def multicolumn_equal(question: Question) -> Check:
    columns = _alike(question, _columns(question))
    equal = [columns[0].expr.eq_missing(values.expr) for values in columns[1:]]
    return rows_check(question, columns, ~reduce(and_, equal), _considered(question, columns, _MULTIPLE))


def _within(question: Question, expr: pl.Expr, low: Any, high: Any) -> pl.Expr:
    """Return whether values are within limits, one of which may be missing."""
    strict_min, strict_max = question.flag("strict_min"), question.flag("strict_max")
    parts: list[pl.Expr] = []
    if low is not None:
        parts.append(expr > low if strict_min else expr >= low)
    if high is not None:
        parts.append(expr < high if strict_max else expr <= high)
    return reduce(and_, parts)


def _ordered(question: Question, sign: int) -> Check:
    """Return the check that each value is not before the previous one that is not missing.

    Floats are subtracted, so that, as for Great Expectations, nothing is between infinity and infinity.
    """
    values = question.values("number", "instant")
    strictly = question.flag("strictly", None)
    previous = values.expr.forward_fill().shift(1)
    if values.family == "number" and not values.is_whole:
        step = (values.expr - previous) * sign
        fails = ((step <= 0) if strictly else (step < 0)) & step.is_not_nan()
    elif sign > 0:
        fails = values.expr <= previous if strictly else values.expr < previous
    else:
        fails = values.expr >= previous if strictly else values.expr > previous
    return present_check(question, values, fails.fill_null(False))


def _regex(question: Question, patterns: list[Any], combine: Callable[..., bool], *, matches: bool) -> Check:
    """Return the check of text by Python's regular expressions, which look at each distinct value of a batch once."""
    values = question.values("text")
    question.require(all(isinstance(pattern, str) for pattern in patterns))
    try:
        compiled = [re.compile(pattern) for pattern in patterns]
    except re.error:
        compiled = []
    question.require(bool(compiled))

    def fails(series: pl.Series) -> pl.Series:
        unmet = [
            text
            for text in series.drop_nulls().unique()
            if combine(pattern.search(text) is not None for pattern in compiled) != matches
        ]
        return series.is_in(pl.Series(unmet, dtype=pl.String).implode())

    return present_check(question, values, values.expr.map_batches(fails, return_dtype=pl.Boolean, is_elementwise=True))


def _equals(values: Values, value: Any) -> pl.Expr:
    """Return whether a column has a value, which may be null."""
    return values.expr.is_null() if value is None else values.expr.eq_missing(values.literal([value])[0])


_PAIR = ("both_values_are_missing", "either_value_is_missing", "neither")
_MULTIPLE = ("all_values_are_missing", "any_value_is_missing", "never")


def _pair(question: Question) -> list[Values]:
    """Return two columns that can be compared with each other."""
    return _alike(question, [question.values(name=name) for name in ("column_A", "column_B")])


def _pairs(question: Question, first: Values, second: Values, fails: pl.Expr) -> Check:
    columns = [first, second]
    return rows_check(question, columns, fails, _considered(question, columns, _PAIR))


def _columns(question: Question) -> list[Values]:
    """Return the columns of ``column_list``, two or more different ones."""
    names = question.words("column_list")
    question.require(len({*names}) == len(names) >= 2)
    return [question.values_of(name) for name in names]


def _alike(question: Question, columns: list[Values]) -> list[Values]:
    """Return columns whose values can be compared with each other."""
    question.require(len({values.name for values in columns}) == len(columns))
    question.require(len({(values.family, values.column.timezone) for values in columns}) == 1)
    return columns


def _considered(question: Question, columns: list[Values], options: tuple[str, str, str]) -> pl.Expr:
    """Return the rows that are asked: by default, those where some column has a value."""
    ignored = question.choice("ignore_row_if", *options)
    if ignored == options[2]:
        return pl.col(ROW).is_not_null()
    combine = or_ if ignored == options[0] else and_
    return reduce(combine, (values.expr.is_not_null() for values in columns))
