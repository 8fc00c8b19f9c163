"""A label rule: one SQL expression over the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from steps.errors import InputError
from steps.tables.names import ROW
from steps.tables.sql import check_tables


def apply_rule(path: Path, rule: str, names: Sequence[str]) -> tuple[pl.Series, bool]:
    """Return the value of the rule for each row of a Parquet file, and whether it depends on that row alone.

    It does if the first half of the rows alone gives the same values.

    Raises:
        InputError: the rule is not a SQL expression that gives one value for each row, or it reads files.
    """
    check_tables(rule, "label.rule")
    lazy = pl.scan_parquet(path, glob=False)
    values = _apply_rule(lazy, rule, names)
    half = len(values) // 2
    return values, not half or _apply_rule(lazy.head(half), rule, names).equals(values.head(half), null_equal=True)


def _apply_rule(lazy: pl.LazyFrame, rule: str, names: Sequence[str]) -> pl.Series:
    """Return the value of the rule for each row, in the order of the rows.

    Polars (2.1) may return the values of an expression such as CASE WHEN a THEN 'x' ELSE 'y' END in any order. So each value
    is selected with its row number and sorted by it. Beside a column, a single value would be repeated for all rows; that the
    rule gives one for each row is therefore checked on the first two rows, without another column.
    """

    def ask(frame: pl.LazyFrame, columns: str) -> pl.DataFrame:
        query = f"SELECT {columns} FROM rows"  # noqa: S608 - the user's own rule over the user's own table
        return pl.SQLContext(rows=frame).execute(query, eager=False).collect(engine="streaming")

    computed, first = f"({rule}\n) AS made", lazy.head(2)
    try:
        few = ask(first, computed)
        expected, count = first.select(pl.len()).collect().item(), few.height
        if few.width == 1 and count == expected:
            numbered = ask(lazy, f"{ROW}, {computed}")
            expected, count = lazy.select(pl.len()).collect().item(), numbered.height
    except pl.exceptions.ColumnNotFoundError as error:
        listed = ", ".join(names)
        raise InputError(f"label.rule {rule!r}: {_first_line(error)}; the table's columns are: {listed}") from None
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        raise InputError(
            f"label.rule {rule!r} is not a SQL expression that works here: {_first_line(error)}; "
            f"one that works: CASE WHEN delay >= 15 THEN 'late' ELSE 'in time' END"
        ) from None
    if few.width != 1:
        raise InputError(
            f"label.rule {rule!r} makes {few.width} columns instead of one; write one expression, such as: delay >= 15"
        )
    if count != expected:
        raise InputError(
            f"label.rule {rule!r} gives {count:,} values for {expected:,} rows; write an expression with one for each "
            f"row, such as: delay >= 15"
        )
    return numbered.sort(ROW)["made"]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
