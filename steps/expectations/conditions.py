"""Row conditions that are data, as Polars expressions."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

import polars as pl

from steps.expectations.questions import Question, is_number

_OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def row_condition(question: Question) -> pl.Expr | None:
    """Return which rows an expectation is about; None for all.

    A missing value meets ``!=`` and no other comparison, as in pandas.

    Raises:
        Uncovered: the condition is of a kind that Great Expectations evaluates.
    """
    question.require(question.argument("condition_parser") is None)
    condition = question.argument("row_condition")
    return None if condition is None else _condition(question, condition)


def _condition(question: Question, condition: Any) -> pl.Expr:
    question.require(isinstance(condition, Mapping))
    kind = condition.get("type")
    if kind == "and":
        parts = condition.get("conditions")
        question.require({*condition} == {"type", "conditions"} and isinstance(parts, list) and len(parts) > 1)
        question.require(
            all(isinstance(part, Mapping) and part.get("type") in ("comparison", "nullity") for part in parts)
        )
        return reduce(operator.and_, (_condition(question, part) for part in parts))
    column = condition.get("column")
    question.require(isinstance(column, Mapping) and {*column} == {"name"})
    values = question.values_of(column["name"], "number", "text")
    if kind == "nullity":
        question.require({*condition} == {"type", "column", "is_null"} and isinstance(condition["is_null"], bool))
        return values.expr.is_null() if condition["is_null"] else values.expr.is_not_null()
    question.require(kind == "comparison" and {*condition} == {"type", "column", "operator", "parameter"})
    sign, parameter = condition["operator"], condition["parameter"]
    question.require(sign in _OPERATORS)
    if values.family == "text":
        question.require(isinstance(parameter, str) and sign in ("==", "!="))
    else:
        question.require(is_number(parameter))
    meets: pl.Expr = _OPERATORS[sign](values.expr, parameter)
    return meets.fill_null(sign == "!=")
