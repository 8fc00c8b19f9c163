"""The errors that are allowed are those of the bootstrap itself, and the rows that decide bring its interval to the bound."""

from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_code import metrics
from steps.evaluation.document import Estimate
from steps.evaluation.power import (
    NOTED,
    Rows,
    errors_allowed,
    least_auc,
    room,
    rows_to_decide,
    tight,
    uncounted,
    without_errors,
)
from steps.evaluation.statistics import Measure, bootstrap, by_group, by_row
from steps.evaluation.thresholds import Threshold


def interval(rows, errors, resamples=2000):
    right = np.arange(rows) >= errors
    return bootstrap({"": Measure(metrics.average(right))}, by_row(rows, resamples, 1))[""].estimate()


@pytest.mark.parametrize(("rows", "bound"), [(120, 0.97), (40, 0.8), (400, 0.97), (3000, 0.65), (100, 0.5)])
def test_so_many_errors_reach_the_bound_by_the_bootstrap_and_a_few_more_do_not(rows, bound):
    allowed = errors_allowed(bound, rows)
    grain = 1 / rows + 0.1 * np.sqrt(bound * (1 - bound) / rows)  # resamples are drawn, and a share has steps
    assert interval(rows, allowed).low >= bound - grain
    assert interval(rows, allowed + 1).low <= bound + grain


@pytest.mark.parametrize(
    ("positives", "says"),
    [
        (40, "40 positive test rows cannot reach it, not even without an error; 99 without one would"),
        (99, "99 positive test rows reach it only without an error"),
        (156, "156 positive test rows reach it with at most 1 error"),
    ],
)
def test_few_rows_reach_97_percent_only_without_an_error_or_not_at_all(positives, says):
    (text,) = tight((Threshold(metric="recall", at_least=0.97),), Rows(900, positives))
    assert text == f"recall >= 0.97 (95 % bound): {says}"
    assert (interval(positives, 0).low >= 0.97) == ("cannot" not in says)


def test_a_share_without_errors_has_the_interval_of_the_rule_of_three():
    assert interval(100, 0).low == pytest.approx(1 - 3 / 100, abs=1e-3)
    assert interval(100, 100) == Estimate(value=0, low=0, high=1 - without_errors(100))
    assert rows_to_decide(interval(40, 0), 0.97, 40) == pytest.approx(99, abs=5)
    days = bootstrap(
        {"": Measure(metrics.average(np.ones(400, bool)))}, by_group(pl.Series("day", np.arange(400) // 40), 100, 0)
    )
    assert days[""].estimate().low == pytest.approx(without_errors(10))  # as much is known as of ten rows
    mean = bootstrap({"": Measure(metrics.mae(np.ones(50), np.zeros(50)))}, by_row(50, 100, 0))[""].estimate()
    assert mean.low == mean.high == 1  # which is no share


@given(st.integers(1, 5000), st.floats(0.01, 0.999), st.floats(0.01, 0.999))
@settings(max_examples=100, deadline=None)
def test_more_rows_and_lower_bounds_allow_more_errors(rows, one, other):
    low, high = sorted((one, other))
    strict, mild, more = (
        -1 if errors is None else errors
        for errors in (errors_allowed(high, rows), errors_allowed(low, rows), errors_allowed(low, 2 * rows))
    )
    assert strict <= mild <= min(more, rows)
    assert strict <= rows * (1 - high) + 1e-6


@given(st.integers(10, 10**6), st.floats(0.05, 0.95), st.floats(0.001, 0.2), st.floats(-0.99, 0.99))
@settings(max_examples=200, deadline=None)
def test_so_many_rows_bring_the_interval_just_to_the_bound(rows, value, width, place):
    bound = value + place * width
    count = rows_to_decide(Estimate(value=value, low=value - width, high=value + width), bound, rows)
    if count is None:
        assert abs(place) < 0.1  # more rows than anybody has
        return
    assert rows < count
    assert abs(bound - value) * 1.15 >= width * np.sqrt(rows / count) * 0.999
    assert width * np.sqrt(rows / count) <= abs(bound - value) * 1.001


@pytest.mark.parametrize(
    "estimate",
    [
        Estimate(value=0.9, low=0.8, high=0.95),  # clear of the bound
        Estimate(value=0.6, low=0.5, high=0.69),
        Estimate(value=0.7, low=0.6, high=0.8),  # on it
        Estimate(value=0.9),
        Estimate(),
    ],
)
def test_nothing_is_asked_for_where_it_is_decided_or_no_rows_would_do(estimate):
    assert rows_to_decide(estimate, 0.7, 100) is None


def test_the_rows_of_a_simulation_decide_as_often_as_they_should():
    """Of a true share of 0.8 and a bound of 0.75, 200 rows cannot tell; so many rows as are named tell about half of the time."""
    count = rows_to_decide(interval(200, 40), 0.75, 200)
    errors = np.random.default_rng(0).binomial(count, 0.2, 200)
    reached = (errors <= errors_allowed(0.75, count)).mean()
    assert 0.4 < reached < 0.75


@pytest.mark.parametrize(
    ("promise", "expected"),
    [
        ({"metric": "recall", "at_least": 0.9}, (40, "positive")),
        ({"metric": "specificity", "at_least": 0.9}, (60, "negative")),
        ({"metric": "false_positive_rate", "at_most": 0.1}, (60, "negative")),
        ({"metric": "accuracy", "at_least": 0.9}, (100, "")),
        ({"metric": "within_5", "at_least": 0.9}, (100, "")),
        ({"metric": "balanced_accuracy", "at_least": 0.9}, None),
        ({"metric": "roc_auc", "at_least": 0.9}, None),
        ({"metric": "recall", "at_least": 0.9, "on": "value"}, None),
    ],
)
def test_only_shares_of_rows_that_are_counted_before_have_room(promise, expected):
    space = room(Threshold(**promise), Rows(100, 40))
    assert (space and (space.cases, space.kind)) == expected


def test_what_has_room_enough_needs_no_remark():
    promises = (Threshold(metric="recall", at_least=0.6), Threshold(metric="false_positive_rate", at_most=0.02))
    assert errors_allowed(0.98, 1000) > NOTED
    assert [*tight(promises, Rows(2000, 1000))] == []
    (text,) = tight(promises, Rows(1600, 1000))
    assert text.endswith(f"600 negative test rows reach it with at most {errors_allowed(0.98, 600)} errors")


@pytest.mark.parametrize(("rows", "positives", "bound"), [(100, 40, 0.7), (400, 40, 0.8), (1000, 500, 0.6)])
def test_a_roc_auc_that_proves_a_bound_has_an_interval_that_ends_there(rows, positives, bound):
    least = least_auc(bound, Rows(rows, positives))
    apart = 2**0.5 * NormalDist().inv_cdf(least)  # of two normal distributions with that area
    truth = np.arange(rows) < positives
    spread = np.concatenate([quantiles(positives) + apart, quantiles(rows - positives)])
    measure = Measure(metrics.roc_auc(truth.astype(int), np.stack([-spread, spread], axis=1)))
    assert bootstrap({"": measure}, by_row(rows, 1000, 0))[""].estimate().low == pytest.approx(bound, abs=0.03)


def quantiles(count):
    return np.array([NormalDist().inv_cdf((number + 0.5) / count) for number in range(count)])


def test_few_rows_prove_a_roc_auc_only_far_above_its_bound_or_not_at_all():
    promise = (Threshold(metric="roc_auc", at_least=0.95),)
    (text,) = tight(promise, Rows(114, 48, estimated=True))
    assert text == "roc_auc >= 0.95 (95 % bound): about 48 positive of 114 test rows reach it from about 0.98 on"
    (text,) = tight((Threshold(metric="roc_auc", at_least=0.99),), Rows(20, 8))
    assert text.endswith("8 positive of 20 test rows reach it only by a nearly perfect ranking")
    assert [*tight(promise, Rows(20_000, 8_000)), *tight(promise, Rows(20, 0))] == []


def test_before_rows_are_counted_a_promise_says_how_many_it_wants():
    bounds = [("recall", 0.97), ("accuracy", 0.9), ("roc_auc", 0.9)]
    promises = tuple(Threshold(metric=metric, at_least=bound) for metric, bound in bounds)
    assert [*uncounted(promises, "nobody counted")] == [
        "recall >= 0.97 (95 % bound): wants 99 positive test rows or more; nobody counted",
        "accuracy >= 0.9 (95 % bound): wants 29 test rows or more; nobody counted",
    ]
