"""Joining staged sources by SQL; always with the same rows in the same order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from steps.errors import InputError
from steps.tables.casting import as_type, canonical, refuse_unfit
from steps.tables.names import LABEL_SOURCE, ROW
from steps.tables.parquet import numbered, write
from steps.tables.parsing import Parse, natural_type
from steps.tables.sql import check_query


def join(tables: Mapping[str, Path], query: str, declared: Mapping[str, Parse], scratch: Path, target: Path) -> None:
    """Write the result of the query.

    The order of a join's rows is not fixed, so the result is sorted: by ``_row`` where the query passes the record numbers of
    a source on, and then by everything else.

    Raises:
        InputError: the query reads more than the tables, does not run, or gives columns that a table cannot hold.
    """
    check_query(query, "data.query")
    frames = {name: pl.scan_parquet(path, glob=False) for name, path in tables.items()}
    joined = scratch / "joined.parquet"
    try:
        result = pl.SQLContext(frames=frames, eager=False).execute(query)
        result = result.drop([name for name in result.collect_schema() if name.startswith(f"{ROW}:")])
        schema = result.collect_schema()
        _check_columns(schema, query)
        cast = {name: declared[name] for name, dtype in schema.items() if _differs(name, dtype, declared)}
        refuse_unfit(result, cast, "data.query")
        columns = [name for name in schema if name != ROW]
        values = [
            as_type(pl.col(name), schema[name], cast[name]).alias(name)
            if name in cast
            else canonical(pl.col(name), schema[name]).alias(name)
            for name in columns
        ]
        if ROW in schema:
            write(result.select(ROW, *values).sort([ROW, *columns], nulls_last=True), joined)
        else:
            write(numbered(result.select(values).sort(columns, nulls_last=True)), joined)
    except pl.exceptions.PolarsError as error:
        sources = "; ".join(
            f"{name}: {', '.join(column for column in frame.collect_schema() if column != ROW)}"
            for name, frame in frames.items()
        )
        raise InputError(
            f"data.query does not run: {str(error).splitlines()[0]}\n  the sources' columns are: {sources}"
        ) from None
    if ROW in schema:
        table = pl.scan_parquet(joined, glob=False)
        if not table.select((pl.col(ROW).is_unique() & pl.col(ROW).is_not_null()).all()).collect().item():
            write(numbered(table.drop(ROW)), target)
            return
    joined.rename(target)


def _check_columns(schema: pl.Schema, query: str) -> None:
    nested = [name for name, dtype in schema.items() if dtype.is_nested() or dtype in (pl.Binary, pl.Object)]
    if nested:
        raise InputError(
            f"data.query gives columns that hold lists or objects: {', '.join(nested)}; select their parts instead"
        )
    if LABEL_SOURCE in schema:
        raise InputError(f"data.query gives a column {LABEL_SOURCE!r}, which is reserved; rename it: AS ...")
    if not [name for name in schema if name != ROW]:
        raise InputError(f"data.query gives no columns: {query.strip()}")


def _differs(name: str, dtype: pl.DataType, declared: Mapping[str, Parse]) -> bool:
    """Return whether a column is declared to have another type."""
    if name == ROW or name not in declared:
        return False
    natural, parse = natural_type(dtype), declared[name]
    if parse.type in ("category", "text"):
        return natural is not None
    return natural != parse.type or (parse.timezone is not None and getattr(dtype, "time_zone", None) != parse.timezone)
