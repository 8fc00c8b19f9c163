"""A promise says the number that was written into it."""

from __future__ import annotations

import pytest

from steps.evaluation.document import Estimate
from steps.evaluation.thresholds import Costs, Goal, Threshold


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (0.65, "0.65"),
        (1, "1"),
        (1234567, "1234567"),
        (1250000.5, "1250000.5"),
        (0.00001, "0.00001"),
        (-0.5, "-0.5"),
        (0.1234567891, "0.1234567891"),
        (1e300, "1e+300"),
        (1e-12, "1e-12"),
    ],
)
def test_a_bound_is_written_with_all_its_digits_and_no_more(bound, text):
    assert Threshold(metric="rmse", at_most=bound).requirement == f"rmse <= {text} (95 % bound)"
    where = Threshold(metric="r2", at_least=bound, on="value", slice="a=b")
    assert where.requirement == f"r2 >= {text} (value) on a=b"
    assert float(text) == bound


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_no_number_that_could_meet_a_bound(value):
    assert Estimate(value=value, low=value, high=value) == Estimate()


AUC, RECALL = (
    Threshold(metric="roc_auc", at_least=0.8, on="value"),
    Threshold(metric="recall", at_least=0.9, on="value"),
)
PART, COSTS = Threshold(metric="recall", at_least=0.9, slice="a=b"), Costs(miss=5, false_alarm=1)


def goal(*success, **settings):
    return Goal(task="binary-classification", success=success, **settings)


@pytest.mark.parametrize(
    ("whole", "read"),
    [
        (goal(AUC, PART), goal()),
        (goal(AUC, RECALL, costs=COSTS), goal(RECALL, costs=COSTS)),
        (goal(AUC, costs=COSTS), goal(costs=COSTS)),
        (goal(AUC, RECALL, costs=COSTS, decision_threshold=0.3), goal(decision_threshold=0.3)),
        (Goal(task="regression", success=(Threshold(metric="r2", at_least=0.5),)), Goal(task="regression")),
    ],
)
def test_a_training_that_takes_the_best_reads_only_what_its_decisions_are_chosen_by(whole, read):
    bounds = [(promise.metric, promise.bound) for promise in read.success]
    goal_of_training = whole.on_folds("best")
    assert [(promise.metric, promise.bound) for promise in goal_of_training.success] == bounds
    assert goal_of_training.model_copy(update={"success": ()}) == read.model_copy(update={"success": ()})


def test_the_first_that_reaches_the_promises_reaches_them_by_the_bad_ends_of_intervals():
    success = goal(AUC, RECALL, PART, costs=COSTS).on_folds("first").success
    assert [(promise.metric, promise.on) for promise in success] == [
        ("roc_auc", "interval"),
        ("recall", "interval"),
        ("recall", "interval"),
    ]


def test_a_training_reads_no_promise_of_time_or_size():
    promise = Threshold(metric="model_mb", at_most=2)
    assert promise.on == "value"
    assert goal(AUC, promise).on_folds("first").success == goal(AUC).on_folds("first").success
    assert "model_mb" not in goal(AUC, promise).metrics()
