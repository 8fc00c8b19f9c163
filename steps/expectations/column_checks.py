"""Expectations about a column as a whole, such as its mean or its distinct values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from steps.expectations.checks import Answers, Check, between_check
from steps.expectations.outcomes import LISTED, Result
from steps.expectations.questions import Question, Values, is_number

_NEAR = {"relative": 1e-4, "absolute": 1e-8}
"""How far a quantile may be outside of its range, for Great Expectations."""


def minimum(question: Question) -> Check:
    return _end(question, "min")


def maximum(question: Question) -> Check:
    return _end(question, "max")


def mean(question: Question) -> Check:
    return between_check(question, question.values("number").expr.mean(), question.limits())


def median(question: Question) -> Check:
    return between_check(question, question.values("number").expr.median(), question.limits())


def total(question: Question) -> Check:
    return between_check(question, question.values("number").expr.sum(), question.limits())


def deviation(question: Question) -> Check:
    return between_check(question, question.values("number").expr.cast(pl.Float64).std(), question.limits())


def unique_count(question: Question) -> Check:
    return between_check(question, question.values().expr.drop_nulls().n_unique(), question.limits(whole=True))


def unique_share(question: Question) -> Check:
    present = question.values().expr.drop_nulls()
    share = pl.when(present.len() > 0).then(present.n_unique() / present.len()).otherwise(0)
    return between_check(question, share, question.limits())


def present_share(question: Question) -> Check:
    share = pl.when(pl.len() > 0).then(question.values().expr.count() / pl.len()).otherwise(0)
    return between_check(question, share, question.limits())


def quantiles(question: Question) -> Check:
    """Return the check of quantiles, each of which is the nearest value of the column."""
    column, request = question.values("number"), question.argument("quantile_ranges")
    question.require(question.argument("allow_relative_error", False) is False)
    question.require(isinstance(request, Mapping) and {*request} == {"quantiles", "value_ranges"})
    shares, ranges = request["quantiles"], request["value_ranges"]
    question.require(isinstance(shares, list) and isinstance(ranges, list) and 0 < len(shares) == len(ranges))
    question.require(all(is_number(share) and 0 <= share <= 1 for share in shares))
    question.require(all(isinstance(ends, list) and len(ends) == 2 for ends in ranges))
    question.require(all(end is None or is_number(end) for ends in ranges for end in ends))
    question.require(all(None in ends or ends[0] <= ends[1] for ends in ranges))
    figures = {"present": column.expr.count()}
    for share in {*shares}:
        figures |= {f"{side} {share}": column.expr.quantile(share, side) for side in ("lower", "higher")}
    number = int if column.is_whole and not column.column.missing else float

    def judge(answers: Answers) -> Result:
        values = []
        for share in shares:
            place = share * (answers["present"] - 1)
            side = "lower" if round(place) == math.floor(place) else "higher"  # round() and NumPy: half to even
            value = answers[f"{side} {share}"]
            values.append(math.nan if value is None else number(value))
        inside = [_is_inside(value, *ends) for value, ends in zip(values, ranges, strict=True)]
        observed = {"quantiles": [float(share) for share in shares], "values": values}
        return Result(all(inside), {"observed_value": observed, "details": {"success_details": inside}})

    return Check(judge, figures)


def most_common(question: Question) -> Check:
    values = question.values("number", "text", "boolean")
    expected, ties_are_fine = {*question.value_set(values)}, question.flag("ties_okay", None)

    def modes(frame: pl.LazyFrame) -> pl.LazyFrame:
        counts = frame.group_by(values.expr.alias("value")).len()
        counts = counts.filter(pl.col("value").is_not_null())
        return counts.filter(pl.col("len") == pl.col("len").max()).select(pl.col("value").sort())

    def judge(answers: Answers) -> Result:
        observed = answers["modes"]["value"].to_list()
        hits = len(expected.intersection(observed))
        success = hits > 0 if ties_are_fine else len(observed) == 1 == hits
        return Result(success, {"observed_value": observed})

    return Check(judge, queries={"modes": modes})


def distinct_in_set(question: Question) -> Check:
    return _distinct(question, "outside")


def distinct_contain_set(question: Question) -> Check:
    return _distinct(question, "absent")


def distinct_equal_set(question: Question) -> Check:
    return _distinct(question, "outside", "absent")


def _distinct(question: Question, *sides: str) -> Check:
    """Return the check of distinct values against a set: those outside of it, those of it that are absent, or both."""
    values = question.values("number", "text", "boolean")
    expected = question.value_set(values).unique()
    question.require(expected.len() > 0)
    distinct = pl.col("value")

    def outside(frame: pl.LazyFrame) -> pl.LazyFrame:
        unexpected = _unique(frame, values, ~values.is_in(expected))
        return unexpected.select(pl.len().alias("count"), distinct.sort().head(LISTED).implode().alias("first"))

    def absent(frame: pl.LazyFrame) -> pl.LazyFrame:
        return _unique(frame, values, values.is_in(expected))

    def judge(answers: Answers) -> Result:
        success = True
        result: dict[str, Any] = {"observed_value": None}
        if "outside" in sides:
            count = int(answers["outside"]["count"][0])
            success = count == 0
            result |= {"unexpected_count": count, "partial_unexpected_list": answers["outside"]["first"][0].to_list()}
        if "absent" in sides:
            missing = [value for value in expected.sort() if value not in {*answers["absent"]["value"]}]
            success = success and not missing
            result |= {"missing_count": len(missing), "partial_missing_list": missing[:LISTED]}
        return Result(success, result)

    queries = {"outside": outside, "absent": absent}
    return Check(judge, queries={side: queries[side] for side in sides})


def _unique(frame: pl.LazyFrame, values: Values, condition: pl.Expr) -> pl.LazyFrame:
    """Return the distinct values that meet a condition; a missing one meets none."""
    return frame.filter(condition).select(values.expr.alias("value")).unique()


def _end(question: Question, side: str) -> Check:
    """Return the check of the least or the greatest value."""
    values = question.values("number", "instant")
    if values.family == "instant":  # pandas has a moment that is none for a column without values
        question.require(values.column.missing < question.schema.rows and not question.kwargs.get("row_condition"))
    value = values.expr.min() if side == "min" else values.expr.max()
    return between_check(question, value, question.limits_of(values))


def _is_inside(value: float, low: float | None, high: float | None) -> bool:
    ends = (-math.inf if low is None else low, math.inf if high is None else high)
    near = any(
        value == end or abs(value - end) <= _NEAR["absolute"] + _NEAR["relative"] * abs(end)
        for end in ends
        if math.isfinite(end)
    )
    return near or ends[0] <= value <= ends[1]
