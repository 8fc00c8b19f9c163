"""Expectations that every row plainly meets, found in one pass over the table; Great Expectations judges all others.

Great Expectations needs about 0.05 s for each expectation and seconds to be imported, so a suite of thousands of ranges would
take minutes. A plain expectation has no condition, and a maximum, a minimum, a count of nulls or a set of values answers it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from steps.tables.schema import Column, TableSchema

Request = tuple[str, Mapping[str, Any]]
"""An expectation to evaluate: its type and its arguments."""
_ARGUMENTS = {
    "expect_table_row_count_to_be_between": {"min_value", "max_value"},
    "expect_table_columns_to_match_ordered_list": {"column_list"},
    "expect_column_to_exist": {"column"},
    "expect_column_values_to_not_be_null": {"column", "mostly"},
    "expect_column_values_to_be_between": {"column", "mostly", "min_value", "max_value"},
    "expect_column_values_to_be_in_set": {"column", "mostly", "value_set"},
}
_LARGEST = 2**53
"""Beyond it, an integer and the nearest float differ."""
_BATCH = 50
"""Columns read at once: the engine holds buffers for each."""


@dataclass(frozen=True)
class Outcome:
    """What the evaluation of one expectation came to."""

    success: bool = False
    error: str | None = None
    """Why it was not evaluated."""
    observed: Any = None
    """Numbers and counts only."""
    observed_values: Any = None
    """The same with values of the table."""
    failing: int = 0
    """How many rows fail."""
    rows: tuple[int, ...] = ()
    """The numbers of the first of them."""
    values: tuple[str, ...] = ()
    """The values in them."""


def plainly_met(table: Path, suite: Sequence[Request], schema: TableSchema) -> dict[int, Outcome]:
    """Return the outcome of the expectations that plainly hold, by their position in the suite."""
    columns = {column.name: column for column in schema.columns}
    outcomes: dict[int, Outcome] = {}
    questions: dict[int, pl.Expr] = {}
    for position, (kind, kwargs) in enumerate(suite):
        if not schema.rows or not kwargs or not kwargs.keys() <= _ARGUMENTS.get(kind, set()) or not _is_share(kwargs):
            continue
        if kind.startswith("expect_table"):
            if outcome := _of_table(kind, kwargs, schema):
                outcomes[position] = outcome
        elif isinstance(name := kwargs.get("column"), str) and (column := columns.get(name)):
            if kind == "expect_column_to_exist":
                outcomes[position] = Outcome(success=True, observed="the column exists", observed_values="None")
            elif (question := _of_column(kind, kwargs, column)) is not None:
                questions[position] = question.alias(str(position))
    for position in _met(table, questions):
        kind, kwargs = suite[position]
        missing = columns[kwargs["column"]].missing
        text = f"0 of {schema.rows:,} rows fail (0.0 %)" + (f", {missing:,} missing" if missing else "")
        outcomes[position] = Outcome(success=True, observed=text, observed_values=text)
    return outcomes


def _met(table: Path, questions: Mapping[int, pl.Expr]) -> Iterator[int]:
    """Yield the positions of the questions that are true of all rows."""
    data = pl.scan_parquet(table / "data.parquet", glob=False)
    positions = [*questions]
    for start in range(0, len(positions), _BATCH):
        batch = data.select(questions[position] for position in positions[start : start + _BATCH])
        answers = batch.collect(engine="streaming").row(0, named=True)
        yield from (int(position) for position, is_met in answers.items() if is_met)


def _of_table(kind: str, kwargs: Mapping[str, Any], schema: TableSchema) -> Outcome | None:
    """Return the outcome of an expectation that the schema shows to hold."""
    names = [column.name for column in schema.columns]
    if kind == "expect_table_columns_to_match_ordered_list" and kwargs["column_list"] == names:
        return Outcome(success=True, observed=str(names), observed_values=str(names))
    if (
        kind == "expect_table_row_count_to_be_between"
        and (bounds := _bounds(kwargs))
        and bounds[0] <= schema.rows <= bounds[1]
    ):
        return Outcome(success=True, observed=schema.rows, observed_values=str(schema.rows))
    return None


def _of_column(kind: str, kwargs: Mapping[str, Any], column: Column) -> pl.Expr | None:
    """Return an expression that is true if every row meets an expectation; None where it is not plain."""
    values = pl.col(column.name)
    if kind == "expect_column_values_to_not_be_null":
        return values.null_count() == 0
    if (
        kind == "expect_column_values_to_be_between"
        and column.type in ("integer", "float")
        and (bounds := _bounds(kwargs))
    ):
        within = (
            values.is_between(*bounds) if column.type == "integer" else values.is_between(*bounds) & values.is_finite()
        )
        return (values.count() > 0) & within.all()
    if kind == "expect_column_values_to_be_in_set" and column.type in ("category", "text"):
        allowed = kwargs.get("value_set")
        if isinstance(allowed, list) and {*map(type, allowed)} == {str}:
            return (values.count() > 0) & values.is_in(allowed).all()
    return None


def _bounds(kwargs: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the bounds of a range, infinite where it is open; None where they are not plain numbers."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if (low is None and high is None) or not all(bound is None or _is_number(bound) for bound in (low, high)):
        return None
    bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    return bounds if bounds[0] <= bounds[1] else None


def _is_share(kwargs: Mapping[str, Any]) -> bool:
    mostly = kwargs.get("mostly", 1)
    return _is_number(mostly) and 0 <= mostly <= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
