"""Joining staged sources by SQL, and taking an even sample; always with the same rows in the same order."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from steps.errors import InputError
from steps.tables.digest import ROW_GROUP
from steps.tables.parsing import Parse, converted, natural, zoned
from steps.tables.schema import LABEL_SOURCE, ROW, unused
from steps.tables.sql import check_query

if TYPE_CHECKING:
    import polars as pl

_EXACT = 1 << 53
"""Up to here each whole number is a float64 of its own."""
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
        differing = {name: declared[name] for name, kind in schema.items() if _is_other(name, kind, declared)}
        refuse_unfit(result, differing, "data.query")
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
    if LABEL_SOURCE in schema:
        raise InputError(f"data.query gives a column {LABEL_SOURCE!r}, which is reserved; name it otherwise: AS ...")
    if not [name for name in schema if name != ROW]:
        raise InputError(f"data.query gives no columns: {query.strip()}")


def _as_declared(schema: pl.Schema, declared: Mapping[str, Parse]) -> list[pl.Expr]:
    """Canonical types, and the declared ones for columns that the query made."""
    import polars as pl

    changes = []
    for name, kind in schema.items():
        if name == ROW:
            continue
        if _is_other(name, kind, declared):
            changes.append(as_type(pl.col(name), kind, declared[name]))
        elif (plain := canonical(pl.col(name), kind)) is not None:
            changes.append(plain)
    return changes


def _is_other(name: str, kind: pl.DataType, declared: Mapping[str, Parse]) -> bool:
    """Whether a column was declared to have another type."""
    if name == ROW or name not in declared:
        return False
    found, parse = natural(kind), declared[name]
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
    """Typed values as a CSV file would hold them: whole numbers without a point."""
    import polars as pl

    if not kind.is_float():
        return column.cast(pl.String)
    value = column.fill_nan(None)
    whole = (value == value.round()) & (value.abs() < _EXACT)
    return pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(value.cast(pl.String))


def refuse_unfit(frame: pl.LazyFrame, wanted: Mapping[str, Parse], where: str) -> None:
    """Typed values that would become missing as the types that are wanted.

    Raises:
        InputError: there are such values; columns and examples are named.
    """
    import polars as pl

    kinds = frame.collect_schema()
    unfit = {}
    for name, parse in wanted.items():
        value = pl.col(name).fill_nan(None) if kinds[name].is_float() else pl.col(name)
        unfit[name] = value.is_not_null() & as_type(pl.col(name), kinds[name], parse).is_null()
    if not unfit:
        return
    counts = frame.select(wrong.sum().alias(name) for name, wrong in unfit.items()).collect(engine="streaming").row(0)
    lines = []
    for (name, wrong), count in zip(unfit.items(), counts, strict=True):
        if count:
            some = frame.filter(wrong).select(pl.col(name).cast(pl.String)).head(3).collect(engine="streaming")
            lines.append(
                f"{where}, column {name!r}: {count:,} {'value is' if count == 1 else 'values are'} not "
                f"{wanted[name].wanted}, such as {', '.join(some[name])}. What would work: values of that type, or "
                f"data.columns.{name}.type: {natural(kinds[name]) or 'category'}, which is what they are"
            )
    if lines:
        raise InputError("\n".join(lines))


def sample(path: Path, share: float) -> None:
    """Keep an even share of a table's rows, chosen by their position."""
    import polars as pl

    table = pl.scan_parquet(path, glob=False)
    number = unused("_position", table.collect_schema().names())
    position = pl.col(number).cast(pl.Int64)
    chosen = (position * _GOLDEN) % (1 << 32) < int(share * (1 << 32))
    write(table.with_row_index(number, 1).filter(chosen).drop(number), path)
