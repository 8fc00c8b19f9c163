"""A pinned 64-bit hash of each row: the same next year and on every machine, whatever the order of rows or columns.

Polars' own hash changes between versions, so the split would move with an upgrade. Golden values in the tests pin the
rules:

    row      = mix(sum over columns of mix(canonical(value) xor seed(column name))), wrapping at 2**64; a sum does
               not know column order
    number   = the bits of its float64; whole numbers beyond 2**53 the bits of their int64. So 3 and 3.0, 0.0 and
               -0.0 hash alike, and a column that one late row turns from integer to float moves nothing
    boolean  = 0 or 1;  date, datetime = microseconds since 1970 UTC as a number (a date is its midnight)
    missing  = one marker, for null and NaN alike
    string   = blake2b of its UTF-8 bytes, 8 bytes, computed once for each distinct value of a batch

``mix`` is the finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_BATCH = 1 << 16
"""Rows mixed at a time: eight bytes each stay inside a processor's second-level cache."""
_FEW = 1 << 12
"""Strings that Python looks up sooner than polars begins."""
_GAMMA = 0x9E3779B97F4A7C15
_MISSING = 0x6D697373696E6721
_WHOLE = 0x8000_0000_0000_0001
"""A mask that keeps the int64 bits of large integers apart from the float64 bits of other numbers."""


def row_hashes(path: Path, columns: Sequence[str], *, seed: int = 0) -> Hashes:
    """Return the hash of every row of a Parquet file, in the order of the file, read in batches.

    Args:
        columns: the columns that are hashed, in any order.
        seed: a salt; another seed gives unrelated hashes.

    Returns:
        uint64 [rows]
    """
    return salted(unsalted_hashes(path, columns), seed)


def unsalted_hashes(path: Path, columns: Sequence[str]) -> Hashes:
    """Return the input of ``salted``, read once for several seeds: uint64 [rows]."""
    parts = [hash_frame(batch, columns) for batch in batches(path, columns)]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def batches(path: Path, columns: Sequence[str], rows: int = 4 * _BATCH) -> Iterator[pl.DataFrame]:
    """Yield some columns of a Parquet file in order, a bounded number of rows at a time."""
    frame = pl.scan_parquet(path, glob=False).select(columns)
    for batch in frame.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming"):
        yield from batch.iter_slices(rows)


def salted(hashes: Hashes, seed: int) -> Hashes:
    """Return row hashes under a salt: uint64 [rows] in and out."""
    return _mix(hashes + np.uint64(((seed + 1) * _GAMMA) & 0xFFFF_FFFF_FFFF_FFFF))


def hash_frame(frame: pl.DataFrame, columns: Sequence[str]) -> Hashes:
    """Return the unsalted hashes of a frame's rows, uint64 [rows]."""
    total = np.zeros(frame.height, np.uint64)
    types = dict(frame.schema)
    numbers = [name for name in columns if types[name].is_numeric() or types[name] == pl.Boolean]
    texts = sorted({*columns} - {*numbers})
    width = max(1, _BATCH // max(1, min(frame.height, _BATCH)))
    for start in range(0, frame.height, _BATCH):
        part, hashes = frame.slice(start, _BATCH), total[start : start + _BATCH]
        chunks = [part.select(numbers[first : first + width]) for first in range(0, len(numbers), width)]
        large = [name for chunk in chunks for name in _add_numbers(hashes, chunk)]
        for name in [*texts, *large]:
            hashes += _mix(_canonical(part[name]) ^ np.uint64(_text_hash(name)))
    return total


def _add_numbers(hashes: Hashes, frame: pl.DataFrame) -> list[str]:
    """Add the columns of numbers to the hashes of rows, and return those whose numbers are too large for a float64.

    Many columns of few rows are read as one array, since each call of polars costs as much as a thousand numbers.
    """
    values = frame.select(pl.all().cast(pl.Float64)).to_numpy().T + 0.0  # + 0.0 turns -0.0 into 0.0; null becomes NaN
    bits = np.where(np.isnan(values), np.uint64(_MISSING), values.view(np.uint64))
    seeds = np.array([_text_hash(name) for name in frame.columns], np.uint64)
    large: NDArray[np.bool_] = np.asarray((np.abs(values) > 2.0**53).any(axis=1))
    hashes += _mix(bits ^ seeds[:, None])[~large].sum(axis=0, dtype=np.uint64)
    return [frame.columns[column] for column in np.flatnonzero(large)]


def _text_hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(x: Hashes) -> Hashes:
    """Apply the finaliser of splitmix64 to a copy; wraps at 2**64."""
    x = x + np.uint64(_GAMMA)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def _canonical(series: pl.Series) -> Hashes:
    """Return 64 bits for each value; equal values have equal bits."""
    gaps = series.null_count() > 0  # an expression costs a millisecond, which counts with thousands of columns
    missing = series.is_null().to_numpy() if gaps else np.zeros(len(series), bool)
    if series.dtype in (pl.Date, pl.Datetime):
        series = series.cast(pl.Datetime("us")).to_physical()
    if series.dtype == pl.Boolean or series.dtype.is_numeric():
        bits, nan = _number_bits(series)
        missing = missing | nan
    else:
        bits = _string_bits(series)
    return np.where(missing, np.uint64(_MISSING), bits)


def _number_bits(series: pl.Series) -> tuple[Hashes, NDArray[np.bool_]]:
    """Return the bits of each number (any bits for nulls), and a mask of NaN."""
    whole = series.dtype.is_integer()
    numbers = series.cast(pl.Int64) if whole else series.cast(pl.Float64)
    values = (numbers.fill_null(0) if numbers.null_count() else numbers).to_numpy()
    as_float = values.astype(np.float64) + 0.0  # + 0.0 turns -0.0 into 0.0
    bits = as_float.view(np.uint64).copy()
    large = (np.abs(as_float) > 2.0**53) & (np.abs(as_float) < 2.0**63)
    if large.any():
        bits[large] = values[large].astype(np.int64).view(np.uint64) ^ np.uint64(_WHOLE)
    return bits, np.isnan(as_float)


def _string_bits(series: pl.Series) -> Hashes:
    """Return the hash of each string, computed once for each distinct string."""
    text = series.cast(pl.String)
    if len(text) <= _FEW:
        values = text.to_list()
        by_value = {value: _text_hash(value) for value in set(values) if value is not None}
        return np.array([by_value.get(value, 0) for value in values], np.uint64)
    distinct = text.drop_nulls().unique()
    if distinct.is_empty():
        return np.zeros(len(series), np.uint64)
    hashes = np.array([_text_hash(value) for value in distinct.to_list()], np.uint64)
    codes = text.cast(pl.Enum(distinct)).to_physical().fill_null(0).to_numpy()
    return np.asarray(hashes[codes], np.uint64)
