"""Whether probabilities are called off: no more than their rows can show."""

from __future__ import annotations

import numpy as np
import pytest

from steps.evaluation.calibration import reliability
from steps.evaluation.document import Bin, Calibration


def calibration(chance, happened):
    return reliability(happened.astype(int), np.column_stack([1 - chance, chance]))


@pytest.mark.parametrize("rows", [60, 100, 200, 400, 800])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (0.5, 0.5), (2, 2), (1, 9), (50, 50)])
def test_honest_probabilities_are_seldom_called_off_however_few_rows_there_are(rows, a, b):
    random = np.random.default_rng([rows, int(10 * a), int(10 * b)])
    draws = 400
    off = 0
    for _ in range(draws):
        chance = random.beta(a, b, rows)
        off += calibration(chance, random.random(rows) < chance).is_off
    assert off / draws <= 0.08


@pytest.mark.parametrize(("rows", "least"), [(2000, 1.0), (400, 0.9)])
def test_probabilities_that_are_off_are_called_off(rows, least):
    random = np.random.default_rng(0)
    off = []
    for _ in range(50):
        chance = random.random(rows)
        off.append(calibration(chance**2, random.random(rows) < chance).is_off)
    assert np.mean(off) >= least


def bins(rows, mean_predicted, observed):
    return (Bin(low=0, high=1, mean_predicted=mean_predicted, observed=observed, rows=rows),)


def test_an_error_that_is_real_but_small_is_not_worth_a_word():
    calibrated = Calibration(bins=bins(100_000, 0.5, 0.53), expected_calibration_error=0.03)
    assert calibrated.error_by_chance() < 0.01
    assert not calibrated.is_off


def test_the_error_by_chance_is_defined_without_bins_and_with_bins_that_cannot_vary():
    assert Calibration().error_by_chance() == 0
    assert Calibration(bins=bins(0, 0.5, 0.5)).error_by_chance() == 0
    assert Calibration(bins=bins(9, 1.0, 0.5)).error_by_chance() == 0
    assert not Calibration().is_off
    assert Calibration(expected_calibration_error=0.12).is_off
