"""Bins hold every row; the error is that of the definition; extremes are counted and not shown."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.evaluation.calibration import confusion, reliability, residuals
from steps.evaluation.document import Bin


def two(chance):
    chance = np.asarray(chance, dtype=float)
    return np.stack([1 - chance, chance], axis=1)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.500001, 1.0]), st.booleans()), min_size=1, max_size=80))
@settings(max_examples=80, deadline=None)
def test_bins_are_ordered_hold_every_row_and_keep_ties_together(rows):
    chance, happened = (np.array(column) for column in zip(*rows, strict=True))
    result = reliability(happened.astype(np.int64), two(chance))
    bins = result.bins
    assert sum(part.rows for part in bins) == len(rows)
    assert all(before.high < after.low for before, after in pairwise(bins))
    error = sum(part.rows * abs(part.mean_predicted - part.observed) for part in bins) / len(rows)
    assert result.expected_calibration_error == pytest.approx(error, abs=1e-9)


def test_a_model_that_is_always_sure_and_half_right_is_off_by_a_half():
    result = reliability(np.array([1, 0] * 50), two(np.ones(100)))
    assert result.expected_calibration_error == 0.5
    assert result.bins == (Bin(low=1, high=1, mean_predicted=1, observed=0.5, rows=100),)


def test_of_many_classes_the_most_probable_one_is_judged():
    prediction = np.array([[0.7, 0.2, 0.1], [0.7, 0.1, 0.2], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1]])
    (only,) = reliability(np.array([0, 0, 2, 0]), prediction).bins
    assert (only.mean_predicted, only.observed) == (0.7, 0.75)


def test_the_confusion_counts_truth_in_rows_and_answers_in_columns():
    prediction = np.eye(3)[[0, 1, 1, 2]]
    assert confusion(np.array([0, 0, 1, 2]), prediction) == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert confusion(np.zeros(2, dtype=np.int64), np.full((2, 31), 1 / 31)) is None


@pytest.mark.parametrize(
    "truth",
    [np.zeros(50), np.full(50, 1e12), np.arange(50) * 1e-9 + 1e6, np.r_[np.zeros(49), 1e30], np.array([3.0])],
    ids=["constant", "large constant", "narrow", "one extreme", "one row"],
)
def test_residuals_of_any_shape_are_all_counted(truth):
    result = residuals(truth, np.zeros_like(truth))
    assert sum(result.histogram.counts) == len(truth)
    assert np.sum(result.predicted_vs_actual.counts) == len(truth)
    edges = result.histogram.edges
    assert list(edges) == sorted(edges)


def test_an_extreme_value_is_counted_at_the_edge_and_not_shown():
    truth = np.r_[np.random.default_rng(0).normal(size=999), 123456.0]
    result = residuals(truth, np.zeros(1000))
    assert "123456" not in str(result)
    assert result.histogram.edges[-1] < 10
