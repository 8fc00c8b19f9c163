"""The content digest of a table: names, types and values in order, whatever the Parquet writer, its compression or its row groups."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from steps.rowhash import batches

if TYPE_CHECKING:
    import polars as pl


def table_digest(path: Path) -> str:
    """The sha256 of a Parquet file's content, read in batches.

    For each column three streams are hashed: its values (missing as 0 or ""), which are missing, and, for text, the lengths in bytes. Streams
    do not know where one batch ends.
    """
    import polars as pl

    schema = pl.scan_parquet(path).collect_schema()
    streams = {name: tuple(hashlib.sha256() for _ in range(3)) for name in schema}
    for batch in batches(path, list(schema)):
        for name, (values, missing, lengths) in streams.items():
            series = batch[name]
            missing.update(series.is_null().cast(pl.UInt8).to_numpy().tobytes())
            _update(series, values, lengths)
    header = [[name, str(kind), *(each.hexdigest() for each in streams[name])] for name, kind in schema.items()]
    return hashlib.sha256(json.dumps(header).encode()).hexdigest()


def _update(series: pl.Series, values: hashlib._Hash, lengths: hashlib._Hash) -> None:
    import polars as pl

    if series.dtype == pl.Boolean:
        values.update(series.fill_null(value=False).cast(pl.UInt8).to_numpy().tobytes())
    elif series.dtype.is_numeric() or series.dtype.is_temporal():
        values.update(series.to_physical().fill_null(0).to_numpy().tobytes())
    else:
        text = series.cast(pl.String).fill_null("")
        lengths.update(text.str.len_bytes().cast(pl.UInt64).to_numpy().tobytes())
        values.update((text.str.join("").item() or "").encode())
