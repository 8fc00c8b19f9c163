"""Every interval holds its estimate, stays in the metric's range, has a width, and is as wide as the things drawn are few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_code import metrics
from model_code.metrics import ANY, LOSS, ROOT, Kind, kind_of, of_share
from steps.evaluation.intervals import ends
from steps.evaluation.power import without_errors
from steps.evaluation.statistics import Measure, Sampled, bootstrap, by_row, compare

NORMAL = np.random.default_rng(0).normal(size=4000)


def interval(function, rows):
    return bootstrap({"": Measure(function)}, by_row(rows, 1000, 0))[""].estimate()


def test_a_share_has_the_interval_of_jeffreys():
    right = np.arange(200) < 190
    estimate = interval(metrics.average(right), 200)
    assert (estimate.low, estimate.high) == pytest.approx((0.9131, 0.9745), abs=3e-3)


def test_the_interval_of_a_skewed_mean_goes_further_to_the_side_of_the_tail():
    losses = np.exp(1.2 * np.random.default_rng(1).normal(size=400))
    estimate = interval(metrics.mae(losses, np.zeros(400)), 400)
    assert estimate.high - estimate.value > 1.3 * (estimate.value - estimate.low)
    squares = interval(metrics.rmse(np.sqrt(losses), np.zeros(400)), 400)
    assert (squares.low**2, squares.high**2) == pytest.approx((estimate.low, estimate.high))


def test_few_things_drawn_make_a_wide_interval():
    samples = 0.7 + 0.02 * NORMAL
    for kind in (of_share(900), LOSS, Kind("difference")):
        widths = [np.ptp(ends(kind, 0.7, samples, drawn)) for drawn in (3, 10, 100, 10_000)]
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 2 * widths[-1]
        assert widths[-1] == pytest.approx(2 * 1.96 * 0.02, rel=0.05)


TRUTH = np.arange(60) % 3 == 0
RIGHT = np.stack([~TRUTH, TRUTH], axis=1).astype(float)


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (metrics.recall(TRUTH.astype(int), RIGHT), 20),
        (metrics.specificity(TRUTH.astype(int), RIGHT), 40),
        (metrics.accuracy(TRUTH.astype(int), RIGHT), 60),
        (metrics.balanced_accuracy(TRUTH.astype(int), RIGHT), 40),
        (metrics.f1(TRUTH.astype(int), RIGHT), 20),
        (metrics.roc_auc(TRUTH.astype(int), RIGHT), 20),
        (metrics.average_precision(TRUTH.astype(int), RIGHT), 20),
        (metrics.precision_at_top(TRUTH.astype(int), RIGHT, percent=20), 12),
    ],
)
def test_what_has_no_error_shows_as_much_as_the_rows_that_it_speaks_of(function, rows):
    estimate = interval(function, 60)
    assert (estimate.value, estimate.high) == (1, 1)
    assert estimate.low == pytest.approx(without_errors(rows))


def test_no_wrong_decision_is_no_proof_that_decisions_cost_nothing():
    estimate = interval(metrics.cost_per_1000_rows(TRUTH.astype(int), RIGHT, miss=50, false_alarm=2), 60)
    assert (estimate.value, estimate.low) == (0, 0)
    assert estimate.high == pytest.approx(50_000 * (1 - without_errors(60)))


def test_a_model_without_an_error_is_not_better_than_a_constant_by_exactly_so_much():
    perfect = metrics.roc_auc(TRUTH.astype(int), RIGHT)
    constant = metrics.roc_auc(TRUTH.astype(int), np.full((60, 2), 0.5))
    sampled = bootstrap({"model": Measure(perfect), "constant": Measure(constant)}, by_row(60, 200, 0))
    difference = compare(sampled["model"], sampled["constant"])
    assert difference.value == 0.5
    assert difference.low < 0.5 <= difference.high


def test_a_metric_that_varies_in_no_resample_has_a_width_if_it_is_a_share():
    assert np.ptp(ends(of_share(50), 0.5, np.full(100, 0.5), 10)) > 0.4
    assert kind_of(lambda weights: 0.0) == ANY
    assert Sampled(0.5, np.full(100, 0.5), 1, of_share(50)).estimate().low is None


@given(
    st.sampled_from([of_share(7), LOSS, ROOT, Kind(high=1), Kind("difference"), Kind(low=0, high=1, cases=9)]),
    st.integers(0, 2**32),
    st.integers(2, 500),
    st.floats(0, 1),
    st.floats(1e-3, 3),
)
@settings(max_examples=200, deadline=None)
def test_an_interval_holds_its_estimate_and_stays_in_the_range(kind, seed, drawn, value, spread):
    noise = np.random.default_rng(seed).lognormal(size=100) - 1.6
    samples = np.clip(value + spread * noise, max(kind.low, -9), min(kind.high, 9))
    low, high = ends(kind, value, samples, drawn)
    assert max(kind.low, -np.inf) <= low <= value <= high <= kind.high
