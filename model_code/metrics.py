"""Metrics by scikit-learn's names and definitions, prepared once and then evaluated for many row weights.

``metric(truth, prediction)`` does what does not depend on the weights (sorting, per-row losses) and returns a function
of weights float64[n] -> float. The function also takes a batch, float64[b, n] -> float64[b], which is what makes a
thousand bootstrap resamples cheap. Arrays are as in ``model_code.tasks``:

    classification   truth int64[n] (class index), prediction float64[n, k] (probabilities; of two, class 1 is positive)
    regression       truth float64[n],             prediction float64[n]

A weight of 2 is the row twice and a weight of 0 is the row's absence. What is undefined on the rows that are left (no
row, one class where two are needed, a constant truth for r2, a prediction that is not finite) is nan, without warning.
Definitions: scikit-learn user guide, "Metrics and scoring: quantifying the quality of predictions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Weighted = Callable[[Array], Any]
"""weights float64[n] -> float, or float64[b, n] -> float64[b]."""

_RELATIVE_ZERO = 1e-12  # a variance below this share of the mean square is rounding, not variance


def average(values: Array) -> Weighted:
    """Mean of a value of each row; of what is true or false, the share of rows where it is true."""
    return _mean(values)


def accuracy(truth: Array, prediction: Array) -> Weighted:
    """Share of rows whose most probable class is the true one; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    return _mean(prediction.argmax(axis=1) == truth)


def balanced_accuracy(truth: Array, prediction: Array) -> Weighted:
    """Mean over the classes that occur in the truth of the share of their rows that are found; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    hits, actual, _ = _confusion(truth, prediction)

    def evaluate(weights: Array) -> Any:
        return _class_mean(hits(weights), actual(weights))

    return evaluate


def f1(truth: Array, prediction: Array) -> Weighted:
    """2 tp / (2 tp + fp + fn) of class 1; in [0, 1]; undefined where the class is neither true nor predicted."""
    if not _usable(prediction):
        return _undefined
    positive, predicted = truth == 1, prediction.argmax(axis=1) == 1
    columns = np.stack([positive & predicted, positive, predicted], axis=1).astype(np.float64)

    def evaluate(weights: Array) -> Any:
        counts = weights @ columns
        return _ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2])

    return evaluate


def f1_macro(truth: Array, prediction: Array) -> Weighted:
    """Unweighted mean of each class's f1 over the classes that are true or predicted somewhere; in [0, 1]."""
    if not _usable(prediction):
        return _undefined
    hits, actual, predicted = _confusion(truth, prediction)

    def evaluate(weights: Array) -> Any:
        return _class_mean(2 * hits(weights), actual(weights) + predicted(weights))

    return evaluate


def roc_auc(truth: Array, prediction: Array) -> Weighted:
    """Probability that a positive row scores above a negative one, ties counted half; in [0, 1].

    Hanley & McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve", 1982.
    """
    if not _usable(prediction):
        return _undefined
    score = prediction[:, 1]
    negatives, positives = (rows[np.argsort(score[rows], kind="stable")] for rows in _rows_by_class(truth))
    below = np.searchsorted(score[negatives], score[positives], side="left")
    not_above = np.searchsorted(score[negatives], score[positives], side="right")
    tied = not np.array_equal(below, not_above)

    def evaluate(weights: Array) -> Any:
        negative_mass = _running_total(weights.take(negatives, axis=-1))
        positive = weights.take(positives, axis=-1)
        beaten = negative_mass.take(below, axis=-1)
        if tied:
            beaten = 0.5 * (beaten + negative_mass.take(not_above, axis=-1))
        return _ratio(_dot(positive, beaten), positive.sum(axis=-1) * negative_mass[..., -1])

    return evaluate


def average_precision(truth: Array, prediction: Array) -> Weighted:
    """Sum over thresholds of precision times the recall gained there; in [0, 1]; undefined without a positive row."""
    if not _usable(prediction):
        return _undefined
    score = -prediction[:, 1]
    negatives, positives = (rows[np.argsort(score[rows], kind="stable")] for rows in _rows_by_class(truth))
    false_until = np.searchsorted(score[negatives], score[positives], side="right")  # tied rows enter together
    true_until = np.searchsorted(score[positives], score[positives], side="right")

    def evaluate(weights: Array) -> Any:
        positive = weights.take(positives, axis=-1)
        running = _running_total(positive)
        true = running.take(true_until, axis=-1)
        precision = _ratio(
            true, true + _running_total(weights.take(negatives, axis=-1)).take(false_until, axis=-1), otherwise=0.0
        )
        return _ratio(_dot(positive, precision), running[..., -1])

    return evaluate


def log_loss(truth: Array, prediction: Array) -> Weighted:
    """Mean of -log of the probability given to the true class, kept a rounding error away from 0 and 1; at least 0."""
    dtype = prediction.dtype if np.issubdtype(prediction.dtype, np.floating) else np.dtype(np.float64)
    epsilon = np.finfo(dtype).eps
    probability = prediction[np.arange(len(truth)), truth] if len(truth) else np.zeros(0)
    return _mean(-np.log(np.clip(probability, epsilon, 1 - epsilon)))


def brier(truth: Array, prediction: Array) -> Weighted:
    """Mean squared distance of class 1's probability from what happened; in [0, 1] (Brier 1950, the two-class form)."""
    return _mean(_square(prediction[:, 1] - (truth == 1)))


def r2(truth: Array, prediction: Array) -> Weighted:
    """1 - squared error / squared distance from the truth's mean; at most 1; undefined where the truth is constant."""
    if not len(truth):
        return _undefined
    centred = truth - truth.mean()  # so that the difference of sums below does not cancel
    columns = np.stack([_square(truth - prediction), _square(centred), centred], axis=1)
    if not _usable(columns):
        return _undefined

    def evaluate(weights: Array) -> Any:
        sums = weights @ columns
        spread = sums[..., 1] - _ratio(sums[..., 2] ** 2, weights.sum(axis=-1))
        varied = spread > _RELATIVE_ZERO * sums[..., 1]
        return 1 - _ratio(sums[..., 0], np.where(varied, spread, 0.0))

    return evaluate


def rmse(truth: Array, prediction: Array) -> Weighted:
    """Square root of the mean squared error, in the target's unit; at least 0."""
    mean_squared_error = _mean(_square(truth - prediction))
    return lambda weights: np.sqrt(mean_squared_error(weights))


def mae(truth: Array, prediction: Array) -> Weighted:
    """Mean absolute error, in the target's unit; at least 0."""
    return _mean(np.abs(truth - prediction))


def mape(truth: Array, prediction: Array) -> Weighted:
    """Mean absolute error as a share of the true value (0.1 is 10 %); huge where the truth is near 0; at least 0."""
    return _mean(np.abs(truth - prediction) / np.maximum(np.abs(truth), np.finfo(np.float64).eps))


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


def _mean(loss: Array) -> Weighted:
    """The weighted mean of a per-row loss [n]."""
    if not _usable(loss):
        return _undefined
    loss = loss.astype(np.float64)
    return lambda weights: _ratio(_dot(weights, loss), weights.sum(axis=-1))


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


def _rows_by_class(truth: Array) -> tuple[Array, Array]:
    return np.flatnonzero(truth != 1), np.flatnonzero(truth == 1)


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


def _confusion(truth: Array, prediction: Array) -> tuple[Weighted, Weighted, Weighted]:
    """Weight per class [..., k] of the rows that are rightly predicted so, that are so, that are predicted so."""
    width, predicted = prediction.shape[1], prediction.argmax(axis=1)
    hits = np.where(predicted == truth, truth, -1)
    return _group_sums(hits, width), _group_sums(truth, width), _group_sums(predicted, width)


def _class_mean(numerator: Array, denominator: Array) -> Any:
    """The mean of the ratios [..., k] over the classes whose denominator is above zero."""
    present = denominator > 0
    return _ratio(_ratio(numerator, denominator, otherwise=0.0).sum(axis=-1), present.sum(axis=-1))
