"""The weights of a blend: chosen on validation rows, and judged on rows that had no part in the choice.

The weights are those of Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble Selection from Libraries of Models":
members are added one after the other, each as often as it helps, so that most of those that do not help get no weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.evaluation.statistics import Resampling

Array = np.ndarray[Any, Any]

STEPS = 10
"""How many members are added: weights are tenths, since a member with less is not worth its time."""
PARTS = 5


def weigh(truth: Array, predictions: Array) -> Array:
    """Return the weights [m], with sum 1, of the mean of predictions [m, n] or probabilities [m, n, k] that fits best.

    A mean of probabilities is judged by its log loss, one of values by its squared error; of equals the first is taken.
    """
    classes = predictions.ndim == 3
    members = predictions[:, np.arange(len(truth)), truth] if classes else predictions - truth
    counts, total = np.zeros(len(members)), np.zeros(len(truth))
    for step in range(1, STEPS + 1):
        means = (total + members) / step
        losses = -np.log(np.maximum(means, 1e-7)) if classes else means**2
        best = int(losses.mean(axis=1).argmin())
        counts[best] += 1
        total += members[best]
    return counts / STEPS


def parts(resampling: Resampling) -> list[Array]:
    """Return masks bool[n] of parts of the rows, which share no rows that are resampled together; none if all of them are."""
    if resampling.count < 2:
        return []
    numbers: Array = np.random.default_rng(resampling.seed).permutation(resampling.count) % PARTS
    part = numbers if resampling.clusters is None else numbers[resampling.clusters]
    return [part == number for number in np.unique(part)]


def cross_fitted(truth: Array, predictions: Array, resampling: Resampling) -> Array | None:
    """Return the blended predictions [n] or [n, k] of rows, each with weights chosen on other rows.

    Rows that are resampled together are blended with the same weights. None if there is one such unit only.
    """
    masks = parts(resampling)
    if not masks:
        return None
    blended: Array = np.empty_like(predictions[0])
    for rows in masks:
        blended[rows] = mean(weigh(truth[~rows], predictions[:, ~rows]), predictions[:, rows])
    return blended


def mean(weights: Array, predictions: Array) -> Array:
    """Return the weighted mean of predictions [m, ...] over the members."""
    blended: Array = np.tensordot(weights, predictions, axes=1)
    return blended
