"""Short texts, such as names of products, whose words say something of the target: they are categories with pieces."""

from __future__ import annotations

import numpy as np
import polars as pl

from model_code.tabular import pieces
from steps.tables.truth import Array

ROWS = 20_000
"""The most rows that are looked at."""
_MOST_WORDS, _MOST_CHARACTERS = 8, 80
"""Longer texts, by the median, are sentences."""
_ERRORS, _NOTICEABLE = 3, 0.01


def share_of_words(texts: pl.Series, targets: Array, fold: Array) -> float | None:
    """Return the share of the target's variance that words explain out of fold; None for long texts, or if it is chance.

    Args:
        targets: centred columns float64 [rows, t].
        fold: int64 [rows].
    """
    length = texts.str.len_chars().median()
    words = texts.str.count_matches(r"[^\W_]+").median()
    if length is None or float(length) > _MOST_CHARACTERS or float(words) > _MOST_WORDS:  # type: ignore[arg-type]
        return None
    described = pieces.describe(texts)
    if not described:
        return None
    positions = pieces.positions(texts, described) + 1
    size = len(described["pieces"])
    spread = (targets**2).sum(axis=1)
    errors = np.zeros(len(targets))
    for number in np.unique(fold):
        rows, rest = positions[fold == number], positions[fold != number]
        count = pieces.added(rest, np.ones(len(rest)), size)
        for column in targets.T:
            weights = pieces.weights(rest, column[fold != number], count)
            errors[fold == number] += (column[fold == number] - weights[rows].sum(axis=1)) ** 2
    gain, total = spread - errors, spread.sum()
    clear = gain.sum() > max(_ERRORS * gain.std() * np.sqrt(len(gain)), _NOTICEABLE * total)
    return float(gain.sum() / total) if clear else None
