"""Several classes one by one: how well each is predicted, which are mistaken for which, and what a person has to look at.

The abstention curve follows Chow, "On optimum recognition error and reject tradeoff", 1970: rows whose most probable class is not
probable enough are left to a person, and the model decides the others. Where the curve ends on a stated accuracy, that point is
chosen on the test rows themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_code import metrics
from model_code.metrics import Poolable
from steps.evaluation import statistics
from steps.evaluation.document import Abstention, ClassResult, ClassScores, ConfusedPair, rounded
from steps.evaluation.slices import SMALL
from steps.evaluation.statistics import Measure, Resampling, Sampled

Array = np.ndarray[Any, Any]

RESAMPLES = 400
PAIRS = 20
LEVELS = (0.8, 0.9, 0.95, 0.98, 0.99)
"""Accuracies that somebody may ask for; those that the model reaches on all rows are left out."""
SHARES = tuple(step / 10 for step in range(10))
"""Of the rows that a person sees, the points of the curve."""
_CELLS = 2**24


def document(truth: Array, prediction: Array, names: Sequence[str], resampling: Resampling) -> dict[str, Any]:
    """Return the fields of the evaluation of several classes; none where a prediction is not a number.

    Args:
        prediction: probabilities [n, k] of the classes ``names``.
    """
    if prediction.ndim != 2 or prediction.shape[1] < 3 or not np.isfinite(prediction).all():
        return {}
    fewer = replace(resampling, resamples=min(resampling.resamples, RESAMPLES))
    decided = metrics.decided(prediction)
    scores = _scores(truth, prediction, fewer)
    rows, predicted = (np.bincount(classes, minlength=len(names)) for classes in (truth, decided))
    per_class = tuple(
        ClassResult(name=name, rows=rows[index], predicted=predicted[index], **scores[index].model_dump())
        for index, name in enumerate(names)
    )
    return {
        "per_class": per_class,
        "class_averages": {"macro": scores[-2], "weighted": scores[-1]},
        "confused": tuple(_confused(truth, decided, names, rows)),
        "abstention": tuple(_abstention(truth, prediction, fewer)),
    }


def _scores(truth: Array, prediction: Array, resampling: Resampling) -> list[ClassScores]:
    """Return precision, recall and F1 of each class, then their mean and their mean weighted by rows."""
    function = metrics.of_classes(truth, prediction)
    values, samples = function(np.ones(len(truth))), _resampled(function, resampling)
    width = prediction.shape[1]
    predicted, actual = (np.bincount(of, minlength=width) for of in (metrics.decided(prediction), truth))
    cases = [
        [*rows, np.count_nonzero(rows) * rows[rows > 0].min(initial=len(truth)), len(truth)]
        for rows in (predicted, actual, actual)
    ]
    estimates = [
        [
            Sampled(
                float(values[i, j]), samples[:, i, j], resampling.count, metrics.of_share(int(cases[i][j]))
            ).estimate()
            for i in range(3)
        ]
        for j in range(width + 2)
    ]
    return [ClassScores(precision=precision, recall=recall, f1=f1) for precision, recall, f1 in estimates]


def _resampled(function: metrics.Weighted, resampling: Resampling) -> Array:
    """Return an array-valued function of weights on every resample; empty with fewer than two things to draw."""
    clusters, width = resampling.clusters, function(np.ones(resampling.rows)).shape[-1]
    draws = resampling.draws() if resampling.count > 1 else iter(())
    if clusters is not None and isinstance(function, Poolable) and resampling.count * width <= _CELLS:
        pooled = function.pool(clusters, resampling.count)
        parts = [pooled(chunk) for chunk in draws]
    else:
        parts = [function(resampling.weights(chunk)) for chunk in draws]
    return np.concatenate(parts) if parts else np.empty((0, 3, width))


def _confused(truth: Array, decided: Array, names: Sequence[str], rows: Array) -> list[ConfusedPair]:
    """Return the pairs of classes that are mistaken most often."""
    wrong = truth != decided
    cells, counts = np.unique(truth[wrong] * len(names) + decided[wrong], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:PAIRS]
    return [
        ConfusedPair(
            truth=names[actual],
            predicted=names[answer],
            rows=counts[index],
            share=rounded(counts[index] / rows[actual]),
        )
        for index in order
        for actual, answer in [divmod(int(cells[index]), len(names))]
    ]


def _abstention(truth: Array, prediction: Array, resampling: Resampling) -> list[Abstention]:
    """Return the accuracy on the rows that the model decides, by how many it leaves to a person, and for stated levels."""
    chance, right = prediction.max(axis=1), metrics.decided(prediction) == truth
    ranked, hits = (values[np.argsort(-chance, kind="stable")] for values in (chance, right))
    counts = np.flatnonzero(np.diff(ranked, append=-1.0)) + 1  # rows down to each chance: equal ones stay together
    accuracy = np.cumsum(hits)[counts - 1] / counts
    points: list[tuple[float | None, int]] = [
        (None, int(counts[np.searchsorted(counts, (1 - share) * len(truth) - 1e-6)])) for share in SHARES
    ]
    for level in LEVELS:
        enough = counts[(accuracy >= level) & (counts >= SMALL)]
        if accuracy[-1] < level and len(enough):
            points.append((level, int(enough[-1])))
    measures = {point: Measure(metrics.share(right, chance >= ranked[point[1] - 1])) for point in points}
    sampled = statistics.bootstrap(measures, resampling)
    return [
        Abstention(
            level=level,
            threshold=rounded(ranked[count - 1]),
            abstained=rounded(1 - count / len(truth)),
            accuracy=sampled[level, count].estimate(),
        )
        for level, count in dict.fromkeys(points)
    ]
