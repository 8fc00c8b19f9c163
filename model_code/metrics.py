"""Metrics by scikit-learn's names and definitions, prepared once and then evaluated for many row weights.

``metric(truth, prediction)`` does what does not depend on the weights (sorting, per-row losses) and returns a function
of weights float64[n] -> float. The function also takes a batch, float64[b, n] -> float64[b], which is what makes a
thousand bootstrap resamples cheap; where whole clusters are drawn, ``Poolable`` makes them cheaper still. Arrays are as
in ``model_code.tasks``:

    classification   truth int64[n] (class index), prediction float64[n, k] (probabilities; of two, class 1 is positive)
    regression       truth float64[n],             prediction float64[n]

Metrics that judge decisions take the ``threshold`` of two classes: the probability from which a row counts as class 1.

A weight of 2 is the row twice and a weight of 0 is the row's absence. What is undefined on the rows that are left (no
row, one class where two are needed, a constant truth for r2, a prediction that is not finite) is nan, without warning.
Definitions: scikit-learn user guide, "Metrics and scoring: quantifying the quality of predictions".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

Array = np.ndarray[Any, Any]
Weighted = Callable[[Array], Any]
"""weights float64[n] -> float, or float64[b, n] -> float64[b]."""


@runtime_checkable
class Poolable(Protocol):
    """A metric that can be had from weights of clusters, each the weight of all its rows."""

    def __call__(self, weights: Array, /) -> Any:
        """Return the metric of weights of rows."""

    def pool(self, clusters: Array, count: int) -> Weighted:
        """Return it as a function of weights float64[..., count] of clusters.

        Args:
            clusters: int64[n]: the cluster of each row, from 0 to ``count`` - 1.
        """


@dataclass(frozen=True)
class Kind:
    """What a metric is, for whoever makes an interval of it."""

    scale: Literal["share", "mean", "root", "difference"] = "mean"
    """A share of right answers or what is like one, a mean or a ratio, the square root of a mean, a difference of two metrics."""
    low: float = -np.inf
    high: float = np.inf
    cases: int | None = None
    """How many rows it speaks of, so that none of them that is wrong shows so much; None where a range has no end that shows that."""


ANY, LOSS, ROOT = Kind(), Kind(low=0), Kind("root", low=0)


def kind_of(function: Weighted) -> Kind:
    """Return what a metric is that one of the functions here has prepared."""
    kind: Kind = getattr(function, "kind", ANY)
    return kind


def of_share(cases: int) -> Kind:
    """Return the kind of a share of so many rows."""
    return Kind("share", 0, 1, cases)


_RELATIVE_ZERO = 1e-12  # a variance below this share of the mean square is rounding, not variance


def average(values: Array) -> Weighted:
    """Mean of a value of each row; of what is true or false, the share of rows where it is true."""
    return _mean(values, of_share(len(values)) if values.dtype == bool else ANY)


def decided(prediction: Array, threshold: float | None = None) -> Array:
    """Return the class int64[n] that probabilities decide for: the most probable, or the second of two from a threshold on."""
    if threshold is None:
        classes: Array = prediction.argmax(axis=1)
        return classes
    return np.asarray(prediction[:, 1] >= threshold, np.int64)


def share(counted: Array, among: Array) -> Weighted:
    """Share of the rows ``among`` that are ``counted``; undefined where there is none."""
    return Sums(np.stack([counted & among, among]).astype(np.float64), _ratio, of_share(int(among.sum())))


def accuracy(truth: Array, prediction: Array, threshold: float | None = None) -> Weighted:
    """Share of rows that are decided for their true class; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    return _mean(decided(prediction, threshold) == truth, of_share(len(truth)))


def balanced_accuracy(truth: Array, prediction: Array, threshold: float | None = None) -> Weighted:
    """Mean over the classes that occur in the truth of the share of their rows that are found; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    kind = of_share(_cases_of_classes(truth))
    return _confusion(truth, prediction, lambda hits, actual, _: _class_mean(hits, actual), kind, threshold)


def f1(truth: Array, prediction: Array, threshold: float | None = None) -> Weighted:
    """2 tp / (2 tp + fp + fn) of class 1; in [0, 1]; undefined where the class is neither true nor predicted."""
    if not _usable(prediction):
        return _undefined
    positive, predicted = truth == 1, decided(prediction, threshold) == 1
    columns = np.stack([positive & predicted, positive, predicted]).astype(np.float64)
    kind = of_share(int(positive.sum()))
    return Sums(columns, lambda hits, actual, predicted: _ratio(2 * hits, actual + predicted), kind)


def recall(truth: Array, prediction: Array, threshold: float | None = None) -> Weighted:
    """Share of the rows of class 1 that are decided for it; in [0, 1]."""
    return _share(prediction, decided(prediction, threshold) == 1, truth == 1)


def precision(truth: Array, prediction: Array, threshold: float | None = None) -> Weighted:
    """Share of class 1 among the rows that are decided for it; in [0, 1]; undefined where none is."""
    return _share(prediction, truth == 1, decided(prediction, threshold) == 1)


def specificity(truth: Array, prediction: Array, threshold: float | None = None) -> Weighted:
    """Share of the rows of class 0 that are decided for it; in [0, 1]."""
    return _share(prediction, decided(prediction, threshold) == 0, truth != 1)


def false_positive_rate(truth: Array, prediction: Array, threshold: float | None = None) -> Weighted:
    """Share of the rows of class 0 that are decided for class 1; in [0, 1]."""
    return _share(prediction, decided(prediction, threshold) == 1, truth != 1)


def cost_per_1000_rows(
    truth: Array, prediction: Array, threshold: float | None = None, *, miss: float, false_alarm: float
) -> Weighted:
    """1,000 times the mean cost of a row's decision: of a miss, of a false alarm, or nothing; at least 0."""
    if not _usable(prediction):
        return _undefined
    positive, acting = truth == 1, decided(prediction, threshold) == 1
    costs = 1000 * np.where(positive, np.where(acting, 0.0, miss), np.where(acting, false_alarm, 0.0))
    return _mean(costs, Kind(low=0, high=1000 * max(miss, false_alarm), cases=len(truth)))


def precision_at_top(truth: Array, prediction: Array, *, percent: float) -> Weighted:
    """Share of class 1 among the rows that score highest, so many percent of all; in [0, 1]."""
    kind = of_share(round(percent / 100 * len(truth)) or 1)
    return _top(truth, prediction, percent, lambda mass, hits, *_: _ratio(hits, mass), kind)


def recall_at_top(truth: Array, prediction: Array, *, percent: float) -> Weighted:
    """Share of the rows of class 1 that are among the rows that score highest, so many percent of all; in [0, 1]."""
    kind = of_share(int((truth == 1).sum()))
    return _top(truth, prediction, percent, lambda _, hits, positives, __: _ratio(hits, positives), kind)


def lift_at_top(truth: Array, prediction: Array, *, percent: float) -> Weighted:
    """Precision among the rows that score highest, as a multiple of the share of class 1 in all rows; at least 0."""
    return _top(
        truth, prediction, percent, lambda mass, hits, positives, rows: _ratio(hits * rows, mass * positives), LOSS
    )


def top_accuracy(truth: Array, prediction: Array, *, count: float) -> Weighted:
    """Share of rows whose true class is among so many most probable ones, ties broken by the class index; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    first = np.argsort(-prediction, axis=1, kind="stable")[:, : int(count)]
    return _mean((first == truth[:, None]).any(axis=1), of_share(len(truth)))


def f1_macro(truth: Array, prediction: Array) -> Weighted:
    """Unweighted mean of each class's f1 over the classes that are true or predicted somewhere; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    kind = of_share(_cases_of_classes(truth))
    return _confusion(
        truth, prediction, lambda hits, actual, predicted: _class_mean(2 * hits, actual + predicted), kind
    )


def f1_weighted(truth: Array, prediction: Array) -> Weighted:
    """Mean of each class's f1, weighted by the class's rows; in [0, 1]."""
    if not _usable(prediction):
        return _undefined

    def combine(hits: Array, actual: Array, predicted: Array) -> Any:
        f1s = _ratio(2 * hits, actual + predicted, otherwise=0.0)
        return _ratio(_dot(f1s, actual), actual.sum(axis=-1))

    return _confusion(truth, prediction, combine, of_share(len(truth)))


def of_classes(truth: Array, prediction: Array) -> Weighted:
    """Precision, recall and F1 [3] of each class, then their mean and their mean weighted by the class's rows [k + 2].

    As in scikit-learn, what is undefined counts as 0 in a mean, and a class that is neither true nor predicted in none.
    """

    def combine(hits: Array, actual: Array, predicted: Array) -> Any:
        ratios = (_ratio(hits, predicted), _ratio(hits, actual), _ratio(2 * hits, actual + predicted))
        scores = np.stack(ratios, axis=-2)
        weights = np.stack([actual + predicted > 0, actual], axis=-1)
        sums = np.nan_to_num(scores) @ weights
        means = _ratio(sums, np.broadcast_to(weights.sum(axis=-2)[..., None, :], sums.shape))
        return np.concatenate([scores, means], axis=-1)

    return _confusion(truth, prediction, combine, ANY)


def roc_auc(truth: Array, prediction: Array) -> Weighted:
    """Probability that a positive row scores above a negative one, ties counted half; in [0, 1].

    Hanley & McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve", 1982.
    """
    return RocAuc(truth, prediction[:, 1]) if _usable(prediction) else _undefined


def average_precision(truth: Array, prediction: Array) -> Weighted:
    """Sum over thresholds of precision times the recall gained there; in [0, 1]; undefined without a positive row."""
    return AveragePrecision(truth, prediction[:, 1]) if _usable(prediction) else _undefined


def log_loss(truth: Array, prediction: Array) -> Weighted:
    """Mean of -log of the probability given to the true class, kept a rounding error away from 0 and 1; at least 0."""
    dtype = prediction.dtype if np.issubdtype(prediction.dtype, np.floating) else np.dtype(np.float64)
    epsilon = np.finfo(dtype).eps
    probability = prediction[np.arange(len(truth)), truth] if len(truth) else np.zeros(0)
    return _mean(-np.log(np.clip(probability, epsilon, 1 - epsilon)), LOSS)


def brier(truth: Array, prediction: Array) -> Weighted:
    """Mean squared distance of class 1's probability from what happened; in [0, 1] (Brier 1950, the two-class form)."""
    return _mean(_square(prediction[:, 1] - (truth == 1)), Kind(low=0, high=1))


def r2(truth: Array, prediction: Array) -> Weighted:
    """1 - squared error / squared distance from the truth's mean; at most 1; undefined where the truth is constant."""
    if not len(truth):
        return _undefined
    centred = truth - truth.mean()  # so that the difference of sums below does not cancel
    columns = np.stack([_square(truth - prediction), _square(centred), centred, np.ones(len(truth))])
    if not _usable(columns):
        return _undefined

    def combine(error: Array, square: Array, total: Array, rows: Array) -> Any:
        spread = square - _ratio(total**2, rows)
        varied = spread > _RELATIVE_ZERO * square
        return 1 - _ratio(error, np.where(varied, spread, 0.0))

    return Sums(columns, combine, Kind(high=1))


def rmse(truth: Array, prediction: Array) -> Weighted:
    """Square root of the mean squared error, in the target's unit; at least 0."""
    return _mean(_square(truth - prediction), ROOT, np.sqrt)


def mae(truth: Array, prediction: Array) -> Weighted:
    """Mean absolute error, in the target's unit; at least 0."""
    return _mean(np.abs(truth - prediction), LOSS)


def mape(truth: Array, prediction: Array) -> Weighted:
    """Mean absolute error as a share of the true value (0.1 is 10 %); huge where the truth is near 0; at least 0."""
    return _mean(np.abs(truth - prediction) / np.maximum(np.abs(truth), np.finfo(np.float64).eps), LOSS)


def within(truth: Array, prediction: Array, *, tolerance: float) -> Weighted:
    """Share of rows whose error is at most the tolerance, in the target's unit; in [0, 1]."""
    return _mean(np.abs(truth - prediction) <= tolerance, of_share(len(truth))) if _usable(prediction) else _undefined


def within_percent(truth: Array, prediction: Array, *, percent: float) -> Weighted:
    """Share of rows whose error is at most so many percent of the true value; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    return _mean(np.abs(truth - prediction) <= percent / 100 * np.abs(truth), of_share(len(truth)))


def _usable(values: Array) -> bool:
    """Whether every number is finite; a model that answers nan has no metric, not a good one by accident."""
    return bool(np.isfinite(values).all())


def _undefined(weights: Array) -> Any:
    return np.full(weights.shape[:-1], np.nan) if weights.ndim > 1 else float("nan")


def _ratio(numerator: Array, denominator: Array, otherwise: float = np.nan) -> Any:
    """numerator / denominator, and ``otherwise`` where the denominator is not above zero."""
    answer = np.full(np.shape(denominator), otherwise)
    np.divide(numerator, denominator, out=answer, where=np.asarray(denominator) > 0)
    return answer if answer.ndim else float(answer)


def _square(values: Array) -> Array:
    with np.errstate(over="ignore"):  # an infinite loss is undefined, which is said in words later
        squared: Array = values**2
    return squared


def _mean(loss: Array, kind: Kind, of_mean: Callable[[Any], Any] = lambda mean: mean) -> Weighted:
    """The weighted mean of a per-row loss [n], or a function of it."""
    if not _usable(loss):
        return _undefined
    columns = np.stack([loss.astype(np.float64), np.ones(len(loss))])
    return Sums(columns, lambda total, rows: of_mean(_ratio(total, rows)), kind)


def _dot(left: Array, right: Array) -> Any:
    """Sum over the last axis of the product, without keeping the product.

    Not ``@``: BLAS splits a product this small over threads that wait for each other, 50 times slower on a busy machine.
    """
    return np.einsum("...i,...i->...", left, right)


def _running_total(values: Array) -> Array:
    """[..., m] -> [..., m + 1]: the sum of the first 0, 1, ... m values."""
    total = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=total[..., 1:])
    return total


@dataclass(frozen=True)
class Sums:
    """A metric that depends on the rows by weighted sums only, so that sums over clusters are enough for it."""

    columns: Array
    """float64[m, n]: what is summed."""
    combine: Callable[..., Any]
    """From the m sums to the metric."""
    kind: Kind = ANY

    def __call__(self, weights: Array) -> Any:
        return self.combine(*(_dot(weights, column) for column in self.columns))

    def pool(self, clusters: Array, count: int) -> Weighted:
        return Sums(np.stack([np.bincount(clusters, column, count) for column in self.columns]), self.combine)


@dataclass(frozen=True)
class ClassSums:
    """A metric that depends on the weight of the rows with each class, by several assignments of classes."""

    keys: tuple[Array, ...]
    """int64[n] each: the class of a row; -1 is none."""
    width: int
    combine: Callable[..., Any]
    """From as many arrays [..., width] to the metric."""
    kind: Kind = ANY

    def __call__(self, weights: Array) -> Any:
        return self.combine(*(sums(weights) for sums in self._sums))

    @cached_property
    def _sums(self) -> list[Weighted]:
        return [_group_sums(keys, self.width) for keys in self.keys]

    def pool(self, clusters: Array, count: int) -> Weighted:
        tables = []
        for keys in self.keys:
            rows = keys >= 0
            cells = np.bincount(clusters[rows] * self.width + keys[rows], minlength=count * self.width)
            tables.append(cells.reshape(count, self.width).astype(np.float64))
        return lambda weights: self.combine(*(weights @ table for table in tables))


class RocAuc:
    """Area under the ROC curve of one score."""

    def __init__(self, truth: Array, score: Array) -> None:
        self.negatives, self.positives = _sorted_by_class(truth, score)
        negative, positive = score[self.negatives], score[self.positives]
        self.below = np.searchsorted(negative, positive, side="left")
        self.not_above = np.searchsorted(negative, positive, side="right")
        self.tied = not np.array_equal(self.below, self.not_above)
        varies = len(score) > 0 and score.min() < score.max()  # that of a constant is one half by nature
        self.kind = of_share(min(len(negative), len(positive))) if varies else ANY

    def __call__(self, weights: Array) -> Any:
        negative_mass = _running_total(weights.take(self.negatives, axis=-1))
        positive = weights.take(self.positives, axis=-1)
        beaten = negative_mass.take(self.below, axis=-1)
        if self.tied:
            beaten = 0.5 * (beaten + negative_mass.take(self.not_above, axis=-1))
        return _ratio(_dot(positive, beaten), positive.sum(axis=-1) * negative_mass[..., -1])

    def pool(self, clusters: Array, count: int) -> Weighted:
        """Count, for each two clusters, how many negative rows of one are beaten by positive rows of the other."""
        running = _running_counts(clusters[self.negatives], count)
        of_positive = clusters[self.positives]
        order = np.argsort(of_positive, kind="stable")
        beaten = running[self.below[order]] + running[self.not_above[order]]
        present, starts = np.unique(of_positive[order], return_index=True)
        wins = np.zeros((count, count))
        wins[present] = 0.5 * np.add.reduceat(beaten, starts, axis=0, dtype=np.float64) if len(starts) else 0.0
        positives = np.bincount(of_positive, minlength=count).astype(np.float64)
        negatives = running[-1].astype(np.float64)

        def evaluate(weights: Array) -> Any:
            return _ratio(_dot(weights @ wins, weights), (weights @ positives) * (weights @ negatives))

        return evaluate


class AveragePrecision:
    """Average precision of one score."""

    def __init__(self, truth: Array, score: Array) -> None:
        self.negatives, self.positives = _sorted_by_class(truth, -score)
        negative, positive = -score[self.negatives], -score[self.positives]
        self.false_until = np.searchsorted(negative, positive, side="right")  # tied rows enter together
        self.true_until = np.searchsorted(positive, positive, side="right")
        self.kind = Kind(low=0, high=1, cases=len(positive))  # a share's interval is too narrow with few positive rows

    def __call__(self, weights: Array) -> Any:
        positive = weights.take(self.positives, axis=-1)
        running = _running_total(positive)
        false = _running_total(weights.take(self.negatives, axis=-1)).take(self.false_until, axis=-1)
        return self._combine(positive, running.take(self.true_until, axis=-1), false, running[..., -1])

    def pool(self, clusters: Array, count: int) -> Weighted:
        of_positive = clusters[self.positives]
        running = _running_counts(of_positive, count)
        true, total = running[self.true_until].T.astype(np.float64), running[-1].astype(np.float64)
        false = _running_counts(clusters[self.negatives], count)[self.false_until].T.astype(np.float64)

        def evaluate(weights: Array) -> Any:
            return self._combine(weights.take(of_positive, axis=-1), weights @ true, weights @ false, weights @ total)

        return evaluate

    def _combine(self, positive: Array, true: Array, false: Array, total: Any) -> Any:
        return _ratio(_dot(positive, _ratio(true, true + false, otherwise=0.0)), total)


class Top:
    """A metric of the rows of one score that are ranked highest, so many percent of all.

    Of rows with equal scores that do not all belong to the top, each belongs to it in part.
    """

    def __init__(self, truth: Array, score: Array, percent: float, combine: Callable[..., Any], kind: Kind) -> None:
        self.order = np.argsort(-score, kind="stable")
        self.positive = truth[self.order] == 1
        changes = np.diff(score[self.order], append=-np.inf) != 0
        self.ends = np.concatenate([[0], np.flatnonzero(changes) + 1])  # the rows before each change of the score
        self.percent, self.combine, self.kind = percent, combine, kind

    def __call__(self, weights: Array) -> Any:
        ranked = weights.take(self.order, axis=-1)
        sums = (_running_total(values).take(self.ends, axis=-1) for values in (ranked, ranked * self.positive))
        return self._combine(*sums)

    def pool(self, clusters: Array, count: int) -> Weighted:
        ranked = clusters[self.order]
        positives = np.concatenate([[0], self.positive.cumsum()])[self.ends]
        mass = _running_counts(ranked, count)[self.ends].T.astype(np.float64)
        hits = _running_counts(ranked[self.positive], count)[positives].T.astype(np.float64)
        return lambda weights: self._combine(weights @ mass, weights @ hits)

    def _combine(self, mass: Array, hits: Array) -> Any:
        """Return the metric of the weights of all and of the positive rows before each change of the score."""
        top = self.percent / 100 * mass[..., -1:]
        after = np.clip((mass < top).sum(axis=-1, keepdims=True), 1, None)
        (low, high), (few, many) = (
            (np.take_along_axis(sums, after - 1, axis=-1), np.take_along_axis(sums, after, axis=-1))
            for sums in (mass, hits)
        )
        inside = few + (many - few) * np.divide(top - low, high - low, out=np.zeros_like(top), where=high > low)
        return self.combine(top[..., 0], inside[..., 0], hits[..., -1], mass[..., -1])


def _top(truth: Array, prediction: Array, percent: float, combine: Callable[..., Any], kind: Kind) -> Weighted:
    """Combine the weights of the top, of its rows of class 1, of all rows of class 1, and of all rows."""
    if not len(truth) or not _usable(prediction):
        return _undefined
    return Top(truth, prediction[:, 1], percent, combine, kind)


def _sorted_by_class(truth: Array, score: Array) -> tuple[Array, Array]:
    """Return the negative and the positive rows, each by rising score."""
    negatives, positives = (
        rows[np.argsort(score[rows], kind="stable")]
        for rows in (np.flatnonzero(truth != 1), np.flatnonzero(truth == 1))
    )
    return negatives, positives


def _running_counts(clusters: Array, count: int) -> Array:
    """int64[m] -> int32[m + 1, count]: how many of the first 0, 1, ... m are in each cluster."""
    counts = np.zeros((len(clusters) + 1, count), np.int32)
    counts[np.arange(1, len(clusters) + 1), clusters] = 1
    return np.cumsum(counts, axis=0, out=counts)


def _group_sums(keys: Array, width: int) -> Weighted:
    """weights [..., n] -> [..., width]: the weight of the rows with each key; a key of -1 is no group."""
    order = np.argsort(keys, kind="stable")
    order = order[np.searchsorted(keys[order], 0) :]
    present, starts = np.unique(keys[order], return_index=True)

    def evaluate(weights: Array) -> Array:
        sums = np.zeros((*weights.shape[:-1], width))
        if len(present):
            sums[..., present] = np.add.reduceat(weights.take(order, axis=-1), starts, axis=-1)
        return sums

    return evaluate


def _share(prediction: Array, counted: Array, among: Array) -> Weighted:
    """The share of the rows ``among`` that are ``counted``."""
    if not _usable(prediction):
        return _undefined
    return share(counted, among)


def _confusion(
    truth: Array, prediction: Array, combine: Callable[..., Any], kind: Kind, threshold: float | None = None
) -> Weighted:
    """Combine the weights per class [..., k] of the rows that are rightly predicted so, that are so, that are predicted so."""
    width, predicted = prediction.shape[1], decided(prediction, threshold)
    hits = np.where(predicted == truth, truth, -1)
    return ClassSums((hits, truth, predicted), width, combine, kind)


def _cases_of_classes(truth: Array) -> int:
    """Return of how many rows a mean over classes is a share at most, where only the rarest class is not always right."""
    counts = np.unique(truth, return_counts=True)[1]
    return int(len(counts) * counts.min(initial=len(truth)))


def _class_mean(numerator: Array, denominator: Array) -> Any:
    """The mean of the ratios [..., k] over the classes whose denominator is above zero."""
    present = denominator > 0
    return _ratio(_ratio(numerator, denominator, otherwise=0.0).sum(axis=-1), present.sum(axis=-1))
