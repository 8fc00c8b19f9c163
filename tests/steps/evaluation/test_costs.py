"""The threshold of declared costs is the one that would have been cheapest on the rows that it is chosen by."""

import numpy as np
import pytest

from steps.evaluation.costs import cheapest, of_rows
from steps.evaluation.thresholds import Costs


def draw(rows, seed=0):
    random = np.random.default_rng(seed)
    chance = random.beta(0.3, 3, rows)
    return (random.random(rows) < chance).astype(int), chance


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "costs", [Costs(miss=50, false_alarm=2), Costs(miss=1, false_alarm=1), Costs(miss=1, false_alarm=9)]
)
def test_no_other_threshold_is_cheaper(costs, seed):
    truth, chance = draw(200, seed)
    chance = chance.round(2)
    threshold = cheapest(costs, truth, chance)
    totals = [of_rows(costs, truth, chance >= other).sum() for other in [*chance, 0.0, 1.1]]
    assert of_rows(costs, truth, chance >= threshold).sum() == pytest.approx(min(totals))


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


def test_the_costs_of_rows_are_those_of_misses_and_false_alarms():
    cost = of_rows(Costs(miss=50, false_alarm=2), np.array([1, 1, 0, 0]), np.array([True, False, True, False]))
    assert cost.tolist() == [0, 50, 2, 0]
