"""A first expectation suite that the data meets: what must hold is critical, what is usual is a warning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.propose.classes import answers
from pipelines.propose.profile import Profile
from steps.tables.schema import Column, TableSchema

Expectation = dict[str, Any]
_FEW = 20
_MARGIN = 0.25
"""The share of the observed range that is allowed on either side of it."""


def propose_suite(table: Path, schema: TableSchema, profile: Profile) -> tuple[Expectation, ...]:
    """Return the expectations, in the order of the columns."""
    data = pl.scan_parquet(table / "data.parquet", glob=False)
    guesses = {guess.name: guess for guess in profile.columns}
    target = next(column for column in schema.columns if column.name == profile.target)
    columns = [column for column in schema.columns if guesses[column.name].role != "ignore" and column is not target]
    as_read = [c for c in columns if guesses[c.name].role != "key" and guesses[c.name].type == c.type]
    contents = answers(data, [question for column in as_read for question in _questions(column)])
    return (*_whole(schema, target), *(expectation for column in columns for expectation in _column(column, contents)))


def _expectation(kind: str, severity: str, notes: str, **kwargs: Any) -> Expectation:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"notes": notes}}


def _whole(schema: TableSchema, target: Column) -> list[Expectation]:
    """Return the expectations about the table and its target."""
    names = [column.name for column in schema.columns]
    expectations = [
        _expectation(
            "expect_table_row_count_to_be_between",
            "critical",
            f"{schema.rows:,} rows when this was proposed; the lower bound leaves room for smoke runs",
            min_value=max(1, min(schema.rows // 2, 1000)),
            max_value=schema.rows * 10,
        ),
        _expectation(
            "expect_table_columns_to_match_ordered_list", "warning", "the columns, in order", column_list=names
        ),
        _expectation("expect_column_to_exist", "critical", "the target", column=target.name),
    ]
    labelled = {} if not target.missing else {"mostly": _floor(0.9 * (1 - target.missing / schema.rows))}
    notes = "the target" if not target.missing else f"the target; {target.missing:,} missing when this was proposed"
    return [
        *expectations,
        _expectation("expect_column_values_to_not_be_null", "critical", notes, column=target.name, **labelled),
    ]


def _floor(share: float) -> float:
    return math.floor(share * 100) / 100


def _questions(column: Column) -> list[pl.Expr]:
    """Return what is asked of the values of a column: the categories if they are few, or the range."""
    values = pl.col(column.name)
    if column.type == "category":
        return [values.drop_nulls().unique().sort().head(_FEW + 1).implode()]
    if column.type in ("integer", "float"):
        return [pl.concat_list(values.min(), values.max())]
    return []


def _column(column: Column, contents: Mapping[str, Any]) -> list[Expectation]:
    """Return the expectations about one column.

    Args:
        contents: the values of columns of few categories and the range of columns of numbers, by column.
    """
    name = column.name
    expectations = []
    if not column.missing:
        expectations.append(
            _expectation(
                "expect_column_values_to_not_be_null", "warning", "complete when this was proposed", column=name
            )
        )
    values = contents.get(name, [])
    if column.type == "category" and 0 < len(values) <= _FEW:
        expectations.append(
            _expectation(
                "expect_column_values_to_be_in_set", "warning", "the categories seen", column=name, value_set=values
            )
        )
    elif column.type in ("integer", "float") and values and values[0] is not None and values[0] < values[1]:
        least, most = _widened(*values, whole=column.type == "integer")
        expectations.append(
            _expectation(
                "expect_column_values_to_be_between",
                "warning",
                "the range seen, and a quarter of it on either side",
                column=name,
                min_value=least,
                max_value=most,
            )
        )
    return expectations


def _widened(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """Return the range with a margin that does not cross zero."""
    margin = (high - low) * _MARGIN
    least, most = low - margin, high + margin
    least = 0 if low >= 0 > least else least
    most = 0 if high <= 0 < most else most
    if whole:
        return math.floor(least), math.ceil(most)
    return min(low, float(f"{least:.4g}")), max(high, float(f"{most:.4g}"))
