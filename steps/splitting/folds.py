"""Validation folds inside the training part, divided the way the test set was divided from it.

row     equal rows (same key, or the same features) stay together; classes are spread evenly
group   a group is in one fold as a whole; folds are about equally large
time    forward chaining: every fold is validated on what comes after what it was trained on
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from steps.errors import InputError
from steps.splitting.rowhash import hash_frame, salted

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]
    Fold = tuple[Array, Array]

By = Literal["row", "group", "time"]
HELD_OUT = 5
"""A single fold holds one part in so many out."""
NAMED = 5
"""So many of the columns that make rows equal are named in a message."""


def fold_count(rows: int, by: By) -> int:
    """How many folds are worth their time: a score on few rows needs many, one on many rows is sharp enough at once.

    One stretch of time or one set of groups tells little of another, however many rows it has.
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
    """Pairs of (training positions, validation positions), each int64 and ascending.

    Args:
        identity: the columns that make two rows equal, by row: those that the test set was divided by.
        classes: class index of each row, or None for a number.
        count: how many folds; 1 is a single held-out part.

    Raises:
        InputError: there are fewer distinct rows, groups or times than folds need.
    """
    import numpy as np

    if by == "time":
        return _by_time(frame, str(column), count)
    parts = max(count, 2) if count > 1 else HELD_OUT
    if by == "group":
        part = _by_group(salted(hash_frame(frame, [str(column)]), seed), parts, str(column))
    else:
        part = _by_row(salted(hash_frame(frame, identity), seed), classes, parts)
    made = [(np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(count)]
    made = [fold for fold in made if len(fold[0]) and len(fold[1])]
    if not made:
        raise InputError(
            f"the training part has too few distinct rows for a validation fold: {frame.height} rows, all of them equal "
            f"in {', '.join(identity[:NAMED])}{' ...' if len(identity) > NAMED else ''}"
        )
    return made


def _by_row(hashes: Array, classes: Array | None, parts: int) -> Array:
    """Deal the distinct rows of each class to the parts in the order of their hashes.

    Equal rows may be of several classes; they count for the rarest of these, which is the hardest to spread.
    """
    import numpy as np

    distinct, unit_of = np.unique(hashes, return_inverse=True)
    order = np.arange(len(distinct))
    if classes is not None:
        rarest_first = np.argsort(np.argsort(np.bincount(classes), kind="stable"))
        class_of = np.full(len(distinct), len(rarest_first))
        np.minimum.at(class_of, unit_of, rarest_first[classes])
        order = np.argsort(class_of, kind="stable")
    part = np.zeros(len(distinct), dtype=np.int64)
    part[order] = np.arange(len(distinct)) % parts  # goes on where the class before ended, so small ones do not pile up
    result: Array = part[unit_of]
    return result


def _by_group(hashes: Array, parts: int, column: str) -> Array:
    """Groups from the largest to the smallest, each to the part that is smallest so far; ties by hash."""
    import numpy as np

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
    """Blocks of about equally many rows in order of time, cut between instants; a missing time is the earliest."""
    import numpy as np

    rank = frame[column].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    ordered = np.sort(rank)
    blocks = HELD_OUT if count == 1 else count + 1
    first = blocks - count
    cuts = [ordered[len(ordered) * i // blocks] for i in range(first, blocks)] + [ordered[-1] + 1]
    made = [
        (np.flatnonzero(rank < low), np.flatnonzero((rank >= low) & (rank < high)))
        for low, high in pairwise(cuts)
        if low < high
    ]
    made = [fold for fold in made if len(fold[0]) and len(fold[1])]
    if not made:
        raise InputError(
            f"column {column!r} has too few different times in the training part; validation needs at least two"
        )
    return made
