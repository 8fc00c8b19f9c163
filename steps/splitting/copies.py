"""Near-copies of rows across the parts: rows that differ in one column only, or that rounding makes equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steps.splitting.rowhash import Hashes, hash_frame, unsalted_hashes
from steps.tables.schema import Column

MOST_COLUMNS = 200
"""Of a wider table, these many columns are left out in turn; each needs a pass over both parts."""
SAMPLE = 50_000
"""The test rows that are looked up."""
DIGITS = 3
"""The significant digits to which numbers are rounded."""
_CELLS = 5_000_000
"""The cells that are read at once."""
_JUDGED = 20_000
"""The rows on which it is judged whether the values of a column repeat."""
_SHARED = 3
"""A value that hardly repeats is shared by as many rows at most, on average over the rows."""


@dataclass(frozen=True)
class NearCopies:
    """How many test rows are near-copies of a training row without being equal to one."""

    rows: int
    all_but_one: int
    """Rows that equal a training row in all features but one."""
    telling: bool
    """Whether they agree in a column whose values hardly repeat, so that chance does not explain them."""
    differing: tuple[str, ...]
    """The columns in which they differ, the most frequent first."""
    rounded: int
    """Rows that equal a training row once numbers are rounded."""


def near_copies(train: Path, test: Path, features: Sequence[Column]) -> NearCopies | None:
    """Return the near-copies among the test rows; None for fewer than three features, where rows differ in little anyway.

    The hash of a row is a sum over its columns, so leaving a column out is a subtraction: memory grows with the rows, and time
    with rows times columns.
    """
    names = [column.name for column in features]
    if len(names) < 3:
        return None
    train_total, test_total = unsalted_hashes(train, names), unsalted_hashes(test, names)
    step = max(1, -(-len(test_total) // SAMPLE))
    test_total = test_total[::step]
    equal = _among(test_total, train_total)
    near = np.zeros(len(test_total), bool)
    differing: dict[str, int] = {}
    telling: list[str] = []
    for name, in_train, in_test in _by_column(train, test, names[:MOST_COLUMNS], len(train_total)):
        if _hardly_repeats(in_train):
            telling.append(name)
        copies = _among(test_total - in_test[::step], train_total - in_train) & ~equal
        near |= copies
        if copies.any():
            differing[name] = int(copies.sum())
    ordered = sorted(differing, key=lambda name: -differing[name])
    return NearCopies(
        rows=len(test_total),
        all_but_one=int(near.sum()),
        telling=any(name not in ordered[:1] for name in telling),
        differing=tuple(ordered),
        rounded=_equal_when_rounded(train, test, features, step, equal),
    )


def _by_column(train: Path, test: Path, names: Sequence[str], rows: int) -> Iterator[tuple[str, Hashes, Hashes]]:
    """Yield each column with its hashes in both parts; several are read at once where rows are few."""
    width = max(1, min(50, _CELLS // max(rows, 1)))
    for start in range(0, len(names), width):
        part = names[start : start + width]
        frames = [pl.scan_parquet(path, glob=False).select(part).collect() for path in (train, test)]
        for name in part:
            in_train, in_test = (hash_frame(frame, [name]) for frame in frames)
            yield name, in_train, in_test


def _hardly_repeats(hashes: Hashes) -> bool:
    """Return whether a value is shared by few rows, judged from a part of them."""
    part = hashes[:: max(1, len(hashes) // _JUDGED)]
    counts = np.unique(part, return_counts=True)[1]
    return float((counts**2).sum()) <= _SHARED * len(part)


def _among(test: Hashes, train: Hashes) -> NDArray[np.bool_]:
    """Return which test rows have their hash among those of the training rows; the smaller side is sorted."""
    ordered = np.sort(test)
    place = np.minimum(np.searchsorted(ordered, train), len(ordered) - 1)
    return np.isin(test, train[ordered[place] == train])


def _equal_when_rounded(
    train: Path, test: Path, features: Sequence[Column], step: int, equal: NDArray[np.bool_]
) -> int:
    fractions = [column.name for column in features if column.type == "float"]
    if not fractions:
        return 0
    names = [column.name for column in features]
    same = _among(_rounded_hashes(test, names, fractions)[::step], _rounded_hashes(train, names, fractions))
    return int((same & ~equal).sum())


def _rounded_hashes(path: Path, names: Sequence[str], fractions: Sequence[str]) -> Hashes:
    rounded = pl.col(fractions).round_sig_figs(DIGITS)
    frame = pl.scan_parquet(path, glob=False).select(names)
    parts = [
        hash_frame(batch.with_columns(rounded), names)
        for batch in frame.collect_batches(chunk_size=1 << 18, maintain_order=True, engine="streaming")
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)
