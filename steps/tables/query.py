"""Joining staged sources by SQL, and taking an even sample; always with the same rows in the same order."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from steps.errors import InputError
from steps.schema import ROW
from steps.tables.digest import ROW_GROUP
from steps.tables.parsing import Parse, converted, natural, zoned
from steps.tables.sql import check_query

if TYPE_CHECKING:
    import polars as pl

_GOLDEN = 2_654_435_761
"""2^32 by the golden ratio: its multiples modulo 2^32 lie evenly and follow no period (Knuth, TAOCP 3, section 6.4)."""


def write(frame: pl.LazyFrame, target: Path) -> None:
    """Stream a frame to Parquet, whole or not at all; the frame may read what stood there before.

    Polars (2.1) goes on writing for a while after a sink has failed. A file of the same name would get those bytes into it,
    so each one is written under a name that nothing wrote to before. lz4 packs tables nearly as small as zstd and is read in
    two thirds of the time.
    """
    fresh = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    try:
        frame.sink_parquet(fresh, compression="lz4", row_group_size=ROW_GROUP)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def join(tables: Mapping[str, Path], query: str, declared: Mapping[str, Parse], scratch: Path, target: Path) -> None:
    """Write what the query gives.

    A join's own order is not fixed, so the result is ordered: by ``_row`` where the query passes one source's record
    numbers on, and then by everything else.

    Raises:
        InputError: the query reads more than the tables, does not run, or gives columns that a table cannot hold.
    """
    import polars as pl

    check_query(query, "data.query")
    frames = {name: pl.scan_parquet(path, glob=False) for name, path in tables.items()}
    joined = scratch / "joined.parquet"
    try:
        result = pl.SQLContext(frames=frames, eager=False).execute(query)
        schema = result.collect_schema()
        result = result.drop([name for name in schema if name.startswith(f"{ROW}:")])
        if ROW in schema:
            result = result.select(ROW, pl.exclude(ROW))
        schema = result.collect_schema()
        _check(schema, query)
        result = result.with_columns(_as_declared(schema, declared))
        others = [name for name in schema if name != ROW]
        ordered = result.sort([ROW, *others] if ROW in schema else others, nulls_last=True)
        write(ordered if ROW in schema else _numbered(ordered), joined)
    except pl.exceptions.PolarsError as error:
        columns = "; ".join(
            f"{name}: {', '.join(c for c in frame.collect_schema() if c != ROW)}" for name, frame in frames.items()
        )
        raise InputError(
            f"data.query does not run: {str(error).splitlines()[0]}\n  the sources' columns are: {columns}"
        ) from None
    if ROW in schema:
        written = pl.scan_parquet(joined, glob=False)
        if not written.select((pl.col(ROW).is_unique() & pl.col(ROW).is_not_null()).all()).collect().item():
            write(_numbered(written.drop(ROW)), target)
            return
    joined.rename(target)


def _numbered(frame: pl.LazyFrame) -> pl.LazyFrame:
    import polars as pl

    return frame.with_row_index(ROW, 1).with_columns(pl.col(ROW).cast(pl.Int64))


def _check(schema: pl.Schema, query: str) -> None:
    import polars as pl

    nested = [name for name, kind in schema.items() if kind.is_nested() or kind in (pl.Binary, pl.Object)]
    if nested:
        raise InputError(
            f"data.query gives columns that hold lists or objects: {', '.join(nested)}; select their parts instead"
        )
    if not [name for name in schema if name != ROW]:
        raise InputError(f"data.query gives no columns: {query.strip()}")


def _as_declared(schema: pl.Schema, declared: Mapping[str, Parse]) -> list[pl.Expr]:
    """Canonical types, and the declared ones for columns that the query made."""
    import polars as pl

    changes = []
    for name, kind in schema.items():
        if name == ROW:
            continue
        parse = declared.get(name)
        if parse and _differs(kind, parse):
            changes.append(as_type(pl.col(name), kind, parse))
        elif (plain := canonical(pl.col(name), kind)) is not None:
            changes.append(plain)
    return changes


def _differs(kind: pl.DataType, parse: Parse) -> bool:
    found = natural(kind)
    if parse.type in ("category", "text"):
        return found is not None
    return found != parse.type or (parse.timezone is not None and getattr(kind, "time_zone", None) != parse.timezone)


def canonical(column: pl.Expr, kind: pl.DataType) -> pl.Expr | None:
    """The one width that a table keeps of each type; None where it has it. NaN is a missing value."""
    import polars as pl

    if kind in (pl.Int64, pl.Boolean, pl.String, pl.Date):
        return None
    if kind.is_integer():
        return column.cast(pl.Int64)
    if kind.is_float() or kind.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(kind, pl.Datetime):
        return column.dt.cast_time_unit("us")
    if isinstance(kind, pl.Duration):
        return column.dt.total_microseconds() / 1e6
    return column.cast(pl.String)


def as_type(column: pl.Expr, kind: pl.DataType, parse: Parse) -> pl.Expr:
    """Typed values as another type; what does not fit becomes missing."""
    import polars as pl

    found = natural(kind)
    if found == "datetime" and parse.type == "datetime":
        return zoned(column.dt.cast_time_unit("us"), parse, aware=getattr(kind, "time_zone", None) is not None)
    if found == "datetime" and parse.type == "date":
        return column.dt.date()
    if found == "date" and parse.type == "datetime":
        return zoned(column.cast(pl.Datetime("us")), parse, aware=False)
    if found in ("integer", "boolean") and parse.type in ("float", "integer"):
        return column.cast(pl.Float64 if parse.type == "float" else pl.Int64)
    if kind.is_float() and parse.type == "float":
        return column.cast(pl.Float64).fill_nan(None)
    return converted(canonical_text(column, kind), parse)


def canonical_text(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    import polars as pl

    return (column.fill_nan(None) if kind.is_float() else column).cast(pl.String)


def sample(path: Path, share: float) -> None:
    """Keep an even share of a table's rows, chosen by their position."""
    import polars as pl

    position = pl.col("_position").cast(pl.Int64)
    chosen = (position * _GOLDEN) % (1 << 32) < int(share * (1 << 32))
    write(pl.scan_parquet(path, glob=False).with_row_index("_position", 1).filter(chosen).drop("_position"), path)
