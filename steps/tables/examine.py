"""One pass over a Parquet table: rows, digest, missing values, distinct strings, and what must not be there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from steps.schema import ROW, Type
from steps.tables.digest import BATCH, ContentDigest
from steps.tables.parsing import natural

if TYPE_CHECKING:
    import polars as pl


_FULL_YEAR = 1000


@dataclass
class Found:
    """What is in one column."""

    type: Type | None
    """None for strings, which are categories or text."""
    timezone: str | None
    missing: int = 0
    distinct: int | None = 0
    """Of strings; None when there are too many to count."""
    infinite: bool = False
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
    for batch in frame.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
        digest.update(batch)
        result.rows += batch.height
        if ROW in schema and batch.height:
            result.last_row = batch[ROW][-1]
        for name, found in result.columns.items():
            _look(batch[name], found, seen, many, missing)
    result.digest = digest.hexdigest()
    return result


def _look(series: pl.Series, found: Found, seen: dict[str, pl.Series], many: int, missing: Collection[str]) -> None:
    import polars as pl

    found.missing += series.null_count()
    if series.dtype.is_float():
        found.infinite = found.infinite or bool(series.is_infinite().any())
    if series.dtype.is_temporal():
        found.unclean = found.unclean or bool((series.dt.year() < _FULL_YEAR).any())
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
