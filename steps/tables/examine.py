"""One pass over a Parquet table: rows, digest, missing values, distinct strings, and values that must not be there."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from model_code.tabular.values import LARGEST
from steps.tables.digest import BATCH, ContentDigest
from steps.tables.names import ROW
from steps.tables.parsing import natural_type
from steps.tables.schema import Type

MANY = 10_000
"""Distinct strings are counted up to here; columns with more are free text."""
_FIRST_YEAR = datetime(1000, 1, 1)  # noqa: DTZ001 - compared with naive and aware times alike


@dataclass
class ColumnContent:
    """What one column holds."""

    type: Type | None
    """The type of the values; None for strings, which are categories or text."""
    timezone: str | None
    missing: int = 0
    distinct: int | None = 0
    """The number of distinct strings; None when there are more than MANY."""
    huge: bool = False
    """True if a number is infinite, nearly so, or NaN."""
    forbidden: bool = False
    """True if a value is a missing marker, or a year has fewer than four digits."""
    zero_bytes: bool = False


@dataclass
class Examination:
    """What a table holds; ``_row`` is not among the columns."""

    columns: dict[str, ColumnContent] = field(default_factory=dict)
    rows: int = 0
    digest: str = ""
    last_row: int = 0


def examine(path: Path, forbidden: Mapping[str, pl.Series] | None = None) -> Examination:
    """Look at every value once.

    Args:
        forbidden: values by column that the column should not hold.
    """
    frame = pl.scan_parquet(path, glob=False)
    schema = frame.collect_schema()
    columns = {
        name: ColumnContent(natural_type(dtype), getattr(dtype, "time_zone", None))
        for name, dtype in schema.items()
        if name != ROW
    }
    result = Examination(columns)
    digest = ContentDigest()
    digest.update(pl.DataFrame(schema=schema))
    distinct: dict[str, pl.Series] = {}

    def look(series: pl.Series) -> None:
        if series.name != ROW:
            _look(series, columns[series.name], distinct, (forbidden or {}).get(series.name))
        digest.add(series)

    # Columns are independent of each other, and polars and hashlib release the interpreter's lock for most of the work.
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        for batch in frame.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
            list(threads.map(look, batch.iter_columns()))
            digest.end(batch.height)
            result.rows += batch.height
            if ROW in schema and batch.height:
                result.last_row = batch[ROW][-1]
    result.digest = digest.hexdigest()
    return result


def _look(
    series: pl.Series, content: ColumnContent, distinct: dict[str, pl.Series], forbidden: pl.Series | None
) -> None:
    """Add one batch of a column to its content; ``distinct`` holds the strings of the batches before."""
    content.missing += series.null_count()
    if series.dtype.is_float():
        # One sum of squares shows of most columns that no value is huge, at half the price of a comparison of each.
        content.huge = content.huge or not ((series * series).sum() <= LARGEST or (series.abs() <= LARGEST).all())
    if series.dtype in (pl.Date, pl.Datetime):
        # As integers, since a comparison of datetimes would need the timezone of each column.
        bound = pl.Series([_FIRST_YEAR]).cast(series.dtype).to_physical()[0]
        first = series.to_physical().min()
        content.forbidden = content.forbidden or (first is not None and first < bound)
    is_text = series.dtype == pl.String
    # The distinct strings are needed anyway while they are counted; later a column has too many for unique() to pay.
    values = series.drop_nulls().unique() if is_text and content.distinct is not None else series
    if forbidden is not None and len(forbidden):
        content.forbidden = content.forbidden or bool(values.is_in(forbidden.implode()).any())
    if not is_text:
        return
    content.zero_bytes = content.zero_bytes or bool(values.str.contains("\0", literal=True).any())
    if content.distinct is None:
        return
    before = distinct.get(series.name)
    distinct[series.name] = values if before is None else pl.concat([before, values]).unique()
    content.distinct = len(distinct[series.name])
    if content.distinct > MANY:
        content.distinct = None
        del distinct[series.name]
