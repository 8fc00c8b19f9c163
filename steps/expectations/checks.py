"""What Polars computes for an expectation: figures of one common pass, queries of its own, and the rows that fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from steps.expectations.outcomes import LISTED, Result
from steps.expectations.questions import Question, Values
from steps.tables.names import ROW

Answers = Mapping[str, Any]
"""Figures by name, and the frames of queries by name."""
Query = Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True)
class Check:
    """How to answer one expectation.

    The figures of all checks are computed in one pass over the table; a query is a pass of its own.
    """

    judge: Callable[[Answers], Result]
    """The result, from the figures and the frames of the queries by name."""
    figures: Mapping[str, pl.Expr] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict)
    failing: Query | None = None
    """The rows that fail, in the order of the table, from the rows of the table."""
    columns: Sequence[Values] = ()
    """The columns whose values are listed for a row that fails."""
    are_records: bool = False
    """Whether these are listed with their names."""
    condition: pl.Expr | None = None
    """Which rows the expectation is about."""


def rows_check(
    question: Question, columns: Sequence[Values], fails: pl.Expr, considered: pl.Expr | None = None
) -> Check:
    """Return the check of an expectation about each row.

    Args:
        fails: true of rows that fail; null counts as a failure.
        considered: true of the rows that are asked; the others count as missing. Without it, all rows are asked.
    """
    mostly, wrong = question.mostly(), fails.fill_null(True)
    if considered is not None:
        wrong = considered & wrong
    return Check(
        judge=lambda answers: _share(answers, mostly, counts_missing=considered is not None),
        figures={
            "elements": pl.len(),
            "considered": pl.len() if considered is None else considered.sum(),
            "unexpected": wrong.sum(),
        },
        failing=lambda frame: frame.filter(wrong),
        columns=columns,
        are_records="column_list" in question.kwargs,
    )


def present_check(question: Question, values: Values, fails: pl.Expr) -> Check:
    """Return the check of an expectation about each value that is not missing."""
    return rows_check(question, [values], fails, values.expr.is_not_null())


def duplicates_check(question: Question, columns: Sequence[Values], considered: pl.Expr) -> Check:
    """Return the check that no two rows have the same values."""
    mostly = question.mostly()
    names = [f"\0{position}" for position in range(len(columns))]  # as no column of a table is called
    keys = [values.expr.alias(name) for values, name in zip(columns, names, strict=True)]

    def repeated(frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return how many rows have the values of another: numbers are sorted, which takes a third of grouping them."""
        rows = frame.filter(considered).select(keys)
        if len(columns) == 1 and columns[0].family in ("number", "instant"):
            value = pl.col(names[0])
            return rows.select(value.sort()).select((value.eq(value.shift(1)) | value.eq(value.shift(-1))).sum())
        return rows.group_by(names).len().select(pl.col("len").filter(pl.col("len") > 1).sum())

    def failing(frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows with the values that repeat first, which are the first rows that fail."""
        groups = frame.filter(considered).group_by(keys).agg(pl.len().alias("rows"), pl.col(ROW).min().alias("first"))
        first = groups.filter(pl.col("rows") > 1).bottom_k(LISTED, by="first").select(names)
        return frame.with_columns(keys).join(first, on=names, how="semi", nulls_equal=True, maintain_order="left")

    def judge(answers: Answers) -> Result:
        unexpected = answers["repeated"].item()
        return _share({**answers, "unexpected": unexpected or 0}, mostly, counts_missing=True)

    figures = {"elements": pl.len(), "considered": considered.sum()}
    return Check(judge, figures, {"repeated": repeated}, failing, columns, are_records="column_list" in question.kwargs)


def between_check(question: Question, value: pl.Expr, limits: tuple[Any, Any]) -> Check:
    """Return the check that a figure is within limits."""
    strict_min, strict_max = question.flag("strict_min"), question.flag("strict_max")
    low, high = limits

    def judge(answers: Answers) -> Result:
        observed = answers["value"]
        if observed is None or (isinstance(observed, float) and math.isnan(observed)):
            return Result(False, {"observed_value": None})
        above = low is None or (observed > low if strict_min else observed >= low)
        below = high is None or (observed < high if strict_max else observed <= high)
        return Result(above and below, {"observed_value": observed})

    return Check(judge, {"value": value})


def _share(answers: Answers, mostly: float, *, counts_missing: bool) -> Result:
    """Return the result of an expectation about each row from three counts."""
    elements, considered, unexpected = (int(answers[name]) for name in ("elements", "considered", "unexpected"))
    success = considered == 0 or (considered - unexpected) / considered >= mostly
    result: dict[str, Any] = {
        "element_count": elements,
        "unexpected_count": unexpected,
        "unexpected_percent": unexpected / considered * 100 if considered else None,
        "partial_unexpected_list": [],
    }
    if counts_missing:
        result |= {
            "missing_count": elements - considered,
            "missing_percent": (elements - considered) / elements * 100 if elements else None,
            "unexpected_percent_total": unexpected / elements * 100 if elements else None,
            "unexpected_percent_nonmissing": unexpected / considered * 100 if considered else None,
        }
    return Result(success, result)
