"""Typed values as the types that a table has, and as the types that the problem file declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from model_code.tabular.values import canonical_text, converted, zoned
from steps.errors import InputError
from steps.tables.parsing import Parse, natural_type


def canonical(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return a column in the one width that tables have for its type; NaN becomes a missing value."""
    if dtype in (pl.Int64, pl.Boolean, pl.String, pl.Date):
        return column
    if dtype.is_integer():
        return column.cast(pl.Int64)
    if dtype.is_float() or dtype.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(dtype, pl.Datetime):
        return column.dt.cast_time_unit("us")
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds() / 1e6
    return column.cast(pl.String)


def as_type(column: pl.Expr, dtype: pl.DataType, parse: Parse) -> pl.Expr:
    """Return typed values as another type; those that do not fit become missing."""
    natural = natural_type(dtype)
    if natural == "datetime" and parse.type == "datetime":
        return zoned(column.dt.cast_time_unit("us"), parse, aware=getattr(dtype, "time_zone", None) is not None)
    if natural == "datetime" and parse.type == "date":
        return column.dt.date()
    if natural == "date" and parse.type == "datetime":
        return zoned(column.cast(pl.Datetime("us")), parse, aware=False)
    if natural in ("integer", "boolean") and parse.type in ("float", "integer"):
        return column.cast(pl.Float64 if parse.type == "float" else pl.Int64)
    if dtype.is_float() and parse.type == "float":
        return column.cast(pl.Float64).fill_nan(None)
    return converted(canonical_text(column, dtype), parse)


def refuse_unfit(frame: pl.LazyFrame, parses: Mapping[str, Parse], where: str) -> None:
    """Check that no typed value would become missing when its column is cast as ``parses`` say.

    Raises:
        InputError: some would; columns and examples are named.
    """
    dtypes = frame.collect_schema()
    unfit = {}
    for name, parse in parses.items():
        value = pl.col(name).fill_nan(None) if dtypes[name].is_float() else pl.col(name)
        # With a choice for the change of clocks, times that they skip or show twice are missing.
        form = replace(parse, timezone=None) if parse.clock_change else parse
        unfit[name] = value.is_not_null() & as_type(pl.col(name), dtypes[name], form).is_null()
    if not unfit:
        return
    counts = frame.select(wrong.sum().alias(name) for name, wrong in unfit.items()).collect(engine="streaming").row(0)
    lines = []
    for (name, wrong), count in zip(unfit.items(), counts, strict=True):
        if count:
            examples = frame.filter(wrong).select(pl.col(name).cast(pl.String)).head(3).collect(engine="streaming")
            lines.append(
                f"{where}, column {name!r}: {count:,} value{'' if count == 1 else 's'} cannot be read as "
                f"{parses[name].expected}: {', '.join(examples[name])}. Change the values, or declare "
                f"data.columns.{name}.type: {natural_type(dtypes[name]) or 'category'}, which they have now"
            )
    if lines:
        raise InputError("\n".join(lines))
