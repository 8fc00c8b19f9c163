"""A first expectation suite that the data meets: what must hold is critical, what is usual is a warning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.propose.profile import Profile
from steps.tables.schema import Column, TableSchema

Expectation = dict[str, Any]
_FEW = 20
_MARGIN = 0.25
"""The share of the observed range that is allowed on either side of it."""


def propose_suite(table: Path, schema: TableSchema, profile: Profile) -> tuple[Expectation, ...]:
    """Return the expectations, in the order of the columns."""
    data = pl.scan_parquet(table / "data.parquet", glob=False)
    ignored = {guess.name for guess in profile.columns if guess.role == "ignore"}
    target = next(column for column in schema.columns if column.name == profile.target)
    return (
        *_whole(schema, target),
        *(
            expectation
            for column in schema.columns
            if column.name not in ignored and column is not target
            for expectation in _column(data, column, profile)
        ),
    )


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


def _column(data: pl.LazyFrame, column: Column, profile: Profile) -> list[Expectation]:
    name = column.name
    expectations = []
    if not column.missing:
        expectations.append(
            _expectation(
                "expect_column_values_to_not_be_null", "warning", "complete when this was proposed", column=name
            )
        )
    guess = next(guess for guess in profile.columns if guess.name == name)
    if guess.role == "key" or guess.type != column.type:
        return expectations
    if column.type == "category":
        values = (
            data.select(pl.col(name).drop_nulls().unique().sort())
            .head(_FEW + 1)
            .collect(engine="streaming")[name]
            .to_list()
        )
        if 0 < len(values) <= _FEW:
            expectations.append(
                _expectation(
                    "expect_column_values_to_be_in_set", "warning", "the categories seen", column=name, value_set=values
                )
            )
    elif column.type in ("integer", "float"):
        low, high = (
            data.select(pl.col(name).min().alias("low"), pl.col(name).max().alias("high"))
            .collect(engine="streaming")
            .row(0)
        )
        if low is not None and low < high:
            least, most = _widened(low, high, whole=column.type == "integer")
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
