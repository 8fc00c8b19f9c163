"""A label rule: one SQL expression over the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steps.errors import InputError
from steps.tables.sql import check_tables

if TYPE_CHECKING:
    import polars as pl


def apply_rule(path: Path, rule: str, names: Sequence[str]) -> tuple[pl.Series, bool]:
    """What the rule says of each row of a Parquet file, and whether it looks at that row alone.

    The second is found by trying: on the first half of the rows it must say the same.

    Raises:
        InputError: the rule is no SQL expression over the columns that gives one value for each row, or reads files.
    """
    import polars as pl

    check_tables(rule, "label.rule")
    lazy = pl.scan_parquet(path, glob=False)
    made = _apply_rule(lazy, rule, names)
    half = len(made) // 2
    return made, not half or _apply_rule(lazy.head(half), rule, names).equals(made.head(half), null_equal=True)


def _apply_rule(lazy: pl.LazyFrame, rule: str, names: Sequence[str]) -> pl.Series:
    """What the rule says of each row."""
    import polars as pl

    query = f"SELECT ({rule}\n) AS made FROM rows"  # noqa: S608 - the user's own rule over the user's own table
    try:
        result = pl.SQLContext(rows=lazy).execute(query, eager=False).collect(engine="streaming")
    except pl.exceptions.ColumnNotFoundError as error:
        listed = ", ".join(names)
        raise InputError(f"label.rule {rule!r}: {_first_line(error)}; the table's columns are: {listed}") from None
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        raise InputError(
            f"label.rule {rule!r} is not a SQL expression that works here: {_first_line(error)}; "
            f"one that would: CASE WHEN delay >= 15 THEN 'late' ELSE 'in time' END"
        ) from None
    if result.width != 1:
        raise InputError(f"label.rule {rule!r} makes {result.width} columns; wanted one, such as: delay >= 15")
    count = lazy.select(pl.len()).collect().item()
    if result.height != count:
        raise InputError(
            f"label.rule {rule!r} gives {result.height:,} values for {count:,} rows; wanted one for each row, "
            f"such as: delay >= 15"
        )
    return result.to_series()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
