"""What wrong decisions cost, and the probability from which acting is cheapest.

With right probabilities that is false_alarm / (false_alarm + miss) (Elkan 2001, "The Foundations of Cost-Sensitive
Learning"); the threshold here is the one that would have been cheapest on the validation folds, and that one where several
are equally cheap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.evaluation.thresholds import Costs

Array = np.ndarray[Any, Any]


def of_rows(costs: Costs, truth: Array, acting: Array) -> Array:
    """Return the cost of each row, by whether it is of the positive class and whether somebody acts on it."""
    return np.where(truth == 1, np.where(acting, 0.0, costs.miss), np.where(acting, costs.false_alarm, 0.0))


def cheapest(costs: Costs, truth: Array, chance: Array) -> float:
    """Return the probability from which acting on a row costs the least in all."""
    order = np.argsort(-chance, kind="stable")
    is_positive, ranked = truth[order] == 1, chance[order]
    gains = np.concatenate([[0.0], np.where(is_positive, costs.miss, -costs.false_alarm).cumsum()])
    ends = np.flatnonzero(np.concatenate([[True], ranked[1:] < ranked[:-1], [True]]))  # rows before the threshold
    best = ends[np.isclose(gains[ends], gains[ends].max())]
    above, below = np.concatenate([[1.0], ranked])[best], np.concatenate([ranked, [0.0]])[best]
    right = costs.false_alarm / (costs.false_alarm + costs.miss)
    inside = np.where((below < right) & (right <= above), right, (above + below) / 2)
    return float(inside[np.abs(inside - right).argmin()])
