"""The division into training and test rows: by a hash of the row, by a hash of its group, or the last ones by time.

A *unit* is what always stays together: rows with an equal key, rows of a group, rows of one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from steps.errors import InputError
from steps.splitting.rowhash import Hashes, row_hashes, salted
from steps.tables.names import ROW
from steps.tables.truth import Array

FEW_GROUPS = 20
"""With fewer groups, the size of the test part and every interval on it are rough."""
UNUSUAL = 4.0
"""Standard errors from which a class share is reported; chance alone exceeds them once in 16,000 splits."""


@dataclass(frozen=True)
class Division:
    """The rows of the test part, and notes for the reader of the report.

    Attributes:
        in_test: bool [rows]
        unit_of: the unit of each row, int64 [rows], counted from 0.
        by_chance: true if a hash decided, so that deviations can be compared with sampling error.
    """

    in_test: Array
    unit_of: Array
    columns: tuple[str, ...]
    by_chance: bool
    boundary: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def units(self) -> int:
        return int(self.unit_of.max()) + 1 if len(self.unit_of) else 0

    @property
    def fraction(self) -> float:
        return float(self.in_test.mean()) if len(self.in_test) else 0.0

    def expected_error(self, fraction: float) -> float | None:
        """Return the standard error of the test fraction: binomial for single rows, larger for larger units."""
        if not self.by_chance:
            return None
        sizes = np.bincount(self.unit_of).astype(float)
        return float(np.sqrt(fraction * (1 - fraction) * (sizes**2).sum()) / len(self.in_test))


def by_row(path: Path, columns: Sequence[str], fraction: float, seed: int) -> Division:
    """Divide by the hash of each row, so a row is in the same part whatever other rows the table has."""
    hashes = row_hashes(path, columns, seed=seed)
    return Division(_below(hashes, fraction), _units(hashes), tuple(columns), by_chance=True)


def by_class(path: Path, columns: Sequence[str], fraction: float, seed: int, truth: Array) -> Division:
    """Divide each class by the share: its units with the lowest hashes are the test.

    Rows with equal columns stay together and count as the class of most of them, so a share may be off by a unit.

    Args:
        truth: class index of each row, int64 [rows].
    """
    hashes = row_hashes(path, columns, seed=seed)
    unit_of = _units(hashes)
    units = int(unit_of.max()) + 1
    width = int(truth.max()) + 1
    pairs, pair_of_row = np.unique(unit_of * width + truth, return_inverse=True)
    rows_of_pair = np.bincount(pair_of_row)
    # The class of a unit is that of its pair (unit, class) with the most rows, and of these the first class.
    order = np.lexsort((pairs % width, -rows_of_pair, pairs // width))
    first = order[np.unique(pairs[order] // width, return_index=True)[1]]
    class_of = pairs[first] % width
    sizes = np.bincount(unit_of, minlength=units)
    chosen = np.zeros(units, bool)
    for index in range(width):
        members = np.flatnonzero(class_of == index)  # in the order of hashes, in which units are numbered
        reached = np.cumsum(sizes[members])
        if len(reached):
            share = fraction * reached[-1]
            before = np.concatenate([[0], reached[:-1]])
            # A unit is chosen if that brings the rows so far closer to the share.
            chosen[members[np.abs(reached - share) < np.abs(before - share)]] = True
    return Division(chosen[unit_of], unit_of, tuple(columns), by_chance=False)


def by_group(path: Path, column: str, fraction: float, seed: int) -> Division:
    """Divide whole groups by the hash of the group's value.

    Raises:
        InputError: rows without a group, or too few groups for two parts.
    """
    _refuse_missing(path, column, "group")
    hashes = row_hashes(path, [column], seed=seed)
    unit_of = _units(hashes)
    groups = int(unit_of.max()) + 1
    if groups < 2:
        raise InputError(
            f"split.column {column!r}: all rows are in one group, and a split by group needs two or more; split "
            f"by row or time"
        )
    in_test = _below(hashes, fraction)
    few = f"only {groups} groups: the size of the test part and the intervals on it are rough"
    return Division(in_test, unit_of, (column,), by_chance=True, notes=[few] if groups < FEW_GROUPS else [])


def working_seed(hashes: Hashes, fraction: float, first: int, classes: Array | None = None) -> int | None:
    """Return the first seed by which both parts have rows and, of a classification, two classes; None of a thousand.

    Args:
        hashes: the unsalted hash of each row.
        first: the seed that is tried first.
        classes: class index of each row.
    """
    units, unit_of = np.unique(hashes, return_inverse=True)
    lowest, highest = np.zeros(len(units), int), np.ones(len(units), int)
    if classes is not None:
        lowest, highest = np.full(len(units), np.iinfo(np.int64).max), np.full(len(units), -1)
        np.minimum.at(lowest, unit_of, classes)
        np.maximum.at(highest, unit_of, classes)
    for seed in range(first, first + 1000):
        in_test = _below(salted(units, seed), fraction)
        parts = (in_test, ~in_test)
        if all(part.any() and lowest[part].min() < highest[part].max() for part in parts):
            return seed
    return None


def by_time(path: Path, column: str, fraction: float) -> Division:
    """Divide at a moment: rows at or after it are the test, so equal times stay together.

    Raises:
        InputError: rows without a time, a column that has no order, or one moment only.
    """
    _refuse_missing(path, column, "time")
    series = _ordered(path, column)
    values = series.to_physical().to_numpy()
    moments, first_of_moment, unit_of, counts = np.unique(
        values, return_index=True, return_inverse=True, return_counts=True
    )
    if len(moments) < 2:
        raise InputError(
            f"split.column {column!r}: all rows have the same time, so none is later than another; split by row or group"
        )
    shares = 1 - np.cumsum(counts)[:-1] / len(values)  # of the rows from moment 1, 2, ... on
    cut = 1 + int(np.argmin(np.abs(shares - fraction)))
    boundary = str(series[int(first_of_moment[cut])])
    reached = float(shares[cut - 1])
    notes = []
    if abs(reached - fraction) > 0.05:
        notes.append(
            f"rows with the same time stay together, so the test part is {reached:.1%} of the rows, not {fraction:.1%}"
        )
    return Division(unit_of >= cut, unit_of, (column,), by_chance=False, boundary=boundary, notes=notes)


def _ordered(path: Path, column: str) -> pl.Series:
    series = pl.scan_parquet(path, glob=False).select(column).collect()[column]
    if not (series.dtype.is_temporal() or series.dtype.is_numeric()):
        raise InputError(
            f"split.column {column!r} holds {'true or false' if series.dtype == pl.Boolean else 'text'}, which has no "
            f"order in time; declare its type as date or datetime in data.columns, or choose another column"
        )
    return series


def _below(hashes: Array, fraction: float) -> Array:
    return hashes < np.uint64(min(int(fraction * 2**64), 2**64 - 1))


def _units(hashes: Array) -> Array:
    return np.unique(hashes, return_inverse=True)[1]


def _refuse_missing(path: Path, column: str, what: str) -> None:
    rows = pl.scan_parquet(path, glob=False).filter(pl.col(column).is_null()).select(ROW).collect()[ROW]
    if len(rows):
        listed = ", ".join(map(str, rows.head(20).to_list())) + (" ..." if len(rows) > 20 else "")
        raise InputError(
            f"split.column {column!r}: {len(rows):,} rows have no {what} (rows {listed}); "
            f"leave them out with data.query or give them a value, since it decides to which part they belong"
        )


def deviation(division: Division, values: Array, fraction: float) -> tuple[float, float, float | None]:
    """Return the mean of ``values`` (float64 [rows]) in the training and the test part, and how unusual the difference is.

    Returns:
        the two means, and for a division by chance the standardised deviation, which is about normal whatever stays
        together.
    """
    test = values[division.in_test].mean()
    train = values[~division.in_test].mean()
    if not division.by_chance:
        return float(train), float(test), None
    centred = values - values.mean()
    units = np.bincount(division.unit_of, weights=centred)
    variance = fraction * (1 - fraction) * float(units @ units)
    z = float(centred[division.in_test].sum() / np.sqrt(variance)) if variance > 0 else 0.0
    return float(train), float(test), z
