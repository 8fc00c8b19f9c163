"""What the card says of probabilities and comparisons: no more than their rows can show."""

from __future__ import annotations

import numpy as np
import pytest

from steps.cards.modelcard import _comparison, error_by_chance, probabilities_are_off
from steps.evaluation.calibration import reliability


def calibration(chance, happened):
    """What evaluate publishes of these chances."""
    return reliability(happened.astype(int), np.column_stack([1 - chance, chance]))


@pytest.mark.parametrize("rows", [60, 100, 200, 400, 800])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (0.5, 0.5), (2, 2), (1, 9), (50, 50)])
def test_honest_probabilities_are_seldom_called_off_however_few_rows_there_are(rows, a, b):
    random = np.random.default_rng([rows, int(10 * a), int(10 * b)])
    draws = 400
    told = 0
    for _ in range(draws):
        chance = random.beta(a, b, rows)
        told += probabilities_are_off(calibration(chance, random.random(rows) < chance))
    assert told / draws <= 0.08


@pytest.mark.parametrize(("rows", "least"), [(2000, 1.0), (400, 0.9)])
def test_probabilities_that_are_off_are_called_off(rows, least):
    random = np.random.default_rng(0)
    told = []
    for _ in range(50):
        chance = random.random(rows)
        told.append(probabilities_are_off(calibration(chance**2, random.random(rows) < chance)))
    assert np.mean(told) >= least


def test_an_error_that_is_real_but_small_is_not_worth_a_word():
    bins = [{"rows": 100_000, "mean_predicted": 0.5, "observed": 0.53}]
    assert error_by_chance(bins) < 0.01
    assert not probabilities_are_off({"bins": bins, "expected_calibration_error": 0.03})


def test_what_chance_shows_is_known_without_bins_and_with_bins_that_hold_nothing():
    assert error_by_chance([]) == 0
    assert error_by_chance([{"rows": 0, "mean_predicted": None, "observed": None}, {}]) == 0
    assert error_by_chance([{"rows": 9, "mean_predicted": 1.0, "observed": 0.5}]) == 0
    assert not probabilities_are_off({})
    assert probabilities_are_off({"bins": [], "expected_calibration_error": 0.12})


def test_a_comparison_without_a_difference_or_an_interval_is_not_called_a_verdict():
    found = {"metric": "roc_auc", "better": "neither", "difference": dict.fromkeys(("value", "low", "high"))}
    assert _comparison("linear", found).startswith("It cannot be compared with linear: the difference in roc_auc")
    found = {**found, "difference": {"value": 0.1, "low": None, "high": None}}
    assert _comparison("linear", found).startswith("Beside linear: difference in roc_auc 0.1, without an interval")
    found = {**found, "difference": {"value": 0.1, "low": -0.1, "high": 0.3}}
    assert _comparison("linear", found).startswith("Neither better nor worse than linear")
