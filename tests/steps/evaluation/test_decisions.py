"""The threshold of declared costs is the one that would have been cheapest on the rows that it is chosen by.

That of promises leaves room for them, and costs or F1 choose among those that do.
"""

import numpy as np
import pytest

from model_code import metrics
from steps.evaluation.decisions import ROOM, cheapest, choose, keeping
from steps.evaluation.thresholds import Costs, Goal, Threshold


def draw(rows, seed=0):
    random = np.random.default_rng(seed)
    chance = random.beta(0.3, 3, rows)
    return (random.random(rows) < chance).astype(int), chance


def two_columns(chance):
    return np.stack([1 - chance, chance], axis=1)


def total(costs, truth, chance, threshold):
    return metrics.cost_per_1000_rows(truth, two_columns(chance), threshold, **costs.model_dump())(np.ones(len(truth)))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "costs", [Costs(miss=50, false_alarm=2), Costs(miss=1, false_alarm=1), Costs(miss=1, false_alarm=9)]
)
def test_no_other_threshold_is_cheaper(costs, seed):
    truth, chance = draw(200, seed)
    chance = chance.round(2)
    threshold = cheapest(costs, truth, chance)
    totals = [total(costs, truth, chance, other) for other in [*chance, 0.0, 1.1]]
    assert total(costs, truth, chance, threshold) == pytest.approx(min(totals))


def test_right_probabilities_of_many_rows_give_the_threshold_of_theory():
    assert cheapest(Costs(miss=9, false_alarm=1), *draw(200_000)) == pytest.approx(0.1, abs=0.02)


def test_of_equally_cheap_thresholds_it_is_that_of_theory():
    truth, chance = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])
    assert cheapest(Costs(miss=3, false_alarm=1), truth, chance) == 0.25
    assert cheapest(Costs(miss=99, false_alarm=1), truth, chance) == pytest.approx(0.5)


def test_equal_probabilities_stay_on_one_side():
    truth, chance = np.array([1, 0, 0, 0]), np.full(4, 0.3)
    assert cheapest(Costs(miss=100, false_alarm=1), truth, chance) <= 0.3
    assert cheapest(Costs(miss=1, false_alarm=1), truth, chance) > 0.3


def recall_at(truth, chance, threshold):
    return float(metrics.recall(truth, two_columns(chance), threshold)(np.ones(len(truth))))


RECALL = Threshold(metric="recall", at_least=0.8)


@pytest.mark.parametrize("seed", range(5))
def test_a_promise_gets_room_and_among_thresholds_with_room_f1_or_the_costs_choose(seed):
    truth, chance = draw(20_000, seed)
    positives = int(truth.sum())
    by_f1 = keeping([RECALL], None, truth, chance)
    assert (recall_at(truth, chance, by_f1) - 0.8) / np.sqrt(0.8 * 0.2 / positives) >= ROOM
    assert recall_at(truth, chance, by_f1 * 1.05) < recall_at(truth, chance, by_f1)  # no more room than is needed
    thrifty, generous = (keeping([RECALL], Costs(miss=miss, false_alarm=1), truth, chance) for miss in (1, 100))
    assert generous < thrifty == by_f1
    assert generous == pytest.approx(cheapest(Costs(miss=100, false_alarm=1), truth, chance), rel=0.1)


def test_promises_that_pull_apart_get_a_threshold_between_them():
    truth, chance = draw(2000)
    promises = [RECALL, Threshold(metric="precision", at_least=0.5)]
    threshold = keeping(promises, None, truth, chance)
    assert keeping(promises[:1], None, truth, chance) < threshold
    both = [metrics.recall, metrics.precision]
    margins = [
        function(truth, two_columns(chance), threshold)(np.ones(2000)) - p.bound
        for function, p in zip(both, promises, strict=True)
    ]
    assert abs(margins[0] - margins[1]) < 0.2


def test_where_nothing_leaves_room_enough_the_last_of_it_is_not_bought_at_any_price():
    """One positive row in the middle of the others: to act on it, too, means to act on half of them."""
    chance = np.concatenate([np.linspace(0.01, 0.6, 200), np.linspace(0.7, 0.99, 99), [0.3]])
    truth = np.concatenate([np.zeros(200, int), np.ones(100, int)])
    threshold = keeping([Threshold(metric="recall", at_least=0.9)], None, truth, chance)
    assert threshold > 0.3
    assert recall_at(truth, chance, threshold) == 0.99
    strict = keeping([Threshold(metric="recall", at_least=0.985)], None, truth, chance)
    assert strict < 0.3  # here it takes that row


@pytest.mark.parametrize("metric", ["specificity", "false_positive_rate"])
def test_a_promise_about_the_other_class_raises_the_threshold(metric):
    truth, chance = draw(5000)
    bound = {"at_least": 0.98} if metric == "specificity" else {"at_most": 0.02}
    threshold = keeping([Threshold(metric=metric, **bound)], None, truth, chance)
    assert metrics.specificity(truth, two_columns(chance), threshold)(np.ones(5000)) > 0.98


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"decision_threshold": 0.3, "costs": Costs(miss=1, false_alarm=1)}, "declared"),
        ({"costs": Costs(miss=9, false_alarm=1)}, "costs"),
        ({"success": (RECALL,), "costs": Costs(miss=9, false_alarm=1)}, "promises"),
        ({"success": (Threshold(metric="f1", at_least=0.5),)}, None),
        ({"success": (Threshold(metric="recall", at_least=0.5, slice="a=b"),)}, None),
    ],
)
def test_what_is_declared_goes_before_promises_and_these_before_costs(fields, reason):
    truth, chance = draw(200)
    acting = choose(Goal(task="binary-classification", **fields), truth, two_columns(chance))
    assert (acting and acting.reason) == reason
    assert acting is None or reason != "declared" or acting.threshold == 0.3


def test_numbers_several_classes_and_broken_predictions_have_no_threshold():
    truth, chance = draw(50)
    costs = Costs(miss=9, false_alarm=1)
    assert choose(Goal(task="regression"), chance, chance) is None
    assert choose(Goal(task="multiclass-classification", costs=costs), truth, two_columns(chance)) is None
    assert choose(Goal(task="binary-classification", costs=costs), truth, two_columns(chance * np.nan)) is None
