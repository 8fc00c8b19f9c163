"""Whether the few whole numbers of a target are codes of classes or amounts, by their name, gaps, rows and order."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from steps.label import FEW
from steps.splitting.ids import words_of
from steps.tables.truth import Array, number_array

ROWS, COLUMNS = 10_000, 100
"""The most rows and columns of numbers that are looked at for an order."""
_MOST_CODES = 10
_FEWEST_FOR_SHAPE = 4
"""Of fewer values, neither their peaks nor their order say much."""
_ALIKE = 1.5
"""How much more rows the most frequent value has at most where all are about equally frequent."""
_SIGNIFICANT = 5.0
_STRAIGHT, _BENT = 0.85, 0.5
_CLASS = re.compile(
    r"(^|_)(class|classes|type|kind|species|label|category|group|cluster|segment|code|cover|diagnosis|outcome|status|digit|"
    r"variety|breed|genre|topic|brand|region|id)($|_)"
)
_QUANTITY = re.compile(
    r"(^|[\W_])(n|no|nr|num|number|count|counts|cnt|qty|quantity|total|sum|amount|size|age|price|cost|score|rating|stars?|points?|"
    r"quality|grade|rank|goals?|visits?|children|kids|items?|rooms?|bedrooms?|claims?|clicks?|days?|weeks?|months?|years?|hours?|"
    r"minutes?)($|[\W_])"
)


@dataclass(frozen=True)
class Evidence:
    """What speaks for codes of classes (positive) and for amounts (negative), each with its weight."""

    reasons: dict[str, int]

    @property
    def are_codes(self) -> bool:
        return self.weight >= 0

    @property
    def weight(self) -> int:
        return sum(self.reasons.values())

    @property
    def is_sure(self) -> bool:
        return abs(self.weight) > 1

    @property
    def in_words(self) -> str:
        """Return the reasons for the guess, and those against it."""
        sides = [
            ", ".join(reason for reason, weight in self.reasons.items() if (weight >= 0) == side)
            for side in (self.are_codes, not self.are_codes)
        ]
        return f"{sides[0]}{'; yet ' if sides[1] else ''}{sides[1]}" if sides[0] else f"though {sides[1]}"


def evidence(name: str, values: pl.Series, features: pl.DataFrame) -> Evidence | None:
    """Return what speaks for codes of classes and for amounts; None where values are not few whole numbers.

    Args:
        values: the target.
        features: columns of numbers, of every ``step(rows)``-th row.
    """
    if not values.dtype.is_numeric():
        return None
    counts: dict[float, int] = dict(values.drop_nulls().value_counts().iter_rows())
    codes = sorted(counts)
    if not 3 <= len(codes) <= _MOST_CODES or any(code != int(code) for code in codes) or min(counts.values()) < FEW:
        return None
    reasons = {}
    if _QUANTITY.search(words_of(name)):
        reasons["named like an amount"] = -4
    elif _CLASS.search(words_of(name)):
        reasons["named like a class"] = 2
    if codes[-1] - codes[0] != len(codes) - 1:
        reasons["with gaps between them"] = -2
    elif codes[0] in (0, 1):
        reasons[f"counted from {int(codes[0])} on"] = 1
    else:
        reasons[f"from {int(codes[0])} on"] = -2
    rows = np.array([counts[code] for code in codes])
    if rows.max() <= _ALIKE * rows.min():
        reasons["about equally frequent"] = 1
    elif len(codes) >= _FEWEST_FOR_SHAPE:
        many_peaks = _peaks(rows) > 1
        reasons["frequent in no order" if many_peaks else "most frequent around one value"] = 1 if many_peaks else -1
    order = straightness(number_array(values.gather_every(step(len(values)))), features)
    if order is not None:
        few = len(codes) < _FEWEST_FOR_SHAPE
        if order >= _STRAIGHT:
            reasons["other columns rise or fall with them"] = -1 if few else -2
        elif order < _BENT:
            reasons["other columns do not follow their order"] = 1 if few else 2
    return Evidence(reasons)


def step(rows: int) -> int:
    """Return the distance between two rows that are looked at for an order."""
    return max(-(-rows // ROWS), 1)


def _peaks(rows: Array) -> int:
    inner = np.r_[0, rows, 0]
    return int(((inner[1:-1] > inner[:-2]) & (inner[1:-1] >= inner[2:])).sum())


def straightness(target: Array, features: pl.DataFrame) -> float | None:
    """Return the share of what the target says of other columns that a straight line says; None where it says nothing.

    Each column is ranked, its mean is taken by value of the target, and the line goes through these means. Chance is
    subtracted from both.
    """
    codes, position = np.unique(target[~np.isnan(target)], return_inverse=True)
    straight = whole = 0.0
    for column in features.iter_columns():
        ranks = column.filter(pl.Series(~np.isnan(target))).rank().to_numpy()
        present = ~np.isnan(ranks)
        if present.sum() <= len(codes) + 1 or not np.ptp(ranks[present]):
            continue
        of_row = position[present]
        ranks = (ranks[present] - ranks[present].mean()) / ranks[present].std()
        count = np.bincount(of_row, minlength=len(codes))
        means = np.bincount(of_row, ranks, minlength=len(codes)) / np.maximum(count, 1)
        between = float((count * means**2).sum())
        noise = (len(ranks) - between) / (len(ranks) - len(codes))
        centred = codes - (count * codes).sum() / count.sum()
        line = float((count * centred * means).sum() ** 2 / (count * centred**2).sum())
        if between > _SIGNIFICANT * noise * (len(codes) - 1):
            whole += between - noise * (len(codes) - 1)
            straight += max(line - noise, 0)
    return straight / whole if whole else None
