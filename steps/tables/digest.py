"""The content digest of a table: names, types and values in order, however the Parquet file was written.

For each column up to three streams of bytes are hashed with sha256; none depends on where a batch ends:

    values    numbers as little-endian 8 bytes (float64, int64; booleans 1 byte, dates int32 days, datetimes int64
              microseconds), text as UTF-8; a missing value is 0 or nothing
    lengths   of text, in bytes, as little-endian uint32
    missing   the 0-based numbers of the rows without a value, as little-endian int64

The digest is the sha256 of the JSON list of [name, type, values, lengths, missing] of the columns in order, followed by
the number of rows. Golden values pin it in the tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from steps.tables.schema import Column

ROW_GROUP = 1 << 17
"""Rows in a row group of our Parquet files; the default of polars depends on the number of threads."""
BATCH = ROW_GROUP
"""Rows read at a time: the columns of a whole row group lie in one piece and are hashed without a copy."""


class ContentDigest:
    """The digest of a table that arrives in batches, in order."""

    def __init__(self) -> None:
        self._streams: dict[str, _Column] = {}
        self._rows = 0

    def update(self, batch: pl.DataFrame) -> None:
        """Add a batch; the first one, which may be empty, defines the columns."""
        for series in batch.iter_columns():
            if series.name not in self._streams:
                self._streams[series.name] = _Column(_type(series.dtype))
            self.add(series)
        self.end(batch.height)

    def add(self, series: pl.Series) -> None:
        """Add one column's values of a batch: the columns of one batch in any order, or at the same time."""
        self._streams[series.name].update(series, self._rows)

    def end(self, rows: int) -> None:
        """End a batch of so many rows, after every column of it was added."""
        self._rows += rows

    def hexdigest(self) -> str:
        content: list[object] = [[name, *column.digests()] for name, column in self._streams.items()]
        return hashlib.sha256(json.dumps([*content, self._rows]).encode()).hexdigest()


class _Column:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.values, self.lengths, self.missing = (hashlib.sha256() for _ in range(3))

    def digests(self) -> Sequence[str]:
        return self.kind, *(stream.hexdigest() for stream in (self.values, self.lengths, self.missing))

    def update(self, series: pl.Series, before: int) -> None:
        """Add a batch of the column's values, after ``before`` rows."""
        if series.null_count():
            self.missing.update(_bytes(series.is_null().arg_true().cast(pl.Int64) + before))
        if self.kind == "string":
            text = series.cast(pl.String)
            text = text.fill_null("") if text.null_count() else text
            _, ends, content = text.to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()
            places = np.frombuffer(ends, np.int64)[: len(text) + 1]
            self.lengths.update(np.diff(places).astype("<u4").data)
            self.values.update(memoryview(content or b"")[: places[-1]] if len(text) else b"")
            return
        if self.kind == "boolean":
            series = series.cast(pl.UInt8)
        elif self.kind in ("integer", "float"):
            wide = pl.Float64 if self.kind == "float" else pl.Int64
            series = series if series.dtype == wide else series.cast(wide)
        elif self.kind != "date":
            series = series.dt.cast_time_unit("us")
        if not series.dtype.is_numeric():  # the call costs as much as a thousand numbers
            series = series.to_physical()
        self.values.update(_bytes(series.fill_null(0) if series.null_count() else series))


def _bytes(series: pl.Series) -> memoryview:
    """Return the numbers of a series without missing values, as they lie in memory."""
    return series.to_numpy().data


def _type(kind: pl.DataType) -> str:
    """Return the digest's own name for a type, which stays when polars renames its."""
    if kind.is_integer():
        return "integer"
    if kind.is_float():
        return "float"
    if isinstance(kind, pl.Datetime):
        return f"datetime {kind.time_zone or ''}".rstrip()
    names = {
        pl.Boolean: "boolean",
        pl.Date: "date",
        pl.String: "string",
        pl.Categorical: "string",
        pl.Enum: "string",
        pl.Null: "string",
    }
    name = names.get(type(kind))
    if name is None:
        raise TypeError(
            f"a table cannot hold columns of type {kind}; it can hold "
            f"{', '.join(sorted({*names.values(), 'integer', 'float', 'datetime'}))}"
        )
    return name


def table_digest(path: Path) -> str:
    """Return the digest of a Parquet file's content, read in batches."""
    digest = ContentDigest()
    frame = pl.scan_parquet(path, glob=False)
    digest.update(frame.head(0).collect())
    for batch in frame.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
        digest.update(batch)
    return digest.hexdigest()


def with_missing(path: Path, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns with the number of values that are missing in a Parquet file."""
    counted = pl.scan_parquet(path, glob=False).select(pl.col(column.name).null_count() for column in columns)
    counts = counted.collect(engine="streaming").row(0, named=True)
    return tuple(column.model_copy(update={"missing": counts[column.name]}) for column in columns)
