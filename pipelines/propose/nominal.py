"""Whole numbers that name things: recognised by the column's name and by what they say of the target.

Each column is scored twice, out of fold: its values one by one (shrunk means of the target) and its values in their order
(means over ranges of neighbours). Amounts lose nothing in their order; names do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from steps.splitting.ids import words_of
from steps.tables.schema import Column
from steps.tables.truth import Array

FEWEST_ROWS = 4
"""With fewer rows for each value, on the average, nothing can be learned of single values."""
ROWS = 100_000
"""The most rows that are looked at."""
_FEWEST_VALUES = 10
_PRIOR, _FOLDS = 10.0, 5
_RANGES = (8, 32, 128, 512)
_NEIGHBOURS = 4
"""The fewest values of a range, on the average."""
_MOST_CLASSES = 10
_ERRORS = 3
"""By how many standard errors single values must say more than their order."""
_NOTICEABLE = 0.005
_THING = re.compile(
    r"(^|_)(zip|zip_?code|plz|postal|post_?code|postleitzahl|store|shop|branch|station|airport|product|item|sku|article|film|"
    r"movie|book|title|job|occupation|profession|dept|department|division|team|brand|make|model|vendor|merchant|campaign|"
    r"channel|region|district|county|city|country|state|route|carrier|airline|mcc|icd|code|codes|id|ids|key|category|class|"
    r"type|kind|group|cluster|segment|plan|tract)($|_)"
)
_AMOUNT = re.compile(
    r"^(n|no|nr|num|number|count)_|(^|_)(count|counts|cnt|qty|quantity|total|sum|amount|size|age|price|cost|score|rating|stars?|"
    r"points?|quality|grade|rank|children|rooms?|bedrooms?|days?|weeks?|months?|years?|yr|hours?|hr|minutes?|seconds?|time|"
    r"timestamp|date|rate|percent|pct|length|width|height|depth|weight|mileage|km|miles|income|salary|wage|balance|distance|"
    r"duration|tenure|temp|temperature|lat|latitude|lon|lng|longitude|version|level)($|_)"
)


@dataclass(frozen=True)
class Naming:
    """What single values of a column say of the target, and what their order does: shares of its variance, out of fold."""

    values: int
    single: float
    ordered: float

    @property
    def in_words(self) -> str:
        return (
            f"{self.values:,} whole numbers that name things: one by one they explain {max(self.single, 0):.0%} of the "
            f"target's variance out of fold, by their order {max(self.ordered, 0):.0%}"
        )


def may_name_things(column: Column, distinct: int, rows: int) -> bool:
    """Return whether the values of a column repeat often enough and its name does not say that they are amounts."""
    return (
        column.type == "integer"
        and _FEWEST_VALUES <= distinct <= (rows - column.missing) / FEWEST_ROWS
        and _AMOUNT.search(words_of(column.name)) is None
    )


def naming(name: str, values: Array, targets: Array, fold: Array) -> Naming | None:
    """Return what a column says of the target if its values name things; None if they are amounts or say nothing.

    A name such as store or zip_code says that they may; without one, their order must say less than half as much, also
    where the folds are blocks of consecutive rows: in those, values that mark a day or a batch are new.

    Args:
        values: float64 [rows], NaN where missing.
        targets: as of ``targets_of``.
        fold: int64 [rows]; equal groups have equal folds.
    """
    thing = _THING.search(words_of(name)) is not None
    blocks = np.arange(len(values)) * _FOLDS // max(len(values), 1)
    for folds in (fold,) if thing else (blocks, fold):
        result = _compare(values, targets, folds)
        if result is None or (not thing and result.ordered > result.single / 2):
            return None
    return result


def targets_of(truth: Array, classes: int) -> Array:
    """Return the target as centred columns float64 [rows, t]: its rank, or whether it is each of the frequent classes."""
    if classes:
        frequent = np.argsort(-np.bincount(truth, minlength=classes), kind="stable")[:_MOST_CLASSES]
        columns = np.equal(truth[:, None], frequent).astype(np.float64)
    else:
        _, position, count = np.unique(truth, return_inverse=True, return_counts=True)
        columns = (np.cumsum(count) - count / 2)[position][:, None]
    centred: Array = columns - columns.mean(axis=0)
    return centred


def fold_of(groups: Array | None, rows: int) -> Array:
    """Return a fold for each row, the same for rows of one group."""
    if groups is None:
        return np.random.default_rng(0).permutation(rows) % _FOLDS
    _, position = np.unique(groups, return_inverse=True)
    fold: Array = (np.random.default_rng(0).permutation(int(position.max(initial=0)) + 1) % _FOLDS)[position]
    return fold


def _compare(values: Array, targets: Array, fold: Array) -> Naming | None:
    """Return the two scores where single values say clearly more."""
    _, code, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - count / 2
    spread = (targets**2).sum(axis=1)
    single = _errors(code, targets, fold)
    ordered = spread
    for ranges in _RANGES:
        if ranges == _RANGES[0] or ranges * _NEIGHBOURS <= len(count):
            errors = _errors((rank * ranges / len(values)).astype(np.int64)[code], targets, fold)
            ordered = min(ordered, errors, key=np.sum)
    gain = ordered - single
    total = spread.sum()
    clear = gain.sum() > max(_ERRORS * gain.std() * np.sqrt(len(gain)), _NOTICEABLE * total)
    return Naming(len(count), 1 - single.sum() / total, 1 - ordered.sum() / total) if clear else None


def _errors(code: Array, targets: Array, fold: Array) -> Array:
    """Return the squared error of each row, predicted by the shrunk mean of its code in the other folds."""
    codes = int(code.max(initial=0)) + 1
    place = fold * codes + code
    result = np.zeros(len(code))
    count = np.bincount(place, minlength=_FOLDS * codes).reshape(_FOLDS, codes)
    count = count.sum(axis=0) - count
    for column in targets.T:
        sums = np.bincount(place, column, minlength=_FOLDS * codes).reshape(_FOLDS, codes)
        means = (sums.sum(axis=0) - sums) / (count + _PRIOR)
        result += (column - means.ravel()[place]) ** 2
    return result
