"""One pass over a Parquet table: rows, digest, missing values, distinct strings, and what must not be there."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from steps.tables.digest import BATCH, ContentDigest
from steps.tables.parsing import LARGEST, natural
from steps.tables.schema import ROW, Type

if TYPE_CHECKING:
    import polars as pl


_FULL_YEAR = datetime(1000, 1, 1)  # noqa: DTZ001 - compared with naive and aware times alike


@dataclass
class Found:
    """What is in one column."""

    type: Type | None
    """None for strings, which are categories or text."""
    timezone: str | None
    missing: int = 0
    distinct: int | None = 0
    """Of strings; None when there are too many to count."""
    huge: bool = False
    """Whether a number is infinite, nearly so, or not a number."""
    unclean: bool = False
    """Whether a string is a missing marker, or a year has fewer than four digits."""
    zero_bytes: bool = False


@dataclass
class Examination:
    """What is in a table; ``_row`` is not among the columns."""

    columns: dict[str, Found] = field(default_factory=dict)
    rows: int = 0
    digest: str = ""
    last_row: int = 0


def examine(path: Path, many: int, missing: Collection[str] = ()) -> Examination:
    """Look at every value once.

    Args:
        many: distinct strings are counted up to here.
        missing: strings that should not be there.
    """
    import polars as pl

    frame = pl.scan_parquet(path, glob=False)
    schema = frame.collect_schema()
    result = Examination(
        {name: Found(natural(kind), getattr(kind, "time_zone", None)) for name, kind in schema.items() if name != ROW}
    )
    digest = ContentDigest()
    digest.update(pl.DataFrame(schema=schema))
    seen: dict[str, pl.Series] = {}

    def look(series: pl.Series) -> None:
        if series.name != ROW:
            _look(series, result.columns[series.name], seen, many, missing)
        digest.add(series)

    # Columns know nothing of each other, and most of the work is done outside of the interpreter's lock.
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        for batch in frame.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
            list(threads.map(look, batch.iter_columns()))
            digest.end(batch.height)
            result.rows += batch.height
            if ROW in schema and batch.height:
                result.last_row = batch[ROW][-1]
    result.digest = digest.hexdigest()
    return result


def _look(series: pl.Series, found: Found, seen: dict[str, pl.Series], many: int, missing: Collection[str]) -> None:
    import polars as pl

    found.missing += series.null_count()
    if series.dtype.is_float():
        # One sum of squares tells of most columns that nothing in them is huge: only of others is each looked at.
        found.huge = found.huge or not ((series * series).sum() <= LARGEST or (series.abs() <= LARGEST).all())
    if series.dtype in (pl.Date, pl.Datetime):
        early = pl.Series([_FULL_YEAR]).cast(series.dtype).to_physical()[0]
        first = series.to_physical().min()
        found.unclean = found.unclean or (first is not None and first < early)
    if series.dtype != pl.String:
        return
    values = series if found.distinct is None else series.drop_nulls().unique()
    found.zero_bytes = found.zero_bytes or bool(values.str.contains("\0", literal=True).any())
    found.unclean = found.unclean or (bool(missing) and bool(values.is_in(sorted(missing)).any()))
    if found.distinct is None:
        return
    before = seen.get(series.name)
    seen[series.name] = values if before is None else pl.concat([before, values]).unique()
    found.distinct = len(seen[series.name])
    if found.distinct > many:
        found.distinct = None
        del seen[series.name]
