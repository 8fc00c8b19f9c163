"""The probability from which a row counts as positive: declared, chosen for promises, or the cheapest.

It is chosen by rows that the model has not learned from: the model's by the validation folds. With right probabilities the
cheapest is false_alarm / (false_alarm + miss) (Elkan 2001, "The Foundations of Cost-Sensitive Learning"); the one here would
have been cheapest on the rows at hand, and is that one where several are equally cheap.

A promise is judged on fewer rows than the folds have, by the bad end of an interval. So its threshold leaves room: where some
thresholds keep every promise by ``ROOM`` standard errors, the cheapest of these is taken (without costs, the one of highest
F1); else the cheapest of those with at least ``ENOUGH`` of the widest margin, since the last bit of it costs most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_code import metrics, tasks
from model_code.tasks import COST
from steps.evaluation.document import MODEL, Decision, Reason, rounded
from steps.evaluation.statistics import Measure, Sampled, compare
from steps.evaluation.thresholds import Costs, Goal, Threshold

Array = np.ndarray[Any, Any]

ROOM = 6.0
"""Standard errors on the folds: about three of a test set with a quarter of their rows, which takes two for the interval."""

ENOUGH = 0.8


@dataclass(frozen=True)
class Acting:
    """The probability from which somebody acts on a row, and why that one."""

    threshold: float
    reason: Reason


def choose(goal: Goal, truth: Array, prediction: Array) -> Acting | None:
    """Return from which probability a row counts as positive; None where nothing speaks against one half.

    Args:
        prediction: probabilities [n, 2] of rows that the model has not learned from.
    """
    why = goal.reason
    if why is None or not np.isfinite(prediction).all():
        return None
    if why == "promises":
        return Acting(keeping(goal.shares, goal.costs, truth, prediction[:, 1]), why)
    if why == "costs" and goal.costs:
        return Acting(cheapest(goal.costs, truth, prediction[:, 1]), why)
    return Acting(goal.decision_threshold, why) if goal.decision_threshold is not None else None


def cheapest(costs: Costs, truth: Array, chance: Array) -> float:
    """Return the probability from which acting on a row costs the least in all."""
    cuts = _Cuts.of(truth, chance)
    best = np.isclose(cuts.saved(costs), cuts.saved(costs).max())
    above, below = cuts.above[best], cuts.below[best]
    right = costs.false_alarm / (costs.false_alarm + costs.miss)
    inside = np.where((below < right) & (right <= above), right, (above + below) / 2)
    return float(inside[np.abs(inside - right).argmin()])


def keeping(promises: Sequence[Threshold], costs: Costs | None, truth: Array, chance: Array) -> float:
    """Return the probability from which acting keeps the promises, as the module says."""
    cuts = _Cuts.of(truth, chance)
    margin = np.min([cuts.margin(promise) for promise in promises], axis=0)
    widest = margin.max()
    allowed = margin >= min(ROOM, ENOUGH * widest if widest > 0 else widest)
    worth = np.where(allowed, cuts.saved(costs) if costs else cuts.f1(), -np.inf)
    best = int(worth.argmax())
    return float((cuts.above[best] + cuts.below[best]) / 2)


@dataclass(frozen=True)
class _Cuts:
    """Every way to cut the rows, ranked by their chance, into those that somebody acts on and the rest."""

    above: Array
    """The lowest chance of the rows above the cut, and the highest below it."""
    below: Array
    hits: Array
    """How many rows of either class are above the cut."""
    alarms: Array

    @classmethod
    def of(cls, truth: Array, chance: Array) -> _Cuts:
        order = np.argsort(-chance, kind="stable")
        positive, ranked = truth[order] == 1, chance[order]
        ends = np.flatnonzero(np.concatenate([[True], ranked[1:] < ranked[:-1], [True]]))
        return cls(
            above=np.concatenate([[1.0], ranked])[ends],
            below=np.concatenate([ranked, [0.0]])[ends],
            hits=np.concatenate([[0], positive.cumsum()])[ends],
            alarms=np.concatenate([[0], (~positive).cumsum()])[ends],
        )

    def saved(self, costs: Costs) -> Array:
        """Return what acting on the rows above each cut saves against never acting."""
        gain: Array = costs.miss * self.hits - costs.false_alarm * self.alarms
        return gain

    def f1(self) -> Array:
        """Return the F1 of each cut."""
        f1: Array = 2 * self.hits / np.maximum(self.hits + self.alarms + self.hits[-1], 1)
        return f1

    def margin(self, promise: Threshold) -> Array:
        """Return by how many standard errors each cut keeps a promise; below zero where it breaks it."""
        hits, alarms = self.hits, self.alarms
        counted, among = {
            "recall": (hits, hits[-1]),
            "precision": (hits, hits + alarms),
            "specificity": (alarms[-1] - alarms, alarms[-1]),
            "false_positive_rate": (alarms, alarms[-1]),
        }[promise.metric]
        rows, bound = np.maximum(among, 1), promise.bound
        error = np.sqrt(np.maximum(bound * (1 - bound), 1e-9) / rows)
        distance = (counted / rows - bound) * (1 if promise.at_least is not None else -1)
        return np.where(among > 0, distance / error, -np.inf)


EXTREMES = {"never": np.inf, "always": -np.inf}
"""Ways to act that need no model, as thresholds."""

Key = tuple[str, str, str | None]


def extremes(goal: Goal, truth: Array, prediction: Array) -> dict[Key, Measure]:
    """Return what acting never and always costs, by the keys of measures; nothing without costs."""
    cost = goal.metrics().get(COST)
    if cost is None:
        return {}
    return {(name, COST, None): Measure(cost.bind(truth, prediction, end)) for name, end in EXTREMES.items()}


def document(
    goal: Goal,
    truth: Array,
    prediction: Array,
    thresholds: Mapping[str, float],
    sampled: Mapping[Key, Sampled],
) -> Decision | None:
    """Return what acting by the model means on the test rows; None where the task has no positive class.

    Args:
        thresholds: predictor -> the probability from which it acts, where that is not one half.
        sampled: metrics by predictor, name and slice.
    """
    if not tasks.get(goal.task).has_positive or not np.isfinite(prediction).all():
        return None
    acting = metrics.decided(prediction, thresholds.get(MODEL)) == 1
    costs, rivals = goal.costs, {name for name, metric, _ in sampled if metric == COST and name != MODEL}
    own = sampled.get((MODEL, COST, None))
    return Decision(
        threshold=rounded(thresholds.get(MODEL, 0.5)),
        reason=goal.reason or "declared" if MODEL in thresholds else "one half",
        acted=int(acting.sum()),
        hits=int((acting & (truth == 1)).sum()),
        positives=int((truth == 1).sum()),
        miss=costs and costs.miss,
        false_alarm=costs and costs.false_alarm,
        per_1000_rows=own and own.estimate(),
        **{name: rounded(sampled[name, COST, None].value) for name in EXTREMES if own},
        saved={name: compare(sampled[name, COST, None], own) for name in sorted(rivals) if own},
        thresholds={name: rounded(value) for name, value in thresholds.items() if name != MODEL},
    )
