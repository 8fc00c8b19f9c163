"""How well one column alone, or a sum of columns, gives the target away, out of fold on the training part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.tables.schema import Column, Target

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]

FOLDS = 5
BINS = 512
"""A numeric column with more distinct values is cut into as many bins, fewer where rows are few: each should
hold ten.
"""
IDENTITY = 0.9999
"""R2 from which a sum of columns counts as the target itself: an accounting identity up to rounding."""


@dataclass(frozen=True)
class Strength:
    """How well a column predicts the target by itself.

    Attributes:
        score: ROC AUC for two classes, accuracy for more, R2 for a number; out of fold.
        skill: the share of the mistakes of the constant guess that it removes.
        distinct: how many different values the sample holds.
    """

    measure: str
    score: float
    skill: float
    distinct: int


def fold_of_rows(rows: int) -> Array:
    """A fold for each row, int64 [rows]: scattered, always the same."""
    import numpy as np

    return np.random.default_rng(0).permutation(rows) % FOLDS


def truth_array(values: pl.Series, target: Target) -> Array:
    """Class index int64 [rows], or the number float64 [rows]."""
    import numpy as np
    import polars as pl

    if target.classes:
        return values.cast(pl.Enum(target.classes)).to_physical().to_numpy().astype(np.int64)
    return values.to_numpy().astype(np.float64)


def number_array(values: pl.Series) -> Array:
    """Any ordered column as float64 [rows], missing as NaN; what is so large that its square might overflow is cut."""
    import numpy as np
    import polars as pl

    numbers = values.to_physical().cast(pl.Float64).to_numpy().astype(np.float64)
    return np.asarray(np.clip(numbers, -1e100, 1e100))


def strength(values: pl.Series, column: Column, truth: Array, classes: int, fold: Array) -> Strength:
    """Score one column against the truth.

    Args:
        truth: class index int64 [rows], or float64 [rows] when ``classes`` is 0.
    """
    import polars as pl

    if column.type in ("category", "text"):
        codes = values.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype("int64")
        numbers = None
    else:
        numbers = number_array(values)
        codes = _bins(numbers)
    distinct = values.n_unique() - bool(values.null_count())
    if classes:
        found = _classification(codes, truth, classes, fold, distinct)
        if classes == 2 and numbers is not None and distinct > 2 and not values.null_count():
            return max(found, _one_cut(numbers, truth, distinct), key=lambda each: each.score)
        return found
    return _regression(codes, numbers, truth, fold, distinct)


def _bins(numbers: Array) -> Array:
    """A bin for each number, 0 for a missing one: its value while there are few, else where it falls between cuts.

    Half of the cuts divide the rows, half the distinct values, so that a long tail has bins too; a frequent value
    has one of its own.
    """
    import numpy as np

    present = numbers[~np.isnan(numbers)]
    distinct, counts = np.unique(present, return_counts=True)
    bins = min(BINS, max(8, len(numbers) // 10))
    edges = distinct
    if len(distinct) > bins:
        shares = np.linspace(0, 1, bins // 2)
        cuts = [np.quantile(values, shares, method="lower") for values in (present, distinct)]
        frequent = distinct[counts > len(numbers) / bins]
        edges = np.unique(np.concatenate([*cuts, frequent, np.nextafter(frequent, np.inf)]))
    return np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers, side="right"))


def _out_of_fold_sums(codes: Array, weights: Array, fold: Array) -> Array:
    """For each row the sum of ``weights`` over the rows of its bin that are in other folds: float64 [rows]."""
    import numpy as np

    width = int(codes.max()) + 1
    cells = fold * width + codes
    by_fold = np.bincount(cells, weights=weights, minlength=FOLDS * width).reshape(FOLDS, width)
    return np.asarray((by_fold.sum(axis=0) - by_fold)[fold, codes])


def _classification(codes: Array, truth: Array, classes: int, fold: Array, distinct: int) -> Strength:
    import numpy as np

    prior = np.bincount(truth, minlength=classes) / len(truth)
    best = np.full(len(truth), -1.0)
    guess = np.zeros(len(truth), np.int64)
    total = _out_of_fold_sums(codes, np.ones(len(truth)), fold)
    share = np.full(len(truth), prior[-1])
    for index in range(classes):
        share = (_out_of_fold_sums(codes, (truth == index).astype(float), fold) + 0.5 * prior[index]) / (total + 0.5)
        guess[share > best] = index
        best = np.maximum(best, share)
    accuracy = float((guess == truth).mean())
    constant = float(prior.max())
    skill = (accuracy - constant) / (1 - constant) if constant < 1 else 0.0
    if classes == 2:
        return Strength("ROC AUC", _roc_auc(truth, share), skill, distinct)
    return Strength("accuracy", accuracy, skill, distinct)


def _one_cut(numbers: Array, truth: Array, distinct: int) -> Strength:
    """A number used as it is, with the one best cut: finds what separates two classes of few rows, where
    bins are coarse.
    """
    import numpy as np

    rising = _roc_auc(truth, numbers)
    if rising < 0.5:
        numbers = -numbers
    order = np.argsort(numbers, kind="stable")
    positives = np.cumsum(truth[order])
    ends = np.flatnonzero(np.diff(numbers[order], append=np.inf))  # cuts fall between different values only
    right = (ends + 1 - positives[ends]) + (positives[-1] - positives[ends])
    constant = max(positives[-1], len(truth) - positives[-1])
    skill = (int(right.max()) - constant) / (len(truth) - constant) if constant < len(truth) else 0.0
    return Strength("ROC AUC", max(rising, 1 - rising), float(skill), distinct)


def _roc_auc(truth: Array, score: Array) -> float:
    """The probability that a positive row scores higher than a negative one, ties by half (Mann and Whitney)."""

    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return 0.5
    return float((_ranks(score)[truth == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _regression(codes: Array, numbers: Array | None, truth: Array, fold: Array, distinct: int) -> Strength:
    """R2 of the truth or of its ranks, whichever is better: a few very large values must not hide a copy of
    the rest.
    """
    best = max(_out_of_fold_r2(codes, numbers, each, fold, distinct) for each in (truth, _ranks(truth)))
    return Strength("R2", best, best, distinct)


def _out_of_fold_r2(codes: Array, numbers: Array | None, truth: Array, fold: Array, distinct: int) -> float:
    import numpy as np

    total = _out_of_fold_sums(codes, np.ones(len(truth)), fold)
    by_bin = (_out_of_fold_sums(codes, truth, fold) + 0.5 * truth.mean()) / (total + 0.5)
    scores = [_r2(truth, by_bin)]
    if numbers is not None and distinct > 2:
        scores.append(_r2(truth, _interpolated(numbers, by_bin, truth, fold)))
    return max(scores)


def _ranks(values: Array) -> Array:
    """Ranks float64 [rows], ties in the middle."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def _r2(truth: Array, prediction: Array) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - prediction) ** 2).sum()) / spread if spread > 0 else 0.0


def _interpolated(numbers: Array, fallback: Array, truth: Array, fold: Array) -> Array:
    """Each row predicted between its neighbours in the other folds, which finds any smooth copy of the
    target; missing by its bin.
    """
    import numpy as np

    prediction = fallback.copy()
    known = ~np.isnan(numbers)
    for held_out in range(FOLDS):
        use, ask = known & (fold != held_out), known & (fold == held_out)
        points, place, counts = np.unique(numbers[use], return_inverse=True, return_counts=True)
        if len(points) > 1:
            means = np.bincount(place, weights=truth[use]) / counts
            prediction[ask] = np.interp(numbers[ask], points, means)
    return prediction


def identity(
    matrix: Array, names: Sequence[str], truth: Array, classes: int
) -> tuple[list[str], list[float], float] | None:
    """The fewest columns of which a weighted sum gives the target, if any does.

    Args:
        matrix: float64 [rows, columns], NaN where missing; only complete rows are used.

    Returns:
        the columns' names, their weights and the R2 on rows that the weights were not fitted on; None when no sum does.
    """
    import numpy as np

    wanted = (truth[:, None] == np.arange(1, classes)).astype(float) if classes else truth[:, None]
    complete = ~np.isnan(matrix).any(axis=1)
    matrix, wanted = matrix[complete], wanted[complete]
    varies = np.ptp(matrix, axis=0) > 0 if len(matrix) else np.zeros(matrix.shape[1], bool)
    kept = np.flatnonzero(varies).tolist()
    if len(kept) < 2 or len(matrix) < 3 * len(kept) + 20:
        return None
    matrix = matrix / np.where(varies, np.abs(matrix).max(axis=0), 1)  # so that no square of a huge number overflows
    spread = matrix.std(axis=0)
    matrix = (matrix - matrix.mean(axis=0)) / np.where(varies & (spread > 0), spread, 1)
    limit = max(2000, 20 * len(kept))
    matrix, wanted = matrix[:limit], wanted[:limit]
    if (np.ptp(wanted, axis=0) == 0).any() or _fit(matrix[:, kept], wanted)[0] < IDENTITY:
        return None
    left = kept
    weights = np.abs(_fit(matrix[:, kept], wanted)[1]).max(axis=1)
    for candidate in np.asarray(kept)[np.argsort(weights)].tolist():
        without = [each for each in left if each != candidate]
        if without and _fit(matrix[:, without], wanted)[0] >= IDENTITY:
            left = without
    score, weights = _fit(matrix[:, left], wanted)
    return [names[each] for each in left], [float(weight) for weight in weights[:, -1]], score


def _fit(matrix: Array, wanted: Array) -> tuple[float, Array]:
    """Least squares on every other row, scored on the rest: the lowest R2 of the outputs, and the weights
    [columns, outputs].
    """
    import numpy as np

    weights, *_ = np.linalg.lstsq(_with_one(matrix[::2]), wanted[::2], rcond=None)
    predicted = _with_one(matrix[1::2]) @ weights
    return min(_r2(wanted[1::2, i], predicted[:, i]) for i in range(wanted.shape[1])), weights[:-1]


def _with_one(matrix: Array) -> Array:
    import numpy as np

    return np.column_stack([matrix, np.ones(len(matrix))])
