"""How well one column alone, or a combination of columns, predicts the target, out of fold on the training part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from steps.tables.schema import Column
from steps.tables.truth import Array, number_array

FOLDS = 5
BINS = 512
"""The bins of a numeric column with more distinct values; fewer where rows are few, so that each holds ten."""
IDENTITY = 0.9999
"""R2 from which a sum of columns counts as the target itself: an accounting identity up to rounding."""
NEARLY = 0.99
"""R2 from which a sum of few columns counts as the target itself: an identity but for small amounts."""
FEW = 5
"""How many columns are few."""
PRECISELY = 0.999
"""R2 from which a product of few columns counts as the target, and R2 or ROC AUC from which two columns do."""
SUM_IS_TARGET, PRODUCT_IS_TARGET, PAIR_IS_TARGET = "sum is target", "product is target", "pair is target"
_FIRST = 2000
"""The rows on which all pairs are tried."""


@dataclass(frozen=True)
class Strength:
    """How well a column predicts the target by itself.

    Attributes:
        score: ROC AUC for two classes, accuracy for more, R2 for a number; out of fold.
        skill: the share of the mistakes of a constant prediction that the column avoids.
        distinct: the number of different values in the sample.
    """

    measure: str
    score: float
    skill: float
    distinct: int


class Combination(NamedTuple):
    """What some columns together predict the target with: ``what`` is the subject of a sentence, such as a weighted sum."""

    check: str
    what: str
    columns: list[str]
    measure: str
    score: float


def fold_of_rows(rows: int) -> Array:
    """Return a fold for each row, int64 [rows]: scattered, always the same."""
    return np.random.default_rng(0).permutation(rows) % FOLDS


def strength(values: pl.Series, column: Column, truth: Array, classes: int, fold: Array) -> Strength:
    """Return how well one column predicts the truth.

    Args:
        values: of a category or text, numbers from 1 on in place of the words.
        truth: class index int64 [rows], or float64 [rows] when ``classes`` is 0.
    """
    numbers = number_array(values) if column.type not in ("category", "text") else None
    if numbers is None:
        codes = values.fill_null(0).to_numpy().astype(np.int64)
        distinct = int(codes.max()) if len(codes) else 0
    else:
        codes, distinct = _bins(numbers)
    if classes:
        binned = _classification(codes, truth, classes, fold, distinct)
        if classes == 2 and numbers is not None and distinct > 2 and not values.null_count():
            return max(binned, _one_cut(numbers, truth, distinct), key=lambda result: result.score)
        return binned
    return _regression(codes, numbers, truth, fold, distinct)


def _bins(numbers: Array) -> tuple[Array, int]:
    """Return a bin for each number, 0 for a missing one, and how many different numbers there are.

    There is one bin for each value while there are few, else they lie between cuts.

    Half of the cuts divide the rows, half the distinct values, so that a long tail has bins too; a frequent value
    has a bin of its own.
    """
    present = numbers[~np.isnan(numbers)]
    distinct, counts = np.unique(present, return_counts=True)
    bins = min(BINS, max(8, len(numbers) // 10))
    edges = distinct
    if len(distinct) > bins:
        shares = np.linspace(0, 1, bins // 2)
        cuts = [np.quantile(values, shares, method="lower") for values in (present, distinct)]
        frequent = distinct[counts > len(numbers) / bins]
        edges = np.unique(np.concatenate([*cuts, frequent, np.nextafter(frequent, np.inf)]))
    return np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers, side="right")), len(distinct)


def _out_of_fold_sums(codes: Array, weights: Array, fold: Array) -> Array:
    """Return for each row the sum of ``weights`` over the rows of its bin in other folds: float64 [rows]."""
    width = int(codes.max()) + 1
    cells = fold * width + codes
    by_fold = np.bincount(cells, weights=weights, minlength=FOLDS * width).reshape(FOLDS, width)
    return np.asarray((by_fold.sum(axis=0) - by_fold)[fold, codes])


def _classification(codes: Array, truth: Array, classes: int, fold: Array, distinct: int) -> Strength:
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
        return Strength("ROC AUC", roc_auc(truth, share), skill, distinct)
    return Strength("accuracy", accuracy, skill, distinct)


def _one_cut(numbers: Array, truth: Array, distinct: int) -> Strength:
    """Score a number by its one best cut, which separates two classes of few rows where bins are coarse."""
    rising = roc_auc(truth, numbers)
    if rising < 0.5:
        numbers = -numbers
    order = np.argsort(numbers, kind="stable")
    positives = np.cumsum(truth[order])
    ends = np.flatnonzero(np.diff(numbers[order], append=np.inf))  # cuts fall between different values only
    right = (ends + 1 - positives[ends]) + (positives[-1] - positives[ends])
    constant = max(positives[-1], len(truth) - positives[-1])
    skill = (int(right.max()) - constant) / (len(truth) - constant) if constant < len(truth) else 0.0
    return Strength("ROC AUC", max(rising, 1 - rising), float(skill), distinct)


def roc_auc(truth: Array, score: Array) -> float:
    """Return the probability that a positive row scores higher than a negative one, ties by half (Mann and Whitney)."""
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return 0.5
    return float((_ranks(score)[truth == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _regression(codes: Array, numbers: Array | None, truth: Array, fold: Array, distinct: int) -> Strength:
    """Return the better R2 of the truth and its ranks: a few very large values must not hide a copy of the rest."""
    best = max(_out_of_fold_r2(codes, numbers, values, fold, distinct) for values in (truth, _ranks(truth)))
    return Strength("R2", best, best, distinct)


def _out_of_fold_r2(codes: Array, numbers: Array | None, truth: Array, fold: Array, distinct: int) -> float:
    total = _out_of_fold_sums(codes, np.ones(len(truth)), fold)
    by_bin = (_out_of_fold_sums(codes, truth, fold) + 0.5 * truth.mean()) / (total + 0.5)
    scores = [r2(truth, by_bin)]
    if numbers is not None and distinct > 2:
        scores.append(r2(truth, _interpolated(numbers, by_bin, truth, fold)))
    return max(scores)


def _ranks(values: Array) -> Array:
    """Return ranks float64 [rows], ties in the middle."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def r2(truth: Array, prediction: Array) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - prediction) ** 2).sum()) / spread if spread > 0 else 0.0


def _interpolated(numbers: Array, fallback: Array, truth: Array, fold: Array) -> Array:
    """Predict each row between its neighbours in the other folds, which finds any smooth copy of the target.

    A row with a missing number keeps the fallback, the prediction of its bin.
    """
    prediction = fallback.copy()
    present = ~np.isnan(numbers)
    for held_out in range(FOLDS):
        train, predict = present & (fold != held_out), present & (fold == held_out)
        points, place, counts = np.unique(numbers[train], return_inverse=True, return_counts=True)
        if len(points) > 1:
            means = np.bincount(place, weights=truth[train]) / counts
            prediction[predict] = np.interp(numbers[predict], points, means)
    return prediction


def identity(
    matrix: Array, names: Sequence[str], truth: Array, classes: int, nearly: float = NEARLY
) -> Combination | None:
    """Return the fewest columns of which a weighted sum is the target, scored on rows that it was not fitted on.

    Args:
        matrix: float64 [rows, columns], NaN where missing; rows with missing values are left out.
        nearly: the R2 from which a sum of few columns counts.
    """
    outputs = (truth[:, None] == np.arange(1, classes)).astype(float) if classes else truth[:, None]
    complete = ~np.isnan(matrix).any(axis=1)
    matrix, outputs = matrix[complete], outputs[complete]
    varies = np.ptp(matrix, axis=0) > 0 if len(matrix) else np.zeros(matrix.shape[1], bool)
    columns = np.flatnonzero(varies).tolist()
    if len(columns) < 2 or len(matrix) < 3 * len(columns) + 20:
        return None
    matrix = matrix / np.where(varies, np.abs(matrix).max(axis=0), 1)  # no square of a huge number may overflow
    spread = matrix.std(axis=0)
    matrix = (matrix - matrix.mean(axis=0)) / np.where(varies & (spread > 0), spread, 1)
    limit = max(2000, 20 * len(columns))
    matrix, outputs = matrix[:limit], outputs[:limit]
    if (np.ptp(outputs, axis=0) == 0).any():
        return None
    score, weights = _fit(matrix[:, columns], outputs)
    for enough, most in ((IDENTITY, len(columns)), (nearly, FEW)):
        if score >= enough:
            order = np.asarray(columns)[np.argsort(-np.abs(weights).max(axis=1), kind="stable")].tolist()
            fewest = _fewest(matrix, outputs, order, enough)
            if len(fewest) <= most:
                reached, _ = _fit(matrix[:, fewest], outputs)
                return Combination(SUM_IS_TARGET, "a weighted sum", [names[c] for c in fewest], "R2", reached)
    return None


def product(matrix: Array, names: Sequence[str], truth: Array) -> Combination | None:
    """Return the fewest columns of which a product of powers is the target, a number; all are positive."""
    if (truth <= 0).any():
        return None
    positive = np.flatnonzero(~(matrix <= 0).any(axis=0)).tolist()
    result = identity(np.log(matrix[:, positive]), [names[i] for i in positive], np.log(truth), 0, nearly=PRECISELY)
    return result and result._replace(check=PRODUCT_IS_TARGET, what="a product (or quotient)")


def pair(matrix: Array, names: Sequence[str], truth: Array, classes: int) -> Combination | None:
    """Return two columns of which one compares with the other as the classes do, or of which a simple function is the target.

    Args:
        matrix: float64 [rows, columns], NaN where missing; few columns, since all pairs are tried.
        classes: 2, or 0 for a number.
    """
    measure = "ROC AUC" if classes else "R2"
    for left, right in combinations(range(len(names)), 2):
        complete = ~np.isnan(matrix[:, left] + matrix[:, right])
        a, b, outcome = matrix[complete, left], matrix[complete, right], truth[complete]
        for what, values in _functions(a[:_FIRST], b[:_FIRST], classes).items():
            if _agreement(values, outcome[:_FIRST], classes) < PRECISELY:
                continue
            score = _agreement(_functions(a, b, classes)[what], outcome, classes)
            if score >= PRECISELY:
                return Combination(PAIR_IS_TARGET, what, [names[left], names[right]], measure, score)
    return None


def _functions(a: Array, b: Array, classes: int) -> dict[str, Array]:
    """Return what two columns may say together: a cut through a difference tells which is larger."""
    quotients = {"the quotient": a / b} if b.all() else {}
    quotients |= {"the inverse quotient": b / a} if a.all() else {}
    if classes:
        return {"the difference": a - b, **quotients}
    return {"the larger": np.maximum(a, b), "the smaller": np.minimum(a, b), "the product": a * b, **quotients}


def _agreement(values: Array, truth: Array, classes: int) -> float:
    """Return the ROC AUC of either direction, or the R2 of a line through the values."""
    if not len(values) or np.ptp(values) == 0 or np.ptp(truth) == 0:
        return 0.0
    if classes:
        rising = roc_auc(truth, values)
        return max(rising, 1 - rising)
    return float(np.corrcoef(values, truth)[0, 1] ** 2)


def _fewest(matrix: Array, outputs: Array, order: Sequence[int], enough: float) -> list[int]:
    """Return as few of the columns as give the outputs, in the order of the table.

    Args:
        order: the columns, those of the largest weights first.
    """
    size = 1
    while size < len(order) and _fit(matrix[:, order[:size]], outputs)[0] < enough:
        size *= 2
    columns = sorted(order[:size])
    for candidate in reversed(order[:size]):
        without = [column for column in columns if column != candidate]
        if without and _fit(matrix[:, without], outputs)[0] >= enough:
            columns = without
    return columns


def _fit(matrix: Array, outputs: Array) -> tuple[float, Array]:
    """Fit by least squares on every other row and score on the rest.

    Returns:
        the lowest R2 of the outputs, and the weights [columns, outputs].
    """
    with threadpool_limits(1):  # many threads on a busy machine are far slower
        weights, *_ = np.linalg.lstsq(_with_one(matrix[::2]), outputs[::2], rcond=None)
        predicted = _with_one(matrix[1::2]) @ weights
    return min(r2(outputs[1::2, i], predicted[:, i]) for i in range(outputs.shape[1])), weights[:-1]


def _with_one(matrix: Array) -> Array:
    return np.column_stack([matrix, np.ones(len(matrix))])
