"""A label rule: one SQL expression over the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steps.errors import InputError
from steps.tables.schema import ROW
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
    """What the rule says of each row, in their order.

    Polars (2.1) gives the values of an expression such as CASE WHEN a THEN 'x' ELSE 'y' END in any order, taking it for
    something that nobody looks at. So each value brings its row's number along, and is sorted by it. Beside a column one
    value would stand for all rows; whether the rule gives one for each is asked of the first rows before.
    """
    import polars as pl

    def ask(frame: pl.LazyFrame, columns: str) -> pl.DataFrame:
        query = f"SELECT {columns} FROM rows"  # noqa: S608 - the user's own rule over the user's own table
        return pl.SQLContext(rows=frame).execute(query, eager=False).collect(engine="streaming")

    made, first = f"({rule}\n) AS made", lazy.head(2)
    try:
        few = ask(first, made)
        wanted, given = first.select(pl.len()).collect().item(), few.height
        if few.width == 1 and given == wanted:
            numbered = ask(lazy, f"{ROW}, {made}")
            wanted, given = lazy.select(pl.len()).collect().item(), numbered.height
    except pl.exceptions.ColumnNotFoundError as error:
        listed = ", ".join(names)
        raise InputError(f"label.rule {rule!r}: {_first_line(error)}; the table's columns are: {listed}") from None
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        raise InputError(
            f"label.rule {rule!r} is not a SQL expression that works here: {_first_line(error)}; "
            f"one that would: CASE WHEN delay >= 15 THEN 'late' ELSE 'in time' END"
        ) from None
    if few.width != 1:
        raise InputError(f"label.rule {rule!r} makes {few.width} columns; wanted one, such as: delay >= 15")
    if given != wanted:
        raise InputError(
            f"label.rule {rule!r} gives {given:,} values for {wanted:,} rows; wanted one for each row, "
            f"such as: delay >= 15"
        )
    return numbered.sort(ROW)["made"]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
