"""Curves over the test rows: ranking, gain, probabilities by outcome, and what happened beside what was predicted.

Each has about a hundred points, so that a document and a page stay small, and none is the value of a single row.

Sources: Fawcett, "An introduction to ROC analysis", 2006; Saito & Rehmsmeier, "The precision-recall plot is more informative than
the ROC plot when evaluating binary classifiers on imbalanced datasets", 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from model_code import metrics
from steps.evaluation.calibration import edges_of, inside
from steps.evaluation.document import Curve, Curves, Outcomes, Stretch, rounded

Array = np.ndarray[Any, Any]

POINTS = 100
MOST_LINES = 4
"""Of several classes those whose rows are ranked worst: more lines cannot be told apart."""
_BINS = 25
_STRETCHES, _FEWEST = 20, 10
_LOW, _HIGH = 0.1, 0.9
RIGHT, WRONG = "predicted right", "predicted wrong"


def document(truth: Array, prediction: Array, names: Sequence[str], times: pl.Series | None) -> dict[str, Any]:
    """Return the fields of the evaluation that hold curves; none where a prediction is not a number.

    Args:
        prediction: probabilities [n, k] of the classes ``names``, or values [n].
        times: of the rows, where the table has a column that orders them in time.
    """
    if not len(truth) or not np.isfinite(prediction).all():
        return {}
    over_time = {} if times is None else _over_time(truth, prediction, times)
    if prediction.ndim == 1:
        return {"by_prediction": stretches(prediction, truth, prediction, spread=True), **over_time}
    classes = [1] if len(names) == 2 else range(len(names))
    ranked = [(index, truth == index) for index in classes if 0 < (truth == index).sum() < len(truth)]
    ranked.sort(key=lambda pair: _area("roc_auc", pair[1], prediction[:, pair[0]]))
    drawn = ranked[:MOST_LINES]
    return {
        "curves": Curves(
            roc=tuple(roc(names[index], positive, prediction[:, index]) for index, positive in drawn),
            precision_recall=tuple(
                precision_recall(names[index], positive, prediction[:, index]) for index, positive in drawn
            ),
            gain=gain(names[1], truth == 1, prediction[:, 1]) if len(names) == 2 and drawn else None,
            outcomes=outcomes(truth, prediction, names),
        ),
        **over_time,
    }


def roc(name: str, positive: Array, score: Array) -> Curve:
    """Return the share of the positive rows that are found (y) by the share of the others that are taken for positive (x)."""
    true, false = _counts(positive, score)
    x, y = np.append(0, false / false[-1]), np.append(0, true / true[-1])
    rows = np.unique(np.searchsorted(x + y, np.linspace(0, 2, POINTS)).clip(0, len(x) - 1))
    return _curve(name, x[rows], y[rows], _area("roc_auc", positive, score))


def precision_recall(name: str, positive: Array, score: Array) -> Curve:
    """Return the share of positive rows among those that are acted on (y) by the share of the positive rows that are found (x)."""
    true, false = _counts(positive, score)
    recall, precision = true / true[-1], true / (true + false)
    rows = np.unique(np.searchsorted(recall, np.linspace(0, 1, POINTS)).clip(0, len(recall) - 1))
    return _curve(name, recall[rows], precision[rows], _area("average_precision", positive, score))


def gain(name: str, positive: Array, score: Array) -> Curve:
    """Return the share of the positive rows (y) among the share of all rows that rank highest (x); tied rows count in part."""
    true, false = _counts(positive, score)
    x = np.linspace(0, 1, POINTS + 1)
    share = np.append(0, true + false) / len(positive)
    return _curve(name, x, np.interp(x, share, np.append(0, true / true[-1])))


def outcomes(truth: Array, prediction: Array, names: Sequence[str]) -> Outcomes:
    """Return how many rows have which probability: of class 1 by class; of several classes, of the most probable by right and wrong."""
    chance, _ = _expected(truth, prediction)
    groups = [truth == 0, truth == 1] if len(names) == 2 else [(right := prediction.argmax(axis=1) == truth), ~right]
    edges = edges_of(chance, _BINS).clip(0, 1)
    counts = tuple(tuple(np.histogram(inside(chance[group], edges), edges)[0].tolist()) for group in groups)
    return Outcomes(
        names=tuple(names) if len(names) == 2 else (RIGHT, WRONG), edges=tuple(map(rounded, edges)), counts=counts
    )


def stretches(along: Array, truth: Array, prediction: Array, *, spread: bool) -> tuple[Stretch, ...]:
    """Return rows that follow one another in stretches of about equal size: what was predicted and what happened.

    Args:
        along: what the rows are ordered by; equal values stay together.
        spread: whether to add where the middle of the errors lies.
    """
    count = max(1, min(_STRETCHES, len(along) // _FEWEST))
    edges = np.unique(np.quantile(along, np.arange(1, count) / count))
    bins = np.searchsorted(edges, along, side="left")
    parts = [np.flatnonzero(bins == index) for index in np.unique(bins)]
    return tuple(
        Stretch(
            at=rounded(np.median(along[rows])),
            rows=len(rows),
            actual=rounded(truth[rows].mean()),
            predicted=rounded(prediction[rows].mean()),
            low=rounded(np.quantile(truth[rows] - prediction[rows], _LOW)) if spread else None,
            high=rounded(np.quantile(truth[rows] - prediction[rows], _HIGH)) if spread else None,
        )
        for rows in parts
    )


def _over_time(truth: Array, prediction: Array, times: pl.Series) -> dict[str, Any]:
    """Return the stretches of time; those of dates are in seconds since 1970."""
    rows = times.is_not_null().to_numpy()
    values = times.drop_nulls()
    dates = values.dtype.is_temporal()
    along = (values.dt.epoch("s") if dates else values).cast(pl.Float64).to_numpy()
    if len(np.unique(along)) < 2:
        return {}
    predicted, actual = _expected(truth[rows], prediction[rows])
    listed = stretches(along, actual, predicted, spread=prediction.ndim == 1)
    return {"over_time": listed, "time_column": times.name, "time_is_date": dates}


def _expected(truth: Array, prediction: Array) -> tuple[Array, Array]:
    """Return what is predicted and what happened, as numbers: of classes the probability of one, and whether it was that one."""
    if prediction.ndim == 1:
        return prediction, truth
    if prediction.shape[1] == 2:
        return prediction[:, 1], (truth == 1).astype(np.float64)
    return prediction.max(axis=1), (prediction.argmax(axis=1) == truth).astype(np.float64)


def _counts(positive: Array, score: Array) -> tuple[Array, Array]:
    """Return how many positive and how many other rows score so high or higher, for each score from the highest down."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))
    true = np.cumsum(positive[order])[last]
    return true, last + 1 - true


def _area(metric: str, positive: Array, score: Array) -> float:
    """Return a metric of ranking of one class against all others."""
    function = getattr(metrics, metric)(positive.astype(np.int64), np.stack([1 - score, score], axis=1))
    return float(function(np.ones(len(positive))))


def _curve(name: str, x: Array, y: Array, area: float | None = None) -> Curve:
    points = ([round(float(value), 4) for value in values] for values in (x, y))
    return Curve(name=name, x=tuple(next(points)), y=tuple(next(points)), area=None if area is None else rounded(area))
