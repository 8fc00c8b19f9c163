"""Expectations that the schema of a table answers: its columns, and how many rows it has."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import polars as pl

from steps.expectations.checks import Check, between_check
from steps.expectations.outcomes import Result
from steps.expectations.questions import Question


def row_count_between(question: Question) -> Check:
    low, high = question.limits(whole=True)
    question.require(low is None or high is None or low <= high)
    return between_check(question, pl.len(), (low, high))


def row_count_equal(question: Question) -> Check:
    value = question.argument("value")
    question.require(isinstance(value, int) and not isinstance(value, bool))
    return Check(
        lambda answers: Result(answers["rows"] == value, {"observed_value": answers["rows"]}), {"rows": pl.len()}
    )


def column_count_between(question: Question) -> Check:
    question.require({"min_value", "max_value"} <= question.kwargs.keys())
    (low, high), count = question.limits(), len(question.schema.columns)
    success = (low is None or count >= low) and (high is None or count <= high)
    return _of_schema(success, {"observed_value": count})


def column_count_equal(question: Question) -> Check:
    value, count = question.argument("value"), len(question.schema.columns)
    question.require(isinstance(value, int) and not isinstance(value, bool))
    return _of_schema(count == value, {"observed_value": count})


def columns_in_order(question: Question) -> Check:
    names, expected = _names(question), question.words("column_list")
    if names == expected:
        return _of_schema(True, {"observed_value": names})
    pairs = enumerate(zip_longest(expected, names))
    mismatched = [{"Expected Column Position": i, "Expected": a, "Found": b} for i, (a, b) in pairs if a != b]
    return _of_schema(False, {"observed_value": names, "details": {"mismatched": mismatched}})


def columns_of_set(question: Question) -> Check:
    names, expected = {*_names(question)}, {*question.words("column_set")}
    is_exact = question.argument("exact_match", True)
    question.require(is_exact is None or isinstance(is_exact, bool))
    sides = {"unexpected": sorted(names - expected), "missing": sorted(expected - names)}
    mismatched = {side: listed for side, listed in sides.items() if listed}
    success = not mismatched or (not is_exact and "missing" not in mismatched)
    result: dict[str, Any] = {"observed_value": sorted(names)}
    return _of_schema(success, result | ({"details": {"mismatched": mismatched}} if mismatched else {}))


def column_exists(question: Question) -> Check:
    names, name, index = _names(question), question.argument("column"), question.argument("column_index")
    question.require(isinstance(name, str) and name != "")
    question.require(index is None or (isinstance(index, int) and not isinstance(index, bool)))
    if index:
        return _of_schema(-len(names) <= index < len(names) and names[index] == name, {})
    return _of_schema(name in names, {})


def _names(question: Question) -> list[str]:
    return [column.name for column in question.schema.columns]


def _of_schema(success: bool, result: dict[str, Any]) -> Check:
    return Check(lambda _: Result(success, result))
