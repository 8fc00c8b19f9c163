"""Validation folds inside the training part, divided the way the test set was divided from it.

row     equal rows (same key, or the same features) stay together; classes are spread evenly
group   a group is in one fold as a whole; folds are about equally large
time    forward chaining: every fold is validated on what comes after what it was trained on
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from steps.errors import InputError
from steps.splitting import By
from steps.splitting.rowhash import hash_frame, salted
from steps.tables.truth import Array

Fold = tuple[Array, Array]
"""Training positions and validation positions."""
HELD_OUT = 5
"""A single fold holds out one part of this many."""
_LISTED = 5
"""The columns that a message lists."""


def fold_count(rows: int, by: By) -> int:
    """Return how many folds are worth their time: the fewer rows, the more folds a precise score needs.

    One stretch of time or one set of groups says little about others, so these keep several folds for many rows.
    """
    if rows >= 10_000:
        return {"row": 1, "group": 3, "time": 2}[by]
    return 5 if rows < 3_000 else 3


def folds(
    frame: pl.DataFrame,
    identity: list[str],
    classes: Array | None,
    *,
    by: By,
    column: str | None,
    count: int,
    seed: int,
) -> list[Fold]:
    """Return pairs of (training positions, validation positions), each int64 and ascending.

    Args:
        identity: by row, the columns that make two rows equal, by which the test set was divided too.
        classes: class index of each row, or None for a number.
        count: how many folds; 1 is a single held-out part.

    Raises:
        InputError: there are fewer distinct rows, groups or times than the folds need.
    """
    if by == "time":
        return _by_time(frame, str(column), count)
    parts = max(count, 2) if count > 1 else HELD_OUT
    if by == "group":
        part = _by_group(salted(hash_frame(frame, [str(column)]), seed), parts, str(column))
    else:
        part = _by_row(salted(hash_frame(frame, identity), seed), classes, parts)
    pairs = _with_rows([(np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(count)])
    if not pairs:
        raise InputError(
            f"the training part has too few distinct rows for a validation fold: {frame.height} rows, all of them equal "
            f"in {', '.join(identity[:_LISTED])}{' ...' if len(identity) > _LISTED else ''}"
        )
    return pairs


def _with_rows(pairs: list[Fold]) -> list[Fold]:
    return [fold for fold in pairs if len(fold[0]) and len(fold[1])]


def _by_row(hashes: Array, classes: Array | None, parts: int) -> Array:
    """Deal the distinct rows of each class to the parts in the order of their hashes.

    Equal rows of several classes count as the rarest of these, which is the hardest to spread.
    """
    distinct, unit_of = np.unique(hashes, return_inverse=True)
    order = np.arange(len(distinct))
    if classes is not None:
        rarest_first = np.argsort(np.argsort(np.bincount(classes), kind="stable"))
        class_of = np.full(len(distinct), len(rarest_first))
        np.minimum.at(class_of, unit_of, rarest_first[classes])
        order = np.argsort(class_of, kind="stable")
    part = np.zeros(len(distinct), dtype=np.int64)
    part[order] = np.arange(len(distinct)) % parts  # across classes, so small ones do not pile up in part 0
    result: Array = part[unit_of]
    return result


def _by_group(hashes: Array, parts: int, column: str) -> Array:
    """Deal the groups, from the largest to the smallest, each to the part that is smallest so far; ties by hash."""
    groups, inverse, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    if len(groups) < 2:
        raise InputError(
            f"column {column!r} has one group in the training part; validation folds by group need at least two"
        )
    filled = np.zeros(min(parts, len(groups)), dtype=np.int64)
    part_of = np.zeros(len(groups), dtype=np.int64)
    for group in np.lexsort((groups, -sizes)):
        part_of[group] = filled.argmin()
        filled[part_of[group]] += sizes[group]
    result: Array = part_of[inverse]
    return result


def _by_time(frame: pl.DataFrame, column: str, count: int) -> list[Fold]:
    """Cut blocks of about equally many rows in order of time, between instants; a missing time is the earliest."""
    rank = frame[column].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    ordered = np.sort(rank)
    blocks = HELD_OUT if count == 1 else count + 1
    first = blocks - count
    cuts = [ordered[len(ordered) * i // blocks] for i in range(first, blocks)] + [ordered[-1] + 1]
    pairs = [
        (np.flatnonzero(rank < low), np.flatnonzero((rank >= low) & (rank < high)))
        for low, high in pairwise(cuts)
        if low < high
    ]
    if not (pairs := _with_rows(pairs)):
        raise InputError(
            f"column {column!r} has too few different times in the training part; validation needs at least two"
        )
    return pairs
