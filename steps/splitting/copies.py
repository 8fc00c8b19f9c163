"""Near-copies of rows across the parts: rows that differ in one column only, or that rounding makes equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from steps.splitting.rowhash import Hashes, hash_frame, unsalted_hashes
from steps.tables.schema import Column

MOST_COLUMNS = 200
"""Of a wider table, these many columns are left out in turn; each needs a pass over both parts."""
SAMPLE = 50_000
"""The test rows that are looked up."""
DIGITS = 3
"""The significant digits to which numbers are rounded."""


@dataclass(frozen=True)
class NearCopies:
    """How many test rows are near-copies of a training row without being equal to one."""

    rows: int
    all_but_one: int
    """Rows that equal a training row in all features but one."""
    by_chance: float
    """How many of them chance would give if the columns were independent."""
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
    equal = np.isin(test_total, train_total)
    near = np.zeros(len(test_total), bool)
    differing: dict[str, int] = {}
    agreement: list[float] = []
    for name in names[:MOST_COLUMNS]:
        column = unsalted_hashes(train, [name])
        agreement.append(_agreement(column))
        copies = np.isin(test_total - unsalted_hashes(test, [name])[::step], train_total - column) & ~equal
        near |= copies
        if copies.any():
            differing[name] = int(copies.sum())
    shares = np.array(agreement)
    chance = sum(np.prod(np.delete(shares, index)) for index in range(len(shares))) if len(shares) <= 50 else 0.0
    return NearCopies(
        rows=len(test_total),
        all_but_one=int(near.sum()),
        by_chance=float(min(1.0, chance * len(train_total)) * len(test_total)),
        differing=tuple(sorted(differing, key=lambda name: -differing[name])),
        rounded=_equal_when_rounded(train, test, features, step, equal),
    )


def _agreement(hashes: Hashes) -> float:
    """Return the probability that two rows have the same value."""
    counts = np.unique(hashes, return_counts=True)[1]
    return float(((counts / len(hashes)) ** 2).sum())


def _equal_when_rounded(
    train: Path, test: Path, features: Sequence[Column], step: int, equal: np.typing.NDArray[np.bool_]
) -> int:
    fractions = [column.name for column in features if column.type == "float"]
    if not fractions:
        return 0
    names = [column.name for column in features]
    same = np.isin(_rounded_hashes(test, names, fractions)[::step], _rounded_hashes(train, names, fractions))
    return int((same & ~equal).sum())


def _rounded_hashes(path: Path, names: Sequence[str], fractions: Sequence[str]) -> Hashes:
    rounded = pl.col(fractions).round_sig_figs(DIGITS)
    frame = pl.scan_parquet(path, glob=False).select(names)
    parts = [
        hash_frame(batch.with_columns(rounded), names)
        for batch in frame.collect_batches(chunk_size=1 << 18, maintain_order=True, engine="streaming")
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)
