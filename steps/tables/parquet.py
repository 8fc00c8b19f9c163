"""Writing tables as Parquet: streamed, whole or not at all, with the same rows in the same order each time."""

from __future__ import annotations

import uuid
from pathlib import Path

import polars as pl

from steps.tables.digest import ROW_GROUP
from steps.tables.names import ROW
from steps.tables.schema import unused

_GOLDEN = 2_654_435_761
"""2^32 divided by the golden ratio; its multiples modulo 2^32 are spread evenly and have no period that data could share
(Knuth, TAOCP 3, section 6.4)."""


def write(frame: pl.LazyFrame, target: Path, *, row_group: int = ROW_GROUP) -> None:
    """Stream a frame to Parquet, whole or not at all; the frame may read the earlier content of ``target``.

    Polars (2.1) goes on writing for a while after a sink has failed. In a file of the same name those bytes would end up in
    the next table, so each attempt gets a new name. lz4 packs tables nearly as small as zstd and is read in two thirds of
    the time.
    """
    attempt = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    try:
        frame.sink_parquet(attempt, compression="lz4", row_group_size=row_group)
        attempt.replace(target)
    finally:
        attempt.unlink(missing_ok=True)


def numbered(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return the frame with ``_row``, counted from 1, as its first column."""
    return frame.with_row_index(ROW, 1).with_columns(pl.col(ROW).cast(pl.Int64))


def sample(path: Path, share: float) -> None:
    """Reduce a table to an even share of its rows, chosen by their position."""
    table = pl.scan_parquet(path, glob=False)
    number = unused("_position", table.collect_schema().names())
    position = pl.col(number).cast(pl.Int64)
    chosen = (position * _GOLDEN) % (1 << 32) < int(share * (1 << 32))
    write(table.with_row_index(number, 1).filter(chosen).drop(number), path)
