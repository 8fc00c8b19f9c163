"""A first expectation suite, true of the data it was made from: what must hold is critical, what is usual a warning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.propose.profile import Looked
from steps.tables.schema import Column, TableSchema

if TYPE_CHECKING:
    import polars as pl

Expectation = dict[str, Any]
_FEW = 20
_MARGIN = 0.25
"""Of the range seen, allowed on either side of it."""


def suite(table: Path, schema: TableSchema, looked: Looked) -> tuple[Expectation, ...]:
    """The expectations, in the order of the columns."""
    import polars as pl

    data = pl.scan_parquet(table / "data.parquet", glob=False)
    ignored = {guess.name for guess in looked.columns if guess.role == "ignore"}
    target = next(column for column in schema.columns if column.name == looked.target)
    return (
        *_whole(schema, target),
        *(
            each
            for column in schema.columns
            if column.name not in ignored and column is not target
            for each in _column(data, column, looked)
        ),
    )


def _expectation(kind: str, severity: str, notes: str, **kwargs: Any) -> Expectation:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"notes": notes}}


def _whole(schema: TableSchema, target: Column) -> list[Expectation]:
    """The row count's lower bound lets a smoke run's sample through."""
    names = [column.name for column in schema.columns]
    found = [
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
        *found,
        _expectation("expect_column_values_to_not_be_null", "critical", notes, column=target.name, **labelled),
    ]


def _floor(share: float) -> float:
    return math.floor(share * 100) / 100


def _column(data: pl.LazyFrame, column: Column, looked: Looked) -> list[Expectation]:
    import polars as pl

    name = column.name
    found = []
    if not column.missing:
        found.append(
            _expectation(
                "expect_column_values_to_not_be_null", "warning", "complete when this was proposed", column=name
            )
        )
    guess = next(each for each in looked.columns if each.name == name)
    if guess.role == "key" or guess.type != column.type:
        return found
    if column.type == "category":
        values = (
            data.select(pl.col(name).drop_nulls().unique().sort())
            .head(_FEW + 1)
            .collect(engine="streaming")[name]
            .to_list()
        )
        if 0 < len(values) <= _FEW:
            found.append(
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
            found.append(
                _expectation(
                    "expect_column_values_to_be_between",
                    "warning",
                    "the range seen, and a quarter of it on either side",
                    column=name,
                    min_value=least,
                    max_value=most,
                )
            )
    return found


def _widened(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """The range with a margin that does not cross zero."""
    margin = (high - low) * _MARGIN
    least, most = low - margin, high + margin
    least = 0 if low >= 0 > least else least
    most = 0 if high <= 0 < most else most
    if whole:
        return math.floor(least), math.ceil(most)
    return min(low, float(f"{least:.4g}")), max(high, float(f"{most:.4g}"))
